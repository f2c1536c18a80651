"""Interaction-weighted event study (Sun and Abraham 2021)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from noholdout_shared.errors import DesignError

from noholdout_did.effects import Effects, leads_of
from noholdout_did.estimators.group_time import from_effects
from noholdout_did.kernels.group_time import Cells, contrasts, observed
from noholdout_did.kernels.moments import Moments
from noholdout_did.options import (
    Options,
    require_default,
    require_inference,
    require_no_covariates,
)
from noholdout_did.result import DidEstimate
from noholdout_did.rollout import Rollout
from noholdout_did.rows import prepare


def interaction_cells(data: Moments, anticipation: int) -> tuple[Cells, int]:
    """Cells against the never treated, or else the last wave until its launch; and those dropped.

    Sun and Abraham's regression has an indicator for each wave and time since launch but the last
    before it. With group effects by wave it is saturated, so each coefficient is a difference of
    four means: this is that difference.
    """
    n_periods = data.n_periods
    launch = np.minimum(data.launch, n_periods)
    control = launch == launch.max()
    end = int(launch.max()) - (anticipation if launch.max() < n_periods else 0)
    rows = [
        (g, t, int(launch[g]) - 1 - anticipation)
        for g in np.flatnonzero(~control)
        for t in range(end)
        if launch[g] - 1 - anticipation >= 0 and t != launch[g] - 1 - anticipation
    ]
    if not rows:
        raise DesignError(
            "No wave has both a period before its launch and one before the last wave's.",
            "Sun and Abraham compare with the never treated, or with the last wave.",
            "Use --estimator group-time.",
        )
    cohort, period, base = (np.array(x, dtype=np.int64) for x in zip(*rows, strict=True))
    cells = Cells(cohort, period, base, np.tile(control, (len(rows), 1)))
    cells, has_control, has_own = observed(cells, data.weight)
    after = int(sum(max(0, n_periods - max(int(launch[g]), end)) for g in np.unique(cohort)))
    return cells.take(has_control & has_own), after


def sun_abraham(
    rollout: Rollout, options: Options, *, outcome: str, named_cluster: bool
) -> DidEstimate:
    """Effects by wave against the never treated (or the last wave), averaged by wave shares.

    On a balanced panel these are the regression's own coefficients; on others, those with wave
    effects in place of unit effects.
    """
    require_default(options, control_group="not-yet-treated", base_period="varying", adjust="dr")
    require_no_covariates(rollout, options)
    require_inference(options)
    data = prepare(rollout)
    cells, dropped = interaction_cells(data, options.anticipation)
    leads = leads_of(data, cells)
    found = Effects(
        data=data,
        cells=cells,
        att=contrasts(data, cells),
        leads=leads,
        gaps=contrasts(data, leads.cells),
        settings={"cells_used": len(cells), "effects_without_controls_dropped": dropped},
    )
    universal = replace(options, base_period="universal")
    return from_effects(rollout, universal, found, outcome=outcome, named_cluster=named_cluster)
