"""How uncertainty is measured on one panel, the same for every estimator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from noholdout_shared.arguments import resolve_replicates
from noholdout_shared.errors import DataError, DesignError

from noholdout_synthetic_control.estimators.options import Options, settled_options
from noholdout_synthetic_control.inference import (
    Placebos,
    Refit,
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
from noholdout_synthetic_control.kernels.fits import Build, Fit, Problem
from noholdout_synthetic_control.kernels.jumps import launch_jumps
from noholdout_synthetic_control.kernels.noise import own_noise
from noholdout_synthetic_control.kernels.predictors import settled
from noholdout_synthetic_control.panel import Panel

DRAWING = ("bootstrap", "user-bootstrap")
DRAWS = 500
NO_PLACEBOS = Placebos(np.empty((0, 0)), (), ())
NO_SIGNS = Signs()
NOT_MEASURED = Uncertainty(math.nan, math.nan, "not measured", np.empty(0))


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
        return self._measure(analysis, design).beyond_rounding(self.panel.outcomes)

    def _measure(self, analysis: Analysis, design: str) -> Uncertainty:
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
        refit = Refit(
            analysis.build, panel.outcomes, panel.n_pre, self.noise, panel.target, panel.donors
        )
        if design == "conformal":
            return conformal_uncertainty(refit, self.conf_level)
        if design == "jackknife-plus":
            return jackknife_plus_uncertainty(refit, panel.default_block(), self.conf_level)
        assert panel.cell_variance is not None  # refused in make_study
        return user_bootstrap_uncertainty(
            refit, panel.cell_variance, self.draws, self.seed, self.conf_level
        )

    def row(self, effect: float, found: Uncertainty) -> dict[str, Any]:
        """One line of a table that compares intervals."""
        return found.row(effect, self.conf_level)


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
        own_noise(panel.outcomes, panel.n_pre, panel.counts, panel.binomial),
        design_of(panel, inference, jackknife=jackknife),
        inference == "by-design",
        DRAWS if asked is None else asked,
        full["seed"],
        full["conf_level"],
    )
