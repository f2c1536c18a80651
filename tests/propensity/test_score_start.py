"""With many rows Newton starts near the solution; where it starts must not matter."""

import numpy as np
import pytest
from noholdout_propensity.kernels import score as kernel
from noholdout_propensity.kernels.score import fit_score, logistic

ROWS = 60_000
assert ROWS > kernel.MANY * kernel.START_ROWS


def draw(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, 3))
    design = np.asfortranarray(np.column_stack([np.ones(ROWS), x]))
    treated = (rng.random(ROWS) < logistic(x @ np.array([1.0, -0.7, 0.4]) - 0.5)).astype(float)
    return design, treated


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_start_near_the_solution_reaches_the_one_from_afar(link, weighted):
    design, treated = draw()
    weights = np.random.default_rng(1).uniform(0.5, 2.0, ROWS) if weighted else None
    far = fit_score(design, treated, weights=weights, link=link, start=np.zeros(4))
    near = fit_score(design, treated, weights=weights, link=link)
    assert near.converged
    assert near.steps < far.steps
    np.testing.assert_allclose(near.coefficients, far.coefficients, rtol=0, atol=1e-8)
    np.testing.assert_allclose(near.bread, far.bread, rtol=1e-7)
    np.testing.assert_allclose(near.score, far.score, rtol=0, atol=1e-8)


def test_rows_in_a_pattern_that_leaves_one_arm_out_of_the_start_change_nothing():
    design, treated = draw()
    apart = ROWS // kernel.START_ROWS
    treated[::apart] = 1.0  # every row that the start would look at opted in
    near = fit_score(design, treated)
    far = fit_score(design, treated, start=np.zeros(4))
    assert near.converged
    np.testing.assert_allclose(near.coefficients, far.coefficients, rtol=0, atol=1e-8)


def test_weights_of_zero_on_every_row_of_the_start_change_nothing():
    design, treated = draw()
    weights = np.ones(ROWS)
    weights[:: ROWS // kernel.START_ROWS] = 0.0
    near = fit_score(design, treated, weights=weights)
    far = fit_score(design, treated, weights=weights, start=np.zeros(4))
    assert near.converged
    np.testing.assert_allclose(near.coefficients, far.coefficients, rtol=0, atol=1e-8)


def test_separation_is_found_as_before():
    design, treated = draw()
    treated[:] = design[:, 1] > 0
    fit = fit_score(design, treated)
    assert fit.separated
    assert not fit.converged


def test_a_column_that_the_start_never_sees_is_fitted_all_the_same():
    design, treated = draw()
    rare = np.zeros(ROWS)
    rare[7::500] = 1.0  # beside every row that the start looks at
    rare[:: ROWS // kernel.START_ROWS] = 0.0
    design[:, 3] = (rare - rare.mean()) / rare.std()
    near = fit_score(design, treated)
    far = fit_score(design, treated, start=np.zeros(4))
    np.testing.assert_allclose(near.coefficients, far.coefficients, rtol=0, atol=1e-7)
