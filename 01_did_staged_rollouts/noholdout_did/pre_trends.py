"""Did the groups move alike before the launch, and would the tests have seen it if not?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, HypothesisCheck, holm, judge, untestable
from noholdout_shared.inference import two_sided_p
from noholdout_shared.render import p_text

from noholdout_did.checks import TRENDS, Context
from noholdout_did.inference import Errors, covariance_parts, joint_test, std_errors
from noholdout_did.kernels.group_time import Linear, stack
from noholdout_did.kernels.leads import (
    Leads,
    anticipation_weights,
    bin_weights,
    mean_weights,
    placebo_weights,
    slope_weights,
)
from noholdout_did.kernels.moments import Moments
from noholdout_did.kernels.pre_tests import (
    GapDraws,
    PreTests,
    detectable,
    draw_gaps,
    pre_tests,
    step_down,
)

NO_ANTICIPATION = "Nobody behaved differently before the launch because it was coming."
TODO_TRENDS = (
    "Groups that drifted apart already would have differed without a launch too: compare with "
    "groups that moved alike, or adjust for what made them drift."
)
TODO_ANTICIPATION = (
    "The estimate takes that period as untouched. If people knew of the launch, use "
    "--anticipation 1 (or more) to start the comparison earlier."
)
LEVEL = 0.05
POWERS = (0.5, 0.8)
# A drift that matters shows in every lead, so that a small share of the error finds it; a jump in
# the base period shows in one contrast only, and biases the estimate one to one.
SHARES = {"pre_trend_slope": 0.2, "placebo": 0.05, "anticipation": 0.7, "pre_trend_bins": 0.05}


@dataclass(frozen=True)
class PreTrends:
    """Checks of the leads (and whatever else is in their family), and table ``pre_trend_power``."""

    checks: tuple[Check, ...]
    tables: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class _Test:
    """One test, with the combinations of gaps that it looks at, shape ``(K, 1)`` or ``(K, B)``."""

    check: HypothesisCheck
    weights: np.ndarray


def pre_trends(
    data: Moments,
    leads: Leads,
    gaps: Linear,
    errors: Errors,
    context: Context,
    *,
    seed: int,
    target: Linear | None = None,
    more: Sequence[HypothesisCheck] = (),
) -> PreTrends:
    """The hypothesis checks of one estimate, ``more`` among them, judged as one family.

    Parameters
    ----------
    target
        The estimate with its influences in the same features; without it, the table leaves out
        what remains where the tests find nothing.
    """
    if not context.std_error > 0:
        return PreTrends((_no_leads(context),), {})
    found = []
    if len(leads.lag):
        single = (_slope, _placebo, _anticipation, _bins)
        found = [t for f in single if (t := f(data, leads, gaps, errors, context)) is not None]
    if not found:
        return PreTrends((_no_leads(context), *judge(list(more), context.std_error)), {})
    checks = [t.check for t in found]
    family = _family(data, gaps, errors, found, seed)
    if family is None:
        return PreTrends(judge([*checks, *more], context.std_error), {})
    tests, drawn, null_p = family
    raw = np.array([c.p_value for c in checks])
    adjusted = _within_family(step_down(raw, tests.share, null_p), [c.p_value for c in more])
    power = _power(data, leads, gaps, errors, context, tests, drawn, null_p, target)
    checks = [_with_power(c, power, context) for c in checks]
    judged = judge([*checks, *more], context.std_error, adjusted)
    order = ("pre_trend_slope", "pre_trend_bins", "placebo", "anticipation")
    rank = {name: i for i, name in enumerate(order)}
    ordered = sorted(judged, key=lambda c: rank.get(c.name, len(order)))
    return PreTrends(tuple(ordered), {"pre_trend_power": power})


def _no_leads(context: Context) -> Check:
    drift = abs(context.estimate) / max(context.reach, 1.0)
    return untestable(
        "pre_trend_slope",
        TRENDS,
        "There are too few periods before the launch to look for a drift. One of "
        f"{context.text(drift)} a period would explain the whole estimate.",
    )


def _family(
    data: Moments, gaps: Linear, errors: Errors, found: list[_Test], seed: int
) -> tuple[PreTests, GapDraws, np.ndarray] | None:
    """The tests as one, draws of gaps without a violation, and the tests' p-values in these."""
    covariance = covariance_parts(data, gaps, errors).sum(axis=0)
    one = [t for t in found if t.check.name != "pre_trend_bins"]
    joint = next((t.weights for t in found if t.check.name == "pre_trend_bins"), None)
    if not one:
        return None
    single = np.hstack([t.weights for t in one])
    se, df = std_errors(data, gaps.combine(single), errors)
    # Where some lead never varies there is no joint distribution to draw from.
    if np.isnan(se).any() or np.isnan(std_errors(data, gaps, errors)[0]).any():
        return None
    share = np.array([SHARES[t.check.name] for t in found])
    tests = pre_tests(covariance, single, joint, share, float(df.min()))
    drawn = draw_gaps(covariance, tests.df, np.random.default_rng(seed))
    return tests, drawn, tests.p_values(drawn.gaps / drawn.scale[:, None])


