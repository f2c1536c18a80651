"""Do the joint bands of several metrics hold together on the product's clean telemetry?

    python benchmarks/synthetic_control/metrics_study.py --replications 2000

Quality, thumbs-up, minutes and cost per task of the same launch, with the correlation that the
product gives them. One row a launch: the share of panels in which all four 95% bands hold their
truths (``joint``), and in which all four plain intervals do (``naive_joint``); coverage metric by
metric; the error of each metric's own donor weights (``rmse_own``, over the metrics, each in
standard deviations of its daily noise) and of one set of weights fitted to all four metrics at
once (``rmse_common``); the mean correlation of the errors of quality and thumbs-up.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_data_generator.scenarios import TelemetryKnobs
from noholdout_data_generator.telemetry import UPGRADE_DAY, Telemetry, draw_telemetry
from noholdout_shared.inference import critical_value
from noholdout_shared.parallel import run_parallel
from noholdout_synthetic_control.estimators.common import make_study
from noholdout_synthetic_control.estimators.demeaned import demeaned_build
from noholdout_synthetic_control.kernels.fits import SimplexProblem
from noholdout_synthetic_control.kernels.joint import (
    error_correlation,
    jackknife_moves,
    joint_level,
)
from noholdout_synthetic_control.metrics import MIN_FOR_CORRELATION
from noholdout_synthetic_control.panel import Panel
from noholdout_synthetic_control.ratios import linearised
from scipy import stats
from worlds import LAUNCHES

METRICS = ("task_completion_rate", "thumbs_up_rate", "session_minutes", "cost_usd/tasks")
LEVEL, BLOCK = 0.95, 7


def panels(drawn: Telemetry, launch: str) -> list[Panel]:
    """The four metrics' panels, as ``estimate`` with ``weights="tasks"`` reads them."""
    units = drawn.treated.size
    wide = {
        name: drawn.frame[name].to_numpy().reshape(units, -1)
        for name in (*METRICS[:3], "cost_usd", "region")
    }
    labels, groups = np.unique(wide["region"][:, 0], return_inverse=True)
    tasks = drawn.tasks.astype(float)
    wide[METRICS[3]] = linearised(wide["cost_usd"], tasks, UPGRADE_DAY, BLOCK)
    by_region = launch == "one-region"
    return [
        Panel(
            outcomes=wide[name].astype(float),
            counts=None if "/" in name else tasks,
            units=np.arange(units),
            times=np.arange(tasks.shape[1]),
            treated=drawn.treated,
            n_pre=UPGRADE_DAY,
            groups=groups if by_region else None,
            group_labels=labels if by_region else None,
            rows=tasks.size,
            proportion=name.endswith("rate"),
            daily=True,
            settings={},
        )
        for name in METRICS
    ]


def truths(drawn: Telemetry) -> np.ndarray:
    """True mean effect on the treated after the launch, metric by metric, by the equations of
    ``noholdout_data_generator.telemetry``."""
    after = np.s_[drawn.treated, UPGRADE_DAY:]
    old, new, tasks = drawn.p0[after], drawn.p1[after], drawn.tasks[after]
    quality = (new - old).mean()

    def minutes(p: np.ndarray, factor: float) -> float:
        # E exp(-0.15 share): the share scatters around p with variance p (1 - p) / tasks.
        share = np.exp(-0.15 * p + 0.15**2 * p * (1 - p) / tasks / 2)
        return float((7.5 * factor * share * np.exp(0.05**2 / 2)).mean())

    cost = 0.011 * np.exp(0.06**2 / 2) * 0.35
    return np.array([quality, 0.42 * quality, minutes(new, 1.06) - minutes(old, 1.0), cost])


def moves(panel: Panel, weights: np.ndarray) -> np.ndarray:
    """Jackknife moves of one metric's estimate."""
    outcomes, n_pre = panel.outcomes, panel.n_pre
    changes = outcomes[:, n_pre:].mean(axis=1) - outcomes[:, :n_pre].mean(axis=1)
    equal = np.full(int(panel.treated.sum()), 1 / panel.treated.sum())
    sides = (changes[panel.treated], equal), (changes[panel.donors], weights)
    return np.concatenate([jackknife_moves(c[:, None], w[:, None])[:, 0] for c, w in sides])


