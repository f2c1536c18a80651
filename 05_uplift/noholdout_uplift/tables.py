"""The tables that describe a ranking: metrics, deciles, curves, segments, who gains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd

from noholdout_uplift.inference import (
    METRICS,
    by_fold_membership,
    curve_bands,
    effects_of,
    group_effects,
    interval_columns,
    std_errors,
)
from noholdout_uplift.kernels.curves import Common, Curve, gain_curve, toc_curve
from noholdout_uplift.kernels.ranking import rank
from noholdout_uplift.scored import Scored

MAX_LEVELS = 8
POINTS = 100


def metrics_table(values: np.ndarray, errors: np.ndarray, rows: Scored) -> pd.DataFrame:
    """One row a metric: ate, autoc, qini, auuc, uplift_at_30."""
    return pd.DataFrame(
        {"name": METRICS, **interval_columns(values, errors, rows.conf_level, rows.df)}
    )


def deciles_table(rows: Scored) -> pd.DataFrame:
    """Predicted and observed effect by decile of the score within folds; 1 is the highest."""
    edges = np.linspace(0, 1, 11)
    membership = by_fold_membership(rows.score, rows.fold, edges, rows.weight)
    weighted = membership * rows.weight[:, None]
    effects = effects_of(rows, partial(group_effects, membership=weighted))
    return pd.DataFrame(
        {
            "decile": np.arange(1, 11),
            "n": np.round(rows.drawn.rows(membership), 6),
            "predicted": rows.score @ weighted / weighted.sum(axis=0),
            **interval_columns(
                effects.values, std_errors(effects, rows.drawn), rows.conf_level, rows.df
            ),
        }
    )


def _curve(
    curve_of: Callable[..., Curve], rows: Scored, fractions: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """A curve's values, each fold's by its weight, with intervals and band."""

    def over_folds(gamma: np.ndarray, slopes: np.ndarray | None = None) -> Curve:
        value = np.zeros(fractions.size)
        covariance = np.zeros((fractions.size, fractions.size))
        for k in np.unique(rows.fold):
            inside = rows.fold == k
            common = None if slopes is None else Common(rows.ratio_errors[inside], slopes)
            ranking = rank(rows.score[inside], rows.weight[inside])
            curve = curve_of(ranking, gamma[inside], fractions, rows.drawn.part(inside), common)
            part = rows.weight[inside].sum() / rows.weight.sum()
            value += part * curve.value
            covariance += part**2 * curve.covariance
        return Curve(value, covariance)

    curve = over_folds(rows.gamma)
    if rows.below is not None:  # a curve is linear in the effects: see `effects_of`
        along = over_folds(rows.below.effect).value
        curve = over_folds(rows.gamma, np.column_stack([along, curve.value]))
    value, covariance = curve.value, curve.covariance
    errors = np.sqrt(np.diag(covariance).clip(0.0))
    return {"value": value, **curve_bands(value, errors, covariance, fractions, rows, seed)}


def qini_table(rows: Scored, seed: int) -> pd.DataFrame:
    """The gain curve at 0, 1%, ..., 100% with intervals, band, and a random order's line."""
    fractions = np.linspace(0, 1, POINTS + 1)
    curve = _curve(gain_curve, rows, fractions, seed)
    gain = curve.pop("value")
    return pd.DataFrame(
        {"fraction": fractions, "uplift": gain, **curve, "random": fractions * gain[-1]}
    )


def toc_table(rows: Scored, seed: int) -> pd.DataFrame:
    """The TOC at 1%, ..., 100%: the effect in the top share less the average, with its band."""
    fractions = np.linspace(0, 1, POINTS + 1)[1:]
    curve = _curve(toc_curve, rows, fractions, seed)
    return pd.DataFrame({"fraction": fractions, "toc": curve.pop("value"), **curve})


def segments_table(
    frame: pd.DataFrame,
    columns: list[str],
    rows: Scored,
) -> pd.DataFrame:
    """Effects in segments that no data chose: a feature's levels, or its quarters.

    ``rows`` are all of ``frame``, those that only trained included.
    """
    drawn = rows.drawn
    parts = []
    for column in columns:
        codes, levels = pd.factorize(segment_labels(frame[column], drawn.copies), sort=True)
        membership = (codes[:, None] == np.arange(len(levels))[None, :]).astype(float)
        weighted = membership * rows.weight[:, None]
        effects = effects_of(rows, partial(group_effects, membership=weighted))
        parts.append(
            pd.DataFrame(
                {
                    "feature": column,
                    "segment": [str(level) for level in levels],
                    "n": drawn.rows(membership).astype(int),
                    "predicted": rows.score @ weighted / weighted.sum(axis=0),
                    **interval_columns(
                        effects.values, std_errors(effects, drawn), rows.conf_level, rows.df
                    ),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def segment_labels(values: pd.Series, copies: np.ndarray | None = None) -> pd.Series:
    """The values themselves when they are few or text, else the quarters of their distribution.

    ``copies``: how many rows stand behind each value.
    """
    if not pd.api.types.is_numeric_dtype(values) or values.nunique() <= MAX_LEVELS:
        return values.astype(str) if values.dtype == object else values
    edges = np.unique(_quantiles(values, copies, np.array([0.0, 0.25, 0.5, 0.75, 1.0]))).tolist()
    # Four digits, or as many as it takes to tell the edges apart (times as seconds, for example).
    digits = next(d for d in (4, 6, 10, 17) if len({f"{e:.{d}g}" for e in edges}) == len(edges))
    names = [f"{low:.{digits}g} to {high:.{digits}g}" for low, high in pairwise(edges)]
    return pd.cut(values, edges, labels=names, include_lowest=True)


def _quantiles(values: pd.Series, copies: np.ndarray | None, shares: np.ndarray) -> np.ndarray:
    """Linearly interpolated quantiles, each value standing ``copies`` times."""
    if copies is None:
        return np.quantile(values, shares)
    ordered = values.to_numpy(dtype=float)
    order = np.argsort(ordered, kind="stable")
    ordered, last = ordered[order], np.cumsum(copies[order])
    place = shares * (last[-1] - 1)
    below, above = (
        ordered[np.searchsorted(last, at, "right")] for at in (np.floor(place), np.ceil(place))
    )
    return below + (above - below) * (place - np.floor(place))


def profile_table(
    matrix: np.ndarray,
    names: tuple[str, ...],
    score: np.ndarray,
    fold: np.ndarray,
    weight: np.ndarray,
) -> pd.DataFrame:
    """Mean features of the tenth that gains most and the tenth that gains least, by the score."""
    edges = np.array([0.0, 0.1, 0.9, 1.0])
    membership = by_fold_membership(score, fold, edges, weight)[:, [0, 2]] * weight[:, None]
    means = matrix.T @ membership / membership.sum(axis=0)
    everyone = weight @ matrix / weight.sum()
    spread = np.sqrt(weight @ (matrix - everyone) ** 2 / weight.sum())
    return pd.DataFrame(
        {
            "feature": list(names),
            "gains_most": means[:, 0],
            "everyone": everyone,
            "gains_least": means[:, 1],
            "difference_in_sd": (means[:, 0] - means[:, 1]) / np.where(spread > 0, spread, 1.0),
        }
    )
