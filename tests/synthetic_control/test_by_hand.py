"""Numbers small enough to check on paper."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_synthetic_control import estimate
from scipy import stats
from synthetic_control.worlds import COLUMNS, panel_frame

# A launch for u00 at time 3.
#         t0  t1  t2 | t3  t4
OUTCOMES = np.array(
    [
        [11.0, 12.0, 10.0, 18.0, 19.0],  # treated
        [10.0, 12.0, 10.0, 12.0, 13.0],
        [12.0, 12.0, 10.0, 14.0, 15.0],
        [20.0, 28.0, 33.0, 20.0, 20.0],
    ]
)


def test_classic_weights_on_paper() -> None:
    """Half u01, half u02 reproduces 11, 12, 10 exactly; u03 gets nothing.

    The twin is 13, 14 after the launch, so the gaps are 5, 5.
    """
    found = estimate(
        panel_frame(OUTCOMES), **COLUMNS, treated=["u00"], start=3, estimator="classic"
    )
    assert found.tables["weights"]["weight"].tolist() == pytest.approx([0.5, 0.5, 0.0], abs=1e-9)
    assert found.tables["path"]["gap"].tolist() == pytest.approx([0, 0, 0, 5, 5], abs=1e-9)
    assert found.estimate == pytest.approx(5.0)


def test_did_on_paper() -> None:
    """Changes (mean of t3, t4 less mean of t0..t2): treated 18.5 - 11 = 7.5; donors
    12.5 - 32/3 = 11/6, 14.5 - 34/3 = 19/6, 20 - 27 = -7, mean -2/3; effect 7.5 + 2/3."""
    found = estimate(panel_frame(OUTCOMES), **COLUMNS, treated=["u00"], start=3, estimator="did")
    assert found.estimate == pytest.approx(7.5 + 2 / 3)
    assert found.n_obs == 20
    assert (found.n_treated, found.n_control) == (2, 18)


def test_placebos_of_did_on_paper() -> None:
    """Each donor's change less the mean of the other two, from the changes above."""
    found = estimate(panel_frame(OUTCOMES), **COLUMNS, treated=["u00"], start=3, estimator="did")
    a, b, c = 11 / 6, 19 / 6, -7.0
    gaps = [a - (b + c) / 2, b - (a + c) / 2, c - (a + b) / 2]
    assert found.tables["placebos"]["gap"].tolist() == pytest.approx(gaps)
    # |7.5 + 2/3| = 8.17 is below |-7 - 2.5| = 9.5: rank 2 of 4.
    assert found.settings["placebo_p_gap"] == pytest.approx(2 / 4)
    assert found.settings["smallest_placebo_p"] == pytest.approx(1 / 4)


def test_jackknife_of_did_is_welch() -> None:
    """Equal weights: the jackknife is Welch's two-sample t on the units' changes."""
    rng = np.random.default_rng(3)
    outcomes = rng.normal(0, 1, (14, 30)) + rng.normal(0, 2, (14, 1))
    outcomes[:9, 20:] += 1.5
    found = estimate(
        panel_frame(outcomes),
        **COLUMNS,
        treated=[f"u{i:02d}" for i in range(9)],
        start=20,
        estimator="did",
    )
    changes = outcomes[:, 20:].mean(1) - outcomes[:, :20].mean(1)
    welch = stats.ttest_ind(changes[:9], changes[9:], equal_var=False)
    low, high = welch.confidence_interval(0.95)
    assert found.inference.startswith("jackknife")
    assert found.df == pytest.approx(welch.df)
    assert (found.conf_low, found.conf_high) == pytest.approx((low, high))
    assert found.p_value == pytest.approx(welch.pvalue)
