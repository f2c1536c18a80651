"""How often does the monitor name a workspace that never left, and how soon one that did?

    python benchmarks/synthetic_control/monitor_study.py --replications 500 --seed 120000

Fifty workspaces, 90 days of history, 100 days of daily looking. ``false_alarm`` is the share of
panels without any departure in which anybody is ever named (5% was asked), on the product's own
telemetry equations and, on half as many panels each, in the drawn worlds of ``worlds.py``. For
jumps of 2, 5, 10 and 20 points of one workspace on the first or the 31st day watched (product
only): the share named within 7, 30 days and by the end, and the median delay in days of those
that were named.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_data_generator import telemetry as product
from noholdout_data_generator.streams import ar1
from noholdout_shared.parallel import run_parallel
from noholdout_synthetic_control.kernels.departures import make_clock, weigh_evidence
from noholdout_synthetic_control.kernels.noise import own_noise
from noholdout_synthetic_control.watch import SIZES, Watched, learned_wander, twin_gaps
from scipy import stats
from worlds import FAMILIES, draw_panel

UNITS, HISTORY, DAYS, ALPHA = 50, 90, 100, 0.05
JUMPS = (0.02, 0.05, 0.10, 0.20)
STARTS = (0, 30)


def product_panel(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rates and tasks by the product's equations (``noholdout_data_generator.telemetry``), run on
    for 100 days after the upgrade day, with nobody upgraded. Shapes ``(50, 190)``."""
    rng = np.random.default_rng([seed, 4])
    day = np.arange(HISTORY + DAYS)
    level = rng.normal(0, product.LEVEL_SD, UNITS).clip(-product.LEVEL_MAX, product.LEVEL_MAX)
    common = ar1(rng, product.COMMON_RHO, product.COMMON_SD, 1, day.size)[0]
    slow = ar1(rng, product.SLOW_RHO, product.SLOW_SD, 1, day.size)[0]
    shock = ar1(rng, product.SHOCK_RHO, product.SHOCK_SD, UNITS, day.size)
    chance = (
        product.MEAN
        + level[:, None]
        + (product.WEEKDAY[day % 7] + product.season(day) + common)
        + np.outer(rng.normal(0, product.DRIFT_SD, UNITS), product.drift_position(day))
        + np.outer(rng.normal(0, 1, UNITS), slow)
        + shock
    )
    size = rng.uniform(product.TASKS_LOW, product.TASKS_HIGH, UNITS)
    tasks = np.maximum(rng.poisson(size[:, None] * product.WEEKDAY_LOAD[day % 7]), 1)
    return rng.binomial(tasks, np.clip(chance, 0.01, 0.99)) / tasks, tasks.astype(float)


def evidence_of(rates: np.ndarray, tasks: np.ndarray) -> Callable[[float, int], np.ndarray]:
    """A function that gives everybody's evidence when the first workspace jumps."""
    panel = Watched(
        rates, tasks, np.arange(UNITS), np.arange(HISTORY + DAYS), HISTORY, True, {}
    )  # all as ``monitor`` reads it with weights
    noise = own_noise(rates[:, :HISTORY], HISTORY, tasks[:, :HISTORY], True)
    donors = np.ones(UNITS, dtype=bool)
    wander, multiples = learned_wander(panel, noise, donors)
    gaps, loading, variance = twin_gaps(rates, HISTORY, noise, donors, panel.block)
    covariance = wander.covariance(DAYS, loading * multiples, variance)
    clock = make_clock(covariance)
    scale, alive = SIZES * np.sqrt(covariance[:, 0, 0]), np.ones(gaps.shape, dtype=bool)

    def look(jump: float, start: int) -> np.ndarray:
        moved = gaps.copy()
        moved[0, start:] += jump
        found = weigh_evidence(moved, alive, clock, scale, donors, ALPHA / UNITS)
        return found.log_ratio

    return look


def one_product(seed: int) -> dict[str, float]:
    """False alarm and delays on one panel of the product."""
    look = evidence_of(*product_panel(seed))
    limit = np.log(UNITS / ALPHA)
    row = {"alarm": float(look(0.0, 0).max() >= limit)}
    for jump in JUMPS:
        for start in STARTS:
            over = np.flatnonzero(look(jump, start)[0, start:] >= limit)
            row[f"{jump} {start}"] = float(over[0]) if over.size else np.inf
    return row


def one_world(item: tuple[np.random.SeedSequence, str]) -> dict[str, float]:
    """False alarm on one panel of a drawn world."""
    seed, family = item
    panel = draw_panel(seed, family, "pinned", HISTORY + DAYS)
    assert panel.counts is not None
    look = evidence_of(panel.outcomes, panel.counts)
    return {"alarm": float(look(0.0, 0).max() >= np.log(UNITS / ALPHA))}


def alarm_row(world: str, rows: pd.DataFrame) -> dict[str, Any]:
    """The family-wise false alarm with its exact 95% interval."""
    count, hits = len(rows), int(rows["alarm"].sum())
    exact = stats.binomtest(hits, count).proportion_ci(0.95)
    return {
        "world": world,
        "replications": count,
        "false_alarm": hits / count,
        "false_alarm_low": exact.low,
        "false_alarm_high": exact.high,
    }


def delay_rows(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a size and day of the jump."""
    table = []
    for jump in JUMPS:
        for start in STARTS:
            delay = rows[f"{jump} {start}"]
            named = delay[np.isfinite(delay)]
            table.append(
                {
                    "world": "product",
                    "replications": len(rows),
                    "jump_points": 100 * jump,
                    "jump_day": start + 1,
                    "within_7_days": (delay < 7).mean(),
                    "within_30_days": (delay < 30).mean(),
                    "by_the_end": len(named) / len(rows),
                    "median_delay": named.median() if len(named) else np.nan,
                }
            )
    return table


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--seed", type=int, default=120_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default=None)
    args = parser.parse_args()
    seeds = [args.seed + r for r in range(args.replications)]
    rows = pd.DataFrame(run_parallel(one_product, seeds, jobs=args.jobs, label="product"))
    table: list[dict[str, Any]] = [alarm_row("product", rows)]
    for k, family in enumerate(FAMILIES):
        streams = np.random.SeedSequence([args.seed, k]).spawn(max(args.replications // 2, 1))
        items = [(stream, family) for stream in streams]
        drawn = run_parallel(one_world, items, jobs=args.jobs, label=family)
        table.append(alarm_row(family, pd.DataFrame(drawn)))
    frame = pd.DataFrame(table + delay_rows(rows)).round(4)
    default = Path(__file__).parents[1] / "results" / "synthetic_control_monitor.csv"
    frame.to_csv(args.out or default, index=False)
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
