"""A kink near the cutoff: what the interval and the checks make of it.

    python benchmarks/rdd/kink_study.py --replications 500 --seed 11 \
        --out benchmarks/results/rdd_kink.csv

2,000 uniform scores on [0, 1], the cutoff at 0.5 with a jump of 0.3, noise of 0.3; above a kink the
outcome rises by 4 per unit of score, or has no kink. The bandwidths are the selector's, or (given)
their medians over the draws, the same in every draw.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_rdd import RddEstimate, estimate
from noholdout_shared.parallel import spawn_seeds

JUMP, NOISE, SLOPE, CUTOFF = 0.3, 0.3, 4.0, 0.5
KINKS = {"none": np.inf, "0.05 beyond": 0.55, "0.1 beyond": 0.60}


def draw(seed: Any, kink: float, n: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 1, n)
    curve = SLOPE * np.maximum(score - kink, 0.0)
    return pd.DataFrame(
        {"y": curve + JUMP * (score >= CUTOFF) + rng.normal(0, NOISE, n), "x": score}
    )


def summary(kink: str, bandwidths: str, found: list[RddEstimate]) -> dict[str, Any]:
    value, error, low, high = np.array(
        [(f.estimate, f.std_error, f.conf_low, f.conf_high) for f in found]
    ).T
    held = (low <= JUMP) & (high >= JUMP)
    sound = np.array([f.verdict == "sound" for f in found])
    return {
        "kink": kink,
        "bandwidths": bandwidths,
        "coverage": float(held.mean()),
        "sound": float(sound.mean()),
        "sound_and_wrong": float((sound & ~held).mean()),
        "bias": float(value.mean() - JUMP),
        "sd": float(value.std(ddof=1)),
        "mean_std_error": float(error.mean()),
        "replications": len(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    ask: dict[str, Any] = {"outcome": "y", "running": "x", "cutoff": CUTOFF}
    table = []
    for name, kink in KINKS.items():
        seeds = spawn_seeds(options.seed, options.replications)
        selected = [estimate(draw(seed, kink), **ask) for seed in seeds]
        widths = [found.tables["bandwidths"][["h", "b"]].iloc[0] for found in selected]
        h, b = (float(width) for width in np.median(np.array(widths), axis=0))
        given = [estimate(draw(s, kink), **ask, bandwidth=h, bias_bandwidth=b) for s in seeds]
        table += [summary(name, "selected", selected), summary(name, "given", given)]
        print(*table[-2:], sep="\n", flush=True)
    if options.out:
        pd.DataFrame(table).round(6).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
