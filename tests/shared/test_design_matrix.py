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


def plain_independent(values: np.ndarray) -> list[int]:
    """One column after the other against those kept, by an orthogonal basis."""
    kept: list[int] = []
    basis: list[np.ndarray] = []
    for j, column in enumerate((values - values.mean(axis=0)).T):
        if np.linalg.norm(column) <= 1e-9 * np.linalg.norm(values[:, j]):
            continue
        rest = column / np.linalg.norm(column)
        for _ in range(2):  # once more for the digits that the first round lost
            for direction in basis:
                rest = rest - (direction @ rest) * direction
        if np.linalg.norm(rest) > 1e-9:
            kept.append(j)
            basis.append(rest / np.linalg.norm(rest))
    return kept


@pytest.mark.parametrize("apart", [0.0, 1e-12, 1e-7, 1e-3, 1.0])
def test_nearly_collinear_columns_are_told_apart_whatever_the_blocks(monkeypatch, apart) -> None:
    rng = np.random.default_rng(0)
    a, b, noise = rng.normal(size=(3, 300))
    values = np.column_stack([a, 1e6 + b, a - 2 * b + apart * noise, np.full(300, 0.1), b**2])
    whole = independent_columns(values)
    assert whole == plain_independent(values) == ([0, 1, 2, 4] if apart > 1e-9 else [0, 1, 4])
    monkeypatch.setattr("noholdout_shared.design_matrix.BLOCK", 64)
    assert independent_columns(values) == whole


def test_a_covariate_whose_variation_is_lost_is_refused_and_a_rounded_constant_isnt() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200)})
    frame["far"] = frame["a"] + 1e12
    frame["sum"] = np.where(frame["a"] > 0, 0.1 + 0.2, 0.3)
    with pytest.raises(DataError, match=r"'far' varies by .* around 1e\+12: in its 9th digit"):
        design_matrix(frame, ["a", "far"])
    assert design_matrix(frame, ["a", "sum"]).settings["dropped_collinear"] == ["sum"]
