"""The checks of a synthetic control: what the time before the launch says about the twin."""

from __future__ import annotations

from noholdout_shared.checks import Check, judge

from noholdout_synthetic_control.checks.donors import (
    contaminated_donors,
    donor_pool,
    launch_week_shock,
    leaning,
    unique_weights,
)
from noholdout_synthetic_control.checks.evidence import Evidence, backdate
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

__all__ = ["Evidence", "all_checks"]


def all_checks(evidence: Evidence) -> tuple[Check, ...]:
    """Every check, hypothesis tests judged as one family."""
    tests = [pre_fit(evidence), donor_similarity(evidence), contaminated_donors(evidence)]
    backdated = backdate(evidence)
    if backdated is not None:
        tests.append(in_time_placebo(evidence, backdated))
        tests.append(launch_week_shock(evidence, backdated))
    known = [t for t in tests if t is not None]
    return (
        # Against sampling alone: what the interval allows for can't also excuse it.
        *judge(known, evidence.uncertainty.sampling_error),
        convex_hull(evidence),
        donor_pool(evidence),
        short_history(evidence),
        *missing_cells(evidence),
        leaning(evidence),
        *unique_weights(evidence),
        placebo_resolution(evidence),
        treated_only_shock(evidence),
        same_ruler(evidence),
    )