def _within_family(adjusted: np.ndarray, others: Sequence[float]) -> list[float]:
    """Holm over the pre-trend tests as one and each other test; then within the former."""
    first = [float(adjusted.min()), *others]
    outer = holm(first)
    left = sum(p >= first[0] for p in first)
    inner = np.maximum(outer[0], np.minimum(left * adjusted, 1.0))
    return [*inner.tolist(), *outer[1:].tolist()]


def _power(
    data: Moments,
    leads: Leads,
    gaps: Linear,
    errors: Errors,
    context: Context,
    tests: PreTests,
    drawn: GapDraws,
    null_p: np.ndarray,
    target: Linear | None,
) -> pd.DataFrame:
    """Drifts that the checks, or any single lead at 5%, find with 50% and 80% power."""
    lag = leads.lag.astype(float)
    covariance = covariance_parts(data, gaps, errors).sum(axis=0)
    pull = None
    if target is not None:
        both = covariance_parts(data, stack([gaps, target]), errors).sum(axis=0)
        pull = np.linalg.pinv(covariance, hermitian=True) @ both[:-1, -1]
    pooled = np.column_stack([mean_weights(leads, leads.lag == k) for k in np.unique(leads.lag)])
    even = np.full(pooled.shape[1], 1.0 / pooled.shape[1])
    any_lead = pre_tests(covariance, pooled, None, even, tests.df)
    rows = []
    for name, mine, levels in (
        ("checks", tests, tests.level(null_p, LEVEL)),
        ("any lead at 5%", any_lead, np.full(len(even), LEVEL)),
    ):
        for power in POWERS:
            found = detectable(mine, levels, drawn, lag, power)
            bias = found.slope * context.reach
            after = np.nan if pull is None else bias + float(pull @ found.gaps_after_passing)
            rows.append((name, power, found.slope, bias, after))
    columns = ["test", "power", "slope", "bias", "bias_after_passing"]
    return pd.DataFrame(rows, columns=columns)


def _with_power(check: HypothesisCheck, power: pd.DataFrame, context: Context) -> HypothesisCheck:
    """The slope's message with what the checks could have found."""
    if check.name != "pre_trend_slope":
        return check
    half, most = (power.iloc[i] for i in (0, 1))
    text = (
        f" The checks together find a drift of {context.text(most['slope'])} a period with "
        f"{POWERS[1]:.0%} power, of {context.text(half['slope'])} with {POWERS[0]:.0%}. The "
        f"latter would bias the estimate by {context.text(half['bias'])}"
    )
    if np.isfinite(half["bias_after_passing"]):
        text += f", and by {context.text(half['bias_after_passing'])} where they find nothing"
    return replace(check, found=f"{check.found}{text}.")


