"""How often intervals of a ratio metric hold the truth, whatever the treatment does to its sums.

Users have ``Z`` tasks, one more than a Poisson variable of mean ``exp(0.5 X1)``, times ``1 +
more`` with treatment (a coin), and complete each with probability ``0.5 + 0.05 X2`` or, with
treatment, ``0.55 + 0.1 X2 + 0.03 X3`` (cut to [0.05, 0.95]); X are standard normal. ``more`` is
chosen so that the mean of ``Z`` moves by the share named. A user's true effect is their part of the
change of the ratio by treating all, ``(dy - R dz) / M`` with true means ``dy, dz`` and ``R``, ``M``
of the population. Truths: of the headline the chosen users' mean; of a metric or curve the same of
the very rankings which each fold was given, on fresh users (as in ``coverage_study.py``); of a
policy the ratio of all fresh users under it, of a contrast the difference of two. The learner
stands on least squares.

    python benchmarks/uplift/ratio_study.py --replications 1000 --seed 1
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from coverage_study import COVERAGE, HIGH, LOW, METRICS, LeastSquares, monte_carlo, quicken
from noholdout_shared.parallel import run_parallel, spawn_seeds
from noholdout_uplift import estimate
from noholdout_uplift.kernels.curves import gain_curve, toc_curve
from noholdout_uplift.kernels.ranking import metric_values, rank, tops_of

MOVED = (0.0, 0.05, 0.1, 0.2, 0.5)
FEATURES = ["x1", "x2", "x3"]
N_ROWS, N_FRESH, N_POPULATION = 2_000, 40_000, 2_000_000
MEAN_TASKS, MEAN_FURTHER = 1 + np.exp(0.125), np.exp(0.125)


class Means(NamedTuple):
    """Mean tasks done and tasks, untreated and by how much treatment changes them."""

    done: Any
    tasks: Any
    more_done: Any
    more_tasks: Any


def expected(x: np.ndarray, moved: float) -> tuple[np.ndarray, ...]:
    """Mean tasks and chance of each to be completed, untreated and treated."""
    tasks = 1 + np.exp(0.5 * x[:, 0])
    plain = np.clip(0.5 + 0.05 * x[:, 1], 0.05, 0.95)
    helped = np.clip(0.55 + 0.1 * x[:, 1] + 0.03 * x[:, 2], 0.05, 0.95)
    more = 1 + moved * MEAN_TASKS / MEAN_FURTHER
    return tasks, plain, 1 + more * (tasks - 1), helped


def means(x: np.ndarray, moved: float) -> Means:
    """Of each user."""
    tasks, plain, more, helped = expected(x, moved)
    return Means(tasks * plain, tasks, more * helped - tasks * plain, more - tasks)


@cache
def population(moved: float) -> Means:
    """The means of :func:`means` over many users."""
    own = means(np.random.default_rng(0).normal(size=(N_POPULATION, 3)), moved)
    return Means(*(float(values.mean()) for values in own))


def parts(x: np.ndarray, moved: float) -> np.ndarray:
    """Each user's part of the change of the ratio."""
    own, all_users = means(x, moved), population(moved)
    ratio = all_users.done / all_users.tasks
    return (own.more_done - ratio * own.more_tasks) / (all_users.tasks + all_users.more_tasks)


