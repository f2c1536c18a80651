"""Two-way fixed effects, shown with what its coefficient is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError

from noholdout_did.checks import twfe_check
from noholdout_did.estimators.rowwise import finish
from noholdout_did.inference import Errors
from noholdout_did.kernels.bacon import KINDS, Comparisons, bacon
from noholdout_did.kernels.moments import Moments, moments
from noholdout_did.kernels.two_way import two_way
from noholdout_did.options import (
    Options,
    require_default,
    require_inference,
    require_no_covariates,
)
from noholdout_did.result import DidEstimate, cohort_labels, errors_for, headline
from noholdout_did.rollout import Rollout
from noholdout_did.rows import fixed_effects, group_time_rows, prepare, row_parameters, row_weights


@dataclass(frozen=True)
class Coefficient:
    """The coefficient, its rows' influences ``(n,)``, and the share of treated weight below 0."""

    value: float
    psi: np.ndarray
    fixed_effects: str
    negative_weight: float


def coefficient(rollout: Rollout, data: Moments) -> Coefficient:
    """Least squares of the outcome on being treated, with group and period effects."""
    group, names = fixed_effects(rollout, data)
    weight = row_weights(rollout)
    fit = two_way(group, rollout.period, weight, int(group.max()) + 1, rollout.n_periods)
    treated = (rollout.period >= rollout.launch).astype(float)
    d = fit.residuals(treated)
    spread = float(weight @ d**2)
    if spread < 1e-10 * float(weight @ treated):
        raise DesignError(
            "Being treated is a combination of the group and period effects.",
            "Nothing is left to compare.",
            "Add units that were treated later or never.",
        )
    value = float(weight @ (d * rollout.y)) / spread
    error = fit.residuals(rollout.y) - value * d
    on_treated = weight * d * treated
    negative = float(-on_treated[on_treated < 0].sum() / np.abs(on_treated).sum())
    return Coefficient(value, weight * d * error / spread, names, negative)


def crv1(data: Moments, rollout: Rollout) -> float:
    """The usual small-sample factor of the variance; absorbed effects aren't counted."""
    n, g = rollout.n_rows, data.n_clusters
    return g / (g - 1) * (n - 1) / max(n - 2, 1)


def twfe(rollout: Rollout, options: Options, *, outcome: str, named_cluster: bool) -> DidEstimate:
    """The regression that most people ran: right when effects are the same for all, at all times.

    Otherwise it counts treated groups as controls for later ones, and can even have the wrong
    sign; check ``twfe_weighting`` compares it with the group-time average (a Hausman test).
    """
    require_default(
        options,
        sensitivity=False,
        control_group="not-yet-treated",
        base_period="varying",
        aggregate="simple",
        anticipation=0,
        balance=None,
        adjust="dr",
    )
    require_no_covariates(rollout, options)
    require_inference(options)
    data = prepare(rollout)
    found = coefficient(rollout, data)
    factor = np.sqrt(crv1(data, rollout))
    values = np.array([found.value])
    dense, parameter = row_parameters(rollout, data, values, factor * found.psi[:, None])
    head = headline(dense, parameter, Errors(corrected=False), rollout, options)
    errors = errors_for(data, named_cluster)
    tables, settings = _decomposition(rollout, data)
    more = twfe_check(
        rollout.proportion,
        difference=found.value - group_time_rows(rollout, data, rollout.y, options)[0],
        std_error=_difference_error(rollout, data, options, found, errors),
        df=data.n_clusters - 1,
        negative=found.negative_weight,
    )
    return finish(
        rollout,
        options,
        data,
        errors,
        head,
        outcome=outcome,
        estimand="a regression-weighted average of effects, some perhaps with negative weight",
        tables=tables,
        settings={
            "fixed_effects": found.fixed_effects,
            "negative_weight_share": found.negative_weight,
            **settings,
        },
        more=() if more is None else (more,),
    )


def _difference_error(
    rollout: Rollout, data: Moments, options: Options, found: Coefficient, errors: Errors
) -> float:
    """Standard error of the coefficient less the group-time average."""
    from noholdout_did.inference import std_errors

    psi = found.psi - group_time_rows(rollout, data, rollout.y, options)[1]
    dense, parameter = row_parameters(rollout, data, np.zeros(1), psi[:, None])
    return float(std_errors(dense, parameter, errors)[0][0])


def _decomposition(
    rollout: Rollout, data: Moments
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """Goodman-Bacon's comparisons, or why there are none.

    His theorem 1 is exact for balanced panels: elsewhere what group effects leave of being treated
    depends on which periods each unit was seen in, so that no weights on two-by-twos of waves give
    the coefficient back.
    """
    why = ""
    if rollout.unit is None:
        why = "rows aren't a panel of units"
    elif rollout.weights is not None:
        why = "rows have sampling weights"
    elif "unit_periods_absent" in rollout.settings:
        why = f"{rollout.settings['unit_periods_absent']:,} (unit, time) cells have no row"
    if why:
        said = f"not made: exact for balanced, unweighted panels only, and {why}"
        return {}, {"bacon": f"{said}; negative_weight_share holds for any data"}
    assert rollout.unit is not None
    by_unit = moments(
        rollout.y, rollout.period, rollout.launch, rollout.n_periods, rollout.unit, None
    )
    found = bacon(data.launch, by_unit.mean, by_unit.part_sizes)
    labels = cohort_labels(rollout, data)
    pairs = pd.DataFrame(
        {
            "comparison": [KINDS[k] for k in found.kind],
            "treated": [labels[c] for c in found.treated],
            "control": [labels[c] for c in found.control],
            "weight": found.weight,
            "estimate": found.estimate,
        }
    )
    return {"bacon": _by_kind(found), "bacon_pairs": pairs}, {}


def _by_kind(found: Comparisons) -> pd.DataFrame:
    rows = []
    for k, name in enumerate(KINDS):
        mine = found.kind == k
        weight = float(found.weight[mine].sum())
        if weight > 0:
            rows.append((name, weight, float(found.weight[mine] @ found.estimate[mine] / weight)))
    return pd.DataFrame(rows, columns=["comparison", "weight", "estimate"])