def _by_t(
    data: Moments,
    gaps: Linear,
    errors: Errors,
    weights: np.ndarray,
    *,
    name: str,
    assumption: str,
    bias: float,
    todo: str,
    found: Callable[[float, str], str],
) -> _Test | None:
    """A t test of one combination of gaps; ``bias`` is the estimate's for each unit of it.

    ``found`` says what was found, given the value and its p-value in words.
    """
    one = gaps.combine(weights)
    se, df = std_errors(data, one, errors)
    value = float(one.value[0])
    t = value / float(se[0])
    p_value = two_sided_p(t, float(df[0]))
    if np.isnan(p_value):
        return None
    check = HypothesisCheck(
        name=name,
        assumption=assumption,
        statistic=t,
        p_value=p_value,
        bias=bias * value,
        found=found(value, p_text(p_value)),
        todo=todo,
    )
    return _Test(check, weights)


def _slope(
    data: Moments, leads: Leads, gaps: Linear, errors: Errors, context: Context
) -> _Test | None:
    return _by_t(
        data,
        gaps,
        errors,
        slope_weights(leads),
        name="pre_trend_slope",
        assumption=TRENDS,
        bias=context.reach,
        todo=TODO_TRENDS,
        found=lambda value, p: (
            f"Before the launch the gap moved by {context.text(value)} a period ({p}); that drift "
            f"would bias the estimate by {context.text(value * context.reach)}."
        ),
    )


def _bins(
    data: Moments, leads: Leads, gaps: Linear, errors: Errors, context: Context
) -> _Test | None:
    if len(np.unique(leads.lag)) < 2:
        return None
    weights, ranges = bin_weights(leads, data.n_clusters)
    bins = gaps.combine(weights)
    test = joint_test(data, bins, errors)
    se, _ = std_errors(data, bins, errors)
    if np.isnan(test.p_value) or np.isnan(se).all():
        return None
    worst = int(np.nanargmax(np.abs(bins.value / se)))
    near, far = ranges[worst]
    where = f"{near}" if near == far else f"{near} to {far}"
    check = HypothesisCheck(
        name="pre_trend_bins",
        assumption=TRENDS,
        statistic=test.statistic,
        p_value=test.p_value,
        bias=float(bins.value[worst]),
        found=(
            f"Joint test of {test.df_num} stretches before the launch: F({test.df_num}, "
            f"{test.df_den:.0f}) = {test.statistic:.2f} ({p_text(test.p_value)}); the gap furthest "
            f"from the last period before the launch is {context.text(float(bins.value[worst]))}, "
            f"{where} periods earlier."
        ),
        todo=TODO_TRENDS,
    )
    return _Test(check, weights)


def _placebo(
    data: Moments, leads: Leads, gaps: Linear, errors: Errors, context: Context
) -> _Test | None:
    made = placebo_weights(leads)
    if made is None:
        return None
    weights, lag = made
    return _by_t(
        data,
        gaps,
        errors,
        weights,
        name="placebo",
        assumption=TRENDS,
        bias=1.0,
        todo=TODO_TRENDS,
        found=lambda value, p: (
            f"A launch pretended {lag} periods early 'finds' {context.text(value)} ({p}), where "
            "nothing was launched."
        ),
    )


def _anticipation(
    data: Moments, leads: Leads, gaps: Linear, errors: Errors, context: Context
) -> _Test | None:
    weights = anticipation_weights(leads)
    if weights is None:
        return None
    return _by_t(
        data,
        gaps,
        errors,
        weights,
        name="anticipation",
        assumption=NO_ANTICIPATION,
        bias=-1.0,
        todo=TODO_ANTICIPATION,
        found=lambda value, p: (
            f"In the last period before the launch the gap was {context.text(value)} away from the "
            f"three before it ({p})."
        ),
    )
