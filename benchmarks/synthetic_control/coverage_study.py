"""Does the default interval hold on the product's clean telemetry? Coverage, bias, placebo size.

    python benchmarks/synthetic_control/coverage_study.py --replications 2000 --seed 70000

One row a launch: coverage of the default 95% interval, bias against the true effect, the size of
the placebo-rank tests where the design permits the 5% level, and the coverage of what is given on
request (bootstraps over donors and users, conformal, jackknife+; on the first ``--requested``
panels; a workspace's users of a day are its tasks). A cell misses [0.93, 0.97] when its 99.9%
Monte Carlo interval excludes that range.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from noholdout_data_generator.scenarios import TelemetryKnobs
from noholdout_data_generator.telemetry import draw_telemetry
from noholdout_shared.parallel import run_parallel
from noholdout_synthetic_control.estimators.common import make_study
from noholdout_synthetic_control.estimators.demeaned import demeaned_build
from noholdout_synthetic_control.inference import rank_p, rmspe_ratio
from noholdout_synthetic_control.panel import Panel
from scipy import stats
from worlds import LAUNCHES

REQUESTED_ON = 100
DRAWS = 100
REQUESTED = ("bootstrap", "user-bootstrap", "conformal", "jackknife-plus")


CLEAN = TelemetryKnobs()


def product_panel(seed: int, launch: str, knobs: TelemetryKnobs = CLEAN) -> tuple[Panel, float]:
    """The telemetry of one seed, and the true mean effect on the upgraded."""
    drawn = draw_telemetry(seed, launch, knobs)  # type: ignore[arg-type]
    units = drawn.treated.size
    rates = drawn.frame["task_completion_rate"].to_numpy().reshape(units, -1)
    region = drawn.frame["region"].to_numpy().reshape(units, -1)[:, 0]
    labels, groups = np.unique(region, return_inverse=True)
    by_region = launch == "one-region"
    panel = Panel(
        outcomes=rates,
        counts=drawn.tasks.astype(float),
        units=np.arange(units),
        times=np.arange(rates.shape[1]),
        treated=drawn.treated,
        n_pre=knobs.history_days,
        groups=groups if by_region else None,
        group_labels=labels if by_region else None,
        rows=rates.size,
        proportion=True,
        daily=True,
        settings={},
        cell_variance=rates * (1 - rates) / drawn.tasks,
    )
    effect = (drawn.p1 - drawn.p0)[drawn.treated][:, knobs.history_days :].mean()
    return panel, float(effect)


def one_panel(item: tuple[int, str, bool]) -> dict[str, float]:
    """The default estimate of one seed."""
    seed, launch, requested = item
    panel, truth = product_panel(seed, launch)
    study = make_study(panel, {"inference": "by-design", "seed": seed})
    analysis = study.analyse(demeaned_build(7, "exact"), every_placebo=launch == "one-workspace")
    effect = analysis.fit.effect
    low, high, _ = analysis.uncertainty.bounds(effect, 0.95)
    row = {
        "launch": launch,
        "error": effect - truth,
        "truth": truth,
        "covers": float(low <= truth <= high),
        "std_error": analysis.uncertainty.std_error,
        "allows": float(analysis.uncertainty.allowance > 0),
    }
    if launch == "one-workspace":
        # Under the null of no effect: the true effect is taken off the treated path first.
        gap = analysis.fit.gap.copy()
        gap[panel.n_pre :] -= truth
        placebos = analysis.placebos
        row["gap_rejects"] = float(rank_p(abs(effect - truth), np.abs(placebos.effects)) <= 0.05)
        own = float(rmspe_ratio(gap, panel.n_pre))
        row["rmspe_rejects"] = float(rank_p(own, placebos.ratios(panel.n_pre)) <= 0.05)
    if requested:
        for name in REQUESTED:
            asked = {"inference": name, "seed": seed}
            if "bootstrap" in name:
                asked["replicates"] = DRAWS
            found = make_study(panel, asked).measure(analysis, name)  # type: ignore[arg-type]
            low, high, _ = found.bounds(effect, 0.95)
            row[f"{name} covers"] = float(low <= truth <= high)
            row[f"{name} width"] = high - low
    return row


def summarise(rows: pd.DataFrame, launch: str) -> dict[str, object]:
    """One row of the table."""
    count = len(rows)
    share = rows["covers"].mean()
    error = float(np.sqrt(share * (1 - share) / count))
    exact = stats.binomtest(int(rows["covers"].sum()), count).proportion_ci(0.999)
    found: dict[str, object] = {
        "launch": launch,
        "replications": count,
        "truth": rows["truth"].mean(),
        "bias": rows["error"].mean(),
        "bias_mc_error": rows["error"].std(ddof=1) / np.sqrt(count),
        "rmse": float(np.sqrt((rows["error"] ** 2).mean())),
        "mean_std_error": rows["std_error"].mean(),
        "allows": rows["allows"].mean(),
        "coverage": share,
        "coverage_mc_error": error,
        "coverage_held": bool(exact.high >= 0.93 and exact.low <= 0.97),
    }
    more = [f"{name} {what}" for name in REQUESTED for what in ("covers", "width")]
    for name in ("gap_rejects", "rmspe_rejects", *more):
        found[name] = rows[name].mean() if name in rows else np.nan
    return found


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=70_000, help="first seed of the product")
    parser.add_argument("--requested", type=int, default=REQUESTED_ON, help="panels for those")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default=None)
    args = parser.parse_args()
    table = []
    for launch in LAUNCHES:
        items = [(args.seed + r, launch, r < args.requested) for r in range(args.replications)]
        rows = run_parallel(one_panel, items, jobs=args.jobs, label=launch)
        table.append(summarise(pd.DataFrame(rows), launch))
    frame = pd.DataFrame(table).round(5)
    default = Path(__file__).parents[1] / "results" / "synthetic_control_coverage.csv"
    frame.to_csv(args.out or default, index=False)
    print(frame.T.to_string(header=False))


if __name__ == "__main__":
    main()
