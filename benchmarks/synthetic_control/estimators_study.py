"""Which estimator should be the default? Error and coverage on drawn worlds without an effect.

    python benchmarks/synthetic_control/estimators_study.py --replications 400 --seed 20251

Worlds are drawn anew for every panel. ``--tune`` runs the candidates among which the default's
block and ridge were chosen, on draws of their own (another branch of the seed); without it the
finalists are reported on draws that the tuning never saw. "noise alone" is a ridge at the units'
own noise, the others add the wander that all units show.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from noholdout_shared.parallel import run_parallel
from noholdout_synthetic_control.estimators.augmented import augmented_build
from noholdout_synthetic_control.estimators.classic import classic_build
from noholdout_synthetic_control.estimators.common import Build, equal_weights, make_study
from noholdout_synthetic_control.estimators.demeaned import demeaned_build
from noholdout_synthetic_control.estimators.synthetic_did import double_build
from noholdout_synthetic_control.kernels.fits import Problem, demeaned_problem
from worlds import FAMILIES, LAUNCHES, draw_panel

FINALISTS: dict[str, Build] = {
    "demeaned": demeaned_build(7, "exact"),
    "classic": classic_build("exact"),
    "synthetic-did": double_build("exact"),
    "augmented": augmented_build(7, "exact"),
    "did": equal_weights,
}


def ridged(
    outcomes: np.ndarray,
    n_pre: int,
    noise: np.ndarray,
    *,
    block: int,
    ridge: float,
    wanders: bool,
) -> Problem:
    """The demeaned simplex at another block and ridge."""
    return demeaned_problem(outcomes, n_pre, noise, block, ridge=ridge, wanders=wanders)


CANDIDATES: dict[str, Build] = {
    f"block {block}, ridge {ridge:g}{'' if wanders else ', noise alone'}": partial(
        ridged, block=block, ridge=ridge, wanders=wanders
    )
    for block in (1, 7, 14)
    for wanders in (False, True)
    for ridge in (0.0, 1.0, 2.0, 4.0, 8.0)
    if ridge or not wanders
} | {"classic": classic_build("exact"), "did": equal_weights}


def one_panel(item: tuple[np.random.SeedSequence, str, str, bool]) -> list[dict[str, object]]:
    """Every estimator on one panel."""
    seed, family, launch, tune = item
    panel = draw_panel(seed, family, launch)  # type: ignore[arg-type]
    rows: list[dict[str, object]] = []
    for name, build in (CANDIDATES if tune else FINALISTS).items():
        study = make_study(panel, {}, jackknife=name != "synthetic-did")
        if tune:
            found = build(panel.outcomes, panel.n_pre, study.noise).fit(panel.target, panel.donors)
            rows.append({"estimator": name, "error": found.effect, "covers": np.nan, "se": np.nan})
            continue
        analysis = study.analyse(build, every_placebo=False)
        low, high, _ = analysis.uncertainty.bounds(analysis.fit.effect, 0.95)
        rows.append(
            {
                "estimator": name,
                "error": analysis.fit.effect,
                "covers": float(low <= 0 <= high),
                "se": analysis.uncertainty.std_error,
            }
        )
    return [{"family": family, "launch": launch, **row} for row in rows]


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Bias, RMSE, its ratio to the best of the row, and coverage with their Monte Carlo errors."""
    keys = ["launch", "family", "estimator"]
    grouped = rows.groupby(keys, sort=False)
    table = grouped.agg(
        replications=("error", "size"),
        bias=("error", "mean"),
        rmse=("error", lambda e: float(np.sqrt((e**2).mean()))),
        mean_se=("se", "mean"),
        coverage=("covers", "mean"),
    ).reset_index()
    best = table.groupby(["launch", "family"])["rmse"].transform("min")
    table["rmse_ratio"] = table["rmse"] / best
    share = table["coverage"]
    table["coverage_mc_error"] = np.sqrt(share * (1 - share) / table["replications"])
    return table.round(5)


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=400)
    parser.add_argument("--seed", type=int, default=20251)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--out", default=None)
    args = parser.parse_args()
    tuning, reporting = np.random.SeedSequence(args.seed).spawn(2)
    cells = [(f, launch) for launch in LAUNCHES for f in args.families.split(",")]
    seeds = (tuning if args.tune else reporting).spawn(len(cells))
    items = [
        (child, family, launch, args.tune)
        for seed, (family, launch) in zip(seeds, cells, strict=True)
        for child in seed.spawn(args.replications)
    ]
    results = run_parallel(one_panel, items, jobs=args.jobs, label="panels")
    table = summarise(pd.DataFrame([row for rows in results for row in rows]))
    name = "synthetic_control_tuning.csv" if args.tune else "synthetic_control_estimators.csv"
    out = Path(args.out or Path(__file__).parents[1] / "results" / name)
    table.to_csv(out, index=False)
    worst = table.groupby("estimator", sort=False)[["rmse_ratio", "coverage"]].agg(["max", "min"])
    print(table.to_string(index=False))
    print(worst.to_string())


if __name__ == "__main__":
    main()
