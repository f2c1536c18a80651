"""The checks of a synthetic control: what the time before the launch says about the twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from noholdout_shared.checks import Check, HypothesisCheck, judge

from noholdout_synthetic_control.checks.controls import negative_controls, unmeasured_controls
from noholdout_synthetic_control.checks.donors import (
    contaminated_donors,
    donor_pool,
    launch_week_shock,
    leaning,
    unique_weights,
    weight_concentration,
)
from noholdout_synthetic_control.checks.evidence import Evidence, Move, backdate
from noholdout_synthetic_control.checks.fit import (
    convex_hull,
    donor_similarity,
    in_time_placebo,
    pre_fit,
    short_history,
)
from noholdout_synthetic_control.checks.limits import (
    missing_cells,
    placebo_resolution,
    same_ruler,
    treated_only_shock,
)
from noholdout_synthetic_control.timing import shown

__all__ = ["Evidence", "Move", "all_checks", "staggered_checks"]

SEVERITIES = ("cannot-be-tested", "pass", "caution", "fail")


def all_checks(evidence: Evidence) -> tuple[Check, ...]:
    """Every check, hypothesis tests judged as one family."""
    return (
        # Against sampling alone: what the interval allows for can't also excuse it.
        *judge(hypotheses(evidence), evidence.uncertainty.sampling_error),
        *by_size(evidence),
        *unknowable(evidence),
    )


def hypotheses(evidence: Evidence) -> list[HypothesisCheck]:
    """The tests of one launch, not judged yet."""
    tests = [
        pre_fit(evidence),
        donor_similarity(evidence),
        contaminated_donors(evidence),
        negative_controls(evidence),
    ]
    backdated = backdate(evidence)
    if backdated is not None:
        tests.append(in_time_placebo(evidence, backdated))
        tests.append(launch_week_shock(evidence, backdated))
    return [t for t in tests if t is not None]


def by_size(evidence: Evidence) -> tuple[Check, ...]:
    """The checks of one launch that are judged by size."""
    return (
        convex_hull(evidence),
        donor_pool(evidence),
        short_history(evidence),
        *missing_cells(evidence),
        leaning(evidence),
        weight_concentration(evidence),
        *unique_weights(evidence),
        placebo_resolution(evidence),
        *unmeasured_controls(evidence),
    )


def unknowable(evidence: Evidence) -> tuple[Check, ...]:
    """What no panel can show."""
    return treated_only_shock(evidence), same_ruler(evidence)


def staggered_checks(
    evidences: Sequence[Evidence], shares: np.ndarray, overall: Evidence
) -> tuple[Check, ...]:
    """The checks of every cohort as one family; of each name the worst, its launch named.

    A cohort's violation biases the average by its share only. Negative controls are averages over
    the launches, as the answer is.
    """
    tests, launches = [], []
    for evidence, share in zip(evidences, shares, strict=True):
        for test in hypotheses(evidence):
            tests.append(replace(test, bias=test.bias * float(share)))
            launches.append(evidence)
    control = negative_controls(overall)
    tests += [] if control is None else [control]
    judged = list(judge(tests, overall.uncertainty.sampling_error))
    shared = (*judged[len(launches) :], *unmeasured_controls(overall))
    del judged[len(launches) :]
    for evidence in evidences:
        found = by_size(evidence)
        judged += found
        launches += [evidence] * len(found)
    worst: dict[str, tuple[tuple[int, float], Check]] = {}
    for check, evidence in zip(judged, launches, strict=True):
        p_value = 1.0 if np.isnan(check.p_value) else check.p_value
        rank = (-SEVERITIES.index(check.status), p_value)
        launch = shown(evidence.panel.settings["launch"])
        named = replace(check, message=f"Launch at {launch}: {check.message}")
        if check.name not in worst or rank < worst[check.name][0]:
            worst[check.name] = (rank, named)
    return (*(check for _, check in worst.values()), *shared, *unknowable(overall))
