"""In-time placebos of several launches: all of them moved back by as many periods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError

from noholdout_synthetic_control.checks.evidence import latest_fake, least_history
from noholdout_synthetic_control.estimators.common import Build, Options
from noholdout_synthetic_control.estimators.stack import Stack, allowance, measured
from noholdout_synthetic_control.estimators.study import Analysis, Study
from noholdout_synthetic_control.inference.average import Cohort
from noholdout_synthetic_control.kernels.fits import Fit
from noholdout_synthetic_control.kernels.noise import own_noise


def fake_launches(
    stack: Stack, builds: Sequence[Build], blocks: Sequence[int], design: str, options: Options
) -> dict[str, pd.DataFrame]:
    """What launches some periods before the real ones would have shown, on request.

    As :func:`noholdout_synthetic_control.estimators.in_time.in_time_table`, every cohort's fake
    launch as long before its own real one and looking ahead as far, no day of it real.
    """
    count = options["in_time_placebos"]
    if count is None:
        return {}
    panels = [study.panel for study in stack.studies]
    horizon = min(latest_fake(panel)[1] for panel in panels)
    room = [
        panel.n_pre - max(least_history(block), panel.n_pre // 2)
        for panel, block in zip(panels, blocks, strict=True)
    ]
    shortest = min(panel.n_pre for panel in panels)
    enough = all(p.n_pre - horizon >= least_history(b) for p, b in zip(panels, blocks, strict=True))
    if count < 1 or not enough:
        raise DataError(
            f"in_time_placebos={count} was asked, with {shortest} periods before the first launch.",
            "A fake launch needs four blocks of history of its own.",
            "Ask for 1 or more with longer history, or leave it out.",
        )
    first, last = shortest - max(min(room), horizon), shortest - horizon
    rows = []
    for start in np.unique(np.linspace(first, last, count).round().astype(int)):
        back = shortest - int(start)
        effect, found = moved_back(stack, builds, design, back, horizon, options)
        row: dict[str, Any] = found.row(effect, options["conf_level"])
        p_value = found.bounds(effect, options["conf_level"])[2]
        rows.append({"start": -back, "periods": horizon, **row, "p_value": p_value})
    return {"in_time_placebos": pd.DataFrame(rows)}


def moved_back(
    stack: Stack, builds: Sequence[Build], design: str, back: int, horizon: int, options: Options
) -> tuple[float, Any]:
    """The average over cohorts of ``horizon`` periods from ``back`` before each real launch."""
    cohorts, chosen, analyses = [], [], []
    for study, build in zip(stack.studies, builds, strict=True):
        panel = study.panel
        start = panel.n_pre - back
        cut = panel.backdated(start, horizon)
        noise = own_noise(cut.outcomes, cut.n_pre, cut.counts, cut.binomial)
        analysis = replace(study, panel=cut, noise=noise).analyse(build)
        cohorts.append(on_the_calendar(study, analysis, noise))
        chosen.append(np.zeros(panel.times.size))
        chosen[-1][start : start + horizon] = 1 / horizon
        analyses.append(analysis)
    effect, found = measured(cohorts, chosen, stack.shares, design)
    if options["inference"] == "by-design":
        found = found.allowing(allowance(analyses, stack.shares), 0)
    return effect, found


def on_the_calendar(study: Study, analysis: Analysis, noise: np.ndarray) -> Cohort:
    """A cohort whose gaps end early, with nothing in the periods that it doesn't look at."""
    panel = study.panel

    def padded(fit: Fit) -> Fit:
        return replace(fit, gap=np.pad(fit.gap, (0, panel.times.size - fit.gap.size)))

    placebos = replace(analysis.placebos, fits=tuple(padded(f) for f in analysis.placebos.fits))
    treated = np.flatnonzero(panel.treated)
    return Cohort(panel.outcomes, noise, treated, panel.donors, padded(analysis.fit), placebos)