class Replication:
    """One data set; a class, so that worker processes can receive it."""

    def __init__(self, moved: float) -> None:
        self.moved = moved

    def __call__(self, seed: np.random.SeedSequence) -> dict[str, float]:
        quicken()
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(N_ROWS, 3))
        tasks, plain, more, helped = expected(x, self.moved)
        w = rng.integers(0, 2, N_ROWS)
        z = 1 + rng.poisson(np.where(w, more, tasks) - 1)
        y = rng.binomial(z, np.where(w, helped, plain))
        found = estimate(
            pd.DataFrame(x, columns=FEATURES).assign(w=w, z=z, y=y),
            outcome="y",
            denominator="z",
            treatment="w",
            features=FEATURES,
            model=LeastSquares(),
            seed=int(rng.integers(2**31)),
        )
        truth = self._truth(found, rng)
        chosen = np.average(parts(x, self.moved), weights=found.scores["top"])
        metrics = found.tables["metrics"].set_index("name")
        row = {"top_20": found.conf_low <= chosen <= found.conf_high}
        for name in METRICS:
            row[name] = metrics.conf_low[name] <= truth[name] <= metrics.conf_high[name]
        for name, table in (("gain", "qini"), ("toc", "toc")):
            band, real = found.tables[table], truth[name]
            row[f"{name}_band"] = not ((band.band_low > real) | (band.band_high < real)).any()
        policy = found.tables["policy"].set_index("rule").loc["top-20%"]
        row["policy_top_20"] = policy.conf_low <= truth["policy"] <= policy.conf_high
        contrast = found.tables["contrasts"].set_index(["rule", "against"])
        over_all = contrast.loc[("top-80%", "treat-all")]
        row["top_80_over_all"] = over_all.conf_low <= truth["over_all"] <= over_all.conf_high
        row["ate_error"] = metrics.estimate["ate"] - truth["ate"]
        row["ate_std_error"] = metrics.std_error["ate"]
        row["sound"] = found.verdict == "sound"
        return {name: float(value) for name, value in row.items()}

    def _truth(self, found: Any, rng: np.random.Generator) -> dict[str, Any]:
        """What the rankings that each fold was given are worth to fresh users."""
        fresh = rng.normal(size=(N_FRESH, 3))
        own, part = means(fresh, self.moved), parts(fresh, self.moved)
        all_users = population(self.moved)
        truth: dict[str, Any] = dict.fromkeys((*METRICS, "gain", "toc"), 0.0)
        sums = np.zeros((2, 2))
        fold = found.scores["fold"].to_numpy() - 1
        for k in range(1, fold.max() + 1):
            share = (fold == k).sum() / (fold > 0).sum()
            ranking = rank(found.learners[k].predict(fresh))
            values = metric_values(ranking, part[ranking.order])
            for name, value in zip(METRICS, values, strict=False):
                truth[name] += share * value
            at_20, at_30, at_80 = tops_of(ranking, np.array([0.2, 0.3, 0.8])).T
            truth["uplift_at_30"] += share * np.average(part, weights=at_30)
            for i, top in enumerate((at_20, at_80)):
                sums[i] += share * np.mean(top * np.stack([own.more_done, own.more_tasks]), axis=1)
            for name, curve in (("gain", gain_curve), ("toc", toc_curve)):
                shares = found.tables["qini" if name == "gain" else name]["fraction"].to_numpy()
                truth[name] = truth[name] + share * curve(ranking, part, shares).value
        ratios = (all_users.done + sums[:, 0]) / (all_users.tasks + sums[:, 1])
        treated = (all_users.done + all_users.more_done) / (all_users.tasks + all_users.more_tasks)
        truth["ate"] = treated - all_users.done / all_users.tasks
        return truth | {"policy": ratios[0], "over_all": ratios[1] - treated}


def main() -> None:
    """Run the cells and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=1000)
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
        for name in COVERAGE:
            share = runs[name].mean()
            low, high = monte_carlo(share, asked.replications)
            table.append(
                {
                    "moved": moved,
                    "quantity": name,
                    "coverage": round(share, 4),
                    "mc_low": round(low, 4),
                    "mc_high": round(high, 4),
                    "missed": high < LOW or low > HIGH,
                    "replications": asked.replications,
                }
            )
        error = runs["ate_error"]
        print(
            f"moved {moved:g}: ate bias {error.mean():.5f}, sd {error.std():.5f}, "
            f"standard error {runs['ate_std_error'].mean():.5f}, sound {runs['sound'].mean():.3f}"
        )
        pd.DataFrame(table).to_csv(Path(asked.out), index=False)


if __name__ == "__main__":
    main()
