"""All checks of one estimate: which are run, and how they are judged together."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from noholdout_shared.checks import Check, HypothesisCheck, judge, untestable
from noholdout_shared.inference import Interval

from noholdout_rdd.checks import elsewhere, moved, scores, stability
from noholdout_rdd.inference import Effect
from noholdout_rdd.kernels.bandwidth import Selector
from noholdout_rdd.kernels.honest import HonestJump
from noholdout_rdd.kernels.local import SparseWindow, Spec
from noholdout_rdd.threshold_data import ThresholdData

Maker = tuple[str, str, Callable[[], HypothesisCheck]]


def run_checks(
    data: ThresholdData,
    effect: Effect,
    spec: Spec,
    *,
    fuzzy: bool,
    placebos: pd.DataFrame,
    honest: HonestJump | None,
    conf_level: float,
    shown: Interval,
    selector: Selector | None,
) -> tuple[Check, ...]:
    """All checks: the tests as one family, then those judged by size, then what can't be tested.

    The violations are measured against the standard error of the robust estimate. ``selector``
    chose the bandwidths, if one did.
    """
    tests: list[HypothesisCheck] = []
    skipped: list[Check] = []
    for name, assumption, make in _tests(
        data, effect, spec, placebos, honest, conf_level, selector
    ):
        try:
            tests.append(make())
        except SparseWindow:
            skipped.append(
                untestable(
                    name,
                    assumption,
                    "Not tested: there are too few rows or too few different scores near the "
                    "cutoff for it.",
                )
            )
    fixed = [scores.distinct_scores(data, effect), scores.rounded_scores(data, effect)]
    rare = scores.rare_outcome(data, effect)
    if rare is not None:
        fixed.append(rare)
    if data.n_clusters is not None:
        fixed.append(scores.clusters(data, effect))
    if data.treatment is not None:
        fixed.append(scores.compliance(data, effect, fuzzy=fuzzy))
    if data.other_rules:
        fixed.append(elsewhere.second_rule(data, effect, spec))
    judged = judge(tests, effect.robust_error)
    return (*judged, *fixed, *skipped, scores.other_changes(data, shown))


def _tests(
    data: ThresholdData,
    effect: Effect,
    spec: Spec,
    placebos: pd.DataFrame,
    honest: HonestJump | None,
    conf_level: float,
    selector: Selector | None,
) -> list[Maker]:
    found: list[Maker] = [
        ("density", moved.DENSITY_HOLDS, lambda: moved.density_check(data, effect)),
        ("binomial", moved.BINOMIAL_HOLDS, lambda: moved.binomial_check(data, effect)),
        (
            "placebo_cutoffs",
            elsewhere.PLACEBO_HOLDS,
            lambda: elsewhere.placebo_check(data, placebos),
        ),
        (
            "polynomial",
            stability.POLYNOMIAL_HOLDS,
            lambda: stability.polynomial_check(data, effect, spec),
        ),
        (
            "bandwidth",
            stability.BANDWIDTH_HOLDS,
            lambda: stability.bandwidth_check(data, effect, spec, selector),
        ),
        ("donut", stability.DONUT_HOLDS, lambda: stability.donut_check(data, effect, spec)),
        (
            "curvature",
            stability.CURVATURE_HOLDS,
            lambda: stability.curvature_check(data, effect, spec, honest, conf_level),
        ),
    ]
    if data.covariate_names:
        found.append(
            (
                "covariates",
                elsewhere.COVARIATES_HOLD,
                lambda: elsewhere.covariate_check(data, effect, spec),
            )
        )
    return found
