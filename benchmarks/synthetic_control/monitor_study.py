"""How often does the monitor name a workspace that never left, and how soon one that did?

    python benchmarks/synthetic_control/monitor_study.py --replications 300 --spending 60

Fifty workspaces, 90 days of history, 100 days of daily looking. ``false_alarm`` is the share of
panels without any departure in which anybody is ever named (5% was asked), on the product's own
telemetry equations and, on half as many panels each, in the drawn worlds of ``worlds.py``. For
jumps of 2, 5, 10 and 20 points of one workspace on the first or the 31st day watched (product
only, the first ``--spending`` panels): the share named within 7, 30 days and by the end, and the
median delay in days of those that were named. All of it by limits (``always-valid``;
``alpha-spending`` over the 100 days, on the first ``--spending`` panels, a fifth as many in each
drawn world) and by how many are ``watched``: all 50, or one named beforehand.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_data_generator import telemetry as product
from noholdout_data_generator.streams import ar1
from noholdout_shared.parallel import run_parallel
from noholdout_synthetic_control.kernels.departures import (
    change_prior,
    watch_prior,
    weigh_evidence,
)
from noholdout_synthetic_control.watch import Learned, learn
from noholdout_synthetic_control.watched import Watched
from scipy import stats
from worlds import FAMILIES, draw_panel

UNITS, HISTORY, DAYS, ALPHA = 50, 90, 100, 0.05
JUMPS = (0.02, 0.05, 0.10, 0.20)
STARTS = (0, 30)
FOREVER, SPENT = "always-valid", "alpha-spending"


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


@dataclass(frozen=True)
class Look:
    """One panel, to be looked at again and again, and its limits.

    Parameters
    ----------
    limits
        On each day, by rule and number of units watched; of the scan where error is spent.
    """

    learned: Learned
    limits: dict[tuple[str, int], np.ndarray]

    def beyond(self, jump: float = 0.0, start: int = 0) -> dict[tuple[str, int], np.ndarray]:
        """Who is beyond the limits on which day, shape ``(50, 100)``, when the first jumps."""
        gaps, known = self.learned.twins.gaps.copy(), self.learned
        gaps[0, start:] += jump
        alive, everybody = np.ones(gaps.shape, dtype=bool), np.ones(UNITS, dtype=bool)
        arrays = (gaps, alive, known.clock, known.scale, everybody, np.zeros(DAYS))
        found = {FOREVER: weigh_evidence(*arrays, change_prior(DAYS)).log_ratio}
        if (SPENT, 1) in self.limits:
            found[SPENT] = weigh_evidence(*arrays, watch_prior(DAYS)).scan
        return {key: found[key[0]] >= levels for key, levels in self.limits.items()}


def look_at(rates: np.ndarray, tasks: np.ndarray, spends: bool) -> Look:
    """The panel as ``monitor`` reads it with weights, without and with spending."""
    panel = Watched(rates, tasks, np.arange(UNITS), np.arange(HISTORY + DAYS), HISTORY, True, {})
    learned = learn(panel, np.ones(UNITS, dtype=bool), DAYS)
    limits = {(FOREVER, n): np.full(DAYS, np.log(n / ALPHA)) for n in (UNITS, 1)}
    if spends:
        for n in (UNITS, 1):
            limits[SPENT, n] = learned.limits(np.arange(UNITS) < n, ALPHA, 0).levels
    return Look(learned, limits)


def alarms(look: Look) -> list[dict[str, Any]]:
    """Whether anybody of those watched is named without a departure, by rule."""
    return [
        {"rule": key[0], "watched": key[1], "alarm": bool(over[: key[1]].any())}
        for key, over in look.beyond().items()
    ]


def one_product(item: tuple[int, bool]) -> list[dict[str, Any]]:
    """False alarms and delays on one panel of the product."""
    seed, spends = item
    look = look_at(*product_panel(seed), spends)
    rows = alarms(look)
    for jump in JUMPS if spends else ():
        for start in STARTS:
            for key, over in look.beyond(jump, start).items():
                days = np.flatnonzero(over[0, start:])
                delay = float(days[0]) if days.size else np.inf
                rows.append(
                    {"rule": key[0], "watched": key[1], "jump_points": 100 * jump,
                     "jump_day": start + 1, "delay": delay}
                )  # fmt: skip
    return rows


def one_world(item: tuple[np.random.SeedSequence, str, bool]) -> list[dict[str, Any]]:
    """False alarms on one panel of a drawn world."""
    seed, family, spends = item
    panel = draw_panel(seed, family, "pinned", HISTORY + DAYS)
    assert panel.counts is not None
    return alarms(look_at(panel.outcomes, panel.counts, spends))


def alarm_rows(world: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The family-wise false alarm of each rule with its exact 95% interval."""
    table = []
    for (rule, watched), part in rows.groupby(["rule", "watched"], sort=False):
        hits = part["alarm"].dropna().astype(int)
        exact = stats.binomtest(int(hits.sum()), hits.size).proportion_ci(0.95)
        table.append(
            {
                "world": world,
                "limits": rule,
                "watched": watched,
                "replications": hits.size,
                "false_alarm": hits.mean(),
                "false_alarm_low": exact.low,
                "false_alarm_high": exact.high,
            }
        )
    return table


def delay_rows(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a rule, size and day of the jump."""
    table = []
    keys = ["rule", "watched", "jump_points", "jump_day"]
    for (rule, watched, jump, day), part in rows.dropna(subset="delay").groupby(keys, sort=False):
        delay = part["delay"]
        named = delay[np.isfinite(delay)]
        table.append(
            {
                "world": "product",
                "limits": rule,
                "watched": watched,
                "replications": delay.size,
                "jump_points": jump,
                "jump_day": day,
                "within_7_days": (delay < 7).mean(),
                "within_30_days": (delay < 30).mean(),
                "by_the_end": len(named) / delay.size,
                "median_delay": named.median() if len(named) else np.nan,
            }
        )
    return table


def flat(found: list[list[dict[str, Any]]]) -> pd.DataFrame:
    """The panels' rows in one frame."""
    return pd.DataFrame([row for rows in found for row in rows])


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument(
        "--spending", type=int, default=100, help="panels, the first ones, on which error is spent"
    )
    parser.add_argument("--seed", type=int, default=120_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default=None)
    args = parser.parse_args()
    panels = range(args.replications)
    items = [(args.seed + r, r < args.spending) for r in panels]
    rows = flat(run_parallel(one_product, items, jobs=args.jobs, label="product"))
    default = Path(__file__).parents[1] / "results" / "synthetic_control_monitor.csv"
    table = alarm_rows("product", rows)
    for k, family in enumerate(FAMILIES):
        streams = np.random.SeedSequence([args.seed, k]).spawn(max(args.replications // 2, 1))
        drawn = [(stream, family, 5 * r < args.spending) for r, stream in enumerate(streams)]
        found = run_parallel(one_world, drawn, jobs=args.jobs, label=family)
        table += alarm_rows(family, flat(found))
        frame = pd.DataFrame(table + delay_rows(rows)).round(4)
        frame.to_csv(args.out or default, index=False)  # what is done stays, should it be stopped
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
