"""The scores themselves: gamed, too few, rounded, overridden."""

from __future__ import annotations

import numpy as np
from noholdout_shared.checks import Check, Status, structural, untestable
from noholdout_shared.inference import Interval
from noholdout_shared.render import effect_text

from noholdout_rdd.checks.moved import repeated_share
from noholdout_rdd.inference import WEAK_FIRST_STAGE, Effect
from noholdout_rdd.kernels.bandwidth import MANY_TIES
from noholdout_rdd.threshold_data import ThresholdData

FEW_SCORES, SOME_SCORES = 5, 15  # different scores within h on one side
FEW_EVENTS, RARE_SHARE = 5, 0.1  # rows with another than the commonest outcome, within h
FEW_CLUSTERS, MANY_CLUSTERS = 4, 10  # clusters within h on one side

SCORES_HOLD = "The score takes enough different values near the cutoff."
ROUNDING_HOLDS = "The stored score is the score that the rule saw."
RARE_HOLDS = "The outcome varies enough near the cutoff on both sides."
CLUSTERS_HOLD = "There are enough clusters on both sides to measure the error."
COMPLIANCE_HOLDS = "The score alone decides who is treated."
OTHER_HOLDS = "Nothing else that moves the outcome switches at the cutoff."


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
