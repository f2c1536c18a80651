"""How often the intervals at a cutoff hold the truth, and how the density test errs.

    python benchmarks/rdd/coverage_study.py --replications 2000 --seed 20240501 \
        --out benchmarks/results/rdd_coverage.csv

Each cell draws its own data with a known jump. `mc_low` and `mc_high` bound the true coverage with
99.9% confidence (Clopper-Pearson), so that a cell outside its target isn't bad luck.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_rdd.columns import Columns
from noholdout_rdd.inference import (
    choose_bandwidths,
    effect_interval,
    fit_effect,
    fit_honest,
)
from noholdout_rdd.kernels.density import density_jump
from noholdout_rdd.kernels.local import Spec
from noholdout_rdd.threshold_data import read_threshold
from noholdout_shared.inference import two_sided_p
from noholdout_shared.parallel import run_parallel, spawn_seeds
from scipy import stats

ROWS = 2000
LEVEL = 0.95
JUMP = 0.04


def scores(rng: np.random.Generator, n: int = ROWS) -> np.ndarray:
    """The score of Calonico, Cattaneo and Titiunik (2014): 2 Beta(2, 4) - 1, cutoff 0."""
    return 2 * rng.beta(2, 4, n) - 1


def lee_curve(x: np.ndarray) -> np.ndarray:
    """Imbens and Kalyanaraman's (2012) quintic fit to Lee's (2008) data, its jump 0.04."""
    left = [0.48, 1.27, 7.18, 20.21, 21.54, 7.33]
    right = [0.52, 0.84, -3.00, 7.99, -9.01, 3.56]
    value = np.polynomial.polynomial.polyval
    return np.where(x < 0, value(x, left), value(x, right))


def frame(x: np.ndarray, y: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"y": y, "x": x, **columns})


def linear(rng: np.random.Generator) -> pd.DataFrame:
    x = scores(rng)
    return frame(x, 0.5 * x + JUMP * (x >= 0) + rng.normal(0, 0.1295, ROWS))


def curved(rng: np.random.Generator) -> pd.DataFrame:
    """Parabolas that bend opposite ways, as the effect of a rule often does."""
    x = scores(rng)
    bent = np.where(x < 0, 1.2 * x + 0.9 * x**2, 0.6 * x - 0.7 * x**2)
    return frame(x, bent + JUMP * (x >= 0) + rng.normal(0, 0.1295, ROWS))


def lee(rng: np.random.Generator) -> pd.DataFrame:
    """The hard standard design: the curve's higher terms grow right at the cutoff."""
    x = scores(rng)
    return frame(x, lee_curve(x) + rng.normal(0, 0.1295, ROWS))


def heteroskedastic(rng: np.random.Generator) -> pd.DataFrame:
    x = scores(rng)
    noise = 0.1295 * np.exp(1.5 * x) * np.where(x >= 0, 2.0, 1.0)
    return frame(x, lee_curve(x) + noise * rng.normal(size=ROWS))


def clustered(rng: np.random.Generator) -> pd.DataFrame:
    """100 teams, each on one side of the cutoff, that share a shock."""
    team = rng.integers(0, 100, ROWS)
    above = rng.random(100) < 0.4
    x = np.abs(scores(rng))
    x = np.where(above[team], x, -x)
    shock = rng.normal(0, 0.08, 100)[team]
    y = 0.5 * x + JUMP * (x >= 0) + shock + rng.normal(0, 0.1, ROWS)
    return frame(x, y, team=team)


def few_clusters(a_side: int) -> Callable[[np.random.Generator], pd.DataFrame]:
    """So many teams on each side of the cutoff, each on one side, that share a shock."""

    def make(rng: np.random.Generator) -> pd.DataFrame:
        x = scores(rng)
        team = rng.integers(0, a_side, ROWS) + a_side * (x >= 0)
        shock = rng.normal(0, 0.08, 2 * a_side)[team]
        return frame(x, 0.5 * x + JUMP * (x >= 0) + shock + rng.normal(0, 0.1, ROWS), team=team)

    return make


