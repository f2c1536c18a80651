"""Models of squared loss on cells: rows with the same features merge into their mean."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone

from noholdout_uplift.estimators.models import LEARNING_RATE, LEAVES, LEAVES_OF, TREES


class OnCells(RegressorMixin, BaseEstimator):
    """A regressor that sees each combination of features once, with the weight of all its rows.

    For a loss of squares that is exact: the weighted mean and the weight hold all that the rows
    would say. ``model`` must take ``sample_weight``, and must not count rows by itself.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray) -> Self:
        """Fit the model to the combinations' weighted means."""
        code, first = distinct(X)
        mass = np.bincount(code, weights=sample_weight)
        mean = np.bincount(code, weights=sample_weight * y) / mass
        self.model_ = clone(self.model).fit(X[first], mean, sample_weight=mass)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Each row's prediction, shape ``(n,)``."""
        code, first = distinct(X)
        return self.model_.predict(X[first])[code]


def distinct(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's combination of values, and the first row that has each."""
    code = np.zeros(len(X), dtype=np.int64)
    for column in X.T:
        value, values = pd.factorize(column)
        code = pd.factorize(code * len(values) + value)[0]
    return code, np.unique(code, return_index=True)[1]


def cells_model(model: str, seed: int) -> OnCells:
    """The named model for cells.

    ``boosting`` grows the same trees as on rows, but asks for a share of the rows' weight in each
    leaf where the other counts rows, and tries every split where the other tries 255.
    """
    if model == "linear":
        from noholdout_uplift.estimators.linear import Linear

        return OnCells(Linear())
    from sklearn.ensemble import GradientBoostingRegressor

    return OnCells(
        GradientBoostingRegressor(
            n_estimators=TREES,
            learning_rate=LEARNING_RATE,
            max_depth=None,
            max_leaf_nodes=LEAVES,
            min_weight_fraction_leaf=1 / LEAVES_OF,
            random_state=seed,
        )
    )
