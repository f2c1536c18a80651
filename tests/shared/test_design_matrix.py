"""Covariates become a full-rank matrix, and what was changed is said."""

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.design_matrix import design_matrix, independent_columns
from noholdout_shared.errors import DataError


def test_text_and_booleans_become_indicators_and_are_said() -> None:
    frame = pd.DataFrame(
        {
            "tier": ["light", "heavy", "medium", "light", "heavy", "light"],
            "beta": [True, False, True, True, True, False],
            "week": [1, 2, 3, 9, 4, 7],
        }
    )
    matrix = design_matrix(frame, ["tier", "beta", "week"])
    assert matrix.names == ("tier=light", "tier=medium", "beta=True", "week")
    assert matrix.values[:, 0].tolist() == [1, 0, 0, 1, 0, 1]
    assert matrix.settings == {"indicators": ["tier", "beta"], "dropped_collinear": []}


def test_collinear_and_constant_columns_are_dropped_and_named() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    frame = pd.DataFrame({"a": a, "b": b, "sum": a + 2 * b, "one": 1.0, "a_scaled": 1e6 * a})
    matrix = design_matrix(frame, ["a", "b", "sum", "one", "a_scaled"])
    assert matrix.names == ("a", "b")
    assert matrix.settings["dropped_collinear"] == ["sum", "one", "a_scaled"]


def test_scale_does_not_decide_what_is_collinear() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 3)) * [1e-8, 1, 1e8] + [0, 5, 1e9]
    assert independent_columns(values) == [0, 1, 2]


def test_an_identifier_as_covariate_is_refused() -> None:
    frame = pd.DataFrame({"id": [f"u{i}" for i in range(2000)]})
    with pytest.raises(DataError, match="2,000 different texts"):
        design_matrix(frame, ["id"])
