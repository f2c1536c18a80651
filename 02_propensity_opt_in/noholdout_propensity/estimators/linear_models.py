"""The two linear models behind AIPW: fitted, fitted again in a resample, and fitted richer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from noholdout_propensity.estimators.common import Score, richer_score
from noholdout_propensity.estimators.ipw import refit
from noholdout_propensity.kernels.designs import Design
from noholdout_propensity.kernels.doubly_robust import augmented_effect, nuisance_influence
from noholdout_propensity.kernels.nuisance import (
    Nuisance,
    Sample,
    arm_fits,
    clipped_nuisance,
    cross_fit_linear,
    linear_nuisance,
)
from noholdout_propensity.kernels.outcome import LinearFit, solve_normal
from noholdout_propensity.kernels.richer import Richer
from noholdout_propensity.kernels.score import ScoreFit, link_terms
from noholdout_propensity.kernels.weighting import Effect, unbounded
from noholdout_propensity.problem import Problem


@dataclass(frozen=True)
class LinearModels:
    """A score and a linear outcome model per arm, and what AIPW makes of them.

    Parameters
    ----------
    fold
        Each row's fold, shape ``(n,)``; ``None`` for no cross-fitting.
    rows
        Row weights in the moment and the outcome models, zero for a trimmed row, shape ``(n,)``.
    normalised
        Whether the weighted residuals are divided by their weights' sum.
    score_fit
        The score on all rows.
    clip
        Scores beyond it are moved to it; ``None`` moves none.
    """

    problem: Problem
    link: Score
    fold: np.ndarray | None
    rows: np.ndarray
    normalised: bool
    score_fit: ScoreFit
    clip: float | None = None

    @cached_property
    def lines(self) -> tuple[LinearFit, LinearFit]:
        """The outcome models on all rows."""
        problem = self.problem
        if problem.outcome_design is problem.score_design and self.rows is problem.sampling:
            inside, outside = problem.arms
            return solve_normal(inside.gram, inside.cross), solve_normal(
                outside.gram, outside.cross
            )
        return self._lines(problem.outcome_design, self.rows)

    def _lines(
        self, design: Design, rows: np.ndarray, gram: np.ndarray | None = None
    ) -> tuple[LinearFit, LinearFit]:
        return arm_fits(self.problem.outcome, self.problem.treated, design, rows, gram)

    def predictions(self) -> Nuisance | None:
        """Both models' predictions, out of fold when there are folds."""
        if self.fold is None:
            found = linear_nuisance(self.problem.outcome_design, self.score_fit, self.lines)
            return clipped_nuisance(found, self.clip)
        return self._predicted(self.score_fit, self.problem.likelihood_weights, self.rows)

    def _predicted(
        self, score_fit: ScoreFit, likelihood: np.ndarray | None, rows: np.ndarray
    ) -> Nuisance | None:
        problem = self.problem
        if self.fold is None:
            lines = self._lines(problem.outcome_design, rows)
            found = linear_nuisance(problem.outcome_design, score_fit, lines)
            return clipped_nuisance(found, self.clip)
        designs = problem.score_design, problem.outcome_design
        sample = Sample(problem.outcome, problem.treated, *designs, likelihood, rows)
        crossed = cross_fit_linear(sample, score_fit, self.fold)
        return None if crossed is None else clipped_nuisance(crossed, self.clip)

    def effect(self, nuisance: Nuisance) -> Effect:
        """The estimate, its influence values with what estimating both models adds."""
        return self._effect(
            nuisance,
            (self.problem.score_design, self.problem.outcome_design),
            self.score_fit,
            self.lines,
            leverage=self.fold is not None,
        )

    def _effect(
        self,
        nuisance: Nuisance,
        designs: tuple[Design, Design],
        score_fit: ScoreFit,
        lines: tuple[LinearFit, LinearFit],
        leverage: bool = False,
    ) -> Effect:
        problem = self.problem
        y, treated = problem.outcome, problem.treated
        found = augmented_effect(y, treated, nuisance, problem.estimand, self.rows, self.normalised)
        added = nuisance_influence(
            Sample(y, treated, *designs, problem.likelihood_weights, self.rows),
            score_fit,
            lines,
            found,
            leverage=leverage,
            copies=problem.copies if leverage else None,
        )
        added += found.effect.influence
        return dataclasses.replace(found.effect, influence=added)

    def replicate(self, counts: np.ndarray) -> float | None:
        """The estimate in a resample, everything fitted again; ``None`` without a solution."""
        problem = self.problem
        likelihood, drawn = counts * problem.sampling, counts * self.rows
        coefficients = refit(problem, self.score_fit, likelihood, self.link)
        if coefficients is None:
            return None
        nuisance = self._predicted(self._moved_to(coefficients), likelihood, drawn)
        if nuisance is None or unbounded(nuisance.score, problem.estimand).any():
            return None
        return augmented_effect(
            problem.outcome, problem.treated, nuisance, problem.estimand, drawn, self.normalised
        ).effect.estimate

    def _moved_to(self, coefficients: np.ndarray) -> ScoreFit:
        """The score at other coefficients, for warm starts within a resample."""
        index = self.problem.score_design @ coefficients
        return dataclasses.replace(
            self.score_fit,
            coefficients=coefficients,
            score=link_terms(index, self.problem.treated, self.link)[0],
            index=None if self.link == "logit" else index,
        )

    def moved_by(self, richer: Richer) -> tuple[float, np.ndarray] | None:
        """How far AIPW moves when both models get a richer design, with influence values.

        Both without cross-fitting, so that the folds' noise isn't taken for a difference.
        """
        problem = self.problem
        design = richer.design
        rich = richer_score(problem, richer, self.score_fit, self.link)
        if rich is None:
            return None
        each_is_one = self.rows is problem.sampling and problem.likelihood_weights is None
        gram = richer.gram if each_is_one else None
        was, now = (
            self._effect(
                clipped_nuisance(linear_nuisance(designs[1], fit, lines), self.clip),
                designs,
                fit,
                lines,
            )
            for designs, fit, lines in (
                ((problem.score_design, problem.outcome_design), self.score_fit, self.lines),
                ((design, design), rich, self._lines(design, self.rows, gram)),
            )
        )
        moved = now.influence
        moved -= was.influence
        return now.estimate - was.estimate, moved
