"""The other estimators: against slow versions, and where they must agree or must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from did.simulate import cross_sections, panel
from noholdout_did import estimate
from noholdout_did.kernels.bacon import bacon
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
    assert "1 (unit, time) cells have no row" in run(data.iloc[1:], "twfe").settings["bacon"]
    assert "weights" in run(data.assign(w=1.5), "twfe", weights="w").settings["bacon"]


def test_two_by_twos_of_an_unbalanced_panel_miss_the_coefficient() -> None:
    """Why there is no decomposition then: theorem 1's weights on wave means give another number."""
    data = panel(35, growth=0.5)
    ragged = data.sample(frac=0.7, random_state=4)
    waves = np.array([2, 4, 8])  # launches as period indices; 8 is never
    for frame, exact in ((data, True), (ragged, False)):
        wave = frame["g"].fillna(9)
        mean = frame.pivot_table(index=wave, columns="t", values="y").to_numpy()
        size = frame.groupby(wave)["unit"].nunique().to_numpy()
        made = bacon(waves, mean, size)
        gap = abs(made.weight @ made.estimate - run(frame, "twfe").estimate)
        assert gap < 1e-10 if exact else gap > 0.01


def weights_and_residuals(data: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, pd.Series]:
    """Theorem 3's weights from the dense projection, who is treated, and the residuals."""
    treated = (data["t"] >= data["g"]).to_numpy()
    x, share = dummies(data), treated / treated.sum()
    v = share.copy()
    v[~treated] = -x[~treated] @ np.linalg.pinv(x[~treated].T @ x[~treated]) @ (x.T @ share)
    beta = np.linalg.lstsq(x[~treated], data["y"].to_numpy()[~treated], rcond=None)[0]
    return v, treated, pd.Series(data["y"] - x @ beta, index=data.index)


@pytest.mark.parametrize("cluster", ["unit", "squad"])
def test_leave_out_errors_by_loop(cluster: str) -> None:
    """Appendix A.9: a treated residual is taken from the mean without its own cluster."""
    data = panel(36, per_wave=12, growth=0.5).sample(frac=0.95, random_state=2)
    data["squad"] = data["g"].fillna(0) * 100 + data["unit"] % 4
    v, treated, left = weights_and_residuals(data)
    own = left.copy()
    for i in np.flatnonzero(treated):
        row = data.iloc[i]
        others = (data["g"] == row["g"]) & (data["t"] == row["t"]) & (data[cluster] != row[cluster])
        own.iloc[i] = left.iloc[i] - left[others].mean()
    psi = pd.Series(v * own).groupby(data[cluster]).sum()
    options = {} if cluster == "unit" else {"cluster": cluster}
    found = run(data, "imputation", inference="leave-out", **options)
    assert found.std_error == pytest.approx(np.sqrt((psi**2).sum()), rel=1e-9)
    plain = run(data, "imputation", **options)
    assert found.estimate == plain.estimate
    assert "compared with the others of its wave" in found.inference


def test_leave_out_errors_of_independent_rows() -> None:
    data = cross_sections(3).drop(columns="workspace")
    found = run(data, "imputation", unit=None, inference="leave-out")
    plain = run(data, "imputation", unit=None)
    assert 1 < found.std_error / plain.std_error < 1.1


def test_leave_out_errors_cover_with_few_units() -> None:
    """300 draws of 4 units a wave: leaving out may overstate the error, the plain one doesn't."""
    runs = [panel(s, per_wave=4, periods=6) for s in range(300)]
    found = [run(data, "imputation", inference="leave-out") for data in runs]
    spread = np.std([f.estimate for f in found])
    assert 0.9 < np.mean([f.std_error for f in found]) / spread < 1.6