def clustered_on_both_sides(rng: np.random.Generator) -> pd.DataFrame:
    """50 workspaces that share a shock and have rows on both sides."""
    x = scores(rng)
    team = rng.integers(0, 50, ROWS)
    y = 0.5 * x + JUMP * (x >= 0) + rng.normal(0, 0.08, 50)[team] + rng.normal(0, 0.1, ROWS)
    return frame(x, y, team=team)


def rounded_before(rng: np.random.Generator) -> pd.DataFrame:
    """Scores on a grid of 0.02 that the rule saw too."""
    x = np.round(scores(rng) / 0.02) * 0.02
    return frame(x, 0.5 * x + JUMP * (x >= 0) + rng.normal(0, 0.1295, ROWS))


def rounded_after(rng: np.random.Generator) -> pd.DataFrame:
    """Scores rounded to 0.05 after the rule saw them: the bin at 0 mixes both arms."""
    x = scores(rng)
    served = x >= 0
    y = 0.5 * x + 3 * JUMP * served + rng.normal(0, 0.1295, ROWS)
    return frame(np.round(x / 0.05) * 0.05, y, served=served.astype(int))


def fuzzy(rng: np.random.Generator) -> pd.DataFrame:
    x = scores(rng)
    served = rng.random(ROWS) < np.where(x >= 0, 0.9, 0.15)
    y = 0.5 * x + 0.1 * served + rng.normal(0, 0.1295, ROWS)
    return frame(x, y, served=served.astype(int))


# cell: data, truth, options of the estimate
CELLS: dict[str, tuple[Callable[[np.random.Generator], pd.DataFrame], float, dict[str, Any]]] = {
    "linear": (linear, JUMP, {}),
    "curved": (curved, JUMP, {}),
    "curved, Lee's quintic": (lee, JUMP, {}),
    "curved, Lee's quintic, cerrd": (lee, JUMP, {"selector": "cerrd"}),
    "heteroskedastic": (heteroskedastic, JUMP, {}),
    "clustered": (clustered, JUMP, {"cluster": "team"}),
    "clusters on both sides, sums apart": (clustered_on_both_sides, JUMP, {"cluster": "team"}),
    "clusters on both sides, sums joint": (
        clustered_on_both_sides,
        JUMP,
        {"cluster": "team", "cluster_sums": "joint"},
    ),
    "rounded before the decision": (rounded_before, JUMP, {}),
    "rounded after it, bin kept": (rounded_after, 3 * JUMP, {}),
    "rounded after it, bin left out": (
        rounded_after,
        3 * JUMP,
        {"treatment": "served", "mixed_bin": "drop"},
    ),
    "rounded after it, called fuzzy": (
        rounded_after,
        3 * JUMP,
        {"treatment": "served", "fuzzy": True},
    ),
    "fuzzy": (fuzzy, 0.1, {"treatment": "served", "fuzzy": True}),
}

# Behind all others, whose seeds go by their place.
LATER_CELLS = {
    "5 clusters on each side": (few_clusters(5), JUMP, {"cluster": "team"}),
    "10 clusters on each side": (few_clusters(10), JUMP, {"cluster": "team"}),
}


