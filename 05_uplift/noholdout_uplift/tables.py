"""The tables of an uplift estimate: metrics, deciles, gain curve, segments, who gains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from noholdout_shared.inference import critical_value

from noholdout_uplift.inference import (
    METRICS,
    Estimates,
    by_fold_membership,
    group_effects,
    interval_columns,
    std_errors,
)
from noholdout_uplift.kernels.ranking import gain_curve, rank

MAX_LEVELS = 8


@dataclass(frozen=True)
class Scored:
    """Evaluated rows: what ranks them and what judges the ranking.

    ``score``, ``gamma`` (AIPW scores of the effect), ``gamma_control`` (of the outcome without
    treatment), ``fold`` and ``clusters`` (codes without gaps, or ``None``) have shape ``(n,)``.
    """

    score: np.ndarray
    gamma: np.ndarray
    gamma_control: np.ndarray
    fold: np.ndarray
    clusters: np.ndarray | None
    conf_level: float
    df: float


def metrics_table(values: np.ndarray, errors: np.ndarray, rows: Scored) -> pd.DataFrame:
    """One row a metric: ate, autoc, qini, auuc, uplift_at_30."""
    return pd.DataFrame(
        {"name": METRICS, **interval_columns(values, errors, rows.conf_level, rows.df)}
    )


def deciles_table(rows: Scored) -> pd.DataFrame:
    """Predicted and observed effect by decile of the score within folds; 1 is the highest."""
    membership = by_fold_membership(rows.score, rows.fold, np.linspace(0, 1, 11))
    effects = group_effects(rows.gamma, membership)
    errors = std_errors(effects, rows.clusters)
    size = membership.sum(axis=0)
    return pd.DataFrame(
        {
            "decile": np.arange(1, 11),
            "n": np.round(size, 6),
            "predicted": rows.score @ membership / size,
            **interval_columns(effects.values, errors, rows.conf_level, rows.df),
        }
    )


def qini_table(rows: Scored, points: int = 100) -> pd.DataFrame:
    """The gain curve at 0, 1%, ..., 100% with a pointwise band, and a random order's line."""
    fractions = np.linspace(0, 1, points + 1)
    gain, variance = np.zeros(points + 1), np.zeros(points + 1)
    for k in np.unique(rows.fold):
        inside = rows.fold == k
        clusters = None if rows.clusters is None else rows.clusters[inside]
        curve = gain_curve(rank(rows.score[inside]), rows.gamma[inside], fractions, clusters)
        part = inside.mean()
        gain += part * curve.gain
        variance += part**2 * curve.variance
    half = critical_value(rows.conf_level, rows.df) * np.sqrt(variance)
    return pd.DataFrame(
        {
            "fraction": fractions,
            "uplift": gain,
            "conf_low": gain - half,
            "conf_high": gain + half,
            "random": fractions * gain[-1],
        }
    )


def policy_table(rows: Scored, fraction: float) -> pd.DataFrame:
    """Mean outcome per user under each rule, by AIPW on rows that didn't choose the ranking."""
    shares = sorted({round(0.1 * i, 10) for i in range(1, 10)} | {fraction})
    edges = np.array([0.0, *shares, 1.0])
    tops = np.cumsum(by_fold_membership(rows.score, rows.fold, edges), axis=1)[:, :-1]
    names = ["treat-none", "treat-all", *(f"top-{100 * s:g}%" for s in shares)]
    n = rows.gamma.size
    treat = np.column_stack([np.zeros(n), np.ones(n), tops, np.full(n, fraction)])
    names.append(f"random-{100 * fraction:g}%")
    outcome = rows.gamma_control[:, None] + treat * rows.gamma[:, None]
    values = outcome.mean(axis=0)
    errors = std_errors(Estimates(values, outcome - values), rows.clusters)
    table = interval_columns(values, errors, rows.conf_level, rows.df)
    table["value"] = table.pop("estimate")
    order = ["value", "std_error", "conf_low", "conf_high"]
    return pd.DataFrame({"rule": names, **{c: table[c] for c in order}, "cost": np.nan})


def segments_table(
    frame: pd.DataFrame,
    features: list[str],
    gamma: np.ndarray,
    score: np.ndarray,
    rows: Scored,
    clusters: np.ndarray | None,
) -> pd.DataFrame:
    """Effects in segments that no data chose: a feature's levels, or its quarters."""
    parts = []
    for feature in features:
        label = segment_labels(frame[feature])
        codes, levels = pd.factorize(label, sort=True)
        membership = (codes[:, None] == np.arange(len(levels))[None, :]).astype(float)
        effects = group_effects(gamma, membership)
        size = membership.sum(axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "feature": feature,
                    "segment": [str(level) for level in levels],
                    "n": size.astype(int),
                    "predicted": score @ membership / size,
                    **interval_columns(
                        effects.values, std_errors(effects, clusters), rows.conf_level, rows.df
                    ),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def segment_labels(values: pd.Series) -> pd.Series:
    """The values themselves when they are few or text, else the quarters of their distribution."""
    if not pd.api.types.is_numeric_dtype(values) or values.nunique() <= MAX_LEVELS:
        return values.astype(str) if values.dtype == object else values
    return pd.qcut(values, 4, duplicates="drop")


def profile_table(
    matrix: np.ndarray, names: tuple[str, ...], score: np.ndarray, fold: np.ndarray
) -> pd.DataFrame:
    """Mean features of the tenth that gains most and the tenth that gains least, by the score."""
    edges = np.array([0.0, 0.1, 0.9, 1.0])
    membership = by_fold_membership(score, fold, edges)[:, [0, 2]]
    means = matrix.T @ membership / membership.sum(axis=0)
    spread = matrix.std(axis=0)
    return pd.DataFrame(
        {
            "feature": list(names),
            "gains_most": means[:, 0],
            "everyone": matrix.mean(axis=0),
            "gains_least": means[:, 1],
            "difference_in_sd": (means[:, 0] - means[:, 1]) / np.where(spread > 0, spread, 1.0),
        }
    )
