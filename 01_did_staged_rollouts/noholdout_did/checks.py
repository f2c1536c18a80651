"""What these data say about the assumptions after the launch: clusters, controls, overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from noholdout_shared.checks import Check, HypothesisCheck, Status, structural, untestable
from noholdout_shared.inference import critical_value, two_sided_p
from noholdout_shared.render import effect_text, p_text

from noholdout_did.effects import Effects
from noholdout_did.kernels.group_time import Cells
from noholdout_did.kernels.moments import Moments

MIN_CLUSTERS = 4
TRENDS = "Without the launch, treated and comparison groups would have moved in parallel."


@dataclass(frozen=True)
class Context:
    """What the checks need to know about the estimate.

    Parameters
    ----------
    estimate, std_error, df
        Of the aggregate that is reported.
    reach
        Mean number of periods between base and effect, weighted as the aggregate is.
    proportion
        Whether effects read in percentage points.
    """

    estimate: float
    std_error: float
    df: float
    reach: float
    proportion: bool

    def text(self, value: float) -> str:
        return effect_text(value, self.proportion)


def untestable_trends(context: Context, conf_level: float) -> Check:
    """Parallel trends after the launch: what would overturn the answer."""
    half = critical_value(conf_level, context.df) * context.std_error
    room = abs(context.estimate) - half
    if not np.isfinite(room):
        message = "The estimate has no standard error, so nothing can be said of what overturns it."
    elif room > 0:
        message = (
            "Whether the groups would have stayed parallel after the launch, no data can tell. "
            f"Had they come apart by {context.text(room).lstrip('+')} for another reason, the "
            f"interval would include zero; by {context.text(abs(context.estimate)).lstrip('+')}, "
            "nothing would be left."
        )
    else:
        message = (
            "Whether the groups would have stayed parallel after the launch, no data can tell. The "
            "interval includes zero already."
        )
    return untestable("parallel_trends", TRENDS, message, statistic=float(max(room, 0.0)))


def cluster_check(
    data: Moments,
    cells: Cells,
    labels: Sequence[str],
    what: str,
    independent: bool,
    randomized: bool = False,
) -> Check:
    """Fewest clusters in any cohort or control group that an effect compares."""
    assumption = "There are enough independent groups on both sides for a standard error."
    if independent:
        return untestable(
            "clusters",
            assumption,
            "Rows count as independent. Where the launch was switched on by workspace, team or "
            "region, rows of one group move together and the true error is larger: name that "
            "column in --cluster.",
        )
    sizes = data.part_sizes
    treated = {int(g): int(sizes[g]) for g in np.unique(cells.cohort)}
    controls = cells.control @ sizes
    fewest_control = int(controls.min())
    g = min(treated, key=lambda c: treated[c])
    fewest = min(treated[g], fewest_control)
    where = (
        f"the wave of {labels[g]}" if treated[g] <= fewest_control else "the smallest control group"
    )
    found = f"The fewest {what} on any side are {fewest}, in {where}."
    if fewest < MIN_CLUSTERS and randomized:
        return structural(
            "clusters",
            assumption,
            "caution",
            fewest,
            f"{found} The interval rests on waves having been drawn at random, not on a standard "
            "error; if somebody chose them, don't use it.",
        )
    if fewest < MIN_CLUSTERS:
        return structural(
            "clusters",
            assumption,
            "fail",
            fewest,
            f"{found} Below {MIN_CLUSTERS} the standard error mostly measures nothing: a shock to "
            "one group looks like an effect. Add groups, or leave that wave out.",
        )
    more = "" if fewest >= 10 else " So few make the interval wide; it allows for that."
    return structural("clusters", assumption, "pass", fewest, found + more)


def control_check(
    data: Moments, cells: Cells, weights: np.ndarray, periods: Sequence[str], what: str
) -> Check:
    """Whether the control group shrinks over the periods that the effect covers."""
    sizes = cells.control @ data.part_sizes
    first, last = int(np.argmax(sizes)), int(np.argmin(sizes))
    share = sizes[last] / sizes[first]
    thin = float(weights[sizes < 0.25 * sizes[first]].sum() / weights.sum())
    assumption = "The comparison stays one with the same kind of groups over the whole period."
    when = (
        "throughout"
        if sizes[last] == sizes[first]
        else f"at most and {sizes[last]:,} at least (in {periods[int(cells.period[last])]})"
    )
    found = f"The control group has {sizes[first]:,} {what} {when}."
    if thin > 0.25:
        return structural(
            "control_group",
            assumption,
            "caution",
            float(share),
            f"{found} {thin:.0%} of the answer rests on less than a quarter of it: those left "
            "until last may differ from the rest. Look at the effects by period; end the analysis "
            "earlier.",
        )
    return structural("control_group", assumption, "pass", float(share), found)


def overlap_check(found: Effects, weights: np.ndarray, what: str) -> Check:
    """How many controls the adjusted comparison really rests on."""
    assert found.effective_controls is not None
    assumption = "Treated groups have counterparts with like covariates among the controls."
    used = weights > 0
    fewest = float(found.effective_controls[used].min())
    dropped = found.settings["cells_without_overlap_dropped"]
    text = f"The thinnest comparison rests on {fewest:,.1f} effective controls."
    if dropped:
        text += (
            f" {dropped} comparisons had no overlap in the covariates and were left out: the "
            "answer covers the rest. Use fewer or coarser covariates."
        )
    status: Status = "pass"
    if dropped or fewest < 10:
        status = "caution"
    if fewest < MIN_CLUSTERS:
        status = "fail"
    if status != "pass" and not dropped:
        text += " A few controls stand for all: use fewer or coarser covariates."
    return structural("overlap", assumption, status, fewest, text)


def twfe_check(
    proportion: bool, *, difference: float, std_error: float, df: float, negative: float
) -> HypothesisCheck | None:
    """Two-way fixed effects against the group-time average; ``None`` when they can't differ."""
    if not std_error > 1e-10:
        return None
    p_value = two_sided_p(difference / std_error, df)
    return HypothesisCheck(
        name="twfe_weighting",
        assumption="Effects are the same for all waves at all times since launch.",
        statistic=difference / std_error,
        p_value=p_value,
        bias=difference,
        found=(
            f"The coefficient differs from the group-time average by "
            f"{effect_text(difference, proportion)} ({p_text(p_value)}); {negative:.0%} of its "
            "weight on treated rows is negative."
        ),
        todo=(
            "It counts groups that are treated already as controls, so it misleads when effects "
            "grow or differ: use --estimator group-time."
        ),
    )
