"""Weighting under weak overlap: how good its interval is where every check passes, and where not.

    python benchmarks/propensity/weak_overlap_study.py --replications 2000 --seed 2024 \
        --out benchmarks/results/propensity_weak_overlap.csv

Normalised IPW for everyone, on the data sets of the cell "weak overlap" of coverage_study.py, for
which nothing is promised. One row for all runs, and one for each verdict that came up.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import pandas as pd
from coverage_study import CELLS, Cell, draw, truths
from noholdout_propensity import ipw
from noholdout_shared.parallel import run_parallel, spawn_seeds

CELL = next(cell for cell in CELLS if cell.name == "weak overlap")


def replicate(seed: np.random.SeedSequence, cell: Cell) -> dict[str, object]:
    """One data set's estimate, error, interval and verdict."""
    answer = ipw(
        draw(cell, cell.n, np.random.default_rng(seed)),
        outcome="y",
        treatment="d",
        covariates=["x1", "x2", "x3"],
    )
    return {
        "estimate": answer.estimate,
        "std_error": answer.std_error,
        "low": answer.conf_low,
        "high": answer.conf_high,
        "verdict": answer.verdict,
        "overlap": answer.check("overlap").status,
    }


def row(name: str, part: pd.DataFrame, runs: int, truth: float) -> dict[str, object]:
    """Coverage and errors among some of the runs."""
    held = (part["low"] <= truth) & (truth <= part["high"])
    spread = float(part["estimate"].std(ddof=1))
    return {
        "verdict": name,
        "runs": len(part),
        "share": len(part) / runs,
        "overlap_fires": float((part["overlap"] != "pass").mean()),
        "coverage": float(held.mean()),
        "mean_std_error": float(part["std_error"].mean()),
        "spread": spread,
        "error_over_spread": float(part["std_error"].mean()) / spread,
    }


def main() -> None:
    """Run the cell and write one CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default="benchmarks/results/propensity_weak_overlap.csv")
    args = parser.parse_args()
    seeds = spawn_seeds(args.seed, args.replications)
    runs = pd.DataFrame(
        run_parallel(partial(replicate, cell=CELL), seeds, jobs=args.jobs, label=CELL.name)
    )
    truth = truths(CELL, args.seed)["ate"]
    table = pd.DataFrame(
        [
            row("any", runs, len(runs), truth),
            *(row(str(name), part, len(runs), truth) for name, part in runs.groupby("verdict")),
        ]
    )
    table.round(5).to_csv(args.out, index=False)
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
