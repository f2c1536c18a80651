"""What must not change the answer, what must, and where estimators must agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from did.simulate import cross_sections, panel
from noholdout_did import estimate

ARGS = {"outcome": "y", "time": "t", "first_treated": "g"}
DATA = panel(11)


def test_order_of_rows_and_labels_do_not_matter() -> None:
    found = estimate(DATA, **ARGS, unit="unit")
    shuffled = DATA.sample(frac=1, random_state=1)
    renamed = shuffled.assign(unit="u" + shuffled["unit"].astype(str))
    other = estimate(renamed, **ARGS, unit="unit")
    assert other.estimate == pytest.approx(found.estimate, abs=1e-12)
    assert other.std_error == pytest.approx(found.std_error, rel=1e-10)


def test_unit_levels_period_shocks_and_scale() -> None:
    found = estimate(DATA, **ARGS, unit="unit")
    moved = DATA.assign(y=3 * (DATA["y"] + 100 * DATA["unit"] + DATA["t"] ** 2))
    other = estimate(moved, **ARGS, unit="unit")
    assert other.estimate == pytest.approx(3 * found.estimate, abs=1e-8)
    assert other.std_error == pytest.approx(3 * found.std_error, rel=1e-8)


def test_a_shift_of_one_treated_wave_after_launch_shifts_its_effects_only() -> None:
    found = estimate(DATA, **ARGS, unit="unit", control_group="never-treated")
    moved = DATA.assign(y=DATA["y"] + 2.5 * ((DATA["g"] == 5) & (DATA["t"] >= 5)))
    other = estimate(moved, **ARGS, unit="unit", control_group="never-treated")
    shift = other.tables["group_time"]["estimate"] - found.tables["group_time"]["estimate"]
    table = found.tables["group_time"]
    want = np.where((table["cohort"] == 5) & (table["time"] >= 5), 2.5, 0.0)
    np.testing.assert_allclose(shift, want, atol=1e-12)


def test_dates_texts_and_numbers_give_one_answer() -> None:
    found = estimate(DATA, **ARGS, unit="unit")
    month = {t: pd.Timestamp(2024, t, 1) for t in range(1, 9)}
    dated = DATA.assign(t=DATA["t"].map(month), g=DATA["g"].map(month))
    as_dates = estimate(dated, **ARGS, unit="unit")
    text = dated.assign(t=dated["t"].dt.strftime("%Y-%m"), g=dated["g"].dt.strftime("%Y-%m"))
    as_texts = estimate(text, **ARGS, unit="unit")
    assert as_dates.estimate == pytest.approx(found.estimate, abs=1e-12)
    assert as_texts.estimate == pytest.approx(found.estimate, abs=1e-12)
    assert as_dates.to_dict()["tables"]["group_time"][0]["cohort"] == "2024-03-01"
    assert as_texts.to_dict()["tables"]["group_time"][0]["cohort"] == "2024-03"
    assert found.to_dict()["tables"]["group_time"][0]["cohort"] == 3


def test_polars_and_files_give_one_answer(tmp_path: object) -> None:
    found = estimate(DATA, **ARGS, unit="unit")
    path = f"{tmp_path}/panel.csv"
    DATA.to_csv(path, index=False)
    for other in (pl.from_pandas(DATA), path):
        assert estimate(other, **ARGS, unit="unit").estimate == pytest.approx(found.estimate)


def test_every_kind_of_never_treated_is_counted_and_means_the_same() -> None:
    found = estimate(DATA, **ARGS, unit="unit")
    coded = DATA.copy()
    never = coded["g"].isna()
    for unit, value in ((20, 0.0), (21, np.inf), (22, 99.0)):
        coded.loc[never & (coded["unit"] == unit), "g"] = value
    other = estimate(coded, **ARGS, unit="unit")
    assert other.estimate == pytest.approx(found.estimate, abs=1e-12)
    counts = {k: v for k, v in other.settings.items() if k.startswith("units_never")}
    assert counts == {
        "units_never_empty": 7,
        "units_never_infinite": 1,
        "units_never_zero": 1,
        "units_never_after_last_period": 1,
    }


def test_always_treated_units_are_left_out_and_counted() -> None:
    found = estimate(DATA, **ARGS, unit="unit")
    extra = DATA[DATA["unit"] < 4].assign(unit=lambda d: d["unit"] + 1000, g=1.0)
    other = estimate(pd.concat([DATA, extra]), **ARGS, unit="unit")
    assert other.estimate == pytest.approx(found.estimate, abs=1e-12)
    assert other.std_error == pytest.approx(found.std_error, rel=1e-12)
    assert other.settings["units_always_treated"] == 4


def test_the_input_is_not_mutated_and_the_seed_decides() -> None:
    before = DATA.copy(deep=True)
    first = estimate(DATA, **ARGS, unit="unit", inference="bootstrap", seed=3)
    again = estimate(DATA, **ARGS, unit="unit", inference="bootstrap", seed=3)
    other = estimate(DATA, **ARGS, unit="unit", inference="bootstrap", seed=4)
    pd.testing.assert_frame_equal(DATA, before)
    assert first.to_dict() == again.to_dict()
    assert first.conf_high != other.conf_high
    assert first.estimate == other.estimate


def test_base_period_moves_leads_but_not_effects() -> None:
    varying = estimate(DATA, **ARGS, unit="unit").tables["event_study"]
    universal = estimate(DATA, **ARGS, unit="unit", base_period="universal").tables["event_study"]
    merged = varying.merge(universal, on="event_time", suffixes=("_v", "_u"))
    post = merged["event_time"] >= 0
    np.testing.assert_allclose(merged["estimate_v"][post], merged["estimate_u"][post], atol=1e-12)
    assert (merged["estimate_v"][~post] - merged["estimate_u"][~post]).abs().max() > 0.01


def test_anticipation_moves_the_base() -> None:
    early = DATA.assign(y=DATA["y"] + 5.0 * (DATA["t"] == DATA["g"] - 1))
    naive = estimate(early, **ARGS, unit="unit")
    allowed = estimate(early, **ARGS, unit="unit", anticipation=1)
    clean = estimate(DATA, **ARGS, unit="unit", anticipation=1)
    # Early reaction in the base period hides 5 of the effect; allowing for it recovers it.
    assert naive.estimate < 1.0 - 3.0
    assert naive.check("anticipation").status != "pass"
    assert allowed.estimate == pytest.approx(clean.estimate, abs=1e-12)


def test_one_wave_makes_group_time_two_by_two_when_windows_are_single() -> None:
    two = DATA[DATA["t"].isin([2, 3]) & (DATA["g"] != 5)]
    first = estimate(two, **ARGS, unit="unit")
    second = estimate(two, **ARGS, unit="unit", estimator="two-by-two")
    assert first.estimate == pytest.approx(second.estimate, abs=1e-12)
    assert first.std_error == pytest.approx(second.std_error, rel=1e-10)


def test_two_by_two_and_group_time_must_differ_when_the_base_period_is_odd() -> None:
    # The two-by-two averages over all pre-periods, group-time stands on the last one.
    odd = DATA.assign(y=DATA["y"] + 4.0 * ((DATA["g"] == 3) & (DATA["t"] == 2)))
    gt = estimate(odd, **ARGS, unit="unit", aggregate="group").tables["aggregate"]["estimate"][0]
    box = estimate(odd, **ARGS, unit="unit", estimator="two-by-two").estimate
    assert box - gt > 1.0


def test_bands_hold_every_point_interval() -> None:
    table = estimate(DATA, **ARGS, unit="unit").tables["event_study"]
    assert (table["band_low"] <= table["conf_low"]).all()
    assert (table["band_high"] >= table["conf_high"]).all()


def test_everything_becomes_json() -> None:
    import json

    for data, options in ((DATA, {"unit": "unit"}), (cross_sections(2), {"cluster": "workspace"})):
        json.dumps(estimate(data, **ARGS, **options).to_dict(), allow_nan=False)
