"""Each estimator against a slow, obvious one: numerical derivatives and double loops."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from noholdout_propensity import estimate
from noholdout_propensity.kernels.nearest import nearest_windows
from noholdout_propensity.options import Options
from noholdout_propensity.problem import prepare
from propensity.samples import match, simulate
from scipy.optimize import approx_fprime

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}


def arrays(n: int = 400, seed: int = 3):
    problem = prepare(Options(data=simulate(n, seed), **COLUMNS))
    return problem.outcome, problem.treated, problem.score_design


def tilt(e: np.ndarray, estimand: str) -> np.ndarray:
    return {"ate": np.ones_like(e), "att": e, "atc": 1 - e, "ato": e * (1 - e)}[estimand]


def sandwich(moments, theta: np.ndarray) -> np.ndarray:
    """Standard errors of stacked equations with a numerical bread."""
    rows = moments(theta)
    n = rows.shape[0]
    bread = approx_fprime(theta, lambda t: moments(t).mean(axis=0), 1e-6)
    inverse = np.linalg.inv(bread)
    return np.sqrt(np.diag(inverse @ (rows.T @ rows / n) @ inverse.T) / n)


@pytest.mark.parametrize("estimand", ["ate", "att", "atc", "ato"])
def test_ipw_against_stacked_equations(estimand: str) -> None:
    y, d, x = arrays()
    gamma = sm.Logit(d, x).fit(disp=0, tol=1e-12).params

    def moments(theta: np.ndarray) -> np.ndarray:
        g, m1, m0 = theta[:-2], theta[-2], theta[-1]
        e = 1 / (1 + np.exp(-x @ g))
        h = tilt(e, estimand)
        return np.column_stack(
            [x * (d - e)[:, None], h / e * d * (y - m1), h / (1 - e) * (1 - d) * (y - m0)]
        )

    e = 1 / (1 + np.exp(-x @ gamma))
    h = tilt(e, estimand)
    m1 = np.average(y, weights=h / e * d)
    m0 = np.average(y, weights=h / (1 - e) * (1 - d))
    theta = np.concatenate([gamma, [m1, m0]])
    rows = moments(theta)
    bread = np.linalg.inv(approx_fprime(theta, lambda t: moments(t).mean(axis=0), 1e-6))
    covariance = bread @ (rows.T @ rows / len(y)) @ bread.T / len(y)
    contrast = np.concatenate([np.zeros(len(gamma)), [1, -1]])
    answer = estimate(simulate(400, 3), estimator="ipw", estimand=estimand, **COLUMNS)
    assert answer.estimate == pytest.approx(m1 - m0, rel=1e-8)
    assert answer.std_error == pytest.approx(np.sqrt(contrast @ covariance @ contrast), rel=1e-4)


@pytest.mark.parametrize("estimand", ["ate", "att", "atc", "ato"])
def test_aipw_against_stacked_equations(estimand: str) -> None:
    y, d, x = arrays()
    k = x.shape[1]
    gamma = sm.Logit(d, x).fit(disp=0, tol=1e-12).params
    beta1 = sm.OLS(y[d == 1], x[d == 1]).fit().params
    beta0 = sm.OLS(y[d == 0], x[d == 0]).fit().params
    slope = {
        "ate": lambda e: np.zeros_like(e),
        "att": lambda e: np.ones_like(e),
        "atc": lambda e: -np.ones_like(e),
        "ato": lambda e: 1 - 2 * e,
    }[estimand]

    def moments(theta: np.ndarray) -> np.ndarray:
        g, b1, b0, tau = theta[:k], theta[k : 2 * k], theta[2 * k : 3 * k], theta[-1]
        e = 1 / (1 + np.exp(-x @ g))
        h = tilt(e, estimand)
        m1, m0 = x @ b1, x @ b0
        effect = (
            h / e * d * (y - m1)
            - h / (1 - e) * (1 - d) * (y - m0)
            + (h + slope(e) * (d - e)) * (m1 - m0 - tau)
        )
        return np.column_stack(
            [
                x * (d - e)[:, None],
                x * (d * (y - m1))[:, None],
                x * ((1 - d) * (y - m0))[:, None],
                effect,
            ]
        )

    answer = estimate(simulate(400, 3), estimator="aipw", folds=1, estimand=estimand, **COLUMNS)
    theta = np.concatenate([gamma, beta1, beta0, [answer.estimate]])
    # At the estimate the last equation must hold, and the sandwich must give its error.
    assert moments(theta)[:, -1].mean() == pytest.approx(0, abs=1e-8)
    assert answer.std_error == pytest.approx(sandwich(moments, theta)[-1], rel=1e-4)


def test_cross_fitting_against_a_loop_over_folds() -> None:
    from noholdout_propensity.kernels.nuisance import assign_folds

    y, d, x = arrays()
    fold = assign_folds(d, 5, seed=0)
    values = np.empty(len(y))
    for f in range(5):
        out, rest = fold == f, fold != f
        e = sm.Logit(d[rest], x[rest]).fit(disp=0, tol=1e-12).predict(x[out])
        m = [sm.OLS(y[rest & (d == a)], x[rest & (d == a)]).fit().predict(x[out]) for a in (0, 1)]
        values[out] = (
            m[1] - m[0] + d[out] * (y[out] - m[1]) / e - (1 - d[out]) * (y[out] - m[0]) / (1 - e)
        )
    answer = estimate(simulate(400, 3), estimator="aipw", seed=0, **COLUMNS)
    assert answer.estimate == pytest.approx(values.mean(), rel=1e-8)


@pytest.mark.parametrize("ratio", [1, 3])
@pytest.mark.parametrize("targets", [(True, True), (True, False), (False, True)])
def test_matching_against_double_loops(targets: tuple[bool, bool], ratio: int) -> None:
    y, d, _ = arrays(150)
    score = np.random.default_rng(0).choice(np.linspace(0.1, 0.9, 40), 150)  # many ties
    n = len(y)
    share, share2, contrasts = np.zeros(n), np.zeros(n), {}
    for i in range(n):
        if not targets[0 if d[i] == 1 else 1]:
            continue
        others = np.flatnonzero(d != d[i])
        distances = np.abs(score[others] - score[i])
        matches = others[distances <= np.sort(distances)[ratio - 1] + 1e-10]
        contrasts[i] = (1 if d[i] == 1 else -1) * (y[i] - y[matches].mean())
        share[matches] += 1 / len(matches)
        share2[matches] += 1 / len(matches) ** 2
    tau = np.mean(list(contrasts.values()))
    variance = sum((c - tau) ** 2 for c in contrasts.values())
    for i in range(n):
        same = np.flatnonzero(d == d[i])
        distances = np.abs(score[same] - score[i])
        near = same[distances <= np.sort(distances)[1] + 1e-10]
        target = i in contrasts
        variance += np.var(y[near], ddof=1) * (share[i] ** 2 + 2 * share[i] * target - share2[i])
    effect = match(y, d, score, targets, ratio)
    assert effect.estimate == pytest.approx(tau, rel=1e-9)
    assert effect.std_error == pytest.approx(np.sqrt(variance) / len(contrasts), rel=1e-9)


def test_windows_hold_the_nearest_and_their_ties() -> None:
    pool = np.array([0.1, 0.2, 0.2, 0.5])
    windows = nearest_windows(np.array([0.19, 0.36]), pool, 1)
    assert windows.count.tolist() == [2, 1]  # both 0.2s; 0.5 alone (0.14 away, 0.2 is 0.16)
    windows = nearest_windows(np.array([0.19, 0.9]), pool, 1, caliper=0.05)
    assert windows.count.tolist() == [2, 0]
