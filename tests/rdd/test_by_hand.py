"""Small cases whose arithmetic stands in comments, and slow second implementations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_rdd import estimate
from noholdout_rdd.kernels.density import density_jump
from noholdout_rdd.kernels.jump import jump_pair
from noholdout_rdd.kernels.local import KERNELS, Spec, local_fit
from noholdout_rdd.kernels.neighbours import neighbour_residuals
from noholdout_rdd.kernels.side import Side


def simulated(n: int = 800, seed: int = 3, jump: float = 2.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.uniform(-1, 1, n)
    y = 1 + 0.5 * score + 0.8 * score**2 + jump * (score >= 0) + rng.normal(0, 0.5, n)
    return pd.DataFrame({"y": y, "score": score, "group": rng.integers(0, 30, n)})


def as_sides(frame: pd.DataFrame) -> tuple[Side, Side]:
    parts = []
    for below in (True, False):
        rows = frame[(frame["score"] < 0) == below]
        distance = rows["score"].abs().to_numpy()
        order = np.argsort(distance)
        parts.append(Side(distance[order], rows["y"].to_numpy()[order][None]))
    return parts[0], parts[1]


def test_two_lines_by_hand() -> None:
    # Eight rows on two exact lines, y = 1 + x below and y = 4 + 2x at or above, uniform kernel:
    # the lines are fitted without error, so the jump is 4 - 1 = 3.
    x = np.array([-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0])
    left = Side(np.array([1.0, 2, 3, 4]), (1 + x[:4])[::-1][None])
    right = Side(np.array([1.0, 2, 3, 4]), (4 + 2 * x[4:])[None])
    pair = jump_pair((left, right), (4.0, 4.0), (4.0, 4.0), Spec(kernel="uniform"))
    assert pair.conventional.estimate == pytest.approx(3.0)
    assert pair.corrected.estimate == pytest.approx(3.0)


def test_local_constant_weights_by_hand() -> None:
    # A line through (1, a), (2, b) meets 0 at 2a - b: weights 2 and -1 whatever the kernel.
    side = Side(np.array([1.0, 2.0]), np.array([[5.0, 7.0]]))
    for kernel in ("triangular", "uniform", "epanechnikov"):
        assert local_fit(side, 3.0, 1, kernel).weights(0) == pytest.approx([2.0, -1.0])


def test_neighbour_residuals_by_hand() -> None:
    # Scores 0, 1, 2, 4, two matches. Row 0: neighbours 1, 2 -> y 0 - (3 + 6) / 2 = -4.5.
    # Row 1 (y 3): 0 and 2 tie at distance 1, both in -> 3 - (0 + 6) / 2 = 0.
    # Row 2 (y 6): nearest is 1; then 0 and 4 tie at distance 2, both in: three neighbours,
    # 6 - (3 + 0 + 9) / 3 = 2. Row 3 (y 9): 2 and 1 -> 9 - 4.5 = 4.5.
    # Each times sqrt(J / (J + 1)).
    found = neighbour_residuals(np.array([0.0, 1, 2, 4]), np.array([[0.0, 3, 6, 9]]), matches=2)
    two, three = np.sqrt(2 / 3), np.sqrt(3 / 4)
    assert found.residuals[0] == pytest.approx([-4.5 * two, 0.0, 2 * three, 4.5 * two])


def slow_neighbours(distance: np.ndarray, y: np.ndarray, matches: int) -> np.ndarray:
    """Every row against every other: the matches nearest rows, and all that tie with the last."""
    out = []
    for i in range(y.size):
        gaps = np.abs(distance - distance[i])
        gaps[i] = np.inf
        limit = np.sort(gaps)[min(matches, y.size - 1) - 1]
        chosen = gaps <= limit
        out.append(np.sqrt(chosen.sum() / (chosen.sum() + 1)) * (y[i] - y[chosen].mean()))
    return np.array(out)


@pytest.mark.parametrize("grid", [False, True])
def test_neighbours_against_every_pair(grid: bool) -> None:
    rng = np.random.default_rng(1)
    distance = np.sort(rng.integers(0, 60, 200) / 4 if grid else rng.uniform(0, 5, 200))
    y = rng.normal(size=200)
    side = Side(distance, y[None])
    np.testing.assert_allclose(side.noise(200)[0], slow_neighbours(distance, y, 3), atol=1e-12)
    # A narrower window: its edge rows are matched within it only.
    for width in (1.0, 2.25, 3.5):
        n = side.within(width, "triangular")
        np.testing.assert_allclose(
            side.noise(n)[0], slow_neighbours(distance[:n], y[:n], 3), atol=1e-12
        )


@pytest.mark.parametrize("kernel", ["triangular", "uniform", "epanechnikov"])
@pytest.mark.parametrize("degree", [1, 2])
def test_against_weighted_least_squares(kernel: str, degree: int) -> None:
    """One regression with all interactions gives the jump, and HC0 its standard error."""
    import statsmodels.api as sm

    frame = simulated()
    h = 0.6
    near = frame[frame["score"].abs() < h]
    right = (near["score"] >= 0).to_numpy(dtype=float)
    powers = np.vander(near["score"], degree + 1, increasing=True)
    design = np.column_stack([powers, powers * right[:, None]])
    weights = KERNELS[kernel](near["score"].abs().to_numpy() / h)
    fit = sm.WLS(near["y"], design, weights=weights).fit(cov_type="HC0")
    pair = jump_pair(as_sides(frame), (h, h), (h, h), Spec(degree, kernel, "hc0"))
    assert pair.conventional.estimate == pytest.approx(fit.params.iloc[degree + 1], rel=1e-10)
    assert pair.conventional.std_error == pytest.approx(fit.bse.iloc[degree + 1], rel=1e-10)


def test_equal_bandwidths_bias_correction_is_one_degree_more() -> None:
    # With b = h, correcting a line's bias by a quadratic is the quadratic's own fit (CCT 2014,
    # remark 7): a property that no code path of ours uses.
    sides = as_sides(simulated())
    corrected = jump_pair(sides, (0.5, 0.5), (0.5, 0.5)).corrected
    quadratic = jump_pair(sides, (0.5, 0.5), (0.5, 0.5), Spec(degree=2)).conventional
    assert corrected.estimate == pytest.approx(quadratic.estimate, rel=1e-9)
    assert corrected.std_error == pytest.approx(quadratic.std_error, rel=1e-9)


def test_density_slope_against_least_squares_on_the_distribution() -> None:
    rng = np.random.default_rng(5)
    score = np.sort(rng.normal(0.3, 1, 700))
    share = np.arange(700) / 699  # share of the other rows below each row
    h = 0.8
    sides = (
        Side(-score[score < 0][::-1], score[score < 0][None]),
        Side(score[score >= 0], score[score >= 0][None]),
    )
    found = density_jump(sides, bandwidths=(h, h))
    for which, inside in ((0, (score < 0) & (score > -h)), (1, (score >= 0) & (score < h))):
        weights = np.sqrt(1 - np.abs(score[inside]) / h)
        design = np.vander(score[inside], 4, increasing=True) * weights[:, None]
        slope = np.linalg.lstsq(design, share[inside] * weights, rcond=None)[0][1]
        assert found.density[which] == pytest.approx(slope, rel=1e-8)


def test_fuzzy_is_the_ratio_of_jumps() -> None:
    frame = simulated(2000)
    rng = np.random.default_rng(8)
    frame["served"] = np.where(
        frame["score"] >= 0, rng.random(2000) < 0.9, rng.random(2000) < 0.2
    ).astype(int)
    options = {"running": "score", "cutoff": 0.0, "bandwidth": 0.5}
    fuzzy = estimate(frame, outcome="y", treatment="served", **options)
    top = estimate(frame, outcome="y", **options)
    bottom = estimate(frame, outcome="served", **options)
    conventional = [
        r.tables["variants"].set_index("variant").loc["conventional", "estimate"]
        for r in (fuzzy, top, bottom)
    ]
    assert conventional[0] == pytest.approx(conventional[1] / conventional[2], rel=1e-10)


def test_fuzzy_with_full_compliance_is_sharp() -> None:
    frame = simulated()
    frame["served"] = (frame["score"] >= 0).astype(int)
    options = {"outcome": "y", "running": "score", "cutoff": 0.0}
    sharp, fuzzy = estimate(frame, **options), estimate(frame, treatment="served", **options)
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert getattr(fuzzy, name) == pytest.approx(getattr(sharp, name), rel=1e-8)
    assert fuzzy.check("compliance").status == "pass"


def test_weights_of_two_are_rows_twice_for_the_estimate() -> None:
    frame = simulated()
    frame["count"] = np.random.default_rng(0).integers(1, 4, len(frame))
    options = {"outcome": "y", "running": "score", "cutoff": 0.0, "bandwidth": 0.5}
    weighted = estimate(frame, weights="count", **options)
    repeated = estimate(frame.loc[frame.index.repeat(frame["count"])], **options)
    assert weighted.estimate == pytest.approx(repeated.estimate, rel=1e-9)
