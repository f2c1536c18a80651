"""Effects by wave and period with their influences, adjusted for covariates or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.errors import DesignError

from noholdout_did.kernels.adjusted_cells import (
    Entities,
    adjusted_cells,
    as_parameters,
    with_influences,
)
from noholdout_did.kernels.group_time import Cells, Linear, contrasts, grid, observed
from noholdout_did.kernels.leads import Leads, lead_cells
from noholdout_did.kernels.moments import Moments, moments
from noholdout_did.options import Options
from noholdout_did.rollout import Rollout


@dataclass(frozen=True)
class Effects:
    """What every later step needs.

    Parameters
    ----------
    data
        Moments whose features carry the influences.
    cells, att
        Identified cells and their values.
    leads, gaps
        The pre-launch gaps that the checks look at, and their values.
    settings
        What was left out.
    effective_controls
        Of each cell, shape ``(K,)``; ``None`` without covariates.
    """

    data: Moments
    cells: Cells
    att: Linear
    leads: Leads
    gaps: Linear
    settings: dict[str, int]
    effective_controls: np.ndarray | None = None


def rollout_moments(rollout: Rollout) -> Moments:
    """The sums of a rollout."""
    if rollout.summed is not None:
        return rollout.summed
    return moments(
        rollout.y,
        rollout.period,
        rollout.launch,
        rollout.n_periods,
        rollout.cluster,
        rollout.weights,
        rollout.copies,
        rollout.spread,
    )


def effects(rollout: Rollout, options: Options) -> Effects:
    """Effects of every wave and period with a comparison group, and the gaps before.

    Raises
    ------
    DesignError
        No effect has a comparison group, or none with overlapping covariates.
    """
    data = rollout_moments(rollout)
    require_two_groups(rollout, data)
    cells, settings = identified_cells(data, options)
    leads = leads_of(data, cells)
    if rollout.covariates is None:
        att, gaps = contrasts(data, cells), contrasts(data, leads.cells)
        return Effects(data, cells, att, leads, gaps, settings)
    return _adjusted(rollout, options, data, cells, leads, settings)


def leads_of(data: Moments, cells: Cells) -> Leads:
    post = cells.take(cells.period >= data.launch[cells.cohort])
    return lead_cells(post, data)


def require_two_groups(rollout: Rollout, data: Moments) -> None:
    """Raise a DesignError when there is one cluster, or one wave and nobody else."""
    if data.n_clusters < 2:
        raise DesignError(
            f"There is one group only: {rollout.cluster_name or 'the data'!r} has one value.",
            "An effect is a comparison of a treated group with one that isn't treated yet.",
            "Add units that were treated later or never.",
        )
    if len(data.launch) < 2:
        raise DesignError(
            f"Everybody was first treated in {rollout.periods[data.launch[0]]}, so no effect has a "
            "comparison group.",
            "What changed at the launch and what changed for everybody then can't be told apart.",
            "Add units that were treated later or never; for a launch to everyone see "
            "'noholdout synthetic-control'.",
        )


def identified_cells(data: Moments, options: Options) -> tuple[Cells, dict[str, int]]:
    """Cells with controls, of cohorts with at least one effect; the rest is dropped and counted."""
    if options.control_group == "never-treated" and not (data.launch >= data.n_periods).any():
        raise DesignError(
            "Nobody is never treated, so there are no never-treated controls.",
            "Every wave gets the launch within the data.",
            "Use --control-group not-yet-treated: later waves are compared until their launch.",
        )
    cells = grid(
        data.launch,
        data.n_periods,
        options.control_group,
        options.base_period,
        options.anticipation,
    )
    cells, has_control, has_own = observed(cells, data.weight)
    post = cells.period >= data.launch[cells.cohort]
    usable = has_control & has_own
    keep = usable & _with_effect(data, cells, usable)
    if not keep.any():
        raise DesignError(
            f"None of the {int(post.sum())} (wave, period) effects has a comparison group.",
            "In every period after a launch everybody was treated already, or nobody was seen "
            "in the period before it.",
            "Add periods before the first launch, or units that were treated later or never.",
        )
    return cells.take(keep), {
        "cells_used": int(keep.sum()),
        "effects_without_controls_dropped": int((post & ~has_control).sum()),
        "effects_without_own_rows_dropped": int((post & has_control & ~has_own).sum()),
        "cells_of_waves_without_effect_dropped": int((usable & ~keep).sum()),
    }


def _with_effect(data: Moments, cells: Cells, usable: np.ndarray) -> np.ndarray:
    post = cells.period >= data.launch[cells.cohort]
    found = np.zeros(len(data.launch), dtype=bool)
    found[cells.cohort[usable & post]] = True
    return found[cells.cohort]


def _adjusted(
    rollout: Rollout,
    options: Options,
    data: Moments,
    cells: Cells,
    leads: Leads,
    settings: dict[str, int],
) -> Effects:
    entities = _entities(rollout, data)
    both = Cells(
        *(
            np.concatenate([getattr(cells, name), getattr(leads.cells, name)])
            for name in ("cohort", "period", "base", "control")
        )
    )
    found = adjusted_cells(entities, both, options.adjust)
    k = len(cells)
    usable = ~np.isnan(found.value)
    keep = usable[:k] & _with_effect(data, cells, usable[:k])
    if not keep.any():
        raise DesignError(
            f"In none of the {k} comparisons do treated and controls overlap in the covariates.",
            "Where one side has no counterpart on the other, no adjustment can compare them.",
            "Use fewer covariates or coarser ones, or --adjust regression.",
        )
    cells_kept = cells.take(keep)
    lead_keep = usable[k:] & np.isin(leads.cells.cohort, cells_kept.cohort)
    data = with_influences(data, entities, found)
    kept_leads = Leads(leads.cells.take(lead_keep), leads.lag[lead_keep], leads.share[lead_keep])
    return Effects(
        data=data,
        cells=cells_kept,
        att=as_parameters(data, found, np.flatnonzero(keep)),
        leads=kept_leads,
        gaps=as_parameters(data, found, k + np.flatnonzero(lead_keep)),
        settings={
            **settings,
            "cells_used": int(keep.sum()),
            "cells_without_overlap_dropped": int((~usable[:k]).sum()),
        },
        effective_controls=found.effective_controls[:k][keep],
    )


def _entities(rollout: Rollout, data: Moments) -> Entities:
    assert rollout.covariates is not None
    n, n_periods = len(rollout.y), rollout.n_periods
    # No answer depends on a covariate's origin or unit, but the solvers' accuracy does.
    centred = rollout.covariates - rollout.covariates.mean(axis=0)
    scale = centred.std(axis=0)
    x = np.column_stack([np.ones(n), centred / np.where(scale > 0, scale, 1.0)])
    w = np.ones(n) if rollout.weights is None else rollout.weights
    cohort = data.cohort_of(rollout.launch)
    unit = rollout.unit
    if unit is None or n != (int(unit.max()) + 1) * n_periods:
        return Entities(rollout.y, x, w, cohort, rollout.cluster, rollout.period, False)
    y, cluster = rollout.y, rollout.cluster
    cell = unit * n_periods + rollout.period
    if not (cell[1:] > cell[:-1]).all():
        order = np.empty(n, dtype=np.int64)
        order[cell] = np.arange(n)
        y, x, w, cohort = y[order], x[order], w[order], cohort[order]
        cluster = None if cluster is None else cluster[order]
    shape = (n // n_periods, n_periods)
    panel_x = x.reshape(*shape, -1)
    constant = bool((panel_x == panel_x[:, :1]).all())
    return Entities(
        y=y.reshape(shape),
        x=panel_x[:, :1] if constant else panel_x,
        weight=w.reshape(shape).mean(axis=1),
        cohort=cohort[::n_periods],
        cluster=None if cluster is None else cluster[::n_periods],
        period=None,
        constant_x=constant,
    )
