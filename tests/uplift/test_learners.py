"""The learners against what they do written out."""

import numpy as np
import pytest
from noholdout_shared.errors import DataError
from noholdout_uplift import TLearner, XLearner
from noholdout_uplift.estimators.base import UpliftLearner
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


@pytest.mark.parametrize("kind", [TLearner, XLearner])
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