def common_effects(problems: list[SimplexProblem], panel: Panel) -> np.ndarray:
    """Effects by one set of weights, fitted to every metric, each in units of its own penalty."""
    scales = [float(problem.ridge.mean()) for problem in problems]
    pairs = list(zip(problems, scales, strict=True))
    gram = np.sum([p.gram / s for p, s in pairs], axis=0)
    ridge = np.sum([p.ridge / s for p, s in pairs], axis=0)
    effects = []
    for problem in problems:
        joined = SimplexProblem(problem.outcomes, problem.n_pre, gram, ridge, True)
        effects.append(joined.fit(panel.target, panel.donors).effect)
    return np.array(effects)


def one_panel(item: tuple[int, str]) -> dict[str, Any]:
    """All four metrics of one seed."""
    seed, launch = item
    drawn = draw_telemetry(seed, launch, TelemetryKnobs())  # type: ignore[arg-type]
    read, truth = panels(drawn, launch), truths(drawn)
    analyses, errors = [], []
    for panel in read:
        study = make_study(panel, {"inference": "by-design", "seed": seed})
        found = study.analyse(demeaned_build(BLOCK, "exact"), every_placebo=False)
        analyses.append(found)
        if launch == "pinned":
            errors.append(moves(panel, found.fit.weights))
        else:
            placebos = found.placebos if found.regions is None else found.regions
            errors.append(placebos.effects)
    drawn_errors = np.column_stack(errors)
    correlation = error_correlation(drawn_errors)
    shown = correlation
    if drawn_errors.shape[0] < MIN_FOR_CORRELATION:
        correlation = np.eye(len(METRICS))
    effect = np.array([a.fit.effect for a in analyses])
    std_error = np.array([a.uncertainty.std_error for a in analyses])
    df = np.array([a.uncertainty.df for a in analyses])
    level = joint_level(correlation, df, LEVEL, seed).level
    reach = np.array([critical_value(level, d) for d in df]) * std_error
    plain = np.array([critical_value(LEVEL, d) for d in df]) * std_error
    error = effect - truth
    unit = np.array([np.sqrt(p.outcomes[:, :UPGRADE_DAY].var(axis=1).mean()) for p in read])
    problems = [a.problem for a in analyses]
    common = common_effects(problems, read[0]) - truth  # type: ignore[arg-type]
    return {
        "joint": float((np.abs(error) <= reach).all()),
        "naive_joint": float((np.abs(error) <= plain).all()),
        "level": level,
        "own": float(((error / unit) ** 2).mean()),
        "common": float(((common / unit) ** 2).mean()),
        "quality_thumbs": shown[0, 1],
        **{
            f"covers {name}": float(abs(e) <= p)
            for name, e, p in zip(METRICS, error, plain, strict=True)
        },
        **{f"error {name}": e for name, e in zip(METRICS, error, strict=True)},
    }


def summarise(rows: pd.DataFrame, launch: str) -> dict[str, Any]:
    """One row of the table."""
    count, share = len(rows), float(rows["joint"].mean())
    exact = stats.binomtest(int(rows["joint"].sum()), count).proportion_ci(0.999)
    return {
        "launch": launch,
        "replications": count,
        "joint": share,
        "joint_mc_error": float(np.sqrt(share * (1 - share) / count)),
        "joint_held": bool(exact.high >= 0.93 and exact.low <= 0.97),
        "naive_joint": rows["naive_joint"].mean(),
        "mean_band_level": rows["level"].mean(),
        **{f"coverage_{name}": rows[f"covers {name}"].mean() for name in METRICS},
        **{f"bias_{name}": rows[f"error {name}"].mean() for name in METRICS},
        "rmse_own": float(np.sqrt(rows["own"].mean())),
        "rmse_common": float(np.sqrt(rows["common"].mean())),
        "correlation_quality_thumbs": rows["quality_thumbs"].mean(),
    }


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=90_000, help="first seed of the product")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default=None)
    args = parser.parse_args()
    default = Path(__file__).parents[1] / "results" / "synthetic_control_metrics.csv"
    table = []
    for launch in LAUNCHES:
        items = [(args.seed + r, launch) for r in range(args.replications)]
        rows = run_parallel(one_panel, items, jobs=args.jobs, label=launch)
        table.append(summarise(pd.DataFrame(rows), launch))
        frame = pd.DataFrame(table).round(6)
        frame.to_csv(args.out or default, index=False)  # what is done stays, should it be stopped
    print(frame.T.to_string(header=False))


if __name__ == "__main__":
    main()
