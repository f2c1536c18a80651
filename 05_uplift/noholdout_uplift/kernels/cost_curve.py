"""The most predicted gain for every budget: the exact path, not a grid of programmes.

The linear programme ``max sum w pi score`` subject to ``sum w pi cost <= B sum w`` and
``0 <= pi <= 1`` is solved for all budgets B at once by treating rows in descending order of
``score / cost``, while ``score > 0`` (Dantzig 1957; Sverdrup, Wu, Athey and Wager 2023 for several
arms). At most one group of tied ratios is treated in part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_uplift.kernels.ranking import Ranking, rank


@dataclass(frozen=True)
class CostPath:
    """Rows in the order in which money reaches them.

    Parameters
    ----------
    ranking
        Rows by ``score / cost``, ties in groups, shape ``(n,)``.
    spend
        Mean cost per row once each group is treated in full, shape ``(g,)``; it stays constant
        over the groups with ``score <= 0``, which are never treated.
    treated
        Whether the path ever treats the group, shape ``(g,)``.
    """

    ranking: Ranking
    spend: np.ndarray
    treated: np.ndarray


def cost_path(score: np.ndarray, cost: np.ndarray, weight: np.ndarray) -> CostPath:
    """The path of all budgets. All arrays have shape ``(n,)``; ``cost >= 0``."""
    eligible = score > 0
    ratio = np.full(score.size, -np.inf)
    with np.errstate(divide="ignore"):
        ratio[eligible] = score[eligible] / cost[eligible]
    ranking = rank(ratio, weight)
    price = np.where(eligible, cost * weight, 0.0)[ranking.order]
    spend = np.cumsum(np.bincount(ranking.group, weights=price)) / weight.sum()
    first = np.flatnonzero(np.diff(ranking.group, prepend=-1))
    return CostPath(ranking, spend, eligible[ranking.order][first])


def within_budget(path: CostPath, budget: float) -> np.ndarray:
    """How much of each row is treated with ``budget`` per row on average, shape ``(n,)``."""
    before = np.append(0.0, path.spend[:-1])
    own = path.spend - before
    # A group that costs nothing is treated whatever the budget.
    room = np.divide(budget - before, own, out=np.ones(own.size), where=own > 0)
    part = np.where(path.treated, np.clip(room, 0.0, 1.0), 0.0)
    chosen = np.empty(path.ranking.order.size)
    chosen[path.ranking.order] = part[path.ranking.group]
    return chosen


def gain_along(path: CostPath, gamma: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """Mean of ``pi * gamma`` at each budget, for ``gamma`` in the rows' own order."""
    weight = path.ranking.weight
    value = np.bincount(path.ranking.group, weights=weight * gamma[path.ranking.order])
    sums = np.cumsum(np.where(path.treated, value, 0.0)) / weight.sum()
    free = sums[path.spend <= 0]
    start = free[-1] if free.size else 0.0
    paid = path.spend > 0
    return np.interp(budgets, np.append(0.0, path.spend[paid]), np.append(start, sums[paid]))
