"""A smaller Monte Carlo of what ``benchmarks/synthetic_control`` studies at length."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_synthetic_control.estimators.common import make_study
from noholdout_synthetic_control.estimators.demeaned import demeaned_build
from noholdout_synthetic_control.panel import Panel

PANELS = 200


def draw(seed: int, design: str) -> Panel:
    """30 units over 48 + 16 days, shocks of their own that persist, and no effect."""
    rng = np.random.default_rng(seed)
    units, periods = 30, 64
    shocks = rng.normal(0, 1, (units, periods))
    for t in range(1, periods):
        shocks[:, t] += 0.7 * shocks[:, t - 1]
    outcomes = rng.normal(50, 5, (units, 1)) + np.cumsum(rng.normal(0, 0.3, periods)) + shocks
    treated = np.zeros(units, bool)
    treated[: {"placebo": 1, "placebo-regions": 5, "jackknife": 22}[design]] = True
    regions = np.arange(units) // 5
    by_region = design == "placebo-regions"
    return Panel(
        outcomes=outcomes,
        counts=None,
        units=np.arange(units),
        times=np.arange(periods),
        treated=treated,
        n_pre=48,
        groups=regions if by_region else None,
        group_labels=np.arange(6) if by_region else None,
        rows=outcomes.size,
        proportion=False,
        daily=None,
        settings={},
    )


@pytest.mark.parametrize("design", ["placebo", "placebo-regions", "jackknife"])
def test_the_default_interval_holds(design: str) -> None:
    held, errors = 0, []
    for seed in range(PANELS):
        study = make_study(draw(seed, design), {})
        assert study.design == design
        found = study.analyse(demeaned_build(7, "exact"), every_placebo=False)
        low, high, _ = found.uncertainty.bounds(found.fit.effect, 0.95)
        held += low <= 0 <= high
        errors.append(found.fit.effect)
    # At 0.95, fewer than 181 of 200 has probability 0.003 (and 199 or 200 one of 0.0004).
    assert 181 <= held <= 198
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / np.sqrt(PANELS)
