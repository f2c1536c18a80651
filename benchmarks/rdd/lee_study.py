"""Lee's quintic, ours and rdrobust on the same draws: whose coverage is it?

    python benchmarks/rdd/lee_study.py --replications 1000 --seed 7 \
        --out benchmarks/results/rdd_lee.csv

Needs rdrobust in the environment. The design of Calonico, Cattaneo and Titiunik (2014, model 1),
at their 500 rows and at 2,000; both sides' default robust interval.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from coverage_study import JUMP, lee_curve, scores
from noholdout_rdd.columns import Columns
from noholdout_rdd.inference import choose_bandwidths, fit_effect
from noholdout_rdd.kernels.local import Spec
from noholdout_rdd.threshold_data import read_threshold
from noholdout_shared.inference import interval
from noholdout_shared.parallel import spawn_seeds
from rdrobust import rdrobust


def ours(data: pd.DataFrame) -> tuple[float, float, float]:
    rows = read_threshold(data, Columns("y", "x"), cutoff=0.0)
    chosen = choose_bandwidths(rows, Spec(), "mserd", fuzzy=False)
    effect = fit_effect(rows, chosen.h, chosen.b, Spec(), fuzzy=False)
    found = interval(effect.corrected, effect.robust_error, 0.95)
    return effect.corrected, found.conf_low, found.conf_high


def theirs(data: pd.DataFrame) -> tuple[float, float, float]:
    found: Any = rdrobust(data["y"], data["x"])
    return float(found.coef.iloc[2, 0]), float(found.ci.iloc[2, 0]), float(found.ci.iloc[2, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    table = []
    for number, n in enumerate((500, 2000)):
        answers: dict[str, list[tuple[float, float, float]]] = {"ours": [], "rdrobust": []}
        for seed in spawn_seeds(options.seed + number, options.replications):
            rng = np.random.default_rng(seed)
            x = scores(rng, n)
            data = pd.DataFrame({"y": lee_curve(x) + rng.normal(0, 0.1295, n), "x": x})
            answers["ours"].append(ours(data))
            answers["rdrobust"].append(theirs(data))
        gap = float(np.abs(np.subtract(answers["ours"], answers["rdrobust"])).max())
        for name, found in answers.items():
            value, low, high = np.array(found).T
            table.append(
                {
                    "rows": n,
                    "package": name,
                    "coverage": float(((low <= JUMP) & (high >= JUMP)).mean()),
                    "bias": float((value - JUMP).mean()),
                    "sd": float(value.std(ddof=1)),
                    "largest_gap": gap,
                    "replications": options.replications,
                }
            )
            print(table[-1], flush=True)
    if options.out:
        pd.DataFrame(table).round(12).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
