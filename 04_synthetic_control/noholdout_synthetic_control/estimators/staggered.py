"""Several launches: each cohort against never-treated donors on its own start, then averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Unpack, get_args

import numpy as np
from noholdout_shared.arguments import check_choice
from noholdout_shared.errors import DataError

from noholdout_synthetic_control.checks import Move, staggered_checks
from noholdout_synthetic_control.checks.controls import controls_table
from noholdout_synthetic_control.estimators.common import (
    TITLES,
    Build,
    Options,
    allowed,
    equal_weights,
    gather,
    named_controls,
    resolution,
)
from noholdout_synthetic_control.estimators.fake_launches import fake_launches
from noholdout_synthetic_control.estimators.options import settled_options
from noholdout_synthetic_control.estimators.stack import Stack, builders, design_of, stacked
from noholdout_synthetic_control.estimators.tables import Aligned, align, staggered_tables
from noholdout_synthetic_control.inference import leave_one_out, rank_p, rmspe_ratio
from noholdout_synthetic_control.panel import read_cohorts
from noholdout_synthetic_control.result import SyntheticControlEstimate
from noholdout_synthetic_control.timing import shown

StaggeredEstimator = Literal["demeaned", "classic", "synthetic-did", "augmented", "did"]
ALLOWED_INFERENCE = ("by-design", "placebo", "jackknife")


def staggered(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    first_treated: str,
    estimator: StaggeredEstimator = "demeaned",
    block: int | None = None,
    **options: Unpack[Options],
) -> SyntheticControlEstimate:
    """What did a launch change that reached units at different times?

    Each cohort (the units that got it in the same period) is compared with its own mix of the
    never-treated units, fitted to the time before its own start. Effects are aligned in time since
    the start; a cohort's effect is the mean from its start to the end, and the answer their mean
    weighted by the number of units, so that every treated unit counts the same. Units treated
    later never serve as donors. Ben-Michael, Feller and Rothstein (2022, JRSSB 84(2), section 3)
    call it separate synthetic controls.

    Parameters
    ----------
    first_treated
        Column of each unit's first treated period; empty, infinite, 0 before the first period or
        after the last one: never treated.
    estimator
        The twin's fit.
    data, outcome, unit, time, block, options
        As in :func:`noholdout_synthetic_control.estimate`; no ``cluster``, and ``inference`` is
        ``by-design``, ``placebo`` or ``jackknife``.
    """
    full: Options = settled_options(options)
    _refuse(estimator, full)
    read: Any = {
        "unit": unit,
        "time": time,
        "first_treated": first_treated,
        "cell_mean": full["cell_mean"],
        "missing": full["missing"],
    }
    panels = read_cohorts(data, outcome=outcome, weights=full["weights"], **read)
    builds, blocks = builders(panels, estimator, block, full["solver"])
    stack = stacked(panels, builds, full, estimator)
    controls = []
    for name in named_controls(outcome, full["negative_controls"]):
        found = read_cohorts(data, outcome=name, **read)
        moving = stacked(
            found, builders(found, estimator, block, full["solver"])[0], full, estimator
        )
        controls.append(move(name, moving, design_of(found, "by-design", estimator)))
    foil = stacked(panels, [equal_weights] * len(panels), full, "did")
    return _assemble(stack, foil, builds, blocks, tuple(controls), outcome, estimator, full)


def _refuse(estimator: str, options: Options) -> None:
    if options["cluster"] is not None or options["inference"] not in ALLOWED_INFERENCE:
        raise DataError(
            f"first_treated was given with cluster={options['cluster']!r} and "
            f"inference={options['inference']!r}.",
            "With launches at different times placebos of single units or a jackknife answer.",
            f"Leave cluster out, and use inference {', '.join(ALLOWED_INFERENCE)}.",
        )
    check_choice("estimator", estimator, get_args(StaggeredEstimator))


def move(column: str, stack: Stack, design: str) -> Move:
    """How far a negative control moved, averaged over the launches as the effect is."""
    effect, found = stack.answer(design, allows=True)
    low, high, p_value = found.bounds(effect, stack.studies[0].conf_level)
    return Move(column, effect, found.std_error, low, high, p_value, stack.level())


def _assemble(
    stack: Stack,
    foil: Stack,
    builds: Sequence[Build],
    blocks: Sequence[int],
    controls: tuple[Move, ...],
    outcome: str,
    estimator: str,
    options: Options,
) -> SyntheticControlEstimate:
    panels = [study.panel for study in stack.studies]
    level, by_design = options["conf_level"], options["inference"] == "by-design"
    design = design_of(panels, options["inference"], estimator)
    effect, found = stack.answer(design, by_design)
    low, high, p_value = found.bounds(effect, level)
    dropped = [
        leave_one_out(a.problem, a.fit, p.target, p.donors)
        for a, p in zip(stack.analyses, panels, strict=True)
    ]
    evidences = [
        gather(*parts, estimator != "classic")
        for parts in zip(stack.studies, stack.analyses, dropped, blocks, builds, strict=True)
    ]
    overall = replace(
        evidences[-1], uncertainty=found, conf_low=low, conf_high=high, controls=controls,
        level=stack.level(),
    )  # fmt: skip
    aligned = align(stack)
    tables = staggered_tables(stack, foil, design, found, dropped, estimator, aligned)
    tables |= controls_table(controls, overall.level)
    tables |= fake_launches(stack, builds, blocks, design, options)
    placebos = _placebo_p(aligned, effect, tables["placebos"]["gap"].to_numpy())
    first = panels[0]
    treated_cells = sum(int(p.treated.sum()) * (p.times.size - p.n_pre) for p in panels)
    units = sum(int(p.treated.sum()) for p in panels)
    n_obs = (units + first.donors.size) * first.times.size
    starts = [shown(panel.settings["launch"]) for panel in panels]
    sizes = [int(panel.treated.sum()) for panel in panels]
    return SyntheticControlEstimate(
        method=f"Synthetic control: {TITLES[estimator]}, {len(panels)} "
        + ("launches" if len(panels) > 1 else "launch"),
        estimand=f"mean effect on {units} treated units, each from its own launch to the end",
        estimate=effect,
        std_error=found.std_error,
        conf_low=low,
        conf_high=high,
        conf_level=level,
        p_value=p_value,
        inference=found.label
        + allowed(found, [a.signs for a in stack.analyses], first.proportion)
        + resolution(placebos["smallest_placebo_p"], level),
        outcome=outcome,
        n_obs=n_obs,
        n_treated=treated_cells,
        n_control=n_obs - treated_cells,
        n_clusters=units + first.donors.size,
        settings={
            **first.settings,
            "launch": 0,
            "launches": dict(zip(starts, sizes, strict=True)),
            "cohort_weights": "number of units",
            "block": max(blocks),
            "estimator": estimator,
            "solver": options["solver"],
            "seed": options["seed"],
            "treated_units": units,
            "donors": first.donors.size,
            "pre_periods": aligned.before,
            "post_periods": first.times.size - max(stack.starts()),
            "allowance": found.allowance,
            **placebos,
        },
        checks=staggered_checks(evidences, stack.shares, overall),
        tables=tables,
        df=found.df,
        proportion=first.proportion,
        margin=options["margin"],
    )


def _placebo_p(aligned: Aligned, effect: float, placebo_effects: np.ndarray) -> dict[str, float]:
    """Ranks of the averaged effect, and of its misfit before against after, among placebos'."""
    ratio = float(rmspe_ratio(aligned.gap, aligned.before))
    ratios = rmspe_ratio(aligned.placebo_gaps, aligned.before)
    return {
        "rmspe_ratio": ratio,
        "placebo_p_gap": rank_p(abs(effect), np.abs(placebo_effects)),
        "placebo_p_rmspe": rank_p(ratio, ratios),
        "smallest_placebo_p": 1 / (1 + len(ratios)),
    }
