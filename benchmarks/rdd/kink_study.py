"""A kink near the cutoff: what the interval and the checks make of it.

    python benchmarks/rdd/kink_study.py --replications 500 --seed 11 \
        --out benchmarks/results/rdd_kink.csv

2,000 uniform scores on [0, 1], the cutoff at 0.5 with a jump of 0.3, noise of 0.3; the outcome is
flat but for a kink, above which it rises by 2, 4 or 8 per unit of score. The bandwidths are the
selector's; without a kink and with one of 4 at 0.05 also (given) their medians over the draws, the
same in every draw.

"found_if_told": the share of draws in which a test finds the kink that is told where it lies and
that all else is straight, at 5% and beside no other test: more than any check can know.
"silent_if_told" is the share that would be sound and wrong if that test had a say too.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_rdd import RddEstimate, estimate
from noholdout_shared.inference import two_sided_p
from noholdout_shared.parallel import spawn_seeds

JUMP, NOISE, CUTOFF = 0.3, 0.3, 0.5
KINKS, SLOPES = (0.02, 0.03, 0.05, 0.08, 0.12), (2.0, 4.0, 8.0)
NO_KINK = (np.nan, 0.0)
CELLS = (NO_KINK, *product(KINKS, SLOPES))
GIVEN = (NO_KINK, (0.05, 4.0))


def draw(seed: Any, kink: float, slope: float, n: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 1, n)
    y = JUMP * (score >= CUTOFF) + rng.normal(0, NOISE, n)
    return pd.DataFrame({"y": y + beyond(score, kink, slope), "x": score})


def beyond(score: np.ndarray, kink: float, slope: float) -> np.ndarray:
    """What the kink adds to the outcome."""
    return slope * np.maximum(score - CUTOFF - kink, 0.0) if slope else np.zeros(score.size)


def found_if_told(frame: pd.DataFrame, kink: float) -> bool:
    """Least squares above the cutoff on a line and the true kink: is the bend significant?"""
    above = frame[frame["x"] >= CUTOFF]
    x, y = above["x"].to_numpy(), above["y"].to_numpy()
    basis = np.column_stack((np.ones(x.size), x, beyond(x, kink, 1.0)))
    inverse = np.linalg.inv(basis.T @ basis)
    fit = inverse @ (basis.T @ y)
    variance = ((y - basis @ fit) ** 2).sum() / (x.size - 3)
    return two_sided_p(float(fit[2] / np.sqrt(variance * inverse[2, 2]))) < 0.05


def summary(
    kink: float, slope: float, bandwidths: str, found: list[RddEstimate], told: np.ndarray
) -> dict[str, Any]:
    value, error, low, high = np.array(
        [(f.estimate, f.std_error, f.conf_low, f.conf_high) for f in found]
    ).T
    held = (low <= JUMP) & (high >= JUMP)
    sound = np.array([f.verdict == "sound" for f in found])
    return {
        "kink": kink,
        "slope": slope,
        "bandwidths": bandwidths,
        "coverage": held.mean(),
        "sound": sound.mean(),
        "sound_and_wrong": (sound & ~held).mean(),
        "found_if_told": told.mean() if slope else np.nan,
        "silent_if_told": (sound & ~held & ~told).mean() if slope else np.nan,
        "bias": value.mean() - JUMP,
        "sd": value.std(ddof=1),
        "mean_std_error": error.mean(),
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
    for cell in CELLS:
        kink, slope = cell
        seeds = spawn_seeds(options.seed, options.replications)
        frames = [draw(seed, kink, slope) for seed in seeds]
        told = np.array([slope > 0 and found_if_told(frame, kink) for frame in frames])
        selected = [estimate(frame, **ask) for frame in frames]
        table.append(summary(kink, slope, "selected", selected, told))
        if cell in GIVEN:
            widths = [found.tables["bandwidths"][["h", "b"]].iloc[0] for found in selected]
            h, b = (float(width) for width in np.median(np.array(widths), axis=0))
            given = [estimate(frame, **ask, bandwidth=h, bias_bandwidth=b) for frame in frames]
            table.append(summary(kink, slope, "given", given, told))
        print(table[-1], flush=True)
    if options.out:
        pd.DataFrame(table).round(6).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
