"""How uncertainty is measured on one panel, the same for every estimator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, get_args

import numpy as np
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import (
    Missing,
    check_choice,
    check_level,
    check_seed,
    resolve_replicates,
)

from noholdout_synthetic_control.inference import (
    Placebos,
    Signs,
    Uncertainty,
    bootstrap_uncertainty,
    conformal_uncertainty,
    donor_placebos,
    donor_sign,
    group_placebos,
    jackknife_plus_uncertainty,
    jackknife_uncertainty,
    placebo_uncertainty,
    trend_sign,
    user_bootstrap_uncertainty,
)
from noholdout_synthetic_control.kernels.fits import Fit, Problem, Solver
from noholdout_synthetic_control.kernels.jumps import launch_jumps
from noholdout_synthetic_control.kernels.noise import own_noise
from noholdout_synthetic_control.kernels.predictors import settled
from noholdout_synthetic_control.panel import Panel

InferenceName = Literal[
    "by-design",
    "placebo",
    "placebo-regions",
    "jackknife",
    "bootstrap",
    "user-bootstrap",
    "conformal",
    "jackknife-plus",
]
DRAWING = ("bootstrap", "user-bootstrap")
INFERENCES = get_args(InferenceName)
DRAWS = 500
NO_PLACEBOS = Placebos(np.empty((0, 0)), (), ())
NO_SIGNS = Signs()
NOT_MEASURED = Uncertainty(math.nan, math.nan, "not measured", np.empty(0))

Build = Callable[[np.ndarray, int, np.ndarray], Problem]  # outcomes, n_pre, noise


class Options(TypedDict, total=False):
    """What every estimator takes beside the launch; ``estimate`` documents each."""

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
    negative_controls: Sequence[str] | None


DEFAULTS: Options = {
    "solver": "exact",
    "cluster": None,
    "weights": None,
    "cell_mean": False,
    "conf_level": 0.95,
    "seed": 0,
    "missing": "refuse",
    "inference": "by-design",
    "replicates": None,
    "margin": None,
    "negative_controls": None,
}


class Asked(Options):
    """One launch, and the options."""

    outcome: str
    unit: str
    time: str
    treated: Sequence[Any]
    start: Any


def settled_options(options: Mapping[str, Any], required: Iterable[str] = ()) -> Any:
    """Every option, the defaults filled in.

    Raises
    ------
    TypeError
        An unknown name, or a required one that is missing.
    DataError
        A value that the option can't take.
    """
    unknown = [name for name in options if name not in Asked.__annotations__]
    lacking = [name for name in required if name not in options]
    if unknown or lacking:
        words = f"unknown: {unknown}" if unknown else f"missing: {lacking}"
        raise TypeError(f"keyword arguments of a synthetic control, {words}")
    full = {**DEFAULTS, **options}
    check_level(full["conf_level"])
    check_seed(full["seed"])
    check_choice("solver", full["solver"], get_args(Solver))
    check_choice("inference", full["inference"], INFERENCES)
    return full


@dataclass(frozen=True)
class Analysis:
    """One estimator's fit on one panel, with everything refitted that its answer rests on."""

    problem: Problem
    fit: Fit
    placebos: Placebos
    regions: Placebos | None
    build: Build
    uncertainty: Uncertainty = NOT_MEASURED
    signs: Signs = NO_SIGNS

    def reference(self, design: str) -> Placebos:
        """The placebos among which the treated side is ranked."""
        if design == "placebo-regions" and self.regions is not None:
            return self.regions
        return self.placebos


@dataclass(frozen=True)
class Study:
    """A panel and how its uncertainty is to be measured, the same for every estimator on it."""

    panel: Panel
    noise: np.ndarray
    design: str
    allows: bool
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
        analysis = Analysis(problem, fit, placebos, regions, build)
        uncertainty, signs = self.measure(analysis, self.design), self.signs(fit)
        if self.allows:
            uncertainty = uncertainty.allowing(signs.allowance, panel.n_pre)
        return replace(analysis, uncertainty=uncertainty, signs=signs)

    def signs(self, fit: Fit) -> Signs:
        """What the panel holds against the estimate before and at the launch."""
        panel = self.panel
        treated, groups = np.flatnonzero(panel.treated), panel.groups
        jumps = launch_jumps(panel.outcomes, panel.n_pre, panel.donors, self.noise)
        return Signs(
            trend_sign(panel.outcomes, fit, treated, panel.donors, groups),
            donor_sign(jumps, fit.weights),
        )

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
        if design in ("conformal", "jackknife-plus", "user-bootstrap"):
            return self.requested(analysis, design)
        df = len(placebos.fits) - 1
        label = f"placebos of all {len(placebos.fits)} donors, t({df})"
        if design == "placebo-regions" and analysis.regions is not None:
            placebos, df = analysis.regions, len(analysis.regions.fits)
            label = f"{df} placebo regions, t({df})"
        return placebo_uncertainty(placebos, fit, target, donors, self.noise, df, label)

    def requested(self, analysis: Analysis, design: str) -> Uncertainty:
        """What no design calls for, on request."""
        panel = self.panel
        arrays = (panel.outcomes, panel.n_pre, self.noise, panel.target, panel.donors)
        if design == "conformal":
            effect = analysis.fit.effect
            return conformal_uncertainty(analysis.build, *arrays, effect, self.conf_level)
        if design == "jackknife-plus":
            block = panel.default_block()
            return jackknife_plus_uncertainty(analysis.build, *arrays, block, self.conf_level)
        assert panel.cell_variance is not None  # refused in make_study
        return user_bootstrap_uncertainty(
            analysis.build, *arrays, panel.cell_variance, self.draws, self.seed, self.conf_level
        )

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


def make_study(
    panel: Panel, options: Options, *, jackknife: bool = True, refused: Sequence[str] = ()
) -> Study:
    """Settle the inference and measure the units' own noise.

    ``jackknife`` is false for an estimator whose fit leaves the donors no spread of their own;
    ``refused`` are inferences that would need fits which the estimator can't make.
    """
    full = settled_options(options)
    inference = full["inference"]
    asked = resolve_replicates(full["replicates"], inference, DRAWING, DRAWS)
    if inference == "user-bootstrap" and panel.cell_variance is None:
        raise DataError(
            "inference 'user-bootstrap' was asked, but the rows aren't users.",
            "Users are redrawn within units and periods, which takes several rows in each.",
            "Give user rows with --cell-mean (cell_mean=True), or use inference 'bootstrap'.",
        )
    if inference in refused:
        raise DataError(
            f"inference {inference!r} was asked of an estimator that it doesn't fit.",
            "It repeats the fit on other periods, which this one can't (time weights look at the "
            "time after the launch, predictors have windows of their own).",
            "Use the default estimator, classic without predictors, augmented or did.",
        )
    return Study(
        panel,
        own_noise(panel.outcomes, panel.n_pre, panel.counts, panel.proportion),
        design_of(panel, inference, jackknife=jackknife),
        inference == "by-design",
        DRAWS if asked is None else asked,
        full["seed"],
        full["conf_level"],
    )
