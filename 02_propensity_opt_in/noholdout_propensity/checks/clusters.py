"""Are there enough clusters on both sides for a standard error?"""

from __future__ import annotations

import numpy as np
from noholdout_shared.checks import Check, structural

from noholdout_propensity.problem import Problem

MIN_CLUSTERS = 4  # on a side; as in difference-in-differences
# By benchmarks/propensity/few_clusters_study.py 95% intervals of 5 folds hold in 92% where 10 of 40
# clusters opt in as a whole and in 94% where 14 do; those of 2 folds in 90% there.
FEW_ON_A_SIDE, FEW = 12, 20

ENOUGH = "There are enough independent groups on both sides for a standard error."


def cluster_check(problem: Problem, used: np.ndarray) -> Check:
    """Fewest clusters among the treated or the control rows, and clusters in all.

    ``used`` is true for the rows that have a weight, shape ``(n,)``; the problem is clustered.
    """
    assert problem.cluster_codes is not None
    inside, outside = (
        np.unique(problem.cluster_codes[used & (problem.treated == arm)]) for arm in (1, 0)
    )
    whole = np.union1d(inside, outside).size
    fewest = min(inside.size, outside.size)
    found = (
        f"Of {whole:,} clusters of {problem.options.cluster!r} {inside.size:,} hold rows that "
        f"opted in and {outside.size:,} rows that didn't."
    )
    if fewest < MIN_CLUSTERS:
        return structural(
            "clusters",
            ENOUGH,
            "fail",
            fewest,
            f"{found} Below {MIN_CLUSTERS} on a side the standard error mostly measures nothing: "
            "a shock to one group looks like an effect. Add groups.",
        )
    if fewest < FEW_ON_A_SIDE or whole < FEW:
        return structural(
            "clusters",
            ENOUGH,
            "caution",
            fewest,
            f"{found} Below {FEW_ON_A_SIDE} on a side, or {FEW} in all, the standard error tends "
            "to be too small and the interval too narrow. Add groups.",
        )
    return structural("clusters", ENOUGH, "pass", fewest, found)
