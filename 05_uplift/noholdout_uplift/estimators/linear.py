"""Least squares that looks at features of any unit."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.linear_model import LinearRegression

ORDINARY = 20  # powers of two on either side of 1 within which a standard deviation is left alone


class Linear(LinearRegression):
    """scikit-learn's least squares, which leaves out directions far smaller than the largest.

    So a time in nanoseconds would silence a share. Columns of such spread are taken in units of
    their own, a power of two, which rounds nothing.
    """

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: Any = None) -> Self:
        """Fit in these units."""
        spread = X.std(axis=0)
        power = np.round(np.log2(np.where(spread > 0, spread, 1.0)))
        self.unit_ = np.exp2(np.where(np.abs(power) > ORDINARY, power, 0.0))
        return super().fit(X / self.unit_, y, sample_weight)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The fitted plane."""
        return super().predict(X / self.unit_)
