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
class Side:
    """The treated or the controls of one comparison.

    Parameters
    ----------
    y
        Outcomes (changes, for a panel), shape ``(n, M)``.
    x
        Covariates with a constant first, shape ``(n, k)``.
    w
        Sampling weights, shape ``(n,)``.
    """

    y: np.ndarray
    x: np.ndarray
    w: np.ndarray


@dataclass(frozen=True)
class Gap:
    """Adjusted mean differences of M outcomes.

    Parameters
    ----------
    value
        Shape ``(M,)``.
    psi_treated, psi_control
        Influences of each side's entities, shape ``(n, M)``: the error of ``value`` is about the
        sum of both.
    effective_controls
        Kish's effective number of controls under the weights used; the number of controls for
        regression.
    """

    value: np.ndarray
    psi_treated: np.ndarray
    psi_control: np.ndarray
    effective_controls: float


@dataclass(frozen=True)
class Score:
    """A fitted logit.

    Parameters
    ----------
    treated, control
        Fitted probabilities of each side, shape ``(n,)``.
    bread
        Inverse of the information, shape ``(k, k)``: the coefficients' error is about ``bread``
        times the sum of w (treated - p) x.
    """

    treated: np.ndarray
    control: np.ndarray
    bread: np.ndarray


def adjusted_gap(treated: Side, control: Side, how: Adjust) -> Gap | None:
    """The gap of each outcome column, or ``None`` without overlap."""
    left_1, left_0 = treated.y, control.y
    bread: np.ndarray | None = None
    if how != "ipw":
        weighted = control.w[:, None] * control.x
        gram = control.x.T @ weighted
        if np.linalg.matrix_rank(gram, hermitian=True) < len(gram):
            return None
        bread = np.linalg.inv(gram)
        slopes = bread @ (weighted.T @ control.y)
        left_1, left_0 = treated.y - treated.x @ slopes, control.y - control.x @ slopes
    share_1 = treated.w / treated.w.sum()
    mean_1 = share_1 @ left_1
    reach = share_1 @ treated.x  # how the treated mean moves with the regression's coefficients
    if how == "regression":
        assert bread is not None
        psi_1 = share_1[:, None] * (left_1 - mean_1)
        psi_0 = -(control.w * (control.x @ (bread @ reach)))[:, None] * left_0
        return Gap(mean_1, psi_1, psi_0, _effective(control.w))
    score = logit(treated, control)
    if score is None or score.control.max() > SCORE_MAX:
        return None
    odds = control.w * score.control / (1 - score.control)
    share_0 = odds / odds.sum()
    mean_0 = share_0 @ left_0
    by_odds = share_0[:, None] * control.x
    # d mean_0 / d score coefficients: the odds move by themselves times x.
    moved = by_odds.T @ left_0 - by_odds.sum(axis=0)[:, None] * mean_0
    toward = score.bread @ moved
    pull_1 = (treated.w * (1 - score.treated))[:, None] * treated.x
    psi_1 = share_1[:, None] * (left_1 - mean_1) - pull_1 @ toward
    if bread is None:
        fitted = np.zeros(len(share_0))
    else:
        fitted = control.w * (control.x @ (bread @ (reach - by_odds.sum(axis=0))))
    pull_0 = (control.w * score.control)[:, None] * control.x
    psi_0 = pull_0 @ toward - share_0[:, None] * (left_0 - mean_0) - fitted[:, None] * left_0
    return Gap(mean_1 - mean_0, psi_1, psi_0, _effective(odds))


def _effective(weights: np.ndarray) -> float:
    return float(weights.sum() ** 2 / (weights @ weights))


def logit(treated: Side, control: Side) -> Score | None:
    """Weighted maximum likelihood by Newton's method; ``None`` when it runs to infinity."""
    n_1 = len(treated.w)
    x, w = np.concatenate([treated.x, control.x]), np.concatenate([treated.w, control.w])
    scale = np.abs(x).max(axis=0)
    z = x / scale
    one = np.zeros(len(w))
    one[:n_1] = 1.0
    beta = np.zeros(z.shape[1])
    for _ in range(NEWTON_STEPS):
        p = special.expit(z @ beta)
        hessian = z.T @ ((w * p * (1 - p))[:, None] * z)
        if np.linalg.cond(hessian) > 1e12:
            return None
        step = np.linalg.solve(hessian, z.T @ (w * (one - p)))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            p = special.expit(z @ beta)
            hessian = z.T @ ((w * p * (1 - p))[:, None] * z)
            bread = np.linalg.inv(hessian) / np.outer(scale, scale)
            return Score(p[:n_1], p[n_1:], bread)
        if np.abs(beta).max() > 1e4:
            return None
    return None
