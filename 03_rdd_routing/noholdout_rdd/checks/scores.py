"""The scores themselves: gamed, too few, rounded, overridden."""

from __future__ import annotations

import numpy as np
from noholdout_shared.checks import Check, HypothesisCheck, Status, structural, untestable
from noholdout_shared.inference import Interval
from noholdout_shared.render import effect_text, p_text
from scipy import special

from noholdout_rdd.inference import WEAK_FIRST_STAGE, Effect
from noholdout_rdd.kernels.bandwidth import MANY_TIES
from noholdout_rdd.kernels.density import density_jump
from noholdout_rdd.kernels.local import SparseWindow
from noholdout_rdd.threshold_data import ThresholdData

FEW_SCORES, SOME_SCORES = 5, 15  # different scores within h on one side
DENSITY_SCORES = 20  # different scores within h that the density fit needs when scores repeat
FEW_EVENTS, RARE_SHARE = 5, 0.1  # rows with another than the commonest outcome, within h
FEW_CLUSTERS, MANY_CLUSTERS = 4, 10  # clusters within h on one side
NEAREST_ROWS = 100  # rows around the cutoff whose sides the binomial test counts

DENSITY_HOLDS = "Nobody can move their score across the cutoff on purpose."
BINOMIAL_HOLDS = "Right at the cutoff, as many rows lie below as above."
SCORES_HOLD = "The score takes enough different values near the cutoff."
ROUNDING_HOLDS = "The stored score is the score that the rule saw."
RARE_HOLDS = "The outcome varies enough near the cutoff on both sides."
CLUSTERS_HOLD = "There are enough clusters on both sides to measure the error."
COMPLIANCE_HOLDS = "The score alone decides who is treated."
OTHER_HOLDS = "Nothing else that moves the outcome switches at the cutoff."


def density_check(data: ThresholdData, effect: Effect) -> HypothesisCheck:
    """Density test of Cattaneo, Jansson and Ma (2020): do scores heap on one side?

    Implied bias: the surplus share of rows on the fuller side, times the outcome's standard
    deviation near the cutoff (those who moved differ from the others by one such deviation).
    """
    if repeated_share(data) >= MANY_TIES and least_scores(data, effect) < DENSITY_SCORES:
        # The window that holds enough scores would be far too wide, and a bend look like a jump.
        raise SparseWindow(max(effect.h), 0, DENSITY_SCORES)
    found = density_jump(data.sides)
    low, high = sorted(max(f, 0.0) for f in found.density)
    share = (high - low) / high if high > 0 else 0.0
    fuller = "at or above" if found.difference > 0 else "below"
    return HypothesisCheck(
        "density",
        DENSITY_HOLDS,
        found.statistic,
        found.p_value,
        share * _deviation_near(data, effect) / abs(effect.first_stage),
        f"The density of {data.running} is {found.density[0]:.4g} just below the cutoff and "
        f"{found.density[1]:.4g} just above ({p_text(found.p_value)}).",
        f"Up to {share:.0%} of the rows just {fuller} it look moved there, and who moves isn't "
        "random. Find out who can see or set the score; try --donut.",
    )


def distinct_scores(data: ThresholdData, effect: Effect) -> Check:
    """Are there enough different scores within h to tell the curve from the jump?"""
    counts = [
        int(np.unique(side.distance[:n]).size)
        for side, n in zip(data.sides, effect.pair.n_h, strict=True)
    ]
    least = min(counts)
    found = (
        f"Within the bandwidth the score takes {counts[0]:,} different values below and "
        f"{counts[1]:,} above the cutoff."
    )
    if least >= SOME_SCORES:
        return structural("distinct_scores", SCORES_HOLD, "pass", least, found)
    todo = (
        " With so few, the gap between the last score and the cutoff is bridged by assumption. "
        "Store the score unrounded, or widen the bandwidth."
    )
    status: Status = "fail" if least < FEW_SCORES else "caution"
    return structural("distinct_scores", SCORES_HOLD, status, least, found + todo)


