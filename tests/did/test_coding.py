"""Codes without a hash table: the same as sorting the values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from did.simulate import panel
from noholdout_did import estimate
from noholdout_did.coding import counted, distinct, period_codes

ARGS = {"outcome": "y", "time": "t", "first_treated": "g", "unit": "unit"}


@pytest.mark.parametrize("dtype", ["int64", "int16", "uint8", "float64"])
def test_small_whole_numbers_are_coded_as_by_sorting(dtype: str) -> None:
    values = pd.Series(np.random.default_rng(1).choice([3, 9, 40, 41], 500)).astype(dtype)
    found = counted(values)
    assert found is not None
    labels, coded = np.unique(values, return_inverse=True)
    assert found[0].tolist() == coded.tolist()
    assert found[1].tolist() == labels.tolist() and found[1].dtype == values.dtype


def test_empty_is_minus_one_and_the_rest_falls_back() -> None:
    coded, labels = distinct(pd.Series([5.0, np.nan, -2.0, 5.0]))
    assert coded.tolist() == [1, -1, 0, 1] and labels.tolist() == [-2.0, 5.0]
    for values in ([1.5, 2.0], [np.inf, 2.0], [np.nan, np.nan], [0.0, 1e9], ["a", "b"]):
        assert counted(pd.Series(values)) is None
    days = pd.DataFrame({"t": pd.to_datetime(["2024-01-02", "2024-01-01"])})
    assert period_codes(days, "t")[0].tolist() == [1, 0]


def test_shifted_wide_and_dated_periods_give_the_same_answer() -> None:
    data = panel(2)
    plain = estimate(data, **ARGS)
    wide = data.assign(t=data["t"] * 1e7, g=data["g"] * 1e7)
    dated = data.assign(
        t=pd.Timestamp("2024-01-01") + pd.to_timedelta(data["t"], "D"),
        g=pd.Timestamp("2024-01-01") + pd.to_timedelta(data["g"], "D"),
    )
    for other in (wide, dated, data.assign(t=data["t"] - 100, g=data["g"] - 100)):
        found = estimate(other, **ARGS)
        assert (found.estimate, found.std_error) == (plain.estimate, plain.std_error)


def test_hint_is_what_imputation_finds() -> None:
    """On a balanced panel, wave effects predict what unit effects do."""
    data = panel(3, launches=(11, np.nan), per_wave=40, periods=14)
    found = estimate(data, **ARGS)
    other = estimate(data, **ARGS, estimator="imputation")
    assert other.std_error < 0.8 * found.std_error
    assert found.hint.startswith("--estimator imputation could find")
    assert found.settings["hint"] == found.hint
    said = float(found.hint.split("could find ")[1].split(":")[0])
    assert said == pytest.approx(other.smallest_effect, rel=0.1)
    short = panel(3, launches=(2, np.nan), per_wave=40, periods=4)
    assert estimate(short, **ARGS).hint == ""
    assert "imputation" in found.summary()
