"""What each rule is worth, against treating all, none, at random, and the rule of today."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.inference import not_worse_p

from noholdout_uplift.inference import (
    Estimates,
    by_fold_membership,
    curve_bands,
    effects_of,
    interval_columns,
    std_errors,
    weighted_means,
)
from noholdout_uplift.kernels.cost_curve import cost_path, gain_along, within_budget
from noholdout_uplift.scored import Scored

GRID = tuple(round(0.1 * i, 10) for i in range(1, 10))
POINTS = 100


@dataclass(frozen=True)
class Rules:
    """Rules by name, and how much of each evaluated row each treats, shape ``(n,)`` a rule.

    ``targeting`` names the rules that use the ranking and are affordable; ``uniform`` is the best
    that one rule for all can do besides nobody: everybody, or a random share within the budget.
    """

    treat: dict[str, np.ndarray]
    targeting: tuple[str, ...]
    uniform: str
    budget: float | None


def make_rules(
    rows: Scored, fraction: float, budget: float | None, current: np.ndarray | None
) -> Rules:
    """The rules that the tables compare.

    ``top-x%`` treats the best x% of each fold by predicted effect; ``within-budget`` treats by
    effect per cost until the budget (mean cost per user) is spent; ``random-x%`` anybody.
    """
    if budget is not None and rows.cost is None:
        raise DataError(
            f"A budget of {budget:g} was given, but no cost.",
            "What treating a user costs decides how far a budget reaches.",
            "Name it with --cost; with --cost 1 the budget is a share of users.",
        )
    n = rows.score.size
    shares = sorted({*GRID, fraction})
    edges = np.array([0.0, *shares, 1.0])
    tops = np.cumsum(by_fold_membership(rows.score, rows.fold, edges, rows.weight), axis=1)
    treat = {"treat-none": np.zeros(n), "treat-all": np.ones(n)}
    names = [f"top-{100 * share:g}%" for share in shares]
    treat.update(zip(names, tops[:, :-1].T, strict=True))
    treat[f"random-{100 * fraction:g}%"] = np.full(n, fraction)
    if current is not None:
        treat["current"] = current
    uniform = "treat-all"
    if budget is not None and rows.cost is not None:
        chosen = np.empty(n)
        for k in np.unique(rows.fold):
            inside = rows.fold == k
            path = cost_path(rows.score[inside], rows.cost[inside], rows.weight[inside])
            chosen[inside] = within_budget(path, budget)
        treat["within-budget"] = chosen
        full = float(rows.share @ rows.cost) / n
        treat["random-budget"] = np.full(n, min(1.0, budget / full) if full > 0 else 1.0)
        uniform = "treat-all" if full <= budget * (1 + 1e-12) else "random-budget"
        spend = {name: float(rows.share @ (treat[name] * rows.cost)) / n for name in names}
        names = [name for name in names if spend[name] <= budget * (1 + 1e-12)]
        names.append("within-budget")
    return Rules(treat, tuple(names), uniform, budget)


def policy_table(rows: Scored, rules: Rules) -> pd.DataFrame:
    """Mean outcome, mean cost and share treated per user under each rule."""
    treat = np.column_stack(list(rules.treat.values()))
    found = _worth(rows, treat)
    table = interval_columns(found.values, std_errors(found, rows.drawn), rows.conf_level, rows.df)
    cost = np.full(treat.shape[1], np.nan)
    if rows.cost is not None:
        cost = rows.share @ (treat * rows.cost[:, None]) / rows.share.size
    return pd.DataFrame(
        {
            "rule": list(rules.treat),
            "value": table["estimate"],
            "std_error": table["std_error"],
            "conf_low": table["conf_low"],
            "conf_high": table["conf_high"],
            "cost": cost,
            "treated": rows.share @ treat / rows.share.size,
        }
    )


def _worth(rows: Scored, treat: np.ndarray) -> Estimates:
    """Mean outcome under rules that treat ``treat`` of each row, shape ``(n, m)``.

    Of a ratio metric the ratio itself: ``E[Y(rule)] / E[Z(rule)]``, here from scores over the
    treated's mean denominator: ``gamma_control - R`` is ``(y - R z) / M`` without treatment.
    """
    outcome = rows.gamma_control[:, None] + treat * rows.gamma[:, None]
    found = weighted_means(outcome, rows.weight)
    if rows.below is None:
        return found
    ratio = float(rows.share @ rows.gamma_control) / rows.share.size
    below = rows.below.control[:, None] + treat * rows.below.effect[:, None]
    base = rows.share @ below / rows.share.size
    change = (found.values - ratio) / base
    psi = rows.share[:, None] * (outcome - ratio - change * below) / base
    return Estimates(ratio + change, psi)


def _gains(rows: Scored, pairs: list[tuple[np.ndarray, np.ndarray | float]]) -> Estimates:
    """What the first rule of each pair is worth more than the second; both of shape ``(n,)``."""
    if rows.below is None:
        gained = [(treat - other) * rows.gamma for treat, other in pairs]
        return weighted_means(np.column_stack(gained), rows.weight)
    values, psi = np.empty(len(pairs)), np.empty((rows.gamma.size, len(pairs)))
    for j, (treat, other) in enumerate(pairs):
        both = _worth(rows, np.column_stack([treat, np.broadcast_to(other, treat.shape)]))
        values[j] = both.values[0] - both.values[1]
        psi[:, j] = both.psi[:, 0] - both.psi[:, 1]
    return Estimates(values, psi)


@dataclass(frozen=True)
class Contrasts:
    """Differences in value per user: ``rule`` less ``against``, with influence values."""

    rule: tuple[str, ...]
    against: tuple[str, ...]
    found: Estimates
    errors: np.ndarray


def contrasts(rows: Scored, rules: Rules) -> Contrasts:
    """Each targeting rule against nobody, everybody, today's rule, and chance at its own cost."""
    price = np.ones(rows.score.size) if rows.cost is None else rows.cost
    mean_price = float(rows.share @ price) / price.size
    names: list[tuple[str, str]] = []
    pairs: list[tuple[np.ndarray, np.ndarray | float]] = []
    against = ["treat-none", "treat-all", *(["current"] if "current" in rules.treat else [])]
    if rules.uniform not in against:
        against.append(rules.uniform)
    for name in rules.targeting:
        treat = rules.treat[name]
        spend = float(rows.share @ (treat * price)) / price.size
        chance = min(1.0, spend / mean_price) if mean_price > 0 else float(treat.mean())
        for other in (*against, "random"):
            names.append((name, other))
            pairs.append((treat, rules.treat[other] if other != "random" else chance))
    found = _gains(rows, pairs)
    rule, other_rule = zip(*names, strict=True)
    return Contrasts(rule, other_rule, found, std_errors(found, rows.drawn))


