"""Jumps where there should be none: other cutoffs, covariates, other rules."""

from __future__ import annotations

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, HypothesisCheck, Status, structural
from noholdout_shared.inference import interval, two_sided_p
from noholdout_shared.render import effect_text, p_text

from noholdout_rdd.inference import Effect, cluster_df
from noholdout_rdd.kernels.bandwidth import select_bandwidths
from noholdout_rdd.kernels.jump import jump_pair
from noholdout_rdd.kernels.local import SparseWindow, Spec
from noholdout_rdd.kernels.side import Side
from noholdout_rdd.threshold_data import ThresholdData

PLACEBO_QUANTILES = (0.25, 0.5, 0.75)
PLACEBO_ROWS = 50  # rows on each side of a placebo cutoff
RULE_JUMP = 0.02  # share of rows for which another rule has to switch to matter

PLACEBO_HOLDS = "The outcome runs smoothly where no rule switches."
COVARIATES_HOLD = "Users just below and just above the cutoff are alike."
RULES_HOLD = "No other treatment switches at the cutoff."


def placebo_cutoffs(data: ThresholdData, spec: Spec, conf_level: float) -> pd.DataFrame:
    """The robust jump at cutoffs inside one side, where no rule switches."""
    rows = []
    for which, side in enumerate(data.sides):
        direction = 1 if which else -1
        for share in PLACEBO_QUANTILES:
            at = side.quantile(share)
            near, far = _split(side, at)
            if min(near.rows, far.rows) < PLACEBO_ROWS:
                continue
            try:
                chosen = select_bandwidths((near, far), spec)
                pair = jump_pair((near, far), chosen.h, chosen.b, spec)
            except SparseWindow:
                continue
            jump = pair.corrected
            value = jump.estimate * direction * data.sign
            df = cluster_df((near, far), pair.n_h)
            found = interval(value, jump.std_error, conf_level, df)
            rows.append(
                {
                    "cutoff": data.cutoff + direction * at,
                    "estimate": value,
                    "std_error": jump.std_error,
                    "conf_low": found.conf_low,
                    "conf_high": found.conf_high,
                    "p_value": found.p_value,
                }
            )
    columns = ["cutoff", "estimate", "std_error", "conf_low", "conf_high", "p_value"]
    return pd.DataFrame(rows, columns=columns).sort_values("cutoff", ignore_index=True)


def _split(side: Side, at: float) -> tuple[Side, Side]:
    """A side cut in two at a distance: the nearer part mirrored, so that both start at it."""
    k = int(np.searchsorted(side.distance, at))
    away = np.abs(side.distance - at)
    return side.mirrored(k, away[:k][::-1]), side.beyond(k, away[k:])


def placebo_check(data: ThresholdData, placebos: pd.DataFrame) -> HypothesisCheck:
    """Is any placebo jump more than chance? Bonferroni over the placebo cutoffs.

    Implied bias: the root mean square of the placebo jumps, their sampling noise taken out.
    """
    tested = placebos[placebos["std_error"] > 0]
    if tested.empty:
        raise SparseWindow(float(data.left.distance[-1]), 0, 2)
    p_value = min(1.0, len(tested) * float(tested["p_value"].min()))
    excess = float((tested["estimate"] ** 2 - tested["std_error"] ** 2).mean())
    worst = tested.iloc[int(tested["p_value"].to_numpy().argmin())]
    return HypothesisCheck(
        "placebo_cutoffs",
        PLACEBO_HOLDS,
        float((tested["estimate"] / tested["std_error"]).abs().max()),
        p_value,
        float(np.sqrt(max(excess, 0.0))),
        f"The most suspicious of {len(tested)} placebo cutoffs is {worst['cutoff']:.4g}: jump "
        f"{effect_text(float(worst['estimate']), data.proportion)} ({p_text(p_value)} over all).",
        "Jumps where nothing switches say that the curve is rougher than the fit allows, or that "
        "other rules act there. Find out what happens at that score.",
    )


def covariate_check(data: ThresholdData, effect: Effect, spec: Spec) -> HypothesisCheck:
    """Does any covariate jump at the cutoff? Bonferroni over the covariates.

    Implied bias: the covariate's jump times its slope in the adjusted fit.
    """
    table = covariate_jumps(data, effect, spec)
    if table.empty:
        raise SparseWindow(max(effect.h), 0, 2)
    p_value = min(1.0, len(table) * float(table["p_value"].min()))
    worst = table.iloc[int(table["p_value"].to_numpy().argmin())]
    return HypothesisCheck(
        "covariates",
        COVARIATES_HOLD,
        float((table["estimate"] / table["std_error"]).abs().max()),
        p_value,
        float(table["implied_bias"].abs().max()),
        f"The largest jump of {len(table)} covariates at the cutoff is in "
        f"{worst['covariate']!r}: {worst['estimate']:+.3g} ({p_text(p_value)} over all).",
        "Users on the two sides differ already, so the jump in the outcome isn't the rule's "
        "alone. Find out what sorts them.",
    )


def covariate_jumps(data: ThresholdData, effect: Effect, spec: Spec) -> pd.DataFrame:
    """The robust jump of each covariate at the cutoff, at the effect's own bandwidths."""
    rows = []
    for k, name in enumerate(data.covariate_names, start=1):
        sides = [side.with_values(side.values[k : k + 1]) for side in data.sides]
        pair = jump_pair((sides[0], sides[1]), effect.h, effect.b, spec)
        jump = pair.corrected
        if not jump.std_error > 0:
            continue
        value = data.sign * jump.estimate
        rows.append(
            {
                "covariate": name,
                "estimate": value,
                "std_error": jump.std_error,
                "p_value": two_sided_p(value / jump.std_error, effect.df),
                "implied_bias": -effect.pair.mix[k] * value,
            }
        )
    columns = ["covariate", "estimate", "std_error", "p_value", "implied_bias"]
    return pd.DataFrame(rows, columns=columns)


def second_rule(data: ThresholdData, effect: Effect, spec: Spec) -> Check:
    """Does another treatment jump at the cutoff? Then the two effects can't be told apart."""
    found: list[tuple[float, float, str]] = []
    for name, pair in data.other_rules.items():
        sides = tuple(
            side.with_values(value[None]) for side, value in zip(data.sides, pair, strict=True)
        )
        jump = jump_pair((sides[0], sides[1]), effect.h, effect.b, spec).conventional
        size = abs(jump.estimate)
        if jump.std_error > 1e-12:
            p_value = two_sided_p(size / jump.std_error, effect.df) * len(data.other_rules)
        else:
            p_value = float(size < 1e-9)
        found.append((size if p_value < 0.05 else 0.0, size, name))
    worst, size, name = max(found)
    if worst <= RULE_JUMP:
        names = ", ".join(repr(n) for n in data.other_rules)
        return structural(
            "second_rule", RULES_HOLD, "pass", size, f"No jump at the cutoff in {names}."
        )
    status: Status = "fail" if worst > 0.5 else "caution"
    return structural(
        "second_rule",
        RULES_HOLD,
        status,
        worst,
        f"{name!r} jumps by {100 * worst:.1f} points at the cutoff too. The jump in "
        f"{data.outcome} is the effect of both rules together; split them by a period or a market "
        "in which only one of them is on.",
    )
