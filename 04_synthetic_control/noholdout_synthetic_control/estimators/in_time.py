"""Fake launches before the real one, on request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError

from noholdout_synthetic_control.checks.evidence import latest_fake, least_history
from noholdout_synthetic_control.estimators.options import Options
from noholdout_synthetic_control.estimators.study import Study
from noholdout_synthetic_control.kernels.fits import Build
from noholdout_synthetic_control.kernels.noise import own_noise


def in_time_table(
    study: Study, build: Build | None, block: int, options: Options
) -> dict[str, pd.DataFrame]:
    """What fake launches before the real one would have shown, on request (Abadie 2021, 5.2).

    They stand evenly between half of the history and the latest that leaves as much time after it
    as the check ``in_time_placebo`` looks at; earlier ones have so little history that they err by
    themselves. Each is the estimate on a file that ends with its horizon. They share days, so that
    they aren't independent tests: the check judges the latest alone.
    """
    count, panel = options["in_time_placebos"], study.panel
    if count is None:
        return {}
    last, horizon = latest_fake(panel)
    first = min(max(least_history(block), panel.n_pre // 2), last)
    if count < 1 or build is None or last < least_history(block):
        why = "A fake launch needs four blocks of history of its own, and a fit to repeat."
        raise DataError(
            f"in_time_placebos={count} was asked, with {panel.n_pre} periods before the launch"
            + (", of a fit that belongs to its own launch." if build is None else "."),
            why,
            "Ask for 1 or more with longer history, without predictors, or leave it out.",
        )
    rows = []
    for start in np.unique(np.linspace(first, last, count).round().astype(int)):
        cut = panel.backdated(int(start), horizon)
        noise = own_noise(cut.outcomes, cut.n_pre, cut.counts, cut.binomial)
        fake = replace(study, panel=cut, noise=noise)
        found = fake.analyse(build, every_placebo=False)
        row = fake.row(found.fit.effect, found.uncertainty)
        p_value = found.uncertainty.bounds(found.fit.effect, study.conf_level)[2]
        rows.append({"start": panel.times[start], "periods": horizon, **row, "p_value": p_value})
    return {"in_time_placebos": pd.DataFrame(rows)}