def rare_outcome(data: ThresholdData, effect: Effect) -> Check | None:
    """Do enough rows near the cutoff have an outcome other than the commonest? Else ``None``.

    Asked where over nine tenths of the rows within h share one outcome. A side with none of the
    others adds nothing to the standard error, so that the interval is far too narrow.
    """
    if data.denominator is not None or any(side.count is not None for side in data.sides):
        return None
    near = [side.values[0, :n] for side, n in zip(data.sides, effect.pair.n_h, strict=True)]
    common = float(np.median(np.concatenate(near)))  # whatever nine tenths share is the median
    below, above = (int((y != common).sum()) for y in near)
    if below + above > RARE_SHARE * sum(y.size for y in near):
        return None
    least = min(below, above)
    found = (
        f"Within the bandwidth {below:,} rows below and {above:,} above the cutoff have a "
        f"{data.outcome} other than {common:g}."
    )
    if least >= FEW_EVENTS:
        return structural("rare_outcome", RARE_HOLDS, "pass", least, found)
    todo = (
        " With so few the error is hardly measured, and the interval may be far too narrow. "
        "Collect more rows near the cutoff, or widen --bandwidth."
    )
    status: Status = "caution" if least else "fail"
    return structural("rare_outcome", RARE_HOLDS, status, least, found + todo)


def clusters(data: ThresholdData, effect: Effect) -> Check:
    """Are there enough clusters within h on each side for a standard error?"""
    left, right = (
        0 if side.clusters is None else int(np.unique(side.clusters[:n]).size)
        for side, n in zip(effect.sides, effect.pair.n_h, strict=True)
    )
    least = min(left, right)
    found = f"Within the bandwidth {left:,} clusters lie below and {right:,} above the cutoff."
    status: Status = "pass"
    if least < FEW_CLUSTERS:
        status = "fail"
        found += (
            f" Below {FEW_CLUSTERS} on a side the standard error mostly measures nothing: a shock "
            "to one cluster looks like an effect. Collect more of them, or widen the bandwidth."
        )
    elif least < MANY_CLUSTERS:
        found += " So few make the interval wide; it allows for that."
    return structural("clusters", CLUSTERS_HOLD, status, least, found)


def compliance(data: ThresholdData, effect: Effect, *, fuzzy: bool) -> Check:
    """Does the treatment received follow the rule within h?"""
    assert data.treatment is not None
    wrong, rows = 0, sum(effect.rows_h)
    for k, (side, received) in enumerate(zip(data.sides, data.treatment, strict=True)):
        n, ruled = effect.pair.n_h[k], float(k == data.treated_index)
        wrong += round(float(side.each(n) @ np.abs(received[:n] - ruled)))
    share = wrong / rows
    found = f"{wrong:,} of {rows:,} rows within the bandwidth ({share:.1%}) break the rule."
    if wrong == 0:
        return structural("compliance", COMPLIANCE_HOLDS, "pass", 0.0, found)
    if _treated_share(data, effect, data.treated_index) < _treated_share(
        data, effect, 1 - data.treated_index
    ):
        other = "below" if data.sign > 0 else "above"
        todo = (
            " Fewer are treated on the side that the rule is said to treat than on the other: try "
            f"--treated-side {other}. Don't use this answer before that is settled."
        )
        return structural("compliance", COMPLIANCE_HOLDS, "fail", share, found + todo)
    if not fuzzy:
        todo = (
            " The sharp answer is the effect of the rule as it was enforced, not of the treatment. "
            "Use --design fuzzy for the effect on those who follow the rule."
        )
        return structural("compliance", COMPLIANCE_HOLDS, "caution", share, found + todo)
    strength = (effect.first_stage / effect.first_stage_error) ** 2
    answer = (
        f" The rule moves the treatment by {100 * effect.first_stage:.1f} points (F = "
        f"{strength:,.0f}), and the fuzzy answer holds for those whom it moves."
    )
    if strength < WEAK_FIRST_STAGE:
        weak = " That is weak: the ratio is biased and its interval too narrow. Don't use it."
        return structural("compliance", COMPLIANCE_HOLDS, "fail", share, found + answer + weak)
    return structural("compliance", COMPLIANCE_HOLDS, "pass", share, found + answer)


def _treated_share(data: ThresholdData, effect: Effect, which: int) -> float:
    """Share treated within h on the left (0) or the right (1)."""
    assert data.treatment is not None
    n = effect.pair.n_h[which]
    each = data.sides[which].each(n)
    return float(each @ data.treatment[which][:n] / each.sum())


def other_changes(data: ThresholdData, shown: Interval) -> Check:
    """What no data can say: another rule at the same cutoff."""
    needed = max(shown.conf_low, -shown.conf_high)
    size = effect_text(max(needed, 0.0), data.proportion, signed=False)
    message = (
        f"A second rule that switches at {data.cutoff:g} looks exactly like the first. One worth "
        f"{size} would take the interval to zero. Ask who else uses this score."
        if needed > 0
        else f"A second rule that switches at {data.cutoff:g} looks exactly like the first, and "
        "could hide an effect too; the interval holds zero already. Ask who else uses this score."
    )
    return untestable("other_changes", OTHER_HOLDS, message, max(needed, 0.0))


