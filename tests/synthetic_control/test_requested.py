"""Inferences on request: conformal, jackknife+, bootstrap over users; against plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError
from noholdout_synthetic_control import estimate
from synthetic_control.worlds import COLUMNS, factor_panel, panel_frame

ONE: dict[str, Any] = {**COLUMNS, "treated": ["u00"], "start": 30, "estimator": "did"}


def panel(seed: int, effect: float = 4.0) -> np.ndarray:
    outcomes = factor_panel(seed, units=8, n_pre=30, n_post=10)
    outcomes[0, 30:] += effect
    return outcomes


def plain_conformal_p(outcomes: np.ndarray, effect: float) -> float:
    """Equal weights; every shift written out."""
    path = outcomes[0] - outcomes[1:].mean(axis=0)
    path = path.copy()
    path[30:] -= effect
    residual = path - path.mean()
    own = abs(residual[30:].mean())
    count = 0
    for shift in range(40):
        count += abs(np.roll(residual, shift)[30:].mean()) >= own - 1e-9
    return count / 40


def test_conformal_is_every_shift_inverted() -> None:
    outcomes = panel(1)
    found = estimate(panel_frame(outcomes), **ONE, inference="conformal")
    assert found.p_value == pytest.approx(plain_conformal_p(outcomes, 0.0))
    assert "40 block shifts" in found.inference
    unit = 0.02 * (found.conf_high - found.conf_low)
    for inside, outside in (
        (found.conf_low + unit, found.conf_low - unit),
        (found.conf_high - unit, found.conf_high + unit),
    ):
        assert plain_conformal_p(outcomes, inside) > 0.05
        assert plain_conformal_p(outcomes, outside) <= 0.05
    assert found.settings["allowance"] == 0


def test_conformal_refits_under_the_null() -> None:
    """The twin is fitted with the effect taken off: a large effect doesn't bend its weights."""
    found = estimate(panel_frame(panel(2, 40.0)), **{**ONE, "estimator": "classic"},
                     inference="conformal")  # fmt: skip
    assert found.conf_low < 40 < found.conf_high
    assert found.conf_low > 30


def test_too_few_periods_for_the_level() -> None:
    outcomes = panel(3)[:, 22:]  # 18 periods: no p-value below 1/18
    found = estimate(panel_frame(outcomes), **{**ONE, "start": 8}, inference="conformal")
    assert math.isnan(found.conf_low)
    assert "18 shifts" in found.inference
    found = estimate(panel_frame(outcomes), **{**ONE, "start": 8}, inference="jackknife-plus")
    assert "8 left-out periods" in found.inference


def test_jackknife_plus_is_the_plain_loop() -> None:
    outcomes = panel(4)
    found = estimate(panel_frame(outcomes), **ONE, inference="jackknife-plus")
    path = outcomes[0] - outcomes[1:].mean(axis=0)
    lows, highs = [], []
    for t in range(30):
        rest = np.delete(path[:30], t).mean()
        effect, miss = path[30:].mean() - rest, abs(path[t] - rest)
        lows.append(effect - miss)
        highs.append(effect + miss)
    # floor(0.05 * 31) = 1: the outermost on each side.
    assert found.conf_low == pytest.approx(min(lows))
    assert found.conf_high == pytest.approx(max(highs))


def user_rows(seed: int, users: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    share = 0.5 + (factor_panel(seed, units=8, n_pre=30, n_post=10) - 50) / 100
    codes = np.repeat(np.arange(8 * 40), users)
    hits = rng.binomial(1, np.clip(share.ravel(), 0.05, 0.95)[codes])
    return pd.DataFrame({"unit": [f"u{k:02d}" for k in codes // 40], "time": codes % 40, "y": hits})


def test_bootstrap_over_users_has_their_binomial_error() -> None:
    """With equal weights the error is known: p(1-p)/n of every cell, weighted and summed."""
    frame = user_rows(5)
    found = estimate(
        frame, **ONE, cell_mean=True, inference="user-bootstrap", replicates=2000, seed=1
    )
    mean = frame.groupby(["unit", "time"])["y"].mean().to_numpy().reshape(8, 40)
    cell = mean * (1 - mean) / 12
    weight = np.outer([1] + [1 / 7] * 7, [1 / 30] * 30 + [1 / 10] * 10)
    # 2,000 draws: the standard error is known to 1.6%.
    assert found.std_error == pytest.approx(math.sqrt((weight**2 * cell).sum()), rel=0.06)
    again = estimate(
        frame, **ONE, cell_mean=True, inference="user-bootstrap", replicates=2000, seed=1
    )
    assert again.to_dict() == found.to_dict()
    assert "covers too little" in found.inference


@pytest.mark.parametrize(
    "change, message",
    [
        ({"inference": "user-bootstrap"}, "the rows aren't users"),
        ({"inference": "conformal", "replicates": 100}, "draws nothing"),
        ({"inference": "conformal", "estimator": "synthetic-did"}, "doesn't fit"),
        ({"inference": "jackknife-plus", "estimator": "classic", "predictors": ["y"]}, "doesn't"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimate(panel_frame(panel(1)), **{**ONE, **change})


def test_a_twin_of_one_donor_is_said() -> None:
    rng = np.random.default_rng(0)
    shared = np.cumsum(rng.normal(0, 2, 80))
    outcomes = rng.normal(0, 0.3, (12, 80))
    outcomes[0] += shared
    outcomes[5] += shared
    found = estimate(panel_frame(outcomes), **{**ONE, "start": 60, "estimator": "classic"})
    check = found.check("weight_concentration")
    assert check.status == "caution"
    assert "u05" in check.message
    plain = estimate(panel_frame(factor_panel(1)), **{**ONE, "start": 60, "estimator": "did"})
    assert plain.check("weight_concentration").statistic == pytest.approx(19)
