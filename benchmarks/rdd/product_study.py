"""What the default answer does on the synthetic product: its bias, its interval, its verdict.

    python benchmarks/rdd/product_study.py --replications 1000 --seed 1001 \
        --out benchmarks/results/rdd_product.csv

Runs the front function with all its checks on the users table of 50,000 users, clean and with the
curvature trap at three severities. `silent` is the share of runs with the verdict `sound` on an
interval that misses the truth; `mc_low` and `mc_high` bound it with 99.9% confidence.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_data_generator.population import population_truth
from noholdout_data_generator.scenarios import choose
from noholdout_data_generator.users import draw_block
from noholdout_data_generator.world import draw_world
from noholdout_rdd import estimate
from noholdout_shared.parallel import run_parallel
from scipy import stats

CELLS = (("clean", 0.0), ("rdd-curvature", 1.0), ("rdd-curvature", 1.5), ("rdd-curvature", 3.0))
INTERVALS = ("robust", "conventional", "honest")


def one(item: tuple[str, float, int, int]) -> dict[str, Any]:
    """One data set: each interval's error, whether it holds the truth, and what the checks say."""
    scenario, severity, seed, n_users = item
    chosen = choose(scenario, severity)
    # The users table alone: the telemetry plays no part here.
    users = draw_block(seed, 0, draw_world(seed, chosen.users), chosen.users).frame.iloc[:n_users]
    truth = float(population_truth(chosen)["rdd"]["at_cutoff"]["population"])
    found = estimate(
        users,
        outcome="task_completed",
        running="query_confidence",
        cutoff=0.85,
        treated_side="below",
    )
    row: dict[str, Any] = {"scenario": scenario, "severity": severity, "verdict": found.verdict}
    variants = found.tables["variants"].set_index("variant")
    for name in INTERVALS:
        answer = variants.loc[name]
        row[f"{name}_error"] = answer["estimate"] - truth
        row[f"{name}_held"] = answer["conf_low"] <= truth <= answer["conf_high"]
    return row | {f"check_{c.name}": c.status in ("caution", "fail") for c in found.checks}


def bounds(hits: int, draws: int) -> tuple[float, float]:
    """99.9% Clopper-Pearson interval of a share."""
    low = stats.beta.ppf(0.0005, hits, draws - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.9995, hits + 1, draws - hits) if hits < draws else 1.0
    return float(low), float(high)


def summarise(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """One row an interval; the verdict's shares stand beside the default one."""
    n = len(runs)
    table = []
    for name in INTERVALS:
        error = runs[f"{name}_error"]
        row: dict[str, Any] = {
            "interval": name,
            "bias": error.mean(),
            "bias_mc_error": error.std() / np.sqrt(n),
            "rmse": np.sqrt((error**2).mean()),
            "coverage": runs[f"{name}_held"].mean(),
        }
        if name == "robust":
            sound = runs["verdict"] == "sound"
            silent = int((sound & ~runs["robust_held"]).sum())
            low, high = bounds(silent, n)
            row |= {"sound": sound.mean(), "silent": silent / n, "mc_low": low, "mc_high": high}
            row |= {c: runs[c].mean() for c in runs if c.startswith("check_")}
        table.append(row | {"replications": n})
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1001, help="the first seed")
    parser.add_argument("--n-users", type=int, default=50_000, help="at most 65,536")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    table = []
    for scenario, severity in CELLS:
        items = [
            (scenario, severity, seed, options.n_users)
            for seed in range(options.seed, options.seed + options.replications)
        ]
        runs = pd.DataFrame(run_parallel(one, items, jobs=options.jobs))
        for row in summarise(runs):
            table.append({"scenario": scenario, "severity": severity} | row)
            print(table[-1], flush=True)
    if options.out:
        pd.DataFrame(table).round(5).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
