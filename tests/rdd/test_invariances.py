"""What must not change the answer, and what must."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from noholdout_rdd import estimate


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    score = rng.beta(4, 2, 3000)
    y = 2 + score + 0.4 * (score < 0.7) + rng.normal(0, 0.6, 3000)
    return pd.DataFrame({"y": y, "score": score, "age": rng.normal(40, 9, 3000)})


RULE = {"outcome": "y", "running": "score", "cutoff": 0.7, "treated_side": "below"}
NUMBERS = ("estimate", "std_error", "conf_low", "conf_high")


def same(one, other, scale: float = 1.0, rel: float = 1e-7) -> None:
    for name in NUMBERS:
        assert getattr(other, name) == pytest.approx(scale * getattr(one, name), rel=rel), name


def test_order_of_rows(frame: pd.DataFrame) -> None:
    same(estimate(frame, **RULE), estimate(frame.sample(frac=1, random_state=1), **RULE))


def test_mirrored_score(frame: pd.DataFrame) -> None:
    mirrored = frame.assign(score=-frame["score"])
    rule = RULE | {"cutoff": -0.7, "treated_side": "above"}
    same(estimate(frame, **RULE), estimate(mirrored, **rule))


def test_units_of_score_and_outcome(frame: pd.DataFrame) -> None:
    other = frame.assign(score=100 * frame["score"] - 5, y=3 * frame["y"] + 8)
    same(estimate(frame, **RULE), estimate(other, **(RULE | {"cutoff": 65.0})), 3.0, 1e-5)


def test_treated_side_flips_the_sign_only(frame: pd.DataFrame) -> None:
    below, above = estimate(frame, **RULE), estimate(frame, **(RULE | {"treated_side": "above"}))
    assert above.estimate == pytest.approx(-below.estimate)
    assert (above.conf_low, above.conf_high) == pytest.approx((-below.conf_high, -below.conf_low))


def test_rows_beyond_a_given_bandwidth_do_not_matter(frame: pd.DataFrame) -> None:
    rule = RULE | {"bandwidth": 0.1}
    near = frame[(frame["score"] - 0.7).abs() < 0.3]
    same(estimate(frame, **rule), estimate(near, **rule))


def test_rows_beyond_do_matter_for_a_chosen_bandwidth(frame: pd.DataFrame) -> None:
    near = frame[(frame["score"] - 0.7).abs() < 0.15]
    assert estimate(frame, **RULE).estimate != pytest.approx(estimate(near, **RULE).estimate)


def test_collinear_covariate_changes_nothing(frame: pd.DataFrame) -> None:
    doubled = frame.assign(months=12 * frame["age"])
    one = estimate(frame, covariates=["age"], **RULE)
    two = estimate(doubled, covariates=["age", "months"], **RULE)
    same(one, two)
    assert two.settings["dropped_collinear"] == ["months"]


def test_input_untouched_and_json(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    found = estimate(frame, **RULE)
    pd.testing.assert_frame_equal(frame, before)
    parsed = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(parsed["tables"]["bandwidths"][0])[:4] == ["side", "h", "b", "n_effective"]
    assert [row["variant"] for row in parsed["tables"]["variants"]][:3] == [
        "conventional",
        "bias_corrected",
        "robust",
    ]


def test_interval_inverts_the_p_value(frame: pd.DataFrame) -> None:
    found = estimate(frame, **RULE)
    shifted = frame.assign(y=frame["y"] - found.conf_low * (frame["score"] < 0.7))
    # At the interval's end as the null, p is 0.05; the bandwidths don't see the shift's level.
    rule = RULE | {
        "bandwidth": float(found.tables["bandwidths"]["h"][0]),
        "bias_bandwidth": float(found.tables["bandwidths"]["b"][0]),
    }
    assert estimate(shifted, **rule).p_value == pytest.approx(0.05, abs=1e-6)


def test_donut_equals_dropping_by_hand(frame: pd.DataFrame) -> None:
    hole = estimate(frame, donut=0.01, **RULE)
    by_hand = estimate(frame[(frame["score"] - 0.7).abs() > 0.01], **RULE)
    same(by_hand, hole)
    dropped = int(((frame["score"] - 0.7).abs() <= 0.01).sum())
    assert hole.settings["rows_left_out_by_donut"] == dropped > 0
