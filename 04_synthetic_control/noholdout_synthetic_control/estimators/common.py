"""What every estimator of this folder shares: read the launch, assemble the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.input import check_choice, check_level
from noholdout_shared.render import effect_text

from noholdout_synthetic_control.checks import Evidence, all_checks
from noholdout_synthetic_control.estimators.study import (
    INFERENCES,
    Analysis,
    Build,
    InferenceName,
    Options,
    Study,
    make_study,
)
from noholdout_synthetic_control.estimators.tables import build_tables
from noholdout_synthetic_control.inference import (
    Signs,
    Uncertainty,
    leave_one_out,
    rank_p,
    rmspe_ratio,
)
from noholdout_synthetic_control.kernels.fits import EqualWeights, Problem
from noholdout_synthetic_control.kernels.predictors import settled
from noholdout_synthetic_control.panel import Panel, read_panel
from noholdout_synthetic_control.result import SyntheticControlEstimate

__all__ = [
    "Build",
    "InferenceName",
    "Launch",
    "Options",
    "assemble",
    "equal_weights",
    "make_study",
    "read_launch",
]


TITLES = {
    "demeaned": "demeaned simplex",
    "classic": "classic simplex",
    "synthetic-did": "synthetic difference-in-differences",
    "augmented": "ridge-augmented simplex",
    "did": "difference-in-differences, equal weights",
}


@dataclass(frozen=True)
class Launch:
    """Which column is what, and who got the launch when."""

    outcome: str
    unit: str
    time: str
    treated: Sequence[Any]
    start: Any


def read_launch(data: Any, launch: Launch, options: Options) -> Panel:
    """Check the options that every estimator shares, then read the panel."""
    check_level(options.get("conf_level", 0.95))
    check_choice("solver", options.get("solver", "exact"), ("exact", "slsqp"))
    check_choice("inference", options.get("inference", "by-design"), INFERENCES)
    return read_panel(
        data,
        outcome=launch.outcome,
        unit=launch.unit,
        time=launch.time,
        treated=launch.treated,
        start=launch.start,
        weights=options.get("weights"),
        cluster=options.get("cluster"),
        cell_mean=options.get("cell_mean", False),
        missing=options.get("missing", "refuse"),
    )


def assemble(
    study: Study,
    launch: Launch,
    options: Options,
    method: str,
    build: Build,
    settings: Mapping[str, Any],
    foils: Mapping[str, Build],
    *,
    backdates: bool = True,
    unique: bool = True,
) -> SyntheticControlEstimate:
    """The whole answer of the estimator that ``build`` makes, the foils beside it.

    ``settings`` must hold ``block``, the periods a block that checks average over. ``backdates``
    is false for a fit that can't be repeated with an earlier launch, ``unique`` for one that may
    have several solutions.
    """
    panel = study.panel
    analysis = study.analyse(build)
    fit, uncertainty = analysis.fit, analysis.uncertainty
    low, high, p_value = uncertainty.bounds(fit.effect, study.conf_level)
    held = settled(analysis.problem, panel.target, panel.donors)
    dropped = leave_one_out(held, fit, panel.target, panel.donors)
    reference = analysis.reference(study.design)
    smallest = 1 / (1 + len(reference.fits))
    ratio = float(rmspe_ratio(fit.gap, panel.n_pre))
    evidence = gather(
        study, analysis, dropped, settings["block"], build if backdates else None, unique
    )
    n_treated = int(panel.treated.sum()) * (panel.times.size - panel.n_pre)
    return SyntheticControlEstimate(
        method=f"Synthetic control: {TITLES[method]}",
        estimand=estimand(panel),
        estimate=fit.effect,
        std_error=uncertainty.std_error,
        conf_low=low,
        conf_high=high,
        conf_level=study.conf_level,
        p_value=p_value,
        inference=uncertainty.label
        + allowed(uncertainty, [analysis.signs], panel.proportion)
        + resolution(smallest, study.conf_level),
        outcome=launch.outcome,
        n_obs=panel.outcomes.size,
        n_treated=n_treated,
        n_control=panel.outcomes.size - n_treated,
        n_clusters=panel.units.size,
        settings={
            **panel.settings,
            **settings,
            "estimator": method,
            "solver": options.get("solver", "exact"),
            "seed": study.seed,
            "treated_units": int(panel.treated.sum()),
            "donors": panel.donors.size,
            "pre_periods": panel.n_pre,
            "post_periods": panel.times.size - panel.n_pre,
            "intercept": fit.intercept,
            "effective_donors": 1 / float(fit.weights @ fit.weights),
            "allowance": uncertainty.allowance,
            "rmspe_ratio": ratio,
            "placebo_p_gap": rank_p(abs(fit.effect), np.abs(reference.effects)),
            "placebo_p_rmspe": rank_p(ratio, reference.ratios(panel.n_pre)),
            "smallest_placebo_p": smallest,
        },
        checks=all_checks(evidence),
        tables=build_tables(study, analysis, dropped, method, foils),
        df=uncertainty.df,
        proportion=panel.proportion,
        margin=options.get("margin"),
    )


def gather(
    study: Study,
    analysis: Analysis,
    dropped: np.ndarray,
    block: int,
    build: Build | None,
    unique: bool = True,
) -> Evidence:
    """What the checks look at; ``build`` is ``None`` for a fit that has no earlier launch."""
    low, high, _ = analysis.uncertainty.bounds(analysis.fit.effect, study.conf_level)
    return Evidence(
        panel=study.panel,
        fit=analysis.fit,
        placebos=analysis.placebos,
        regions=analysis.regions,
        uncertainty=analysis.uncertainty,
        signs=analysis.signs,
        noise=study.noise,
        build=build,
        design=study.design,
        dropped=dropped,
        block=block,
        smallest_p=1 / (1 + len(analysis.reference(study.design).fits)),
        conf_low=low,
        conf_high=high,
        unique=unique,
    )


def allowed(uncertainty: Uncertainty, signs: Sequence[Signs], proportion: bool) -> str:
    """Said where the interval is wider than sampling alone would make it."""
    if uncertainty.allowance == 0:
        return ""
    size = effect_text(uncertainty.allowance, proportion, signed=False)
    told = {
        "a trend before the launch": [s.trend for s in signs],
        "donors that jumped at it": [s.donors for s in signs],
    }
    why = [word for word, found in told.items() if any(s and s.allowance > 0 for s in found)]
    return f"; allows for {size} of bias ({' and '.join(why)})"


def resolution(smallest: float, conf_level: float) -> str:
    """Said where a ranking of placebos can't reach the level asked."""
    if smallest <= 1 - conf_level + 1e-12:
        return ""
    return f"; placebo ranks can't go below p = 1/{round(1 / smallest)} here"


def estimand(panel: Panel) -> str:
    """Whose effect, over which time."""
    members = panel.units[panel.treated]
    who = str(members[0]) if members.size == 1 else f"{members.size} treated units"
    periods = panel.times.size - panel.n_pre
    return f"mean effect on {who} over {periods} period{'s' if periods > 1 else ''} after launch"


def equal_weights(outcomes: np.ndarray, n_pre: int, noise: np.ndarray) -> Problem:
    """The foil: plain difference-in-differences."""
    return EqualWeights(outcomes, n_pre)
