"""Does ``plan synthetic-control`` keep its promise of 80% power?

    python benchmarks/synthetic_control/plan_study.py --replications 300 --seed 150000

Each panel follows the product's telemetry equations. The plan sees the 90 days before the launch
and promises, for a number of pinned workspaces and of days, the smallest effect found with 80%
power. That very effect is then given to everyone but the workspaces that it recommended to pin;
``power`` is the share of panels whose default 95% interval leaves zero out, ``coverage`` the share
that holds the effect. The promise is kept when power isn't below 0.80 by more than its Monte Carlo
error.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from monitor_study import HISTORY, UNITS, product_panel
from noholdout_shared.parallel import run_parallel
from noholdout_synthetic_control.estimators.common import make_study
from noholdout_synthetic_control.estimators.demeaned import demeaned_build
from noholdout_synthetic_control.panel import Panel
from noholdout_synthetic_control.plan import plan

PINNED, DAYS = (6, 10, 16), (14, 28)


def history_frame(rates: np.ndarray, tasks: np.ndarray) -> pd.DataFrame:
    """The days before the launch as a long frame."""
    before = np.s_[:, :HISTORY]
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(UNITS), HISTORY),
            "day": np.tile(np.arange(HISTORY), UNITS),
            "rate": rates[before].ravel(),
            "tasks": tasks[before].ravel(),
        }
    )


def launched(
    rates: np.ndarray, tasks: np.ndarray, pinned: np.ndarray, days: int, effect: float
) -> Panel:
    """The panel after a launch to all but the pinned workspaces."""
    treated = ~np.isin(np.arange(UNITS), pinned)
    seen = np.s_[:, : HISTORY + days]
    outcomes = rates[seen].copy()
    outcomes[treated, HISTORY:] += effect
    return Panel(
        outcomes=outcomes,
        counts=tasks[seen],
        units=np.arange(UNITS),
        times=np.arange(HISTORY + days),
        treated=treated,
        n_pre=HISTORY,
        groups=None,
        group_labels=None,
        rows=outcomes.size,
        proportion=True,
        daily=True,
        settings={},
    )


def one_panel(seed: int) -> list[dict[str, float]]:
    """Every design on one panel: what was promised, and what came of it."""
    rates, tasks = product_panel(seed)
    columns: dict[str, Any] = {
        "outcome": "rate", "unit": "unit", "time": "day", "weights": "tasks",
    }  # fmt: skip
    history, rows = history_frame(rates, tasks), []
    for pinned in PINNED:
        for days in DAYS:
            asked = plan(history, **columns, pinned=[pinned], periods=[days], draws=20, seed=seed)
            promised = float(asked.designs["smallest_effect"].iloc[0])
            panel = launched(rates, tasks, np.array(asked.recommended), days, promised)
            found = make_study(panel, {"seed": seed}).analyse(
                demeaned_build(7, "exact"), every_placebo=False
            )
            low, high, _ = found.uncertainty.bounds(found.fit.effect, 0.95)
            rows.append(
                {
                    "pinned": pinned,
                    "days": days,
                    "promised": promised,
                    "power": float(low > 0 or high < 0),
                    "coverage": float(low <= promised <= high),
                }
            )
    return rows


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=300)
    parser.add_argument("--seed", type=int, default=150_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default=None)
    args = parser.parse_args()
    seeds = [args.seed + r for r in range(args.replications)]
    found = run_parallel(one_panel, seeds, jobs=args.jobs, label="plans")
    rows = pd.DataFrame([row for panel in found for row in panel])
    table = rows.groupby(["pinned", "days"]).mean().reset_index()
    table.insert(2, "replications", len(seeds))
    table["power_mc_error"] = np.sqrt(table["power"] * (1 - table["power"]) / len(seeds))
    table = table.round(4)
    default = Path(__file__).parents[1] / "results" / "synthetic_control_plan.csv"
    table.to_csv(args.out or default, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
