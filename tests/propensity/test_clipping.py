"""Clipped scores: counted, cautioned, and an error that knows which scores no longer move."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from noholdout_propensity import aipw, estimate
from noholdout_shared.errors import DataError, DesignError
from propensity.samples import simulate
from sklearn.linear_model import LogisticRegression

CLIP = 0.2
COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}
ASKED = {"outcome": "y", "treatment": "d", "covariates": ["a", "b"]}


def plain_score(frame: pd.DataFrame, clip: float) -> np.ndarray:
    x = sm.add_constant(frame[["a", "b"]].to_numpy())
    score = sm.Logit(frame["d"].to_numpy(), x).fit(disp=0).predict()
    return np.clip(score, clip, 1 - clip)


def plain_ipw(frame: pd.DataFrame, clip: float = CLIP) -> float:
    d, y, e = frame["d"].to_numpy(), frame["y"].to_numpy(), plain_score(frame, clip)
    inside, outside = d / e, (1 - d) / (1 - e)
    return float(inside @ y / inside.sum() - outside @ y / outside.sum())


def plain_aipw(frame: pd.DataFrame, clip: float = CLIP) -> float:
    d, y, e = frame["d"].to_numpy(), frame["y"].to_numpy(), plain_score(frame, clip)
    x = sm.add_constant(frame[["a", "b"]].to_numpy())
    m1, m0 = (x @ np.linalg.lstsq(x[d == arm], y[d == arm], rcond=None)[0] for arm in (1, 0))
    return float(np.mean(m1 - m0 + d / e * (y - m1) - (1 - d) / (1 - e) * (y - m0)))


PLAIN: dict[str, tuple[Callable[[pd.DataFrame], float], dict]] = {
    "ipw": (plain_ipw, {}),
    "aipw": (plain_aipw, {"folds": 1}),
}


@pytest.mark.parametrize("estimator", PLAIN)
def test_a_second_implementation_and_its_jackknife_agree(estimator: str) -> None:
    plain, own = PLAIN[estimator]
    frame = simulate(400, strength=1.5)
    found = estimate(frame, estimator=estimator, clip=CLIP, **own, **ASKED)
    assert found.estimate == pytest.approx(plain(frame), rel=1e-8)
    assert (
        abs(found.estimate - estimate(frame, estimator=estimator, **own, **ASKED).estimate) > 1e-4
    )
    left = np.array([plain(frame.drop(index=i)) for i in range(len(frame))])
    jackknife = np.sqrt((len(frame) - 1) * left.var())
    # The jackknife is of the same order, not the same number.
    assert found.std_error == pytest.approx(jackknife, rel=0.05)


@pytest.mark.parametrize("estimator", ["ipw", "aipw"])
def test_the_bootstrap_clips_too(estimator: str) -> None:
    frame = simulate(1_500, strength=1.5)
    asked = {"estimator": estimator, "clip": CLIP, **ASKED}
    drawn = estimate(frame, inference="bootstrap", replicates=300, **asked)
    assert drawn.std_error == pytest.approx(estimate(frame, **asked).std_error, rel=0.12)


@pytest.mark.parametrize("estimator", ["ipw", "aipw"])
def test_what_is_clipped_is_counted_and_cautioned(estimator: str) -> None:
    frame = simulate(strength=1.5)
    found = estimate(frame, estimator=estimator, clip=CLIP, **ASKED)
    score = plain_score(frame, 0.0)
    beyond = int(((score < CLIP) | (score > 1 - CLIP)).sum())
    # out of fold a few cross the bound
    assert found.settings["clipped_scores"] == pytest.approx(beyond, rel=0.02)
    assert found.check("overlap").status == "caution"
    assert f"{found.settings['clipped_scores']:,} scores beyond 0.2 and 0.8" in (
        found.check("overlap").message
    )
    wide = estimate(frame, estimator=estimator, clip=1e-6, **ASKED)
    assert wide.settings["clipped_scores"] == 0
    assert wide.check("overlap").status == "pass"
    without = estimate(frame, estimator=estimator, **ASKED)
    assert (wide.estimate, wide.std_error) == (without.estimate, without.std_error)
    assert without.settings["clipped_scores"] == 0


def test_scores_of_a_model_of_ones_own_are_clipped() -> None:
    frame = simulate(strength=1.5)
    found = aipw(frame, score=LogisticRegression(C=np.inf), clip=CLIP, **ASKED)
    plain = estimate(frame, clip=CLIP, **ASKED)
    assert found.settings["clipped_scores"] == plain.settings["clipped_scores"] > 0
    assert found.estimate == pytest.approx(plain.estimate, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"clip": 0.6}, DataError, "clip is 0.6"),
        ({"clip": "0.1"}, DataError, "clip is '0.1'"),
        ({"clip": 0.1, "trim": "crump"}, DataError, "Both clip=0.1 and trim='crump'"),
        ({"clip": 0.1, "estimator": "matching"}, DataError, "has no clip"),
        ({"clip": 0.1, "outcome_fit": "weighted", "folds": 1}, DesignError, "as they are"),
    ],
)
def test_refusals(options: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        estimate(simulate(300), **options, **COLUMNS)
