"""The price of the threshold: against a router whose two curves are known everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_rdd import estimate
from noholdout_rdd.columns import Columns
from noholdout_rdd.inference import fit_effect
from noholdout_rdd.kernels.local import Spec
from noholdout_rdd.threshold_data import read_threshold
from noholdout_rdd.threshold_price import price_threshold
from noholdout_shared.errors import DataError

TRUE_EFFECT, TRUE_TILT, TRUE_COST = 0.10, 0.5, 0.02


def router_log(n: int = 20_000, seed: int = 0, tilt: float = TRUE_TILT) -> pd.DataFrame:
    """Premium below 0.6; its effect is 0.10 at the cutoff and grows by `tilt` per unit of score."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 1, n)
    premium = score < 0.6
    effect = TRUE_EFFECT + tilt * (score - 0.6)
    quality = 0.3 + 0.4 * score + premium * effect + rng.normal(0, 0.2, n)
    cost = 0.01 + TRUE_COST * premium + rng.normal(0, 0.002, n)
    return pd.DataFrame({"quality": quality, "score": score, "cost": cost})


RULE: dict[str, Any] = {
    "outcome": "quality",
    "running": "score",
    "cutoff": 0.6,
    "treated_side": "below",
    "costs": ["cost"],
}


def test_moves_against_the_known_curves() -> None:
    table = estimate(router_log(), **RULE, smoothness=0.5).tables["price"].set_index("step")
    row = table.loc[0.01]
    # Uniform scores: a move by 0.01 switches 10 of 1,000 users, whose average effect is
    # 0.10 + 0.5 * 0.005 = 0.1025; 10 * 0.1025 = 1.025 more quality for 10 * 0.02 = 0.2 dollars,
    # 0.2 / 1.025 = 0.195 dollars a unit.
    assert row["moved"] == pytest.approx(10, abs=2)
    times = row["moved"]
    assert row["quality_low"] < times * 0.1025 < row["quality_high"]
    assert row["cost_low"] < times * 0.02 < row["cost_high"]
    assert row["cost_per_extra_low"] < 0.02 / 0.1025 < row["cost_per_extra_high"]
    # The other way round the sign turns.
    assert table.loc[-0.01, "quality_change"] < 0 < row["quality_change"]


def test_share_of_movers_is_counted() -> None:
    frame = router_log()
    row = estimate(frame, **RULE).tables["price"].set_index("step").loc[0.02]
    counted = ((frame["score"] >= 0.6) & (frame["score"] < 0.62)).sum()
    assert row["moved"] == pytest.approx(1000 * counted / len(frame))


def test_the_side_treated_decides_the_sign() -> None:
    below = estimate(router_log(), **RULE).tables["price"]
    above = estimate(router_log(), **(RULE | {"treated_side": "above"})).tables["price"]
    # Mirroring who is called treated turns the effect and who is switched: changes stay.
    np.testing.assert_allclose(below["quality_change"], above["quality_change"])


def test_intervals_of_movers_hold_the_truth() -> None:
    held = 0
    for seed in range(60):
        rows = read_threshold(
            router_log(2000, seed),
            Columns("quality", "score"),
            cutoff=0.6,
            treated_side="below",
        )
        effect = fit_effect(rows, (0.3, 0.3), (0.4, 0.4), Spec(), fuzzy=False)
        table = price_threshold(
            rows, effect, Spec(), costs={}, step=0.03, smoothness=0.1, conf_level=0.95
        ).table
        row = table.set_index("step").loc[0.03]
        truth = row["moved"] * (TRUE_EFFECT + TRUE_TILT * 0.015)
        held += row["quality_low"] <= truth <= row["quality_high"]
    # 95% of 60 is 57; 51 or fewer has probability 0.002.
    assert held >= 52


def test_reach_shrinks_with_the_bound_and_is_said() -> None:
    wide = estimate(router_log(), **RULE, smoothness=0.5)
    tight = estimate(router_log(), **RULE, smoothness=500.0)
    assert tight.settings["price_reach"] < wide.settings["price_reach"]
    table = wide.tables["price"]
    inside = table["step"].abs() <= wide.settings["price_reach"]
    assert (table["within_reach"] == inside).all()
    assert "The data allow moves up to" in wide.check("price_reach").message
    far = estimate(router_log(), **RULE, smoothness=500.0, step=0.2)
    assert far.check("price_reach").status == "caution"


def test_cost_of_nothing_gained_is_undefined() -> None:
    frame = router_log().assign(quality=np.random.default_rng(1).normal(size=20_000))
    table = estimate(frame, **RULE).tables["price"]
    row = table.iloc[int(table["step"].abs().to_numpy().argmin())]
    assert row["quality_low"] < 0 < row["quality_high"]
    assert np.isnan(row["cost_per_extra"]) and np.isnan(row["cost_per_extra_high"])


def test_without_costs_or_step_there_is_no_price() -> None:
    rule = {key: value for key, value in RULE.items() if key != "costs"}
    assert "price" not in estimate(router_log(2000), **rule).tables
    assert "price" in estimate(router_log(2000), **rule, step=0.02).tables
    with pytest.raises(DataError, match="switches nobody"):
        estimate(router_log(2000), **rule, step=1e-9)


@pytest.mark.parametrize("sums", ["apart", "joint"])
def test_few_clusters_widen_the_price_as_they_widen_the_estimate(sums: str) -> None:
    rng = np.random.default_rng(3)
    frame = router_log(4000).assign(team=rng.integers(0, 6, 4000))
    frame["quality"] += 0.2 * rng.normal(size=6)[frame["team"]]
    found = estimate(frame, **RULE, cluster="team", cluster_sums=sums, step=1e-3, smoothness=1e-9)
    row = found.tables["price"].set_index("step").loc[1e-3]
    # So small a move is priced by the effect at the cutoff; with 5 degrees of freedom its interval
    # is 2.57 errors wide, by the normal law it would be 1.96.
    width = (row["quality_high"] - row["quality_low"]) / row["moved"]
    assert width == pytest.approx(found.conf_high - found.conf_low, rel=0.02)
