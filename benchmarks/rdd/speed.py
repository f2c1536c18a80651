"""How long the jump at a cutoff takes, ours and the reference's measured in turn.

    python benchmarks/rdd/speed.py --rows 1000000 --runs 9 --out benchmarks/results/rdd_speed.csv

Needs rdrobust and rddensity in the environment (they aren't installed with noholdout), and numba,
without which rdrobust takes twenty times as long; without them ours is timed alone. "default
interval": rows to bandwidths to robust interval. "all checks": the front function with its checks,
tables and pictures' numbers, for which no rival exists.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_rdd import density_test, estimate
from noholdout_rdd.columns import Columns
from noholdout_rdd.inference import choose_bandwidths, fit_effect
from noholdout_rdd.kernels.local import Spec
from noholdout_rdd.threshold_data import read_threshold


def draw(rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = 2 * rng.beta(2, 4, rows) - 1
    y = 0.5 * x + 0.3 * x**2 + 0.1 * (x >= 0) + rng.normal(0, 0.3, rows)
    return pd.DataFrame({"y": y, "x": x})


def default_interval(frame: pd.DataFrame) -> tuple[float, float]:
    rows = read_threshold(frame, Columns("y", "x"), cutoff=0.0)
    chosen = choose_bandwidths(rows, Spec(), "mserd", fuzzy=False)
    effect = fit_effect(rows, chosen.h, chosen.b, Spec(), fuzzy=False)
    return effect.corrected, effect.robust_error


def density(frame: pd.DataFrame) -> tuple[float, float]:
    found = density_test(frame, running="x", cutoff=0.0)
    return found.difference, found.statistic


def all_checks(frame: pd.DataFrame) -> tuple[float, float]:
    found = estimate(frame, outcome="y", running="x", cutoff=0.0)
    return found.estimate, found.std_error


def rivals() -> dict[str, Callable[[pd.DataFrame], tuple[float, float]]]:
    """The references, where installed."""
    found: dict[str, Callable[[pd.DataFrame], tuple[float, float]]] = {}
    try:
        from rdrobust import rdrobust
    except ImportError:
        return found

    def run_rdrobust(frame: pd.DataFrame) -> tuple[float, float]:
        result: Any = rdrobust(frame["y"], frame["x"])
        return float(result.coef.iloc[2, 0]), float(result.se.iloc[2, 0])

    found["default interval"] = run_rdrobust
    try:
        from rddensity import rddensity
    except ImportError:
        return found

    def run_rddensity(frame: pd.DataFrame) -> tuple[float, float]:
        result: Any = rddensity(frame["x"].to_numpy(), bino_flag=False)
        return float(result.hat["diff"]), float(result.test["t_jk"])

    found["density test"] = run_rddensity
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    frame = draw(options.rows, options.seed)
    ours = {"default interval": default_interval, "density test": density, "all checks": all_checks}
    other = rivals()
    table = []
    for case, work in ours.items():
        times: dict[str, list[float]] = {"ours": [], "rival": []}
        answers: dict[str, tuple[float, float]] = {}
        for run in range(options.runs + 1):  # the first warms up
            for name, call in (("ours", work), ("rival", other.get(case))):
                if call is None:
                    continue
                started = time.perf_counter()
                answers[name] = call(frame)
                if run:
                    times[name].append(time.perf_counter() - started)
        row: dict[str, Any] = {"case": case, "rows": options.rows}
        row["ours_s"] = float(np.median(times["ours"]))
        if times["rival"]:
            row["rival"] = {"default interval": "rdrobust", "density test": "rddensity"}[case]
            row["rival"] += f" {version(row['rival'])}, numba {version('numba')}"
            row["rival_s"] = float(np.median(times["rival"]))
            row["ratio"] = row["rival_s"] / row["ours_s"]
            row["largest_gap"] = float(
                np.max(np.abs(np.subtract(answers["ours"], answers["rival"])))
            )
        table.append(row)
        print(row, flush=True)
    if options.out:
        pd.DataFrame(table).round(6).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
