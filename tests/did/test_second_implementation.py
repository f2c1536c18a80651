"""The fast kernels against slow, obvious ones that loop over units and rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from did.simulate import cross_sections, panel
from noholdout_did import estimate

ARGS = {"outcome": "y", "time": "t", "first_treated": "g"}


def slow_cells(data: pd.DataFrame, cluster: str) -> tuple[dict, dict[tuple, dict]]:
    """ATT(g,t), not-yet-treated controls, base g-1, from row means; each cluster's influence."""
    launch = data["g"].fillna(np.inf)
    effects, influences = {}, {}
    for g in sorted(launch[np.isfinite(launch)].unique()):
        for t in sorted(data["t"].unique()):
            if t < g:
                continue
            value, psi = 0.0, dict.fromkeys(data[cluster].unique(), 0.0)
            for period, sign in ((t, 1), (g - 1, -1)):
                for group, side in ((launch == g, 1), (launch > t, -1)):
                    rows = data[group & (data["t"] == period)]
                    if rows.empty:
                        value = np.nan
                        continue
                    value += sign * side * rows["y"].mean()
                    for row in rows.itertuples():
                        psi[getattr(row, cluster)] += (
                            sign * side * (row.y - rows["y"].mean()) / len(rows)
                        )
            if np.isfinite(value):
                effects[g, t], influences[g, t] = value, psi
    return effects, influences


@pytest.mark.parametrize("kind", ["panel", "cross-sections"])
def test_cells_and_errors(kind: str) -> None:
    if kind == "panel":
        data, options = panel(1, per_wave=16), {"unit": "unit"}
        cluster = "unit"
    else:
        data, options = cross_sections(1, n=900, clusters=44), {"cluster": "workspace"}
        cluster = "workspace"
    effects, influences = slow_cells(data, cluster)
    table = estimate(data, **ARGS, **options).tables["group_time"]
    table = table[table["time"] >= table["cohort"]].set_index(["cohort", "time"])
    assert table["estimate"].to_dict() == pytest.approx(effects, abs=1e-12)
    sizes = data.assign(g=data["g"].fillna(np.inf)).groupby("g")[cluster].nunique()
    wave_of = data.assign(g=data["g"].fillna(np.inf)).groupby(cluster)["g"].first()
    for key, psi in influences.items():
        variance = 0.0
        for g, size in sizes.items():
            factor = 1.0 if kind == "panel" else size / (size - 1)
            variance += factor * sum(psi[u] ** 2 for u in wave_of.index[wave_of == g])
        assert table.loc[key, "std_error"] == pytest.approx(np.sqrt(variance), rel=1e-10)


def test_simple_average_error_against_the_jackknife() -> None:
    """Leaving one unit out at a time knows nothing of influence functions or estimated shares."""
    data = panel(3, per_wave=60, growth=2.0)
    data = data[(data["g"] != 5) | (data["unit"] % 3 > 0)]  # unequal waves
    found = estimate(data, **ARGS, unit="unit")
    left_out = [
        estimate(data[data["unit"] != u], **ARGS, unit="unit").estimate
        for u in data["unit"].unique()
    ]
    n = len(left_out)
    jackknife = np.sqrt((n - 1) / n * ((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    # The jackknife differs by terms of order 1/n (here 1/160).
    assert found.std_error == pytest.approx(jackknife, rel=0.02)


def test_clusters_that_straddle_waves_are_put_together_first() -> None:
    data = panel(4, per_wave=20)
    data["region"] = data["unit"] % 7
    found = estimate(data, **ARGS, unit="unit", cluster="region")
    # By hand: units' influences by leave-none-out formula, summed by region.
    effects, influences = slow_cells(data, "unit")
    shares = data.groupby("g")["unit"].nunique()
    total = sum(shares[g] for g, _ in effects)
    psi = {u: sum(shares[g] * influences[g, t][u] for g, t in effects) / total for u in range(60)}
    regions = np.zeros(7)
    for unit, value in psi.items():
        regions[unit % 7] += value
    # Shares are 20/60 each and estimated; with equal waves in each region almost no influence.
    rough = np.sqrt(7 / 6 * (regions**2).sum())
    assert found.std_error == pytest.approx(rough, rel=0.05)
    assert found.n_clusters == 7


def test_weights_equal_repeated_rows() -> None:
    data = cross_sections(5, n=600)
    data["w"] = 1 + data.index % 3
    repeated = data.loc[data.index.repeat(data["w"])].reset_index(drop=True)
    weighted = estimate(data, **ARGS, cluster="workspace", weights="w")
    plain = estimate(repeated, **ARGS, cluster="workspace")
    assert weighted.estimate == pytest.approx(plain.estimate, abs=1e-12)
    assert weighted.std_error == pytest.approx(plain.std_error, rel=1e-10)


def test_cell_mean_equals_averaging_by_hand() -> None:
    data = cross_sections(6)
    averaged = data.groupby(["workspace", "t"], as_index=False).agg(
        g=("g", "first"), y=("y", "mean")
    )
    ours = estimate(data, **ARGS, unit="workspace", cell_mean=True)
    hand = estimate(averaged, **ARGS, unit="workspace")
    assert ours.estimate == pytest.approx(hand.estimate, abs=1e-12)
    assert ours.std_error == pytest.approx(hand.std_error, rel=1e-10)
    assert ours.settings["rows_averaged_into_cells"] == [4000, 200]


def test_gram_matrices_give_what_the_features_give(monkeypatch: pytest.MonkeyPatch) -> None:
    from noholdout_did.kernels import moments as module

    data = panel(7)
    kept = estimate(data, **ARGS, unit="unit")
    monkeypatch.setattr(module, "KEEP_FEATURES", 0)
    dropped = estimate(data, **ARGS, unit="unit")
    assert dropped.std_error == pytest.approx(kept.std_error, rel=1e-12)
    # Bands then come from the Gaussian multipliers' exact law: near, not equal.
    near = dropped.tables["event_study"]["band_high"] - dropped.tables["event_study"]["estimate"]
    far = kept.tables["event_study"]["band_high"] - kept.tables["event_study"]["estimate"]
    assert (near / far).between(0.6, 1.2).all()
