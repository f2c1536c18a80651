"""The propensity score: an unpenalised binary regression by Newton's method.

Separation is a result here, not an exception: the caller decides what an analysis without a
score can still say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from noholdout_propensity.kernels.chords import chord_steps, gradients_without
from noholdout_propensity.kernels.designs import Design, blocks
from noholdout_propensity.kernels.sums import weighted_gram

Link = Literal["logit", "probit"]

ALL = slice(None)
GRADIENT_TOLERANCE = 1e-9  # per row, on covariates of unit variance
STEP_TOLERANCE = 1e-9
MAX_STEPS = 60
# From MANY times START_ROWS rows on, Newton starts near the solution on about START_ROWS of them.
START_ROWS = 4_096
MANY = 8
START_TOLERANCE = 0.01
START_STEPS = 8
NEAR = 1e-5
FIRST = np.zeros(1, dtype=int)
# Below this change of the index a logit's curvature changes by less than exp(0.5), so that a full
# Newton step can't overshoot and the likelihood needn't be looked at.
SAFE_CHANGE = 0.5
LARGE_INDEX = 18.0  # a logit index of 18 is a probability within 2e-8 of 0 or 1


@dataclass(frozen=True)
class ScoreFit:
    """A fitted score model.

    Parameters
    ----------
    coefficients
        Shape ``(k,)``.
    score, treated
        P(treated | x), and the 0/1 that it was fitted to, shape ``(n,)``.
    index
        A probit's linear index, shape ``(n,)``; a logit's terms follow from the score.
    bread
        Inverse of the negative hessian of the weighted log-likelihood, shape ``(k, k)``.
    converged, separated
        ``separated``: some combination of covariates predicts the treatment perfectly in some
        rows, so that the likelihood has no maximum.
    steps
        Newton steps taken on all rows.
    """

    coefficients: np.ndarray
    score: np.ndarray
    treated: np.ndarray
    bread: np.ndarray
    converged: bool
    separated: bool
    steps: int
    index: np.ndarray | None = None

    def slopes(self, rows: slice | np.ndarray = ALL) -> np.ndarray:
        """The score's derivative in the linear index."""
        if self.index is not None:
            return link_terms(self.index[rows], self.treated[rows], "probit")[1]
        score = self.score[rows]
        return score * (1 - score)

    def residuals(self, rows: slice = ALL) -> np.ndarray:
        """``residuals[i] * x[i]`` is row i's score (gradient) contribution."""
        if self.index is not None:
            return link_terms(self.index[rows], self.treated[rows], "probit")[2]
        return self.treated[rows] - self.score[rows]


def logistic(index: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-index))``."""
    # numpy's exponential is several times faster than scipy's expit; an overflow gives 0, rightly.
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-index))


def link_terms(
    index: np.ndarray, treated: np.ndarray, link: Link
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Score, its slope in the index, the gradient's residual, and the observed curvature.

    Each has shape ``(n,)``. ``treated`` is 0/1.
    """
    if link == "logit":
        score = logistic(index)
        slope = score * (1 - score)
        return score, slope, treated - score, slope
    sign = 2 * treated - 1
    signed = sign * index
    density = np.exp(-0.5 * index**2) / np.sqrt(2 * np.pi)
    # The inverse Mills ratio in logs: far in the tail both parts underflow.
    mills = np.exp(-0.5 * index**2 - 0.5 * np.log(2 * np.pi) - special.log_ndtr(signed))
    residual = sign * mills
    return special.ndtr(index), density, residual, residual * (residual + index)


def log_likelihood(
    design: Design,
    treated: np.ndarray,
    weights: np.ndarray | None,
    link: Link,
    coefficients: np.ndarray,
) -> float:
    """The (weighted) log-likelihood of a binary regression."""
    total = 0.0
    for rows in blocks(treated.size):
        signed = (2 * treated[rows] - 1) * (design[rows] @ coefficients)
        if link == "logit":
            # log_expit, several times faster: neither exponential overflows.
            part = np.minimum(signed, 0.0) - np.log1p(np.exp(-np.abs(signed)))
        else:
            part = special.log_ndtr(signed)
        total += float(part.sum() if weights is None else part @ weights[rows])
    return total


