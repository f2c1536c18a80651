"""What every estimator of this folder shares: read the launch, assemble the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError
from noholdout_shared.render import effect_text

from noholdout_synthetic_control.checks import Evidence, all_checks
from noholdout_synthetic_control.checks.controls import controls_table
from noholdout_synthetic_control.checks.evidence import Move, counterfactual_level
from noholdout_synthetic_control.estimators.in_time import in_time_table
from noholdout_synthetic_control.estimators.options import (
    DEFAULTS,
    Asked,
    Options,
    settled_options,
)
from noholdout_synthetic_control.estimators.study import Analysis, Study, make_study
from noholdout_synthetic_control.estimators.tables import build_tables
from noholdout_synthetic_control.inference import (
    Signs,
    Uncertainty,
    leave_one_out,
    rank_p,
    rmspe_ratio,
)
from noholdout_synthetic_control.kernels.fits import Build, EqualWeights, Problem, Solver
from noholdout_synthetic_control.kernels.predictors import settled
from noholdout_synthetic_control.panel import Panel, read_panel
from noholdout_synthetic_control.result import SyntheticControlEstimate

__all__ = [
    "Asked",
    "Build",
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


def equal_weights(outcomes: np.ndarray, n_pre: int, noise: np.ndarray) -> Problem:
    """The foil: plain difference-in-differences."""
    return EqualWeights(outcomes, n_pre)


DID: Mapping[str, Build] = {"did": equal_weights}


@dataclass(frozen=True)
class Launch:
    """One launch, read once.

    Parameters
    ----------
    panel
        Of the outcome.
    controls
        Panels of the outcomes that the launch can't have moved, by column.
    outcome, options
        What was asked, every option filled in.
    """

    panel: Panel
    controls: Mapping[str, Panel]
    outcome: str
    options: Options

    @property
    def solver(self) -> Solver:
        """How weights are found."""
        return self.options["solver"]


def read_launch(data: Any, asked: Mapping[str, Any]) -> Launch:
    """Check the options that every estimator shares, then read the panels."""
    columns = ("outcome", "unit", "time", "treated", "start")
    full = settled_options(asked, columns)
    shared = ("unit", "time", "treated", "start", "cluster", "cell_mean", "missing")
    read = {name: full[name] for name in shared}
    panel = read_panel(data, outcome=full["outcome"], weights=full["weights"], **read)
    named = named_controls(full["outcome"], full["negative_controls"])
    controls = {name: read_panel(data, outcome=name, **read) for name in named}
    options: Any = {name: full[name] for name in DEFAULTS}
    return Launch(panel, controls, full["outcome"], options)


def named_controls(outcome: str, named: Sequence[str] | None) -> list[str]:
    """The negative controls, refused where one is named twice or is the outcome."""
    controls = list(named or [])
    if outcome in controls or len(set(controls)) < len(controls):
        raise DataError(
            f"negative_controls are {controls}, the outcome {outcome!r}.",
            "They are other outcomes, which the launch can't have moved.",
            "Name each of them once, and not the outcome.",
        )
    return controls


def assemble(
    launch: Launch,
    method: str,
    build: Build,
    settings: Mapping[str, Any],
    foils: Mapping[str, Build] = DID,
    *,
    jackknife: bool = True,
    refused: Sequence[str] = (),
    backdates: bool = True,
    unique: bool = True,
) -> SyntheticControlEstimate:
    """The whole answer of the estimator that ``build`` makes, the foils beside it.

    ``settings`` must hold ``block``, the periods a block that checks average over. ``jackknife``
    and ``refused`` are :func:`make_study`'s. ``backdates`` is false for a fit that belongs to this
    panel alone (no earlier launch, no other outcome), ``unique`` for one that may have several
    solutions.
    """
    options = launch.options
    study = make_study(launch.panel, options, jackknife=jackknife, refused=refused)
    panel = study.panel
    analysis = study.analyse(build)
    fit, uncertainty = analysis.fit, analysis.uncertainty
    low, high, p_value = uncertainty.bounds(fit.effect, study.conf_level)
    held = settled(analysis.problem, panel.target, panel.donors)
    dropped = leave_one_out(held, fit, panel.target, panel.donors)
    reference = analysis.reference(study.design)
    smallest = 1 / (1 + len(reference.fits))
    ratio = float(rmspe_ratio(fit.gap, panel.n_pre))
    controls = moves(launch, build if backdates else equal_weights, jackknife)
    evidence = gather(
        study, analysis, dropped, settings["block"], build if backdates else None, unique, controls
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
            "solver": launch.solver,
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
        tables={
            **build_tables(study, analysis, dropped, method, foils),
            **controls_table(controls, evidence.level),
            **in_time_table(study, build if backdates else None, settings["block"], options),
        },
        df=uncertainty.df,
        proportion=panel.proportion,
        margin=options["margin"],
    )


def gather(
    study: Study,
    analysis: Analysis,
    dropped: np.ndarray,
    block: int,
    build: Build | None,
    unique: bool = True,
    controls: tuple[Move, ...] = (),
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
        controls=controls,
        level=counterfactual_level(study.panel, analysis.fit),
    )


def moves(launch: Launch, build: Build, jackknife: bool) -> tuple[Move, ...]:
    """How far each negative control moved, by the estimate's own design."""
    options: Any = {**launch.options, "inference": "by-design", "replicates": None}
    found = []
    for name, panel in launch.controls.items():
        study = make_study(panel, options, jackknife=jackknife)
        analysis = study.analyse(build, every_placebo=False)
        effect, uncertainty = analysis.fit.effect, analysis.uncertainty
        low, high, p_value = uncertainty.bounds(effect, study.conf_level)
        level = counterfactual_level(panel, analysis.fit)
        found.append(Move(name, effect, uncertainty.std_error, low, high, p_value, level))
    return tuple(found)


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
