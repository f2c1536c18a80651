"""What every estimator of this folder shares: read, fit, placebo, check, assemble."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import critical_value
from noholdout_shared.input import Missing, check_choice, check_level, resolve_replicates

from noholdout_synthetic_control.checks import Evidence, all_checks
from noholdout_synthetic_control.inference import (
    Placebos,
    Uncertainty,
    bootstrap_uncertainty,
    donor_placebos,
    group_placebos,
    jackknife_uncertainty,
    leave_one_out,
    placebo_uncertainty,
    rank_p,
    rmspe_ratio,
)
from noholdout_synthetic_control.kernels.fits import (
    EqualWeights,
    Fit,
    Problem,
    Solver,
)
from noholdout_synthetic_control.kernels.noise import own_noise
from noholdout_synthetic_control.kernels.predictors import settled
from noholdout_synthetic_control.panel import Panel, read_panel
from noholdout_synthetic_control.result import SyntheticControlEstimate

InferenceName = Literal["by-design", "placebo", "placebo-regions", "jackknife", "bootstrap"]
INFERENCES = ("by-design", "placebo", "placebo-regions", "jackknife", "bootstrap")
DRAWS = 500
NO_PLACEBOS = Placebos(np.empty((0, 0)), (), ())
TITLES = {
    "demeaned": "demeaned simplex",
    "classic": "classic simplex",
    "synthetic-did": "synthetic difference-in-differences",
    "augmented": "ridge-augmented simplex",
    "did": "difference-in-differences, equal weights",
}
NOT_MEASURED = Uncertainty(math.nan, math.nan, "not measured", np.empty(0))

Build = Callable[[np.ndarray, int, np.ndarray], Problem]  # outcomes, n_pre, noise


class Options(TypedDict, total=False):
    """What every estimator takes beside the data; ``estimate`` documents each."""

    solver: Solver
    cluster: str | None
    weights: str | None
    cell_mean: bool
    conf_level: float
    seed: int
    missing: Missing
    inference: InferenceName
    replicates: int | None
    margin: float | None
    jobs: int


@dataclass(frozen=True)
class Launch:
    """Which column is what, and who got the launch when."""

    outcome: str
    unit: str
    time: str
    treated: Sequence[Any]
    start: Any


@dataclass(frozen=True)
class Analysis:
    """One estimator's fit on one panel, with everything refitted that its answer rests on."""

    problem: Problem
    fit: Fit
    placebos: Placebos
    regions: Placebos | None
    uncertainty: Uncertainty = NOT_MEASURED

    def reference(self, design: str) -> Placebos:
        """The placebos among which the treated side is ranked."""
        if design == "placebo-regions" and self.regions is not None:
            return self.regions
        return self.placebos


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


def design_of(panel: Panel, inference: str, *, jackknife: bool = True) -> str:
    """The inference that the design calls for, unless another was asked.

    Regions when one whole region got the launch; a jackknife when the treated are as many as the
    donors or more (all but the pinned tenants) and the estimator allows one; placebos of the
    donors otherwise.
    """
    whole = panel.groups is not None
    if panel.groups is not None and panel.group_labels is not None:
        hit = np.unique(panel.groups[panel.treated])
        whole = hit.size == 1 and not np.isin(panel.groups[~panel.treated], hit).any()
        others = np.unique(panel.groups[~panel.treated]).size
        if not whole:
            raise DesignError(
                f"cluster was given, but the treated units aren't one whole region of it: they "
                f"lie in {hit.size} of {others + hit.size - 1 if hit.size == 1 else others} "
                "regions, beside units that weren't treated.",
                "Placebo regions answer for a launch in one region.",
                "Leave cluster out: placebos of single units or a jackknife then answer.",
            )
        if others < 3:
            raise DesignError(
                f"Only {others} other region{'s' if others != 1 else ''} can serve as placebo.",
                "A spread needs three or more.",
                "Leave cluster out, or add regions.",
            )
    if inference == "placebo-regions" and not whole:
        raise DataError(
            "inference 'placebo-regions' needs cluster: the column of the regions.",
            "",
            "Add --cluster, or use inference 'placebo'.",
        )
    if inference != "by-design":
        return inference
    if whole:
        return "placebo-regions"
    many = panel.treated.sum() >= max(panel.donors.size, 2)
    return "jackknife" if many and jackknife else "placebo"


@dataclass(frozen=True)
class Study:
    """A panel and how its uncertainty is to be measured, the same for every estimator on it."""

    panel: Panel
    noise: np.ndarray
    design: str
    draws: int
    seed: int
    conf_level: float

    def analyse(self, build: Build, *, every_placebo: bool = True) -> Analysis:
        """Fit one estimator's twin and its placebos: all, or those that the interval needs."""
        panel, donors = self.panel, self.panel.donors
        problem = build(panel.outcomes, panel.n_pre, self.noise)
        fit = problem.fit(panel.target, donors)
        regions, placebos = None, NO_PLACEBOS
        if panel.groups is not None:
            regions = group_placebos(problem, donors, panel.groups)
        if every_placebo or self.design == "placebo":
            placebos = donor_placebos(problem, donors)
        analysis = Analysis(problem, fit, placebos, regions)
        return replace(analysis, uncertainty=self.measure(analysis, self.design))

    def measure(self, analysis: Analysis, design: str) -> Uncertainty:
        """The uncertainty by one named inference."""
        panel, fit, placebos = self.panel, analysis.fit, analysis.placebos
        donors, target = panel.donors, panel.target
        if design == "jackknife":
            treated = np.flatnonzero(panel.treated)
            return jackknife_uncertainty(panel.outcomes, fit, treated, donors)
        if design == "bootstrap":
            held = settled(analysis.problem, target, donors)
            return bootstrap_uncertainty(
                held, fit, target, donors, self.draws, self.seed, self.conf_level
            )
        df = len(placebos.fits) - 1
        label = f"placebos of all {len(placebos.fits)} donors, t({df})"
        if design == "placebo-regions" and analysis.regions is not None:
            placebos, df = analysis.regions, len(analysis.regions.fits)
            label = f"{df} placebo regions, t({df})"
        return placebo_uncertainty(placebos, fit, target, donors, self.noise, df, label)

    def row(self, effect: float, found: Uncertainty) -> dict[str, Any]:
        """One line of a table that compares intervals."""
        low, high, _ = found.bounds(effect, self.conf_level)
        return {
            "estimate": effect,
            "std_error": found.std_error,
            "conf_low": low,
            "conf_high": high,
            "df": found.df,
        }


