"""Weights that match predictors, each counted by its importance V.

Abadie, Diamond and Hainmueller (2010, JASA 105(490), section 2.3): ``w(V)`` minimises
``(x1 - X0'w)' V (x1 - X0'w)`` on the simplex for a diagonal ``V``, which is given, or from a
regression, or searched so that ``w(V)`` fits the outcome before the launch best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from noholdout_synthetic_control.kernels.fits import Fit, Problem, Solver, twin
from noholdout_synthetic_control.kernels.simplex import exact_weights, slsqp_weights

Importance = Literal["search", "regression"] | tuple[float, ...]
SPREAD = 8.0  # log importances are searched down to minus this
PROBE_SPREAD = 9.0
PROBES_LOG2, SEARCHES = 8, 2


@dataclass(frozen=True)
class PredictorProblem:
    """A panel whose twins match predictors.

    Parameters
    ----------
    outcomes
        Shape ``(N, T)``.
    n_pre
        Periods before the launch.
    predictors
        Shape ``(N, P)``.
    importance
        ``search``, ``regression``, or one number a predictor.
    solver
        ``exact`` or ``slsqp``.
    """

    outcomes: np.ndarray
    n_pre: int
    predictors: np.ndarray
    importance: Importance = "search"
    solver: Solver = "exact"

    def fit(self, target: np.ndarray, donors: np.ndarray, copies: np.ndarray | None = None) -> Fit:
        """As :meth:`noholdout_synthetic_control.kernels.fits.SimplexProblem.fit`.

        Copies of a donor share its weight, so that their number changes nothing.
        """
        distance = self.distance(target, donors)
        weights = self.weights_for(distance, self.importance_for(target, donors))
        return twin(self.outcomes, self.n_pre, target, donors, weights, np.zeros(self.n_pre))

    def distance(self, target: np.ndarray, donors: np.ndarray) -> np.ndarray:
        """Donors' predictors less the target's, in standard deviations, shape ``(J, P)``."""
        own = target @ self.predictors
        others = self.predictors[donors]
        spread = np.vstack([own, others]).std(axis=0, ddof=1)
        return (others - own) / np.where(spread > 0, spread, 1.0)

    def weights_for(self, distance: np.ndarray, importance: np.ndarray) -> np.ndarray:
        """``w(V)``, shape ``(J,)``."""
        solve = slsqp_weights if self.solver == "slsqp" else exact_weights
        return solve((distance * importance) @ distance.T).weights

    def importance_for(self, target: np.ndarray, donors: np.ndarray) -> np.ndarray:
        """The diagonal of V for this target, shape ``(P,)``, sums to one."""
        if not isinstance(self.importance, str):
            given = np.asarray(self.importance, dtype=float)
            return given / given.sum()
        regression = self.regression_importance(target, donors)
        if self.importance == "regression":
            return regression
        return self.searched_importance(target, donors, regression)

    def regression_importance(self, target: np.ndarray, donors: np.ndarray) -> np.ndarray:
        """Squared coefficients of the outcomes on the predictors, summed over the periods."""
        own = np.vstack([target @ self.predictors, self.predictors[donors]])
        spread = own.std(axis=0, ddof=1)
        scaled = (own - own.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        before = np.vstack([target @ self.outcomes, self.outcomes[donors]])[:, : self.n_pre]
        slopes = np.linalg.lstsq(scaled, before - before.mean(axis=0), rcond=None)[0]
        sizes = (slopes**2).sum(axis=1)
        return sizes / sizes.sum() if sizes.sum() > 0 else np.full(sizes.size, 1 / sizes.size)

    def searched_importance(
        self, target: np.ndarray, donors: np.ndarray, regression: np.ndarray
    ) -> np.ndarray:
        """Nelder-Mead over log importances, from the best of many probes.

        The fit has many local optima, so that one start isn't enough: a Sobol sequence (the same
        points each time), equal importances and the regression's are all tried, and the search
        begins at the two best.
        """
        from scipy.optimize import minimize
        from scipy.stats import qmc

        count = regression.size
        sobol = qmc.Sobol(count, scramble=False).random_base2(PROBES_LOG2)
        logs = [(sobol[1:] - 1) * PROBE_SPREAD, np.zeros((1, count))]
        logs.append(np.log(np.maximum(regression, np.exp(-SPREAD)))[None, :])
        probes = np.vstack(logs)
        distance = self.distance(target, donors)
        before = self.outcomes[donors, : self.n_pre] - target @ self.outcomes[:, : self.n_pre]

        def importance(logs: np.ndarray) -> np.ndarray:
            sizes = np.exp(np.clip(logs - logs.max(), -SPREAD, 0))
            return sizes / sizes.sum()

        carries = np.zeros(donors.size, dtype=bool)

        def loss(logs: np.ndarray) -> float:
            # Neighbouring importances have the same donors: start from the last ones found.
            scaled = (distance * importance(logs)) @ distance.T
            if self.solver == "slsqp":
                weights = slsqp_weights(scaled).weights
            else:
                weights = exact_weights(scaled, carries if carries.any() else None).weights
            carries[:] = weights > 0
            return float(((weights @ before) ** 2).mean())

        order = np.argsort([loss(probe) for probe in probes], kind="stable")
        options: Any = {"maxiter": 40 * count, "xatol": 1e-2, "fatol": 1e-7}
        found = [
            minimize(loss, probes[k], method="Nelder-Mead", options=options)
            for k in order[:SEARCHES]
        ]
        return importance(min(found, key=lambda result: float(result.fun)).x)


def settled(problem: Problem, target: np.ndarray, donors: np.ndarray) -> Problem:
    """The problem with its importances held at this target's: for resamples, not for placebos."""
    if not isinstance(problem, PredictorProblem):
        return problem
    held = tuple(float(v) for v in problem.importance_for(target, donors))
    return replace(problem, importance=held)
