"""Are the predicted effects as large as the observed ones? Best linear predictor, sorted groups."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from noholdout_shared.inference import two_sided_p

from noholdout_uplift.inference import (
    Estimates,
    by_fold_membership,
    effects_of,
    group_effects,
    interval_columns,
    std_errors,
)
from noholdout_uplift.scored import Scored

GROUPS = 5
NO_SPREAD = 1e-24  # of the scores' variance over squares of their size: below it is rounding


def best_linear_predictor(rows: Scored, gamma: np.ndarray) -> Estimates:
    """Regression of the AIPW scores ``gamma`` on a constant and the predicted effect.

    ``gamma = mean_effect + slope * (score - mean score of the fold)`` by weighted least squares
    (Chernozhukov, Demirer, Duflo and Fernández-Val 2025, Econometrica 93(4), section 3, with AIPW
    scores in the outcome's place). A slope of 1: predictions are as spread as the effects; 0:
    they rank nothing; between them: they are exaggerated.
    """
    share = rows.share
    centred = np.empty(rows.score.size)
    for k in np.unique(rows.fold):
        inside = rows.fold == k
        centred[inside] = rows.score[inside] - np.average(rows.score[inside], weights=share[inside])
    x = np.column_stack([np.ones(centred.size), centred])
    gram = x.T @ (share[:, None] * x) / share.size
    largest = max(np.square(v).mean() for v in (rows.score, rows.gamma, rows.gamma_control))
    if gram[1, 1] <= NO_SPREAD * largest:
        values = np.array([share @ gamma / share.size, np.nan])
        residual = share * (gamma - values[0])
        return Estimates(values, np.column_stack([residual, np.full(residual.size, np.nan)]))
    inverse = np.linalg.inv(gram)
    values = inverse @ (x.T @ (share * gamma) / share.size)
    residual = share * (gamma - x @ values)
    return Estimates(values, (x * residual[:, None]) @ inverse)


def calibration_table(rows: Scored) -> pd.DataFrame:
    """The best linear predictor's mean effect and slope, with p-values of slope 0 and slope 1."""
    found = effects_of(rows, partial(best_linear_predictor, rows))
    errors = std_errors(found, rows.drawn)
    table = pd.DataFrame(
        {
            "name": ["mean_effect", "slope"],
            **interval_columns(found.values, errors, rows.conf_level, rows.df),
        }
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        statistics = found.values / errors
        from_one = (found.values - 1) / errors
    table["p_zero"] = [two_sided_p(float(t), rows.df) for t in statistics]
    table["p_one"] = [np.nan, two_sided_p(float(from_one[1]), rows.df)]
    return table


def sorted_groups_table(rows: Scored) -> pd.DataFrame:
    """Effects in fifths of the ranking, 1 the highest predicted, and the first less the last."""
    edges = np.linspace(0, 1, GROUPS + 1)
    weighted = by_fold_membership(rows.score, rows.fold, edges, rows.weight) * rows.weight[:, None]
    effects = effects_of(rows, partial(group_effects, membership=weighted))
    predicted = rows.score @ weighted / weighted.sum(axis=0)
    values = np.append(effects.values, effects.values[0] - effects.values[-1])
    psi = np.column_stack([effects.psi, effects.psi[:, 0] - effects.psi[:, -1]])
    errors = std_errors(Estimates(values, psi), rows.drawn)
    return pd.DataFrame(
        {
            "group": [*(str(g) for g in range(1, GROUPS + 1)), f"1-{GROUPS}"],
            "predicted": np.append(predicted, predicted[0] - predicted[-1]),
            **interval_columns(values, errors, rows.conf_level, rows.df),
        }
    )
