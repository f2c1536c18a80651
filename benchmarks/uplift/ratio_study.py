"""How often intervals of a ratio metric hold the truth when the treatment moves the denominator.

Users have ``Z`` tasks, one more than a Poisson variable of mean ``exp(0.5 X1)``, times ``1 +
moved`` with treatment (a coin), and complete each with probability ``0.5 + 0.05 X2`` or, with
treatment, ``0.55 + 0.1 X2 + 0.03 X3`` (cut to [0.05, 0.95]); X are standard normal. The truth of a
user is the change of ``(mean tasks completed - R mean tasks) / mean tasks of the untreated``, ``R``
the ratio without treatment; of the headline, the chosen users' mean of it; of ``ate``, the mean of
all. The estimate takes ``R`` and the mean as known, so coverage should fall as ``moved`` grows. The
learner stands on least squares.

    python benchmarks/uplift/ratio_study.py --replications 300 --seed 1
"""

from __future__ import annotations

import argparse
from functools import cache

import numpy as np
import pandas as pd
from coverage_study import LeastSquares, quicken
from noholdout_shared.parallel import run_parallel, spawn_seeds
from noholdout_uplift import estimate

MOVED = (0.0, 0.1, 0.5, 1.0)
N_ROWS, N_FRESH = 2_000, 1_000_000


def expected(x: np.ndarray, moved: float) -> tuple[np.ndarray, ...]:
    """Mean tasks and chance of each to be completed, untreated and treated."""
    tasks = 1 + np.exp(0.5 * x[:, 0])
    plain = np.clip(0.5 + 0.05 * x[:, 1], 0.05, 0.95)
    helped = np.clip(0.55 + 0.1 * x[:, 1] + 0.03 * x[:, 2], 0.05, 0.95)
    return tasks, plain, 1 + (1 + moved) * (tasks - 1), helped


@cache
def untreated() -> tuple[float, float]:
    """The ratio without treatment and the mean number of tasks."""
    tasks, chance, *_ = expected(np.random.default_rng(0).normal(size=(N_FRESH, 3)), 0.0)
    return float((tasks * chance).sum() / tasks.sum()), float(tasks.mean())


def effects(x: np.ndarray, moved: float) -> np.ndarray:
    """Each user's true part in the change of the ratio."""
    ratio, base = untreated()
    tasks, chance, more, helped = expected(x, moved)
    return (more * (helped - ratio) - tasks * (chance - ratio)) / base


class Replication:
    """One data set; a class, so that worker processes can receive it."""

    def __init__(self, moved: float) -> None:
        self.moved = moved

    def __call__(self, seed: np.random.SeedSequence) -> dict[str, float]:
        quicken()
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(N_ROWS, 3))
        tasks, chance, more, helped = expected(x, self.moved)
        w = rng.integers(0, 2, N_ROWS)
        z = 1 + rng.poisson(np.where(w, more, tasks) - 1)
        y = rng.binomial(z, np.where(w, helped, chance))
        found = estimate(
            pd.DataFrame(x, columns=["x1", "x2", "x3"]).assign(w=w, z=z, y=y),
            outcome="y",
            denominator="z",
            treatment="w",
            features=["x1", "x2", "x3"],
            model=LeastSquares(),
            seed=int(rng.integers(2**31)),
        )
        truth = np.average(effects(x, self.moved), weights=found.scores["top"])
        ate = found.tables["metrics"].set_index("name").loc["ate"]
        average = _average(self.moved)
        return {
            "top_20": float(found.conf_low <= truth <= found.conf_high),
            "ate": float(ate["conf_low"] <= average <= ate["conf_high"]),
            "ate_error": float(ate["estimate"] - average),
            "ate_std_error": float(ate["std_error"]),
        }


@cache
def _average(moved: float) -> float:
    return float(effects(np.random.default_rng(0).normal(size=(N_FRESH, 3)), moved).mean())


def main() -> None:
    """Run the cells and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default="benchmarks/results/uplift_ratio.csv")
    asked = parser.parse_args()
    table = []
    for moved in MOVED:
        seeds = spawn_seeds(asked.seed, asked.replications)
        runs = pd.DataFrame(
            run_parallel(Replication(moved), seeds, jobs=asked.jobs, label=f"moved {moved:g}")
        )
        table.append(
            {
                "moved": moved,
                "replications": asked.replications,
                "top_20_coverage": runs["top_20"].mean(),
                "ate_coverage": runs["ate"].mean(),
                "ate_bias": round(runs["ate_error"].mean(), 5),
                "ate_error_sd": round(runs["ate_error"].std(), 5),
                "ate_std_error": round(runs["ate_std_error"].mean(), 5),
            }
        )
        pd.DataFrame(table).to_csv(asked.out, index=False)


if __name__ == "__main__":
    main()
