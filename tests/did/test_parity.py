"""Published and re-run numbers on real data."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from noholdout_did import estimate
from reference import expected, reference_file


@pytest.fixture(scope="module")
def mpdta() -> pd.DataFrame:
    return pd.read_csv(reference_file("mpdta.csv"))


def on_mpdta(data: pd.DataFrame, **options: Any) -> Any:
    given = {"control_group": "never-treated", **options}
    return estimate(
        data, outcome="lemp", time="year", unit="countyreal", first_treated="first_treat", **given
    )


# The references print six decimals, hence 1e-6 (half a unit in the last place, doubled).
SIX = 1e-6


def test_mpdta_cells(mpdta: pd.DataFrame) -> None:
    table = on_mpdta(mpdta).tables["group_time"]
    want = expected("mpdta")
    assert len(table) == 12
    for row in table.itertuples():
        assert row.estimate == pytest.approx(
            want[f"att_gt_nocov_{row.cohort}_{row.time}"]["value"], abs=SIX
        )
        assert row.std_error == pytest.approx(
            want[f"se_gt_nocov_{row.cohort}_{row.time}"]["value"], abs=SIX
        )


@pytest.mark.parametrize(
    ("aggregate", "name"),
    [
        ("simple", "simple"),
        ("event", "dynamic_overall"),
        ("group", "group_overall"),
        ("calendar", "calendar_overall"),
    ],
)
def test_mpdta_aggregates(mpdta: pd.DataFrame, aggregate: str, name: str) -> None:
    found = on_mpdta(mpdta, aggregate=aggregate)
    want = expected("mpdta")
    assert found.estimate == pytest.approx(want[f"{name}_att_nocov"]["value"], abs=SIX)
    assert found.std_error == pytest.approx(want[f"{name}_se_nocov"]["value"], abs=SIX)


def test_mpdta_event_study_and_pre_test(mpdta: pd.DataFrame) -> None:
    found = on_mpdta(mpdta)
    want = expected("mpdta")
    for row in found.tables["event_study"].itertuples():
        assert row.estimate == pytest.approx(want[f"es_e{row.event_time}_nocov"]["value"], abs=SIX)
        assert row.std_error == pytest.approx(
            want[f"es_e{row.event_time}_se_nocov"]["value"], abs=SIX
        )
    wald = found.tables["pre_tests"].set_index("test").loc["all leads, Wald"]
    assert wald["statistic"] == pytest.approx(7.79124, abs=1e-5)
    assert wald["p_value"] == pytest.approx(0.168122, abs=SIX)


def test_mpdta_balanced_event_study(mpdta: pd.DataFrame) -> None:
    found = on_mpdta(mpdta, aggregate="event", balance=1)
    want = expected("mpdta")["dynamic_balance_e1_overall"]["value"]
    assert found.estimate == pytest.approx(want, abs=SIX)
    assert found.std_error == pytest.approx(0.013686, abs=SIX)


def test_mpdta_not_yet_treated(mpdta: pd.DataFrame) -> None:
    want = expected("mpdta")
    found = on_mpdta(mpdta, control_group="not-yet-treated")
    assert found.estimate == pytest.approx(want["simple_att_notyet_nocov"]["value"], abs=SIX)
    first = found.tables["group_time"].iloc[0]["estimate"]
    assert first == pytest.approx(want["att_2004_2004_notyet_nocov"]["value"], abs=SIX)
    event = on_mpdta(mpdta, control_group="not-yet-treated", aggregate="event")
    assert event.estimate == pytest.approx(want["dynamic_overall_notyet_nocov"]["value"], abs=SIX)


@pytest.mark.parametrize("control", ["never-treated", "not-yet-treated"])
def test_castle(control: str) -> None:
    data = pd.read_csv(reference_file("castle.csv"))
    args = {"outcome": "l_homicide", "time": "year", "unit": "sid", "first_treated": "effyear"}
    found = estimate(data, **args, control_group=control)
    want = expected("castle")
    name = "cs_simple_never" if control == "never-treated" else "cs_simple_notyet"
    assert found.estimate == pytest.approx(want[name]["value"], abs=SIX)
    assert found.std_error == pytest.approx(want[f"{name}_se"]["value"], abs=SIX)
    # Two of its waves are single states: no standard error can be trusted.
    assert found.verdict == "do-not-use"
    if control == "never-treated":
        event = estimate(data, **args, control_group=control, aggregate="event")
        assert event.estimate == pytest.approx(want["cs_dynamic_overall_never"]["value"], abs=SIX)
        waves = estimate(data, **args, control_group=control, aggregate="group").tables["aggregate"]
        by = {str(k): v for k, v in zip(waves["cohort"], waves["estimate"], strict=True)}
        assert by == pytest.approx(want["cs_group_never"]["value"], abs=SIX)


def test_organ_donations() -> None:
    data = pd.read_csv(reference_file("organ_donations.csv"))
    data["first"] = data["State"].map(lambda s: 4 if s == "California" else None)
    args = {"outcome": "Rate", "time": "Quarter_Num", "unit": "State", "first_treated": "first"}
    want = expected("organ_donations")
    found = estimate(data, **args, estimator="two-by-two")
    assert found.estimate == pytest.approx(want["did"]["value"], abs=SIX)
    assert found.verdict == "do-not-use"  # one treated state
    study = estimate(data, **args, base_period="universal").tables["event_study"]
    # event time 0 is quarter 4; the reference leaves out quarter 3
    by = dict(zip(study["event_time"] + 4, study["estimate"], strict=True))
    for quarter, value in want["event_study_ref3"]["value"].items():
        assert by[int(quarter)] == pytest.approx(value, abs=SIX)
    assert by[3] == 0.0


def test_organ_donations_standard_errors() -> None:
    """The reference counts period effects as parameters: 1 + 6 here, 5 + 6 in its event study."""
    data = pd.read_csv(reference_file("organ_donations.csv"))
    data["first"] = data["State"].map(lambda s: 4 if s == "California" else None)
    args = {"outcome": "Rate", "time": "Quarter_Num", "unit": "State", "first_treated": "first"}
    want = expected("organ_donations")
    n, clusters = len(data), data["State"].nunique()
    found = estimate(data, **args, estimator="twfe")
    assert found.estimate == pytest.approx(want["did"]["value"], abs=SIX)
    counted = ((n - 2) / (n - 7)) ** 0.5  # ours counts the intercept and the coefficient
    assert found.std_error * counted == pytest.approx(
        want["did_se_cluster_state"]["value"], abs=SIX
    )
    # The only treated state fits its event study exactly, so the errors are the 26 others'; below
    # 40 units ours are corrected by 26 / 25, the reference's by G / (G - 1) and (n - 1) / (n - 11).
    study = estimate(data, **args, base_period="universal").tables["event_study"]
    by = dict(zip(study["event_time"] + 4, study["std_error"], strict=True))
    factor = (25 / 26 * clusters / (clusters - 1) * (n - 1) / (n - 11)) ** 0.5
    for quarter, value in want["event_study_se"]["value"].items():
        assert by[int(quarter)] * factor == pytest.approx(value, abs=SIX)


@pytest.mark.parametrize(("adjust", "name"), [("dr", "dr"), ("regression", "reg"), ("ipw", "ipw")])
def test_mpdta_with_a_covariate(mpdta: pd.DataFrame, adjust: str, name: str) -> None:
    found = on_mpdta(mpdta, covariates=["lpop"], adjust=adjust)
    want = expected("mpdta")
    assert found.estimate == pytest.approx(want[f"{name}_lpop_never_simple"]["value"], abs=SIX)
    assert found.std_error == pytest.approx(want[f"{name}_lpop_never_simple_se"]["value"], abs=SIX)
    table = found.tables["group_time"].set_index(["cohort", "time"])
    for year in (2004, 2005, 2006, 2007):
        key = f"{name}_lpop_never_2004_{year}"
        assert table.loc[(2004, year), "estimate"] == pytest.approx(want[key]["value"], abs=SIX)
        assert table.loc[(2004, year), "std_error"] == pytest.approx(
            want[f"{key}_se"]["value"], abs=SIX
        )


def test_two_way_fixed_effects_and_its_decomposition(mpdta: pd.DataFrame) -> None:
    castle = pd.read_csv(reference_file("castle.csv"))
    args = {"outcome": "l_homicide", "time": "year", "unit": "sid", "first_treated": "effyear"}
    ours = {
        "mpdta": on_mpdta(mpdta, estimator="twfe", control_group="not-yet-treated"),
        "castle": estimate(castle, **args, estimator="twfe"),
        "weighted": estimate(castle, **args, estimator="twfe", weights="popwt"),
    }
    names = {
        "mpdta": ("mpdta", "twfe_post", "twfe_post_se_cluster"),
        "castle": ("castle", "twfe_unweighted", "twfe_unweighted_se_cluster_sid"),
        "weighted": ("castle", "twfe_popweighted", "twfe_popweighted_se"),
    }
    for key, (data_set, value, error) in names.items():
        want = expected(data_set)
        assert ours[key].estimate == pytest.approx(want[value]["value"], abs=SIX)
        assert ours[key].std_error == pytest.approx(want[error]["value"], abs=SIX)
    for key in ("mpdta", "castle"):
        table = ours[key].tables["bacon"].set_index("comparison")
        for kind, (weight, value) in expected(key)["bacon"]["value"].items():
            assert table.loc[kind, "weight"] == pytest.approx(weight, abs=SIX)
            assert table.loc[kind, "estimate"] == pytest.approx(value, abs=SIX)
        pairs = ours[key].tables["bacon_pairs"]
        assert pairs["weight"] @ pairs["estimate"] == pytest.approx(ours[key].estimate, abs=1e-12)


def test_sun_abraham_is_group_time_against_the_never_treated(mpdta: pd.DataFrame) -> None:
    found = on_mpdta(mpdta, estimator="sun-abraham", control_group="not-yet-treated")
    never = on_mpdta(mpdta, base_period="universal")
    pd.testing.assert_frame_equal(found.tables["group_time"], never.tables["group_time"])


def test_imputation_on_mpdta(mpdta: pd.DataFrame) -> None:
    # R's didimputation prints -0.0477 (0.0132) for its static effect.
    found = on_mpdta(mpdta, estimator="imputation", control_group="not-yet-treated")
    assert found.estimate == pytest.approx(-0.0477, abs=5e-5)
    assert found.std_error == pytest.approx(0.0132, abs=5e-5)
