"""How well AIPW's interval and verdict hold when few clusters opt in.

    python benchmarks/propensity/few_clusters_study.py --replications 300 --seed 10000 \
        --out benchmarks/results/propensity_few_clusters.csv

1,500 rows, a cluster effect of SD 0.4, one confounder; whole clusters opt in, or (``whole`` 0) each
user by a logit of the confounder. The true effect is 1.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import pandas as pd
from noholdout_propensity import estimate
from noholdout_shared.errors import NoholdoutError
from noholdout_shared.parallel import run_parallel, spawn_seeds

ROWS = 1_500
# Clusters, and how many of them opt in as a whole.
CELLS = ((40, 6), (40, 10), (40, 14), (40, 20), (60, 15), (24, 12), (14, 0), (20, 0), (50, 0))


def draw(clusters: int, whole: int, rng: np.random.Generator) -> pd.DataFrame:
    """One data set."""
    cluster = rng.integers(0, clusters, ROWS)
    a = rng.normal(size=ROWS)
    if whole:
        treated = np.isin(cluster, rng.permutation(clusters)[:whole]).astype(int)
    else:
        treated = (rng.random(ROWS) < 1 / (1 + np.exp(-0.7 * a))).astype(int)
    y = treated + a + 0.4 * rng.normal(size=clusters)[cluster] + rng.normal(size=ROWS)
    return pd.DataFrame({"y": y, "d": treated, "a": a, "cluster": cluster})


def replicate(seed: np.random.SeedSequence, cell: tuple[int, int], folds: int) -> dict[str, object]:
    """Whether the interval held the truth, and the verdict."""
    frame = draw(*cell, np.random.default_rng(seed))
    asked = {"outcome": "y", "treatment": "d", "covariates": ["a"], "cluster": "cluster"}
    try:
        answer = estimate(frame, folds=folds, **asked)
    except NoholdoutError:
        return {"held": np.nan, "verdict": "refused"}
    if np.isnan(answer.conf_low):
        return {"held": np.nan, "verdict": answer.verdict}
    return {"held": answer.conf_low <= 1 <= answer.conf_high, "verdict": answer.verdict}


def main() -> None:
    """Run every cell and write one CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=300)
    parser.add_argument("--seed", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default="benchmarks/results/propensity_few_clusters.csv")
    args = parser.parse_args()
    rows = []
    for folds in (5, 2):
        for cell in CELLS:
            seeds = spawn_seeds(args.seed, args.replications)
            work = partial(replicate, cell=cell, folds=folds)
            runs = pd.DataFrame(run_parallel(work, seeds, jobs=args.jobs))
            held = runs["held"].dropna().astype(float)
            sound = runs["verdict"] == "sound"
            rows.append(
                {
                    "folds": folds,
                    "clusters": cell[0],
                    "whole": cell[1],
                    "runs": len(runs),
                    "answered": len(held),
                    "coverage": held.mean(),
                    "sound": sound.mean(),
                    "silent": (sound & (runs["held"] == False)).mean(),  # noqa: E712 (nan is neither)
                }
            )
    table = pd.DataFrame(rows)
    table.round(4).to_csv(args.out, index=False)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