def test_where_leave_out_errors_are_refused() -> None:
    data = panel(1)
    for name in ("group-time", "two-stage", "twfe", "sun-abraham", "two-by-two", "all"):
        with pytest.raises(DataError, match=r"leave-out.*--estimator imputation"):
            run(data, name, inference="leave-out")
    alone = data[(data["g"] != 3) | (data["unit"] == data.loc[data["g"] == 3, "unit"].min())]
    with pytest.raises(DesignError, match="two clusters or more"):
        run(alone, "imputation", inference="leave-out")


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("anticipation", [0, 1])
def test_leads_of_imputation_by_least_squares(
    ragged: pd.DataFrame, weights: str | None, anticipation: int
) -> None:
    """Untreated rows on lead indicators beside unit and period dummies, errors by unit."""
    found = run(ragged, "imputation", weights=weights, anticipation=anticipation)
    table = found.tables["pre_trend_leads"]
    clean = ragged[~(ragged["t"] >= ragged["g"] - anticipation)]
    shown = table["event_time"].tolist()
    assert shown and max(shown) == -1 - anticipation
    lead = [(clean["t"] - clean["g"] == k).to_numpy(dtype=float) for k in shown]
    x = np.column_stack([*lead, dummies(clean)])
    w = np.ones(len(clean)) if weights is None else clean[weights].to_numpy()
    gram = np.linalg.pinv(x.T @ (w[:, None] * x), rcond=1e-12)
    beta = gram @ (x.T @ (w * clean["y"].to_numpy()))
    np.testing.assert_allclose(table["estimate"], beta[: len(shown)], atol=1e-8)
    score = (w * (clean["y"].to_numpy() - x @ beta))[:, None] * x
    by_unit = pd.DataFrame(score).groupby(clean["unit"].to_numpy()).sum().to_numpy()
    errors = np.sqrt(np.diag(gram @ (by_unit.T @ by_unit) @ gram))[: len(shown)]
    if ragged["unit"].nunique() < 40:
        # Few units: each wave's sum of squares times G / (G - 1), as everywhere.
        assert (table["std_error"] > errors).all()
    else:
        np.testing.assert_allclose(table["std_error"], errors, rtol=1e-8)
    assert found.tables["pre_tests"]["test"].tolist() == ["leads, F"]


def test_leads_errors_and_their_test() -> None:
    data = panel(37, per_wave=20, periods=6)
    table = run(data, "imputation").tables["pre_trend_leads"]
    clean = data[~(data["t"] >= data["g"])]
    lead = [(clean["t"] - clean["g"] == k).to_numpy(dtype=float) for k in table["event_time"]]
    x = np.column_stack([*lead, dummies(clean)])
    gram = np.linalg.pinv(x.T @ x, rcond=1e-12)
    left = clean["y"].to_numpy() - x @ (gram @ (x.T @ clean["y"].to_numpy()))
    by_unit = pd.DataFrame(left[:, None] * x).groupby(clean["unit"].to_numpy()).sum().to_numpy()
    errors = np.sqrt(np.diag(gram @ (by_unit.T @ by_unit) @ gram))[: len(lead)]
    np.testing.assert_allclose(table["std_error"], errors, rtol=1e-8)
    drifting = data.assign(y=data["y"] + 0.8 * data["t"] * data["g"].notna())
    tests = run(drifting, "imputation").tables["pre_tests"]
    assert tests["p_value"].iloc[0] < 1e-4
    flat = [run(panel(s, per_wave=20, periods=6), "imputation") for s in range(100)]
    rejected = np.mean([f.tables["pre_tests"]["p_value"].iloc[0] < 0.05 for f in flat])
    assert rejected <= 0.13  # 5%, and 100 draws: 0.13 is 3.7 Monte Carlo errors above


def test_many_units_need_no_draws_by_unit() -> None:
    """Bands of 6,000 units: the exact Gaussian law; nothing of the size units x draws."""
    import tracemalloc

    data = panel(38, per_wave=2_000)
    tracemalloc.start()
    found = run(data, "imputation")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * data.memory_usage(index=False).sum()
    study = found.tables["event_study"]
    critical = (study["band_high"] - study["estimate"]) / study["std_error"]
    assert critical.std() == pytest.approx(0, abs=1e-9)
    assert 1.96 < critical.iloc[0] < 3.5
