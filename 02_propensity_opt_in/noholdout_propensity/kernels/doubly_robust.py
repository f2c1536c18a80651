"""Augmented inverse-probability weighting (AIPW): the moment and its influence values.

Every estimand is the ratio ``sum(numerator) / sum(target)`` of one orthogonal moment, written for
a tilt ``h(e)``: ``h/e D (Y - m1) - h/(1-e) (1-D) (Y - m0) + target (m1 - m0)``. For ATE and ATT
it is the efficient score of Hahn (1998) and Robins, Rotnitzky and Zhao (1994); the tilted form
follows Hirano, Imbens and Ridder (2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.designs import blocks
from noholdout_propensity.kernels.nuisance import Nuisance, Sample
from noholdout_propensity.kernels.outcome import LinearFit
from noholdout_propensity.kernels.score import ScoreFit
from noholdout_propensity.kernels.weighting import (
    Effect,
    Estimand,
    own_slopes,
    own_weights,
    target_of,
)

CACHED_ROWS = 8_192  # whose dozen terms stay in the processor's cache
FREE = 0.05  # the least that a row's leverage may leave: beyond, one row is the model


def augmented_effect(
    outcome: np.ndarray,
    treated: np.ndarray,
    nuisance: Nuisance,
    estimand: Estimand,
    rows: np.ndarray,
    normalised: bool = False,
) -> Augmented:
    """The AIPW estimate and its influence values with the nuisance models taken as known.

    ``normalised`` divides each arm's weighted residuals by their own weights' sum in place of the
    target's mass (Robins, Sued, Lei-Gomez and Rotnitzky 2007, section 4).
    """
    n = outcome.size
    m1, m0 = nuisance.mean_treated, nuisance.mean_control
    influence, in_index, in_means = np.empty(n), np.empty(n), np.empty((2, n))
    # Of each arm: its weights' sum, their products with the residuals, the target's predictions.
    sums, mass = np.zeros((2, 3)), 0.0
    for block in blocks(n, CACHED_ROWS):
        d, score = treated[block], nuisance.score[block]
        target = target_of(score, d, estimand, rows[block])
        mass += float(target.sum())
        # A row is in one arm only: its weight there and its residual wait in the outputs.
        heavy, residual = in_means[0, block], influence[block]
        heavy[:] = own_weights(score, d, estimand, rows[block])
        np.subtract(m1[block], m0[block], out=residual)
        residual *= d
        residual += m0[block]
        np.subtract(outcome[block], residual, out=residual)
        missed = heavy * residual
        inside = heavy @ d, missed @ d
        sums[0] += (*inside, target @ m1[block])
        sums[1] += (heavy.sum() - inside[0], missed.sum() - inside[1], target @ m0[block])
    divisors = sums[:, 0] if normalised else np.full(2, mass)
    shifts = sums[:, 1] / divisors
    means = sums[:, 2] / mass + shifts
    estimate = float(means[0] - means[1])
    # Normalised, the residuals' means stand outside the target's average.
    average = float(sums[0, 2] - sums[1, 2]) / mass if normalised else estimate
    for block in blocks(n, CACHED_ROWS):
        d, score, slope = treated[block], nuisance.score[block], nuisance.slope[block]
        heavy, residual = in_means[0, block], influence[block]
        other = 1 - d
        if normalised:
            residual -= shifts[0] * d + shifts[1] * other
        signed = d / divisors[0] - other / divisors[1]
        steep = own_slopes(score, slope, d, estimand)
        steep *= rows[block]
        steep *= signed
        steep *= residual
        heavy *= signed
        residual *= heavy
        share = target_of(score, d, estimand, rows[block] / mass)
        gap = m1[block] - m0[block]
        gap -= average
        if estimand == "ato":
            steep -= 2 * gap * (rows[block] / mass) * (d - score) * slope
        in_index[block] = steep
        gap *= share
        residual += gap
        # Signed weights: a control's is negative, as is the derivative through its mean.
        outside = in_means[1, block]
        np.multiply(heavy, other, out=outside)
        heavy -= outside
        np.subtract(share, heavy, out=heavy)
        outside += share
        np.negative(outside, out=outside)
    influence *= n
    effect = Effect(estimate, influence, float(means[0]), float(means[1]))
    return Augmented(effect, in_index, (in_means[0], in_means[1]))


@dataclass(frozen=True)
class Augmented:
    """An AIPW estimate and its derivatives.

    Parameters
    ----------
    effect
        The estimate with its influence values.
    in_index
        Derivative of the estimate through each row's score index, shape ``(n,)``.
    in_means
        Derivatives through each row's two predicted outcomes, shape ``(n,)`` each.
    """

    effect: Effect
    in_index: np.ndarray
    in_means: tuple[np.ndarray, np.ndarray]


def nuisance_influence(
    sample: Sample,
    full: ScoreFit,
    fits: tuple[LinearFit, LinearFit],
    found: Augmented,
    *,
    leverage: bool = False,
    copies: np.ndarray | None = None,
) -> np.ndarray:
    """What estimating a linear score index and linear outcome models adds, shape ``(n,)``.

    The moment's derivative in each model's coefficients times the coefficients' influence. It
    vanishes when both models are right; keeping it makes the standard error right when only one
    of them is (Robins, Rotnitzky and Zhao 1994; Funk et al. 2011 use the same stacking).

    Parameters
    ----------
    fits
        The outcome models on all rows.
    leverage
        Divide each row's residual by ``sqrt(1 - leverage)`` in its model (the HC2 of MacKinnon
        and White 1985), and leave its own part out of the derivative: with few effective rows the
        plain influence values are too small.
    copies
        Rows that each entry stands for, shape ``(n,)``; ``None`` when entries are rows.
    """
    breads = full.bread, fits[0].bread, fits[1].bread
    derivatives = found.in_index, *found.in_means
    designs = sample.score_design, sample.outcome_design, sample.outcome_design
    pulls = [
        bread @ (design.T @ derivative)
        for design, bread, derivative in zip(designs, breads, derivatives, strict=True)
    ]
    lines = np.array([*pulls[1:], *(fit.coefficients for fit in fits)])
    added = np.empty(sample.outcome.size)
    for block in blocks(added.size, CACHED_ROWS):
        y, d, own = (values[block] for values in (sample.outcome, sample.treated, sample.rows))
        residual, slope = full.residuals(block), full.slopes(block)
        if sample.likelihood_weights is not None:
            residual = residual * sample.likelihood_weights[block]
            slope = slope * sample.likelihood_weights[block]
        x = sample.score_design[block].T
        z = x if sample.shared else sample.outcome_design[block].T
        along1, along0, predicted1, predicted0 = lines @ z
        inside, outside = own * d, own * (1 - d)
        terms = (
            (x, pulls[0] @ x, residual, slope),
            (z, along1, inside * (y - predicted1), inside),
            (z, along0, outside * (y - predicted0), outside),
        )
        each = None if copies is None else copies[block]
        parts = []
        for term, bread, derivative in zip(terms, breads, derivatives, strict=True):
            if leverage:
                parts.append(_without_itself(*term, bread, derivative[block], each))
            else:
                parts.append(term[1] * term[2])
        added[block] = sum(parts)
    added *= added.size
    return added


def _without_itself(
    columns: np.ndarray,
    along: np.ndarray,
    residual: np.ndarray,
    curvature: np.ndarray,
    bread: np.ndarray,
    derivative: np.ndarray,
    copies: np.ndarray | None,
) -> np.ndarray:
    """Some rows' influence on a moment through a linear index, scaled by their leverage, ``(n,)``.

    Parameters
    ----------
    columns
        The design's, shape ``(k, n)``.
    along
        The moment's derivative in the coefficients, times the bread, times each row.
    residual, curvature
        Weights included: row i adds ``residual[i] x[i]`` to the model's gradient and
        ``curvature[i] x[i] x[i]'`` to its hessian.
    derivative
        Row i's part ``derivative[i] x[i]`` of the moment's derivative in the coefficients.
    """
    parts = bread @ columns
    parts *= columns
    distance = parts.sum(axis=0)
    if copies is not None:  # a row's own part is a share of its entry's
        distance /= copies
    along = along - derivative * distance
    along *= residual
    distance *= curvature
    np.subtract(1, distance, out=distance)
    np.maximum(distance, FREE, out=distance)
    along /= np.sqrt(distance, out=distance)
    return along
