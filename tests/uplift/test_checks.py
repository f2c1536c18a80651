"""Each check fires on its violation and stays quiet without it; tests against other packages."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from noholdout_uplift import estimate
from noholdout_uplift.checks import enough_data, overlap
from noholdout_uplift.kernels.logit import fit_logit, score_test
from noholdout_uplift.scored import Drawn
from uplift.simulated import ARGUMENTS, randomised


def test_logit_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3)) * [1, 100, 0.01]
    w = (rng.random(500) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    base = np.full(500, 0.3)
    fit = fit_logit(x, w, base)
    offset = np.log(base / (1 - base))
    other = sm.GLM(w, sm.add_constant(x), family=sm.families.Binomial(), offset=offset).fit()
    assert fit.converged
    np.testing.assert_allclose(fit.predict(x, base), other.fittedvalues, atol=1e-7)


def test_separation_is_reported() -> None:
    x = np.linspace(-1, 1, 100)[:, None]
    assert not fit_logit(x, (x[:, 0] > 0).astype(float), np.full(100, 0.5)).converged


def test_score_test_is_near_the_f_test_of_a_regression() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2000, 2)), rng.integers(0, 2, 2000)
    statistic, p_value, df = score_test(x, w - w.mean(), Drawn(), constant=False)
    other = sm.OLS(w, sm.add_constant(x)).fit(cov_type="HC0").wald_test(np.eye(3)[1:], scalar=True)
    assert df == 2
    # The score test takes the variance under the null, the Wald test under the fit: O(1/n).
    assert statistic == pytest.approx(float(other.statistic), rel=0.02)
    assert p_value == pytest.approx(float(other.pvalue), abs=0.01)
    single = score_test(x, w - w.mean(), Drawn(np.arange(2000)), constant=False)
    assert single == pytest.approx((statistic, p_value, df))


def test_assignment_that_follows_the_features_is_found_and_its_bias_stated() -> None:
    frame, effect = randomised(6000, seed=1)
    rng = np.random.default_rng(1)
    conf = frame["conf"].to_numpy()
    frame["w"] = (rng.random(6000) < 0.2 + 0.6 * conf).astype(int)
    frame["y"] = (rng.random(6000) < 0.1 + 0.5 * conf + frame["w"] * effect / 2).astype(int)
    # Linear outcome models without the feature's help would adjust; features that barely vary
    # within the trees' leaves leave the bias that the check states.
    found = estimate(frame, outcome="y", treatment="w", features=["conf"])
    check = found.check("randomised_assignment")
    assert check.p_value < 1e-20
    assert "Features predict the treatment" in check.message


def test_a_biased_answer_is_not_sound() -> None:
    rng = np.random.default_rng(2)
    frame, _ = randomised(3000, seed=2)
    strong = 4 * (frame["conf"] - 0.5)
    frame["w"] = (rng.random(3000) < 1 / (1 + np.exp(-2 * strong))).astype(int)
    frame["y"] = 10 * strong**2 * np.sign(strong) + rng.normal(size=3000)
    found = estimate(frame, **ARGUMENTS, model="linear")
    assert found.verdict == "do-not-use"
    assert found.check("randomised_assignment").implied_bias > 2


def test_clean_data_rarely_raise_an_alarm() -> None:
    """At 5% and a bias above half an SE, fewer than 5% of 60 clean data sets are unsound."""
    alarms = 0
    for seed in range(60):
        frame, _ = randomised(1500, seed=200 + seed)
        alarms += estimate(frame, **ARGUMENTS, model="linear").verdict != "sound"
    assert alarms <= 6


@pytest.mark.parametrize(("low", "status"), [(0.3, "pass"), (0.03, "caution"), (0.002, "fail")])
def test_overlap_goes_by_the_share_near_the_ends(low: float, status: str) -> None:
    assert overlap(np.array([low] * 10 + [0.5] * 90)).status == status


@pytest.mark.parametrize(("rows", "status"), [(15, "fail"), (40, "caution"), (60, "pass")])
def test_enough_data_goes_by_the_smaller_arm(rows: int, status: str) -> None:
    treatment = np.repeat([0, 1], [rows, 400])
    check = enough_data(np.ones(rows + 400), treatment, 0.2, 0.01, 0.05, True)
    assert check.status == status
    assert check.statistic == rows
    assert ("no proof" in check.message) == (status == "pass")


def test_interference_is_never_tested() -> None:
    frame, _ = randomised(2000, seed=3)
    found = estimate(frame, **ARGUMENTS)
    check = found.check("no_interference")
    assert check.status == "cannot-be-tested"
    assert f"{100 * found.estimate:.2f} points" in check.message


def test_a_coin_that_the_features_catch_may_follow_more_than_they_show() -> None:
    """Adjusting for what is seen moves the answer; what isn't seen still biases it."""
    rng = np.random.default_rng(5)
    x, hidden = rng.normal(size=4000), rng.normal(size=4000)
    w = (rng.random(4000) < 1 / (1 + np.exp(-x - hidden))).astype(int)
    frame = pd.DataFrame({"x": x, "other": rng.normal(size=4000), "w": w})
    frame["y"] = x + 0.5 * hidden + rng.normal(size=4000)
    found = estimate(frame, outcome="y", treatment="w", features=["x", "other"], model="linear")
    assert not found.conf_low < 0 < found.conf_high  # no effect at all, and the interval misses it
    check = found.check("randomised_assignment")
    assert found.verdict == "do-not-use"
    # In standard errors: what the features took away, by hand from the top group's arms.
    top = found.scores["top"].to_numpy()
    arms = [np.average(frame["y"], weights=top * (w == arm)) for arm in (0, 1)]
    moved = abs(arms[1] - arms[0] - found.estimate)
    assert check.implied_bias >= moved / found.std_error - 1e-9
    assert f"moved the answer by {moved:.3g}" in check.message