def _deviation_near(data: ThresholdData, effect: Effect) -> float:
    """Standard deviation of the outcome among the rows within h."""
    near = [
        (side.values[0, :n], side.each(n), side.scatter(n))
        for side, n in zip(data.sides, effect.pair.n_h, strict=True)
    ]
    rows = sum(float(each.sum()) for _, each, _ in near)
    mean = sum(float(each @ y) for y, each, _ in near) / rows
    squares = sum(float(each @ (y - mean) ** 2 + own.sum()) for y, each, own in near)
    return float(np.sqrt(squares / rows))


def repeated_share(data: ThresholdData) -> float:
    """The share of rows that repeat another row's score, on the side with more of them."""
    return max(1 - side.different.size / side.rows for side in data.sides)


def least_scores(data: ThresholdData, effect: Effect) -> int:
    """Different scores within h, on the side with fewer."""
    return min(
        int(np.searchsorted(side.different, side.distance[n - 1], side="right"))
        for side, n in zip(data.sides, effect.pair.n_h, strict=True)
    )


def binomial_check(data: ThresholdData, effect: Effect) -> HypothesisCheck:
    """Exact binomial test on the rows nearest to the cutoff.

    So near, the density can hardly change by itself, and no fit is needed. Implied bias as in
    :func:`density_check`.
    """
    if repeated_share(data) >= MANY_TIES:
        raise SparseWindow(max(effect.h), 0, 0)
    nearest = np.sort(
        np.concatenate(
            [
                np.repeat(s.distance[:NEAREST_ROWS], s.each(s.n)[:NEAREST_ROWS].astype(int))
                for s in data.sides
            ]
        )
    )
    width = float(nearest[min(NEAREST_ROWS, nearest.size) - 1])
    below, above = (side.rows_in(side.within(width, "uniform")) for side in data.sides)
    rows = below + above
    less = min(below, above)
    p_value = min(1.0, 2 * float(special.bdtr(less, rows, 0.5)))
    share = 1 - less / max(below, above)
    return HypothesisCheck(
        "binomial",
        BINOMIAL_HOLDS,
        float(above - below),
        p_value,
        share * _deviation_near(data, effect) / abs(effect.first_stage),
        f"Of the {rows} rows within {width:.3g} of the cutoff {below} lie below and {above} at or "
        f"above ({p_text(p_value)}).",
        "The rows right at the cutoff pile up on one side, as moved scores would. Find out who can "
        "see or set the score.",
    )


def rounded_scores(data: ThresholdData, effect: Effect) -> Check:
    """Was the score rounded after the decision, so that the cutoff's own bin mixes both arms?"""
    if data.treatment is None:
        at_cutoff = data.right.rows_in(data.right.within(0.0, "uniform"))
        if repeated_share(data) < MANY_TIES or at_cutoff < 2:
            return structural(
                "rounded_scores", ROUNDING_HOLDS, "pass", 0.0, "The scores aren't on a coarse grid."
            )
        return untestable(
            "rounded_scores",
            ROUNDING_HOLDS,
            f"The scores lie on a grid, and {at_cutoff:,} rows exactly at the cutoff. If they were "
            "rounded after the decision, those rows mix both arms and the interval covers far too "
            "little; name --treatment to find out, or leave them out with --mixed-bin drop.",
            float(at_cutoff),
        )
    if data.mixed_rows == 0:
        return structural(
            "rounded_scores", ROUNDING_HOLDS, "pass", 0.0, "No score holds both arms by rounding."
        )
    dropped = data.settings.get("rows_left_out_of_mixed_bin", 0)
    if dropped:
        return structural(
            "rounded_scores",
            ROUNDING_HOLDS,
            "pass",
            float(data.mixed_rows),
            f"The scores were rounded after the decision: the bin {data.mixed_score:g} at the "
            f"cutoff mixes both arms. Its {dropped:,} rows were left out; the fit bridges the gap.",
        )
    fuzzy = effect.first_stage_error > 0
    done = (
        "The design was called fuzzy for it, which divides by the smaller jump in treatment"
        if fuzzy
        else "The sharp answer is pulled towards zero by it"
    )
    return structural(
        "rounded_scores",
        ROUNDING_HOLDS,
        "caution",
        float(data.mixed_rows),
        f"The scores were rounded after the decision: the bin {data.mixed_score:g} at the cutoff "
        f"mixes both arms ({data.mixed_rows:,} rows). {done}; better leave that bin out with "
        "--mixed-bin drop.",
    )
