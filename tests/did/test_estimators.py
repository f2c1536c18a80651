"""The other estimators: against slow versions, and where they must agree or must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from did.simulate import cross_sections, panel
from noholdout_did import estimate
from noholdout_shared.errors import DataError, DesignError

ARGS = {"outcome": "y", "time": "t", "first_treated": "g"}
ALL = ("group-time", "two-by-two", "twfe", "imputation", "two-stage", "sun-abraham")


def run(data: pd.DataFrame, estimator: str, **options: Any) -> Any:
    return estimate(data, **ARGS, **({"unit": "unit"} | options), estimator=estimator)


def dummies(data: pd.DataFrame) -> np.ndarray:
    return pd.get_dummies(data[["unit", "t"]].astype(str), dtype=float).to_numpy()


@pytest.fixture(scope="module")
def ragged() -> pd.DataFrame:
    """An unbalanced panel with weights."""
    data = panel(31, per_wave=6, growth=0.5).sample(frac=0.85, random_state=1)
    return data.assign(w=np.random.default_rng(1).uniform(0.5, 2, len(data)))


def test_two_way_fixed_effects_by_dummies(ragged: pd.DataFrame) -> None:
    treated = (ragged["t"] >= ragged["g"]).to_numpy(dtype=float)
    root = np.sqrt(ragged["w"].to_numpy())
    x = np.column_stack([treated, dummies(ragged)]) * root[:, None]
    slow = np.linalg.lstsq(x, ragged["y"].to_numpy() * root, rcond=None)[0][0]
    assert run(ragged, "twfe", weights="w").estimate == pytest.approx(slow, abs=1e-10)


def test_imputation_by_dummies(ragged: pd.DataFrame) -> None:
    treated = (ragged["t"] >= ragged["g"]).to_numpy()
    w, y, x = ragged["w"].to_numpy(), ragged["y"].to_numpy(), dummies(ragged)
    root = np.sqrt(w[~treated])[:, None]
    beta = np.linalg.lstsq(x[~treated] * root, y[~treated] * root[:, 0], rcond=None)[0]
    effect = y - x @ beta
    slow = np.average(effect[treated], weights=w[treated])
    found = run(ragged, "imputation", weights="w")
    assert found.estimate == pytest.approx(slow, abs=1e-9)
    study = found.tables["event_study"].set_index("event_time")["estimate"]
    first = treated & (ragged["t"] == ragged["g"]).to_numpy()
    assert study[0] == pytest.approx(np.average(effect[first], weights=w[first]), abs=1e-9)


def test_imputation_standard_error_by_its_weights() -> None:
    """v* from the dense projection (Borusyak et al., theorem 3), residuals by (wave, period)."""
    data = panel(32, per_wave=15, growth=0.5)
    treated = (data["t"] >= data["g"]).to_numpy()
    x, y = dummies(data), data["y"].to_numpy()
    share = treated / treated.sum()
    v = share.copy()
    v[~treated] = -x[~treated] @ np.linalg.pinv(x[~treated].T @ x[~treated]) @ (x.T @ share)
    assert v @ y == pytest.approx(run(data, "imputation").estimate, abs=1e-9)
    beta = np.linalg.lstsq(x[~treated], y[~treated], rcond=None)[0]
    left = pd.Series(y - x @ beta)
    cell = left.groupby([data["g"].fillna(0), data["t"], treated]).transform("mean")
    left[treated] -= cell[treated]
    psi = pd.Series(v * left).groupby(data["unit"]).sum()
    assert run(data, "imputation").std_error == pytest.approx(np.sqrt((psi**2).sum()), rel=1e-9)


@pytest.mark.parametrize("estimator", ["imputation", "two-stage", "twfe"])
def test_standard_errors_match_the_spread_over_draws(estimator: str) -> None:
    """80 draws: the spread's own error is 8%, so 25% is over three of them."""
    found = [run(panel(s, per_wave=20, periods=6), estimator) for s in range(80)]
    spread = np.std([f.estimate for f in found])
    assert np.mean([f.std_error for f in found]) == pytest.approx(spread, rel=0.25)
    assert np.mean([f.estimate for f in found]) == pytest.approx(1.0, abs=4 * spread / 80**0.5)


def test_two_periods_make_all_the_same_number() -> None:
    two = panel(33, launches=(2, np.nan), periods=2)
    values = {name: run(two, name).estimate for name in ALL}
    assert values == pytest.approx(dict.fromkeys(ALL, values["group-time"]), abs=1e-10)


def test_without_noise_a_homogeneous_effect_is_the_same_for_all() -> None:
    exact = panel(34, noise=0.0, effect=2.0)
    for name in ALL:
        assert run(exact, name).estimate == pytest.approx(2.0, abs=1e-9)


def test_growing_effects_mislead_two_way_fixed_effects_only_and_it_says_so() -> None:
    grows = panel(35, launches=(3, 6), periods=8, per_wave=60, growth=3.0, noise=0.3)
    found = {name: run(grows, name) for name in ALL}
    # With everybody treated from 6 on, wave 1 in 3 to 5 is identified: 1, 4, 7 -> 4.
    for name in ("group-time", "imputation", "two-stage", "sun-abraham", "two-by-two"):
        assert found[name].estimate == pytest.approx(4.0, abs=0.3)
    assert found["twfe"].estimate < 2.0
    assert found["twfe"].check("twfe_weighting").status == "fail"
    assert found["twfe"].verdict == "do-not-use"


def test_side_by_side_says_why_estimators_differ() -> None:
    clean = run(panel(36, per_wave=40), "all")
    assert clean.tables["estimators"]["estimator"].tolist() == list(ALL)
    assert clean.method == "Difference-in-differences: group-time"
    assert clean.check("estimators_agree").status == "pass"
    drifts = panel(37, launches=(6, np.nan), per_wave=60, periods=8, drift=0.5, noise=0.4)
    apart = run(drifts, "all").check("estimators_agree")
    assert apart.status != "pass" and "drift" in apart.message


def test_cross_sections_use_cluster_effects() -> None:
    data = cross_sections(38, n=8000, clusters=24)
    found = run(data, "imputation", unit=None, cluster="workspace")
    assert found.settings["fixed_effects"] == "cluster and period"
    assert found.settings["treated_rows_without_prediction_dropped"] > 0
    x = pd.get_dummies(data[["workspace", "t"]].astype(str), dtype=float).to_numpy()
    clean = (data["t"] < data["g"]).to_numpy()
    beta = np.linalg.lstsq(x[clean], data["y"].to_numpy()[clean], rcond=None)[0]
    known = ~clean & (data["t"] < 6).to_numpy()
    slow = (data["y"].to_numpy() - x @ beta)[known].mean()
    assert found.estimate == pytest.approx(slow, abs=1e-9)


def test_options_and_designs_are_refused() -> None:
    data = panel(39)
    with pytest.raises(DataError, match="doesn't use it"):
        run(data, "imputation", control_group="never-treated")
    with pytest.raises(DataError, match="doesn't use it"):
        run(data, "twfe", anticipation=1)
    with pytest.raises(DesignError):
        run(data.assign(g=3.0), "imputation")
    assert "bacon" not in run(data.iloc[1:], "twfe").tables
    assert "balanced" in run(data.iloc[1:], "twfe").settings["bacon"]