def gradient_and_hessian(
    design: Design,
    treated: np.ndarray,
    weights: np.ndarray | None,
    link: Link,
    coefficients: np.ndarray,
    index: np.ndarray,
    score: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Of the log-likelihood, the hessian with its sign turned; each block is read once.

    ``index`` and ``score``, shape ``(n,)``, are filled.
    """
    k = design.shape[1]
    gradient, hessian = np.zeros(k), np.zeros((k, k))
    for rows in blocks(treated.size):
        x = design[rows]
        np.matmul(x, coefficients, out=index[rows])
        score[rows], _, residual, curvature = link_terms(index[rows], treated[rows], link)
        if weights is not None:
            residual, curvature = residual * weights[rows], curvature * weights[rows]
        gradient += x.T @ residual
        hessian += weighted_gram(x, curvature)
    return gradient, hessian


def fit_score(
    design: Design,
    treated: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    link: Link = "logit",
    start: np.ndarray | None = None,
    tolerance: float = STEP_TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> ScoreFit:
    """Maximise the likelihood by Newton steps, halved while they don't improve it.

    Parameters
    ----------
    design
        Shape ``(n, k)`` with a constant, columns of about unit variance, linearly independent.
    treated
        0/1 floats, shape ``(n,)``.
    weights
        Non-negative row weights, shape ``(n,)``.
    start, tolerance, max_steps
        First coefficients (those of a few of the rows by default); the step at which to stop, and
        the number of steps.
    """
    n = treated.size
    total = float(n) if weights is None else float(weights.sum())
    coefficients = _start(design, treated, weights, link) if start is None else start.copy()
    index, score = np.empty(n), np.empty(n)  # at the coefficients of the last gradient
    likelihood = float("nan")
    converged = stuck = False
    steps = 0
    while True:
        gradient, hessian = gradient_and_hessian(
            design, treated, weights, link, coefficients, index, score
        )
        if stuck or steps == max_steps:
            break
        step = _solve(hessian, gradient)
        if step is None:
            stuck = True
            break
        decrement = float(gradient @ step) / total
        if np.abs(step).max() < tolerance or (
            np.abs(gradient).max() / total < GRADIENT_TOLERANCE and np.abs(step).max() < 1e-6
        ):
            converged = True
            break
        steps += 1
        coefficients, likelihood = _line_search(
            design, treated, weights, link, coefficients, step, likelihood
        )
        # Then the likelihood is at its supremum while the coefficients still run away.
        stuck = decrement < 1e-13 and bool(np.abs(step).max() > 0.1)
    extreme = float(np.abs(index).max()) > (LARGE_INDEX if link == "logit" else 6.0)
    return ScoreFit(
        coefficients=coefficients,
        score=score,
        treated=treated,
        bread=invert(hessian),
        converged=converged,
        separated=not converged and (stuck or extreme),
        steps=steps,
        index=None if link == "logit" else index,
    )


def refit_logit(
    design: Design,
    treated: np.ndarray,
    weights: np.ndarray,
    near: np.ndarray,
    near_score: np.ndarray,
) -> np.ndarray | None:
    """Coefficients of a logit whose solution lies near a known one (a resample).

    One Newton step from ``near``, then chord steps with the same hessian. Falls back to full
    Newton. ``None`` when there is no solution.
    """
    hessian = _hessian(design, near_score * (1 - near_score), weights)
    gradient = design.T @ (weights * (treated - near_score))
    found = chord_steps(design, treated, weights, None, near, gradient[None], invert(hessian)[None])
    if found[0] is not None:
        return found[0]
    fit = fit_score(design, treated, weights=weights)
    return fit.coefficients if fit.converged else None


def nested_score(
    design: Design,
    treated: np.ndarray,
    weights: np.ndarray | None,
    link: Link,
    base: ScoreFit,
    tolerance: float,
) -> ScoreFit:
    """The score on more columns, from the solution ``base`` on the first of them.

    A logit's steps keep the first hessian while they shrink fast enough.
    """
    start = np.zeros(design.shape[1])
    start[: base.coefficients.size] = base.coefficients
    if link == "logit":
        residual, curvature = base.residuals(), base.slopes()
        if weights is not None:
            residual, curvature = residual * weights, curvature * weights
        gradient = design.T @ residual
        inverse = invert(weighted_gram(design, curvature))[None]
        found = chord_steps(
            design, treated, weights, None, start, gradient[None], inverse, tolerance
        )
        start = start if found[0] is None else found[0]
    return fit_score(
        design, treated, weights=weights, link=link, start=start, tolerance=100 * tolerance
    )


def _start(
    design: Design, treated: np.ndarray, weights: np.ndarray | None, link: Link
) -> np.ndarray:
    """The solution on every so many-th row, where there are many; else that of a constant."""
    # The design's first column is the constant.
    share = float(treated.mean() if weights is None else treated @ weights / weights.sum())
    share = min(max(share, 1e-6), 1 - 1e-6)
    start = np.zeros(design.shape[1])
    start[0] = special.logit(share) if link == "logit" else special.ndtri(share)
    apart = treated.size // START_ROWS
    if apart < MANY:
        return start
    few = slice(None, None, apart)
    own = None if weights is None else weights[few]
    near = fit_score(
        np.asfortranarray(design[few]),
        treated[few],
        weights=own,
        link=link,
        start=start,
        tolerance=START_TOLERANCE,
        max_steps=START_STEPS,
    )
    if not near.converged:
        return start
    if link == "probit":
        return near.coefficients
    # A few more passes for the gradient alone are cheaper than one for the hessian too.
    share = treated[few].size / treated.size
    if weights is not None and own is not None:
        share = own.sum() / weights.sum()
    gradient = gradients_without(design, treated, weights, None, near.coefficients[None], FIRST)
    found = chord_steps(
        design, treated, weights, None, near.coefficients, gradient, share * near.bread[None], NEAR
    )[0]
    return near.coefficients if found is None else found


def _line_search(
    design: Design,
    treated: np.ndarray,
    weights: np.ndarray | None,
    link: Link,
    coefficients: np.ndarray,
    step: np.ndarray,
    likelihood: float,
) -> tuple[np.ndarray, float]:
    """The next coefficients and their likelihood (``nan`` where it wasn't needed)."""
    if link == "logit":
        change = max(float(np.abs(design[rows] @ step).max()) for rows in blocks(treated.size))
        if change < SAFE_CHANGE:
            return coefficients + step, np.nan
    if np.isnan(likelihood):
        likelihood = log_likelihood(design, treated, weights, link, coefficients)
    scale = 1.0
    slack = 1e-12 * abs(likelihood)  # rounding in a sum of n logarithms
    for _ in range(30):
        proposal = coefficients + scale * step
        reached = log_likelihood(design, treated, weights, link, proposal)
        if reached >= likelihood - slack:
            return proposal, reached
        scale /= 2
    return coefficients, likelihood


def _hessian(design: Design, curvature: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return weighted_gram(design, curvature if weights is None else curvature * weights)


def _solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray | None:
    try:
        step = np.linalg.solve(matrix, vector)
    except np.linalg.LinAlgError:
        return None
    return step if np.isfinite(step).all() else None


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse; all ``nan`` when there is none."""
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.full_like(matrix, np.nan)
