"""The jump at the cutoff: conventional and bias-corrected, as weights on the outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from noholdout_rdd.kernels.local import (
    DEFAULT,
    LocalFit,
    Spec,
    covariate_mix,
    jump_variance,
    local_fit,
    residuals,
)
from noholdout_rdd.kernels.side import Side


@dataclass(frozen=True)
class Jump:
    """Right limit minus left limit at the cutoff, as a linear function of the outcomes.

    Parameters
    ----------
    weights
        Weights on the nearest rows of the left (negative) and of the right side.
    estimate
        The jump in the outcome that the weights were applied to.
    measure
        Gives the estimate's variance; called when it is first asked for.
    """

    weights: tuple[np.ndarray, np.ndarray]
    estimate: float
    measure: Callable[[], float]

    @cached_property
    def variance(self) -> float:
        """Of the estimate."""
        return self.measure()

    @property
    def std_error(self) -> float:
        """Standard error."""
        return float(np.sqrt(self.variance))


@dataclass(frozen=True)
class JumpPair:
    """The conventional and the bias-corrected jump from the same rows.

    Parameters
    ----------
    conventional
        Local polynomial of degree p at bandwidth h.
    corrected
        Minus its estimated leading bias; its variance counts the bias estimate's own noise
        (the robust variance of Calonico, Cattaneo and Titiunik 2014, theorem 1).
    mix
        ``(1, -gamma)``: the outcome minus its covariate adjustment.
    n_h, n_b
        Entries of the sides within h and within b, left and right.
    """

    conventional: Jump
    corrected: Jump
    mix: np.ndarray
    n_h: tuple[int, int]
    n_b: tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """The fits within h and within b, left and right, and the jumps' weights that they give.

    They follow from the scores and sampling weights alone, whatever the values.
    """

    main: list[LocalFit]
    wide: list[LocalFit]
    plain: list[np.ndarray]
    corrected: list[np.ndarray]


def fit_windows(
    sides: tuple[Side, Side], h: tuple[float, float], b: tuple[float, float], spec: Spec = DEFAULT
) -> Windows:
    """Fit both windows on both sides.

    Raises
    ------
    SparseWindow
        A bandwidth holds too few rows.
    """
    degree, kernel = spec.degree, spec.kernel
    main = [local_fit(s, width, degree, kernel) for s, width in zip(sides, h, strict=True)]
    wide = [local_fit(s, width, degree + 1, kernel) for s, width in zip(sides, b, strict=True)]
    plain, corrected = [], []
    for sign, fit, bias_fit in zip((-1.0, 1.0), main, wide, strict=True):
        conventional, robust = _weights(fit, bias_fit, degree)
        plain.append(sign * conventional)
        corrected.append(sign * robust)
    return Windows(main, wide, plain, corrected)


def jump_pair(
    sides: tuple[Side, Side],
    h: tuple[float, float],
    b: tuple[float, float],
    spec: Spec = DEFAULT,
    windows: Windows | None = None,
) -> JumpPair:
    """Estimate the jump in ``values[0]``, the other values being covariates.

    ``windows``: what :func:`fit_windows` gives, where it is known.
    """
    at = fit_windows(sides, h, b, spec) if windows is None else windows
    mix = covariate_mix(sides, at.main)
    return JumpPair(
        _jump(sides, at.plain, mix, at.main, spec),
        _jump(sides, at.corrected, mix, at.wide, spec),
        mix,
        (at.main[0].n, at.main[1].n),
        (at.wide[0].n, at.wide[1].n),
    )


def _weights(fit: LocalFit, bias_fit: LocalFit, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the level at the cutoff on one side, without and with bias correction."""
    n = max(fit.n, bias_fit.n)
    conventional = np.zeros(n)
    conventional[: fit.n] = fit.weights(0)
    corrected = conventional.copy()
    leading = fit.leading_bias(0) * fit.bandwidth ** (degree + 1)
    corrected[: bias_fit.n] -= leading * bias_fit.weights(degree + 1)
    return conventional, corrected


def _jump(
    sides: tuple[Side, Side],
    weights: list[np.ndarray],
    mix: np.ndarray,
    fits: list[LocalFit],
    spec: Spec,
) -> Jump:
    estimate = 0.0
    for side, weight in zip(sides, weights, strict=True):
        estimate += float(mix @ (side.values[:, : weight.size] @ weight))

    def variance() -> float:
        noise = [
            mix @ residuals(side, weight.size, fit, spec.variance)
            for side, weight, fit in zip(sides, weights, fits, strict=True)
        ]
        return jump_variance(sides, weights, noise, fits[0].degree, spec.cluster_sums)

    return Jump((weights[0], weights[1]), estimate, variance)
