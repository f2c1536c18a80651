"""The ridge-augmented simplex: its algebra, written plainly, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_synthetic_control import estimate
from noholdout_synthetic_control.kernels.augmented import augmented_problem
from synthetic_control.worlds import COLUMNS, factor_panel, panel_frame


def test_the_correction_is_a_ridge_on_the_misfit() -> None:
    outcomes = factor_panel(1, units=10, n_pre=20, n_post=5)
    problem = augmented_problem(outcomes, 20, np.full(10, 1.0), 1)
    own, others = problem.features[0], problem.features[1:]
    weights = problem.corrected(own, others, problem.ridge[1:], np.ones(9), np.array([3.0]))[0]
    simplex = problem.corrected(own, others, problem.ridge[1:], np.ones(9), np.array([1e15]))[0]
    assert simplex.min() > -1e-9  # an infinite penalty leaves the simplex weights
    centred = others - others.mean(axis=0)
    ridge = np.linalg.inv(centred.T @ centred + 3.0 * np.eye(20))
    plain = simplex + (own - simplex @ others) @ ridge @ centred.T
    np.testing.assert_allclose(weights, plain, atol=1e-8)
    assert weights.sum() == pytest.approx(1)


def test_copies_are_rows_repeated() -> None:
    outcomes = factor_panel(2, units=6, n_pre=24, n_post=5)
    noise = np.linspace(0.5, 2, 6)
    short = augmented_problem(outcomes, 24, noise, 2)
    rows = [0, 1, 1, 2, 3]
    long = augmented_problem(outcomes[rows], 24, noise[rows], 2)
    own, penalty = short.features[0], np.array([2.0])
    counts = np.array([2.0, 1.0, 1.0])
    one = short.corrected(own, short.features[1:4], short.ridge[1:4], counts, penalty)[0]
    two = long.corrected(own, long.features[1:], long.ridge[1:], np.ones(4), penalty)[0]
    np.testing.assert_allclose(one, [two[:2].sum(), two[2], two[3]], atol=1e-9)


def test_it_reaches_beyond_the_hull() -> None:
    rng = np.random.default_rng(4)
    factor = np.cumsum(rng.normal(0, 1, 80))
    loadings = rng.uniform(-1, 1, 20)
    loadings[0] = 1.8  # responds more than any donor
    outcomes = np.outer(loadings, factor) + rng.normal(0, 0.3, (20, 80))
    frame = panel_frame(outcomes)
    at = {**COLUMNS, "treated": ["u00"], "start": 60}
    augmented = estimate(frame, **at, estimator="augmented")
    demeaned = estimate(frame, **at)
    assert augmented.tables["weights"]["weight"].min() < 0
    pre = "time < 60"
    misfit = [r.tables["path"].query(pre)["gap"].std() for r in (augmented, demeaned)]
    assert misfit[0] < 0.8 * misfit[1]


def test_all_estimators_stand_beside_the_default() -> None:
    frame = panel_frame(factor_panel(3))
    at = {**COLUMNS, "treated": ["u00"], "start": 60}
    table = estimate(frame, **at, estimator="all").tables["estimators"].set_index("estimator")
    assert list(table.index) == ["demeaned", "classic", "synthetic-did", "augmented", "did"]
    for name in table.index:
        alone = estimate(frame, **at, estimator=name)
        assert table.loc[name, "estimate"] == pytest.approx(alone.estimate)
        assert table.loc[name, "std_error"] == pytest.approx(alone.std_error)


@pytest.mark.parametrize("alike", [1, 19])
def test_donors_that_do_not_differ_leave_nothing_to_correct(alike: int) -> None:
    """Two donors give placebos with one donor each; nineteen copies differ in nothing."""
    outcomes = factor_panel(1)[: alike + 2] if alike == 1 else factor_panel(1)
    outcomes[-alike:] = outcomes[1] if alike > 1 else outcomes[-1]
    asked = {**COLUMNS, "treated": ["u00"], "start": 60}
    found = estimate(panel_frame(outcomes), **asked, estimator="augmented")
    assert np.isfinite(found.estimate)
    if alike > 1:
        plain = estimate(panel_frame(outcomes), **asked)
        assert found.estimate == pytest.approx(plain.estimate, abs=1e-6)