def one(item: tuple[str, np.random.SeedSequence]) -> list[dict[str, Any]]:
    """One draw of one cell: each interval's estimate, error and whether it holds the truth."""
    cell, seed = item
    make, truth, options = (CELLS | LATER_CELLS)[cell]
    data = make(np.random.default_rng(seed))
    rows = read_threshold(
        data,
        Columns("y", "x", treatment=options.get("treatment"), cluster=options.get("cluster")),
        cutoff=0.0,
        mixed_bin=options.get("mixed_bin", "keep"),
    )
    clusters = "cluster" in options
    spec = Spec(
        variance="hc0" if clusters else "nearest-neighbour",
        cluster_sums=options.get("cluster_sums", "apart"),
    )
    is_fuzzy = options.get("fuzzy", False)
    chosen = choose_bandwidths(rows, spec, options.get("selector", "mserd"), fuzzy=is_fuzzy)
    effect = fit_effect(rows, chosen.h, chosen.b, spec, fuzzy=is_fuzzy)
    honest = fit_honest(effect, spec, None)
    found = []
    for name in ("robust", "conventional", "honest"):
        interval = effect_interval(effect, honest, name, LEVEL)
        value = effect.conventional if name == "conventional" else effect.corrected
        if name == "honest":
            value = effect.honest(honest) if honest is not None else math.nan
        found.append(
            {
                "cell": cell,
                "interval": name,
                "error": value - truth,
                "std_error": interval.std_error,
                "length": interval.conf_high - interval.conf_low,
                "held": interval.conf_low <= truth <= interval.conf_high,
            }
        )
    return found


def density_draw(item: tuple[str, np.random.SeedSequence]) -> tuple[str, bool]:
    """One draw of the density test: did it reject at 5%?"""
    cell, seed = item
    rng = np.random.default_rng(seed)
    n = 10_000
    x = rng.beta(4, 2, n) - 0.75 if "generator" in cell else scores(rng, n)
    if "gamed" in cell:
        near = (x > 0) & (x < 0.1) & (rng.random(n) < 0.1)
        x = np.where(near, -x, x)
    if "grid" in cell:
        x = np.round(x, 2)
    rows = read_threshold(frame(x, rng.normal(size=n)), Columns("y", "x"), cutoff=0.0)
    return cell, two_sided_p(density_jump(rows.sides).statistic) < 0.05


DENSITY_CELLS = (
    "density test, size",
    "density test, size, generator-like scores",
    "density test, size, scores on a grid of 0.01",
    "density test, power, 10% of rows within 0.1 gamed",
)


def bounds(hits: int, draws: int) -> tuple[float, float]:
    """99.9% Clopper-Pearson interval of a share."""
    low = stats.beta.ppf(0.0005, hits, draws - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.9995, hits + 1, draws - hits) if hits < draws else 1.0
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20240501)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cells", help="semicolons between them, all by default")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    every = [*CELLS, *DENSITY_CELLS, *LATER_CELLS]
    wanted = options.cells.split(";") if options.cells else every
    table = []
    for number, cell in enumerate(every):
        if cell not in wanted:
            continue
        # Seeds by the cell's place, so that a cell run alone draws the same data.
        seeds = spawn_seeds(options.seed + number, options.replications)
        items = [(cell, seed) for seed in seeds]
        if cell in DENSITY_CELLS:
            rejected = [hit for _, hit in run_parallel(density_draw, items, jobs=options.jobs)]
            low, high = bounds(sum(rejected), len(rejected))
            row = {"cell": cell, "interval": "density", "rejected": np.mean(rejected)}
            table.append(row | {"mc_low": low, "mc_high": high, "replications": len(rejected)})
            print(table[-1], flush=True)
            continue
        draws = pd.DataFrame(
            [row for rows in run_parallel(one, items, jobs=options.jobs) for row in rows]
        )
        for name, group in draws.groupby("interval", sort=False):
            hits = int(group["held"].sum())
            low, high = bounds(hits, len(group))
            table.append(
                {
                    "cell": cell,
                    "interval": name,
                    "coverage": hits / len(group),
                    "mc_low": low,
                    "mc_high": high,
                    "bias": group["error"].mean(),
                    "sd": group["error"].std(),
                    "mean_std_error": group["std_error"].mean(),
                    "mean_length": group["length"].mean(),
                    "replications": len(group),
                }
            )
            print(table[-1], flush=True)
    if options.out:
        pd.DataFrame(table).round(5).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