def contrasts_table(rows: Scored, compared: Contrasts, lower: np.ndarray) -> pd.DataFrame:
    """The contrasts with two-sided intervals, the one-sided p-value of "no better", and the bound.

    ``lower`` holds the simultaneous one-sided lower bounds that the decision uses, ``nan`` for
    contrasts that it doesn't.
    """
    values, errors = compared.found.values, compared.errors
    return pd.DataFrame(
        {
            "rule": compared.rule,
            "against": compared.against,
            **interval_columns(values, errors, rows.conf_level, rows.df),
            "p_no_better": [
                not_worse_p(float(v), float(e), 0.0, rows.df)
                for v, e in zip(values, errors, strict=True)
            ],
            "lower_bound": lower,
        }
    )


def cost_table(rows: Scored, seed: int) -> pd.DataFrame | None:
    """The gain per user for every mean spend per user: best by effect per cost, and at random.

    ``None`` without costs. The path itself is exact; the table shows it at 101 budgets from
    nothing to what treating everybody who is predicted to gain would cost.
    """
    if rows.cost is None:
        return None
    full = float(rows.share @ rows.cost) / rows.cost.size
    if full <= 0:
        return None
    eligible = rows.score > 0
    budgets = np.linspace(0, float(rows.share @ (rows.cost * eligible)) / eligible.size, POINTS + 1)
    paths, treat = [], np.empty((rows.score.size, budgets.size))
    for k in np.unique(rows.fold):
        inside = rows.fold == k
        path = cost_path(rows.score[inside], rows.cost[inside], rows.weight[inside])
        treat[inside] = np.column_stack([within_budget(path, budget) for budget in budgets])
        paths.append((inside, path))

    def gains(gamma: np.ndarray) -> Estimates:
        gain, psi = np.zeros(budgets.size), np.empty(treat.shape)
        for inside, path in paths:
            part = rows.weight[inside].sum() / rows.weight.sum()
            value = gain_along(path, gamma[inside], budgets)
            gain += part * value
            share = rows.share[inside][:, None]
            psi[inside] = share * (treat[inside] * gamma[inside][:, None] - value)
        return Estimates(gain, psi)

    found = effects_of(rows, gains)
    reached = sum(rows.share[inside] @ treat[inside] / rows.share.size for inside, _ in paths)
    errors = std_errors(found, rows.drawn)
    sums = rows.drawn.independent(found.psi)
    average = float(rows.share @ rows.gamma) / rows.gamma.size
    return pd.DataFrame(
        {
            "spend": budgets,
            "gain": found.values,
            **curve_bands(found.values, errors, sums.T @ sums, reached, rows, seed),
            "random": np.minimum(1.0, budgets / full) * average,
        }
    )
