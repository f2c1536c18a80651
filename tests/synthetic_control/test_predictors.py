"""Predictors with importances: published numbers of two classics, and bad requests."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError
from noholdout_synthetic_control import estimate
from noholdout_synthetic_control.kernels.predictors import Importance, PredictorProblem
from noholdout_synthetic_control.panel import Panel, read_panel
from noholdout_synthetic_control.predictor_columns import read_predictors
from reference import expected, reference_file
from synthetic_control.worlds import COLUMNS, launch_frame

SMOKING = {
    "outcome": "cigsale",
    "unit": "state",
    "time": "year",
    "treated": ["California"],
    "start": 1989,
    "estimator": "classic",
    "predictors": [
        "lnincome@1980..1988",
        "retprice@1980..1988",
        "age15to24@1980..1988",
        "beer@1984..1988",
        "cigsale@1975",
        "cigsale@1980",
        "cigsale@1988",
    ],
}
BALANCE = {
    "lnincome@1980..1988": "ln_income",
    "retprice@1980..1988": "ret_price",
    "age15to24@1980..1988": "youth",
    "beer@1984..1988": "beer",
    "cigsale@1975": "cig1975",
    "cigsale@1980": "cig1980",
    "cigsale@1988": "cig1988",
}


def fitted(
    frame: pd.DataFrame, columns: dict, importance: Importance
) -> tuple[Panel, PredictorProblem]:
    """The problem alone, without the placebos that a search makes slow."""
    keys = ("outcome", "unit", "time", "treated", "start")
    panel = read_panel(frame, **{k: columns[k] for k in keys})
    found = read_predictors(frame, panel, columns["predictors"], columns["unit"], columns["time"])
    return panel, PredictorProblem(panel.outcomes, panel.n_pre, found.values, importance)


def test_california_as_published() -> None:
    frame = pd.read_csv(reference_file("smoking_prop99.csv"))
    known = expected("smoking_prop99")
    panel, problem = fitted(frame, SMOKING, "search")
    fit = problem.fit(panel.target, panel.donors)
    weights = pd.Series(fit.weights, panel.units[panel.donors])
    published = known["weights_published"]
    for state, weight in published["value"].items():
        # Published to three digits; the search ends within 0.002 of them, 0.05 is allowed.
        assert weights[state] == pytest.approx(weight, abs=0.005)
    assert weights.drop(list(published["value"])).max() < 0.005
    # A better fit than at the published weights, and the same gap.
    misfit = float((fit.gap[:19] ** 2).mean())
    assert misfit <= known["pre_mspe_at_published_weights"]["value"]
    gap = known["mean_gap_1989_2000_at_published_weights"]["value"]
    assert fit.effect == pytest.approx(gap, abs=0.02)
    last = known["gap_2000_at_published_weights"]["value"]
    assert fit.gap[-1] == pytest.approx(last, abs=0.02)
    ratio = float((fit.gap[19:] ** 2).mean()) / misfit
    placebo = known["placebo_mspe_ratio_california"]
    assert ratio == pytest.approx(placebo["value"], abs=placebo["tolerance"])
    balance = known["balance_at_fit"]
    synthetic = fit.weights @ problem.predictors[panel.donors]
    for name, value in zip(SMOKING["predictors"], synthetic, strict=True):
        assert value == pytest.approx(balance["value"][BALANCE[name]], abs=balance["tolerance"])


@pytest.mark.slow
def test_california_is_first_of_39() -> None:
    """38 searches, about half a minute: the published placebo p-value."""
    frame = pd.read_csv(reference_file("smoking_prop99.csv"))
    known = expected("smoking_prop99")["placebo_p"]
    found = estimate(frame, **SMOKING)
    p_value = found.settings["placebo_p_rmspe"]
    assert p_value == pytest.approx(known["value"], abs=known["tolerance"])


@pytest.fixture(scope="module")
def basque() -> tuple[pd.DataFrame, dict]:
    frame = pd.read_csv(reference_file("basque.csv"))
    levels = ("illit", "prim", "med", "high", "post.high")
    # Sectors stand in the odd years only, so that a window of all years means those.
    sectors = [f"{c}@1961..1969" for c in frame.columns if c.startswith("sec.")]
    columns = {
        "outcome": "gdpcap",
        "unit": "regionname",
        "time": "year",
        "treated": ["Basque Country (Pais Vasco)"],
        "start": 1970,
        "predictors": [
            *[f"school.{level}@1964..1969" for level in levels],
            "invest@1964..1969",
            "gdpcap@1960..1969",
            *sectors,
            "popdens@1969",
        ],
    }
    return frame[frame["year"] >= 1960], columns


def test_basque_as_published(basque: tuple[pd.DataFrame, dict]) -> None:
    known = expected("basque")
    panel, problem = fitted(*basque, "search")
    fit = problem.fit(panel.target, panel.donors)
    weights = pd.Series(fit.weights, panel.units[panel.donors])
    for region, weight in known["weights"]["value"].items():
        assert weights[region] == pytest.approx(weight, abs=known["weights"]["tolerance"])
    gap = pd.Series(fit.gap, panel.times)
    for name, value in (
        ("att_1975_1997", gap.loc[1975:].mean()),
        ("gap_1997", gap.loc[1997]),
        ("loss_mspe_1960_69", (gap.loc[:1969] ** 2).mean()),
    ):
        assert value == pytest.approx(known[name]["value"], abs=known[name]["tolerance"])


@pytest.mark.slow
def test_basque_placebo_rank(basque: tuple[pd.DataFrame, dict]) -> None:
    """17 searches; the published rank compares 1975-97 with 1955-74, beyond the fitted years."""
    known = expected("basque")["placebo_p"]
    panel, problem = fitted(*basque, "search")
    frame = pd.read_csv(reference_file("basque.csv"))
    paths = frame.pivot(index="regionname", columns="year", values="gdpcap").loc[panel.units]
    outcomes, years = paths.to_numpy(), paths.columns.to_numpy()
    ratios = []
    for unit in range(panel.units.size):
        donors = np.setdiff1d(panel.donors, [unit])
        weights = problem.fit(np.eye(panel.units.size)[unit], donors).weights
        gap = outcomes[unit] - weights @ outcomes[donors]
        ratios.append((gap[years >= 1975] ** 2).mean() / (gap[years < 1975] ** 2).mean())
    own = ratios[int(np.flatnonzero(panel.treated)[0])]
    rank = np.mean(np.array(ratios) >= own)
    assert rank == pytest.approx(known["value"], abs=known["tolerance"])


def test_the_front_function_shows_the_balance(basque: tuple[pd.DataFrame, dict]) -> None:
    found = estimate(basque[0], **basque[1], estimator="classic", importance="regression")
    table = found.tables["predictors"].set_index("predictor")
    assert table["importance"].sum() == pytest.approx(1)
    last = table.loc["gdpcap@1960..1969"]
    assert abs(last["treated"] - last["synthetic"]) < abs(last["treated"] - last["donors"])
    # The outcomes' own fake launch would use predictors from after it.
    assert "in_time_placebo" not in [check.name for check in found.checks]


def test_given_importances_on_paper() -> None:
    """Two predictors, two donors: matching the first alone asks 1/4, the second alone 3/4."""
    predictors = np.array([[1.0, 3.0], [0.0, 4.0], [4.0, 0.0]])
    outcomes = np.arange(12.0).reshape(3, 4)
    for importance, weight in (((1.0, 0.0), 1 / 4), ((0.0, 1.0), 1 / 4)):
        problem = PredictorProblem(outcomes, 3, predictors, importance)
        fit = problem.fit(np.eye(3)[0], np.array([1, 2]))
        assert fit.weights[1] == pytest.approx(weight)
    skewed = PredictorProblem(
        outcomes, 3, predictors - np.array([[0, 2], [0, 0], [0, 0]]), (0.0, 1.0)
    )
    assert skewed.fit(np.eye(3)[0], np.array([1, 2])).weights[1] == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"predictors": ["x@60"]}, "time after the launch"),
        ({"predictors": ["x@30..10"]}, "names no window"),
        ({"predictors": ["z"]}, "no column 'z'"),
        ({"predictors": ["x"], "importance": "serch"}, "Did you mean 'search'"),
        ({"predictors": ["x"], "importance": [1, 2]}, "2 numbers"),
        ({"predictors": ["x"], "importance": "-1"}, "zero or more"),
        ({"importance": "search"}, "without predictors"),
        ({"predictors": ["x"], "estimator": "did"}, "use estimator 'classic'"),
    ],
)
def test_bad_requests(change: dict, message: str) -> None:
    frame = launch_frame(1)
    frame["x"] = frame["y"] * 2
    asked = {**COLUMNS, "treated": ["u00"], "start": 60, "estimator": "classic", **change}
    with pytest.raises(DataError, match=re.escape(message)):
        estimate(frame, **asked)


def test_a_unit_without_a_value_is_named() -> None:
    frame = launch_frame(1)
    frame["x"] = frame["y"].where(frame["unit"] != "u07")
    with pytest.raises(DataError, match=r"no value for 1 units .for example u07"):
        estimate(frame, **COLUMNS, treated=["u00"], start=60, estimator="classic", predictors=["x"])
