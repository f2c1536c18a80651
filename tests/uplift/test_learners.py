"""The learners against what they do written out."""

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError
from noholdout_uplift import (
    ClassTransformation,
    DRLearner,
    RLearner,
    SLearner,
    TLearner,
    XLearner,
    estimate,
)
from noholdout_uplift.estimators.base import UpliftLearner
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier


def data(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, 2)), rng.integers(0, 2, n)
    return x, x[:, 0] + w * (1 + x[:, 1]) + 0.1 * rng.normal(size=n), w


def test_t_learner_by_hand() -> None:
    # One binary feature, least squares: the arm means in each cell.
    # x=0: controls 1, 3 (mean 2), treated 5, 7 (mean 6), effect 4.
    # x=1: controls 2, 4 (mean 3), treated 3, 5 (mean 4), effect 1.
    x = np.array([[0.0], [0], [0], [0], [1], [1], [1], [1]])
    w = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    y = np.array([1.0, 3, 5, 7, 2, 4, 3, 5])
    learner = TLearner(model="linear").fit(x, y, w)
    np.testing.assert_allclose(learner.predict([[0.0], [1.0]]), [4, 1])


def test_x_learner_written_out() -> None:
    x, y, w = data()
    mu0 = LinearRegression().fit(x[w == 0], y[w == 0])
    mu1 = LinearRegression().fit(x[w == 1], y[w == 1])
    tau1 = LinearRegression().fit(x[w == 1], y[w == 1] - mu0.predict(x[w == 1]))
    tau0 = LinearRegression().fit(x[w == 0], mu1.predict(x[w == 0]) - y[w == 0])
    expected = 0.3 * tau0.predict(x) + 0.7 * tau1.predict(x)
    learner = XLearner(model="linear").fit(x, y, w, propensity=0.3)
    np.testing.assert_allclose(learner.predict(x), expected)


EFFECT_LEARNERS = [TLearner, XLearner, RLearner, DRLearner]


@pytest.mark.parametrize("kind", EFFECT_LEARNERS)
@pytest.mark.parametrize("model", ["linear", "boosting", LinearRegression()])
def test_learners_find_an_effect_that_differs(kind: type[UpliftLearner], model: object) -> None:
    x, y, w = data(2000)
    learner = clone(kind(model=model)).fit(x, y, w)
    assert np.corrcoef(learner.predict(x), 1 + x[:, 1])[0, 1] > 0.85
    assert learner.n_features_in_ == 2


@pytest.mark.parametrize("kind", [TLearner, XLearner])
def test_weights_equal_repeated_rows(kind: type[UpliftLearner]) -> None:
    x, y, w = data()
    times = np.random.default_rng(1).integers(1, 4, len(y))
    weighted = kind(model="linear").fit(x, y, w, propensity=0.5, sample_weight=times)
    repeated = kind(model="linear").fit(
        np.repeat(x, times, axis=0), np.repeat(y, times), np.repeat(w, times), propensity=0.5
    )
    np.testing.assert_allclose(weighted.predict(x), repeated.predict(x), atol=1e-9)


def test_what_learners_refuse() -> None:
    x, y, w = data(50)
    with pytest.raises(DataError, match="array of 0 and 1"):
        TLearner().fit(x, y, w + 1)
    with pytest.raises(DataError, match="no treated rows"):
        TLearner().fit(x, y, np.zeros(50))
    with pytest.raises(DataError, match="is a classifier"):
        TLearner(model=DecisionTreeClassifier()).fit(x, y, w)
    with pytest.raises(ValueError, match="3 features, but TLearner is expecting 2"):
        TLearner(model="linear").fit(x, y, w).predict(np.zeros((2, 3)))


def test_s_learner_written_out() -> None:
    x, y, w = data()
    one = LinearRegression().fit(np.column_stack([x, w]), y)
    learner = SLearner(model="linear").fit(x, y, w)
    # Without interactions everybody's effect is the treatment's coefficient.
    np.testing.assert_allclose(learner.predict(x), one.coef_[2])


def test_r_learner_written_out() -> None:
    x, y, w = data()
    learner = RLearner(model="linear").fit(x, y, w, propensity=0.5)
    half = learner._halves(w)
    mean = np.empty(len(y))
    for k in (0, 1):
        mean[half == k] = LinearRegression().fit(x[half != k], y[half != k]).predict(x[half == k])
    # Minimise sum ((Y - m) - (W - e) tau(x))^2 over linear tau directly.
    design = (w - 0.5)[:, None] * np.column_stack([np.ones(len(y)), x])
    slopes = np.linalg.lstsq(design, y - mean, rcond=None)[0]
    np.testing.assert_allclose(learner.predict(x), np.column_stack([np.ones(len(y)), x]) @ slopes)