def make_study(panel: Panel, options: Options, *, jackknife: bool = True) -> Study:
    """Settle the inference and measure the units' own noise.

    ``jackknife`` is false for an estimator whose fit leaves the donors no spread of their own.
    """
    inference = options.get("inference", "by-design")
    asked = resolve_replicates(options.get("replicates"), inference, ("bootstrap",), DRAWS)
    return Study(
        panel,
        own_noise(panel.outcomes, panel.n_pre, panel.counts, panel.proportion),
        design_of(panel, inference, jackknife=jackknife),
        DRAWS if asked is None else asked,
        options.get("seed", 0),
        options.get("conf_level", 0.95),
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
    evidence = Evidence(
        panel=panel,
        fit=fit,
        placebos=analysis.placebos,
        regions=analysis.regions,
        uncertainty=uncertainty,
        noise=study.noise,
        build=build if backdates else None,
        design=study.design,
        dropped=dropped,
        block=settings["block"],
        smallest_p=smallest,
        conf_low=low,
        conf_high=high,
        unique=unique,
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
        inference=uncertainty.label + resolution(smallest, study.conf_level),
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


def build_tables(
    study: Study,
    analysis: Analysis,
    dropped: np.ndarray,
    method: str,
    foils: Mapping[str, Build],
) -> dict[str, pd.DataFrame]:
    """The frames that scripts and pictures rely on."""
    panel, fit, placebos = study.panel, analysis.fit, analysis.placebos
    labels = panel.units[panel.donors]
    shown = labels[: len(placebos.fits)]
    periods = panel.times.size
    tables = {
        "weights": pd.DataFrame({"unit": labels, "weight": fit.weights}),
        "path": path_table(study, analysis),
        "placebos": placebo_table("unit", shown, placebos, panel.n_pre),
        "leave_one_out": pd.DataFrame({"unit": labels, "estimate": dropped}),
        "intervals": intervals_table(study, analysis),
        "estimators": estimators_table(study, analysis, method, foils),
        "placebo_gaps": pd.DataFrame(
            {
                "unit": np.repeat(shown, periods),
                "time": np.tile(panel.times, len(placebos.fits)),
                "gap": placebos.gaps.reshape(-1),
            }
        ),
    }
    if analysis.regions is not None and panel.groups is not None:
        assert panel.group_labels is not None  # both or neither
        names = panel.group_labels[np.unique(panel.groups[panel.donors])]
        tables["placebo_regions"] = placebo_table("region", names, analysis.regions, panel.n_pre)
    return tables


def path_table(study: Study, analysis: Analysis) -> pd.DataFrame:
    """Observed, synthetic and their gap by period, with the gap's pointwise interval."""
    panel, fit, found = study.panel, analysis.fit, analysis.uncertainty
    observed = panel.target @ panel.outcomes
    reach = np.full(panel.times.size, math.nan)
    if found.df > 0:
        reach = found.path_std_error * critical_value(study.conf_level, found.df)
    return pd.DataFrame(
        {
            "time": panel.times,
            "observed": observed,
            "synthetic": observed - fit.gap,
            "gap": fit.gap,
            "conf_low": fit.gap - reach,
            "conf_high": fit.gap + reach,
        }
    )


def placebo_table(name: str, labels: np.ndarray, placebos: Placebos, n_pre: int) -> pd.DataFrame:
    """Every placebo's effect and how its gap after the launch compares with before."""
    ratios = placebos.ratios(n_pre)
    return pd.DataFrame({name: labels, "gap": placebos.effects, "rmspe_ratio": ratios})


def intervals_table(study: Study, analysis: Analysis) -> pd.DataFrame:
    """The interval by the design's inference first, then by the others that can be computed."""
    effect = analysis.fit.effect
    rows = [{"inference": study.design, **study.row(effect, analysis.uncertainty)}]
    for name in ("placebo", "jackknife", "bootstrap"):
        if name != study.design:
            found = study.measure(analysis, name)
            rows.append({"inference": name, **study.row(effect, found)})
    return pd.DataFrame(rows)


def estimators_table(
    study: Study, analysis: Analysis, method: str, foils: Mapping[str, Build]
) -> pd.DataFrame:
    """The estimate beside the other estimators', all with the same inference."""
    rows = [{"estimator": method, **study.row(analysis.fit.effect, analysis.uncertainty)}]
    for name, build in foils.items():
        other = study.analyse(build, every_placebo=False)
        rows.append({"estimator": name, **study.row(other.fit.effect, other.uncertainty)})
    return pd.DataFrame(rows)


def equal_weights(outcomes: np.ndarray, n_pre: int, noise: np.ndarray) -> Problem:
    """The foil: plain difference-in-differences."""
    return EqualWeights(outcomes, n_pre)
