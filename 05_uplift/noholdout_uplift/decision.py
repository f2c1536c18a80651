"""From the worth of rules to one decision, with the optimism of choosing taken out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from noholdout_shared.render import effect_text

from noholdout_uplift.inference import simultaneous_value, single_value
from noholdout_uplift.policy import Contrasts, Rules
from noholdout_uplift.scored import Scored

NO_EVIDENCE = "no evidence that targeting beats one rule for all"
TO_ALL = "ship to all"
TO_NOBODY = "ship to nobody"
NOT_BETTER = "isn't shown to be better than chance"
WRONG_WAY = ": those whom it puts last gain more"
DRAWS = 20_000


@dataclass(frozen=True)
class Decision:
    """What to do, why, which rule that is, and the simultaneous lower bounds behind it."""

    answer: str
    reason: str
    rule: str | None
    lower: np.ndarray


def decide(
    rows: Scored,
    rules: Rules,
    compared: Contrasts,
    qini: tuple[float, float],
    ate: tuple[float, float],
    seed: int,
    proportion: bool,
) -> Decision:
    """One of four answers, each a false claim with the probability that ``conf_level`` leaves.

    First, one-sided: does the ranking find any heterogeneity (Qini-weighted RATE)? If not, there
    is no evidence that targeting beats one rule for all. Then a targeting rule is shipped when
    its gain over nobody and its gain over the best uniform rule both have one-sided lower bounds
    above zero, each simultaneous for all shares, so that picking the best of them leaves it
    valid. (Where the gain curve is concave only one of the two can be a false claim, and the
    error is held exactly; for other rankings it is at most twice as large.) Otherwise everybody
    gets it when the average effect is above zero, nobody when it is below zero (one-sided).

    ``qini`` and ``ate`` are pairs of estimate and standard error.
    """
    lower = lower_bounds(rows, rules, compared, seed)
    limit = single_value(rows.conf_level, rows.df, two_sided=False)
    ate_text = effect_text(ate[0], proportion)
    if not qini[0] > limit * qini[1]:
        worse = qini[0] < -limit * qini[1]
        reason = (
            f"The ranking {'is worse than chance' if worse else NOT_BETTER} (Qini {qini[0]:.3g}, "
            f"standard error {qini[1]:.2g}){WRONG_WAY if worse else ''}. The average effect is "
            f"{ate_text}."
        )
        return Decision(NO_EVIDENCE, reason, None, lower)
    best = _best_targeting(rules, compared, lower)
    if best is not None:
        treated = float(rows.share @ rules.treat[best]) / rows.share.size
        over = _value(compared, best, rules.uniform)
        bound_text = effect_text(_bound(compared, lower, best, rules.uniform), proportion)
        how = "by predicted effect per cost" if best == "within-budget" else "by predicted effect"
        reason = (
            f"Shipping to them, {how}, is worth {effect_text(over, proportion)} per user more "
            f"than {_name(rules.uniform)} (at least {bound_text}, for all shares at once)."
        )
        return Decision(f"ship to the top {100 * treated:.3g}%", reason, best, lower)
    if ate[0] > limit * ate[1] and rules.uniform == "treat-all":
        reason = f"Effects differ, but no share is shown to beat everybody, who gain {ate_text}."
        return Decision(TO_ALL, reason, "treat-all", lower)
    if ate[0] < -limit * ate[1]:
        reason = f"Effects differ, but no share is shown to gain; the average effect is {ate_text}."
        return Decision(TO_NOBODY, reason, "treat-none", lower)
    reason = (
        "Effects differ, but no share is shown to beat both nobody and "
        f"{_name(rules.uniform)}; the average effect is {ate_text}."
    )
    return Decision(NO_EVIDENCE, reason, None, lower)


def with_guardrails(decision: Decision, table: pd.DataFrame, conf_level: float) -> Decision:
    """The decision with the guardrails that aren't shown to hold named in its reason."""
    unsafe = table[~(table["not_worse_p"] < 1 - conf_level)]
    if unsafe.empty or decision.answer in (NO_EVIDENCE, TO_NOBODY):
        return decision
    names = ", ".join(unsafe["metric"])
    margin = float(table["margin"].iloc[0])
    warning = f"Not shown to be no worse than {-margin:g} for those who get it: {names}."
    return replace(decision, reason=f"{decision.reason} {warning}")


def _name(rule: str) -> str:
    return {"treat-all": "shipping to all", "random-budget": "a random share at that budget"}[rule]


def lower_bounds(rows: Scored, rules: Rules, compared: Contrasts, seed: int) -> np.ndarray:
    """One-sided lower bounds of gains over nobody, and over the best uniform rule, shape ``(m,)``.

    The bounds against each of the two hold for all shares at once. ``nan`` for other contrasts.
    """
    against = np.array(compared.against)
    lower = np.full(against.size, np.nan)
    for other in {"treat-none", rules.uniform}:
        family = against == other
        values = rows.drawn.independent(compared.found.psi[:, family])
        value = simultaneous_value(
            values.T @ values, rows.conf_level, rows.df, seed, two_sided=False, draws=DRAWS
        )
        lower[family] = compared.found.values[family] - value * compared.errors[family]
    return lower


def _pair(compared: Contrasts, rule: str, against: str) -> int:
    return list(zip(compared.rule, compared.against, strict=True)).index((rule, against))


def _value(compared: Contrasts, rule: str, against: str) -> float:
    return float(compared.found.values[_pair(compared, rule, against)])


def _bound(compared: Contrasts, lower: np.ndarray, rule: str, against: str) -> float:
    return float(lower[_pair(compared, rule, against)])


def _best_targeting(rules: Rules, compared: Contrasts, lower: np.ndarray) -> str | None:
    winners = [
        rule
        for rule in rules.targeting
        if _bound(compared, lower, rule, "treat-none") > 0
        and _bound(compared, lower, rule, rules.uniform) > 0
    ]
    return max(winners, key=lambda rule: _value(compared, rule, "treat-none"), default=None)


def optimism_table(
    rows: Scored,
    rules: Rules,
    fold: np.ndarray,
    in_sample: float,
    held_out: float,
    uniform_gain: float,
) -> pd.DataFrame:
    """What choosing on the rows that value the choice would have added, for both choices made.

    ``ranking``: the effect in the top group on the rows that trained the ranking. ``share``: the
    gain of the best share over the better uniform rule, where the share is picked on the rows
    that value it, against a share picked on earlier folds and valued on the next. ``fold`` holds
    the evaluated rows' folds, which a score that the user brought isn't ranked by.
    """
    tops = [name for name in rules.treat if name.startswith("top-")]
    reference = 1.0 if uniform_gain > 0 else 0.0
    gain = (np.column_stack([rules.treat[t] for t in tops]) - reference) * rows.gamma[:, None]
    folds = np.unique(fold)
    sums = np.array([rows.weight[fold == k] @ gain[fold == k] for k in folds])
    mass = np.array([rows.weight[fold == k].sum() for k in folds])
    chosen = on_rows = np.nan
    if folds.size > 1:
        picks = np.argmax(np.cumsum(sums, axis=0)[:-1], axis=1)
        chosen = sums[np.arange(1, folds.size), picks].sum() / mass[1:].sum()
        on_rows = sums[1:].sum(axis=0).max() / mass[1:].sum()
    table = pd.DataFrame(
        {
            "choice": ["ranking", "share"],
            "on_the_rows_that_chose": [in_sample, on_rows],
            "held_out": [held_out, chosen],
        }
    )
    table["removed"] = table["on_the_rows_that_chose"] - table["held_out"]
    return table