def test_dr_learner_written_out() -> None:
    x, y, w = data()
    learner = DRLearner(model="linear").fit(x, y, w, propensity=0.4)
    half = learner._halves(w)
    scores = np.empty(len(y))
    for k in (0, 1):
        mu = [
            LinearRegression().fit(x[(half != k) & (w == a)], y[(half != k) & (w == a)])
            for a in (0, 1)
        ]
        for i in np.flatnonzero(half == k):
            m0, m1 = (m.predict(x[[i]])[0] for m in mu)
            term = (y[i] - m1) / 0.4 if w[i] else -(y[i] - m0) / 0.6
            scores[i] = m1 - m0 + term
    expected = LinearRegression().fit(x, scores).predict(x)
    np.testing.assert_allclose(learner.predict(x), expected)


def test_class_transformation_ranks_as_the_flipped_class_does() -> None:
    # With a coin, Y* = 2 Y (2 W - 1): the class Z = 1(Y = W) has P(Z = 1 | x) = (tau + 1) / 2.
    x, y, w = data(2000)
    y = (y > y.mean()).astype(float)
    learner = ClassTransformation(model="linear").fit(x, y, w, propensity=0.5)
    np.testing.assert_allclose(
        learner.predict(x), LinearRegression().fit(x, 2 * y * (2 * w - 1)).predict(x)
    )
    flipped = LinearRegression().fit(x, (y == w).astype(float)).predict(x)
    assert np.corrcoef(learner.predict(x), flipped)[0, 1] > 0.95


def synthetic(mode: int, n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Nie and Wager's (2021, section 6) set-ups: features, outcome, arm, chance, effect."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 6)) if mode == 1 else rng.normal(size=(n, 6))
    if mode == 1:
        base = np.sin(np.pi * x[:, 0] * x[:, 1]) + 2 * (x[:, 2] - 0.5) ** 2 + x[:, 3]
        base += 0.5 * x[:, 4]
        chance = np.clip(np.sin(np.pi * x[:, 0] * x[:, 1]), 0.1, 0.9)
        effect = (x[:, 0] + x[:, 1]) / 2
    elif mode == 2:
        base = np.maximum.reduce([np.zeros(n), x[:, 0] + x[:, 1], x[:, 2]])
        base += np.maximum(0, x[:, 3] + x[:, 4])
        chance, effect = np.full(n, 0.5), x[:, 0] + np.logaddexp(0, x[:, 1])
    elif mode == 3:
        base = 2 * np.logaddexp(0, x[:, 0] + x[:, 1] + x[:, 2])
        chance, effect = 1 / (1 + np.exp(x[:, 1] + x[:, 2])), np.ones(n)
    else:
        base = np.maximum(0, x[:, 0] + x[:, 1] + x[:, 2]) + np.maximum(0, x[:, 3] + x[:, 4])
        base /= 2
        chance = 1 / (1 + np.exp(-x[:, 0]) + np.exp(-x[:, 1]))
        effect = np.maximum(0, x[:, 0] + x[:, 1] + x[:, 2]) - np.maximum(0, x[:, 3] + x[:, 4])
    w = (rng.random(n) < chance).astype(int)
    return x, base + (w - 0.5) * effect + rng.normal(size=n), w, chance, effect


def test_the_modes_averages_in_closed_form() -> None:
    # 2: E log(1 + exp(N)); 4: E max(0, N(0, 3)) - E max(0, N(0, 2)), each sqrt(v / (2 pi)).
    softplus = quad(lambda v: np.logaddexp(0, v) * norm.pdf(v), -12, 12)[0]
    assert softplus == pytest.approx(0.8061, abs=5e-5)
    assert (np.sqrt(3) - np.sqrt(2)) / np.sqrt(2 * np.pi) == pytest.approx(0.1268, abs=5e-5)


@pytest.mark.parametrize(("mode", "average"), [(1, 0.5), (2, 0.8061), (3, 1.0), (4, 0.1268)])
def test_analytic_synthetic_modes(mode: int, average: float) -> None:
    assert synthetic(mode, 400_000, 1)[4].mean() == pytest.approx(average, abs=0.01)
    x, y, w, chance, effect = synthetic(mode, 6000, 2)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(6)]).assign(y=y, w=w, e=chance)
    found = estimate(
        frame, outcome="y", treatment="w", features=[f"x{j}" for j in range(6)], propensity="e"
    )
    ate = found.tables["metrics"].set_index("name").loc["ate"]
    # Four standard errors: the known propensity makes the estimate unbiased in every mode.
    assert abs(ate["estimate"] - average) < 4 * ate["std_error"]
    if mode in (1, 2, 4):
        assert np.corrcoef(found.scores["score"], effect)[0, 1] > 0.3


@pytest.mark.parametrize("kind", [TLearner, XLearner])
def test_models_of_the_arms_that_are_there_are_not_fitted_again(kind: type[UpliftLearner]) -> None:
    x, y, w = data(600)
    there = TLearner(random_state=3).fit(x, y, w).arm_models
    alone = kind(random_state=3).fit(x, y, w, propensity=0.5)
    np.testing.assert_array_equal(
        kind(random_state=3).fit(x, y, w, propensity=0.5, arm_models=there).predict(x),
        alone.predict(x),
    )
    swapped = kind(random_state=3).fit(x, y, w, propensity=0.5, arm_models=there[::-1])
    assert np.abs(swapped.predict(x) - alone.predict(x)).max() > 0.1
