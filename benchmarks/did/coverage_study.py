"""How often intervals and bands hold the truth, and pre-tests cry wolf, in simulated rollouts.

    python benchmarks/did/coverage_study.py --replications 2000 --seed 20240601 \
        --out benchmarks/results/did_coverage.csv

Twelve designs: effects homogeneous, growing since the launch, or different by wave and unit; 50
(25/25) or 8 (4/4) clusters; a balanced panel of clusters, or users seen once in each cluster. Two
waves, launched in periods 5 and 8 of 8, so the second is never treated within the data. Errors
within a cluster are an AR(1). A target is missed when the 99.9% Monte Carlo interval of the rate
lies outside the target's range.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from noholdout_did import estimate
from noholdout_shared.parallel import run_parallel, spawn_seeds
from scipy import stats

PERIODS, LAUNCH = 8, 5
USERS_A_CELL = 6
TESTS = ("pre_trend_slope", "pre_trend_bins", "placebo", "anticipation")


@dataclass(frozen=True)
class Design:
    effect: str
    clusters: int
    data: str


DESIGNS = [
    Design(e, c, d)
    for e, c, d in itertools.product(
        ("homogeneous", "dynamic", "heterogeneous"), (50, 8), ("panel", "cross-sections")
    )
]


def effects(design: Design, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """True mean effect by period since launch, and each treated cluster's own, (G/2, post)."""
    since = np.arange(PERIODS - LAUNCH)
    mean = np.full(len(since), 0.5)
    if design.effect != "homogeneous":
        mean = 0.2 + 0.3 * since
    own = np.tile(mean, (design.clusters // 2, 1))
    if design.effect == "heterogeneous":
        own = own + rng.normal(0, 0.7, (design.clusters // 2, 1))
    return mean, own


def draw(design: Design, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """One data set, and the true effects by period since launch."""
    g = design.clusters
    mean, own = effects(design, rng)
    noise = np.empty((g, PERIODS))
    noise[:, 0] = rng.normal(0, 1, g)
    for t in range(1, PERIODS):
        noise[:, t] = 0.5 * noise[:, t - 1] + np.sqrt(0.75) * rng.normal(0, 1, g)
    y = rng.normal(0, 1, (g, 1)) + rng.normal(0, 1, PERIODS) + noise
    y[: g // 2, LAUNCH:] += own
    first = np.where(np.arange(g) < g // 2, LAUNCH, PERIODS).astype(float)
    if design.data == "panel":
        cluster, t = np.repeat(np.arange(g), PERIODS), np.tile(np.arange(PERIODS), g)
        values = y.ravel()
    else:
        n = g * PERIODS * USERS_A_CELL
        cluster, t = rng.integers(0, g, n), rng.integers(0, PERIODS, n)
        values = y[cluster, t] + rng.normal(0, 2, n)
    frame = pd.DataFrame({"c": cluster, "t": t, "g": first[cluster], "y": values})
    return frame, mean


def one(work: tuple[Design, np.random.SeedSequence]) -> dict[str, float]:
    """What a single data set shows; 1 for covered or rejected."""
    design, seed = work
    frame, truth = draw(design, np.random.default_rng(seed))
    panel = design.data == "panel"
    found = estimate(
        frame,
        outcome="y",
        time="t",
        first_treated="g",
        unit="c" if panel else None,
        cluster="c",
        base_period="universal",
        seed=int(seed.generate_state(1)[0]),
    )
    study = found.tables["event_study"]
    study = study[study["std_error"].notna()]
    target = np.where(study["event_time"] >= 0, truth[np.clip(study["event_time"], 0, None)], 0.0)
    inside = (study["band_low"] <= target) & (target <= study["band_high"])
    row = {
        "interval": float(found.conf_low <= truth.mean() <= found.conf_high),
        "band": float(inside.all()),
        "bias": found.estimate - truth.mean(),
        "std_error": found.std_error,
        "flagged": float(found.verdict != "sound"),
    }
    for name in TESTS:
        row[name] = float(found.check(name).p_value < 0.05)
    wald = found.tables["pre_tests"].set_index("test")
    row["all-leads-wald"] = float(wald.loc["all leads, Wald", "p_value"] < 0.05)
    return row


def ranges(design: Design) -> dict[str, tuple[float, float]]:
    """The targets."""
    cover = (0.935, 0.965) if design.clusters == 50 else (0.91, 0.98)
    size = (0.03, 0.07)
    return {"interval": cover, "band": cover, **dict.fromkeys(TESTS, size)}


def summarise(design: Design, rows: pd.DataFrame) -> list[dict[str, object]]:
    """One line a measured rate, with its Monte Carlo interval and whether the target is missed."""
    lines = []
    n = len(rows)
    for name in ("interval", "band", *TESTS, "all-leads-wald", "flagged"):
        rate = rows[name].mean()
        half = stats.norm.ppf(0.9995) * np.sqrt(max(rate * (1 - rate), 1 / n) / n)
        low, high = ranges(design).get(name, (np.nan, np.nan))
        missed = "" if np.isnan(low) else bool(rate + half < low or rate - half > high)
        lines.append(
            {
                "effect": design.effect,
                "clusters": design.clusters,
                "data": design.data,
                "measure": name,
                "rate": round(rate, 4),
                "mc_half_width_999": round(half, 4),
                "target_low": low,
                "target_high": high,
                "missed": missed,
                "replications": n,
                "mean_bias": round(rows["bias"].mean(), 4),
                "sd_estimate": round(rows["bias"].std(), 4),
                "mean_std_error": round(rows["std_error"].mean(), 4),
            }
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20240601)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default="benchmarks/results/did_coverage.csv")
    args = parser.parse_args()
    lines = []
    for k, design in enumerate(DESIGNS):
        seeds = spawn_seeds(args.seed + k, args.replications)
        work = [(design, seed) for seed in seeds]
        rows = run_parallel(one, work, jobs=args.jobs, label=f"{design}")
        lines += summarise(design, pd.DataFrame(rows))
    table = pd.DataFrame(lines)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out, index=False)
    missed = table[table["missed"].eq(True)]
    print("no target missed" if missed.empty else missed.to_string(index=False))


if __name__ == "__main__":
    main()
