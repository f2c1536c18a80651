"""Gaps between treated and controls at equal covariates, with their influences.

Sant'Anna and Zhao (2020, Journal of Econometrics 219): regression (equation 2.2), normalised
inverse probability weighting (2.3, Hajek form), and doubly robust (2.4, with a logit score by
maximum likelihood and least squares among controls).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

Adjust = Literal["dr", "regression", "ipw"]

SCORE_MAX = 0.999  # a control this sure to be treated would outweigh a thousand others
NEWTON_STEPS = 50


@dataclass(frozen=True)
class Gap:
    """Adjusted mean differences of M outcomes.

    Parameters
    ----------
    value
        Shape ``(M,)``.
    psi
        Influences, shape ``(n, M)``: the error of ``value`` is about their sum.
    effective_controls
        Kish's effective number of controls under the weights used; the number of controls for
        regression.
    """

    value: np.ndarray
    psi: np.ndarray
    effective_controls: float


@dataclass(frozen=True)
class Score:
    """A fitted logit.

    Parameters
    ----------
    p
        Shape ``(n,)``.
    influence
        Influence of the coefficients, shape ``(n, k)``: their error is about its sum.
    """

    p: np.ndarray
    influence: np.ndarray


def adjusted_gap(
    y: np.ndarray, treated: np.ndarray, x: np.ndarray, w: np.ndarray, how: Adjust
) -> Gap | None:
    """The gap of each outcome column, or ``None`` without overlap.

    Parameters
    ----------
    y
        Outcomes (changes, for a panel), shape ``(n, M)``.
    treated
        0/1, shape ``(n,)``.
    x
        Covariates with a constant first, shape ``(n, k)``.
    w
        Sampling weights, shape ``(n,)``.
    """
    w1, w0 = w * treated, w * (1 - treated)
    residual = y
    slopes: np.ndarray | None = None
    if how != "ipw":
        gram = x.T @ (w0[:, None] * x)
        if np.linalg.matrix_rank(gram, hermitian=True) < x.shape[1]:
            return None
        bread = np.linalg.inv(gram)
        residual = y - x @ (bread @ (x.T @ (w0[:, None] * y)))
        slopes = bread
    mean_1 = w1 @ residual / w1.sum()
    psi = w1[:, None] * (residual - mean_1) / w1.sum()
    reach = w1 @ x / w1.sum()  # how the treated mean moves with the regression's coefficients
    if how == "regression":
        assert slopes is not None
        psi -= (w0 * (x @ (slopes @ reach)))[:, None] * residual
        return Gap(mean_1, psi, _effective(w0))
    score = logit(x, treated, w)
    if score is None or score.p[treated == 0].max() > SCORE_MAX:
        return None
    odds = w0 * score.p / (1 - score.p)
    mean_0 = odds @ residual / odds.sum()
    psi -= odds[:, None] * (residual - mean_0) / odds.sum()
    # d mean_0 / d score coefficients: the odds move by themselves times x.
    by_score = x.T @ (odds[:, None] * (residual - mean_0)) / odds.sum()
    psi -= score.influence @ by_score
    if slopes is not None:
        psi -= (w0 * (x @ (slopes @ (reach - odds @ x / odds.sum()))))[:, None] * residual
    return Gap(mean_1 - mean_0, psi, _effective(odds))


def _effective(weights: np.ndarray) -> float:
    return float(weights.sum() ** 2 / (weights @ weights))


def logit(x: np.ndarray, treated: np.ndarray, w: np.ndarray) -> Score | None:
    """Weighted maximum likelihood by Newton's method; ``None`` when it runs to infinity."""
    scale = np.abs(x).max(axis=0)
    z = x / scale
    beta = np.zeros(z.shape[1])
    for _ in range(NEWTON_STEPS):
        p = special.expit(z @ beta)
        hessian = z.T @ ((w * p * (1 - p))[:, None] * z)
        if np.linalg.cond(hessian) > 1e12:
            return None
        step = np.linalg.solve(hessian, z.T @ (w * (treated - p)))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            p = special.expit(z @ beta)
            hessian = z.T @ ((w * p * (1 - p))[:, None] * z)
            score = (w * (treated - p))[:, None] * z
            return Score(p, score @ np.linalg.inv(hessian) / scale)
        if np.abs(beta).max() > 1e4:
            return None
    return None
