"""ATT(g,t) cells at equal covariates, on a panel or on repeated cross-sections."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from noholdout_did.kernels.adjusted import Adjust, Gap, adjusted_gap
from noholdout_did.kernels.group_time import Cells, Linear
from noholdout_did.kernels.moments import KEEP_FEATURES, Moments


@dataclass(frozen=True)
class Entities:
    """What influences belong to: units of a balanced panel, or rows. N entities, T periods.

    Parameters
    ----------
    y
        Panel: outcomes ``(N, T)``. Cross-sections: ``(N,)``.
    x
        Covariates with a constant first: ``(N, T, k)`` or ``(N, k)``.
    weight
        Shape ``(N,)``.
    cohort, cluster
        Codes, shape ``(N,)``; every entity a cluster of its own when ``cluster`` is ``None``.
    period
        Cross-sections: period codes ``(N,)``; ``None`` for a panel.
    constant_x
        Whether a panel's covariates never change, so that one score serves all periods.
    """

    y: np.ndarray
    x: np.ndarray
    weight: np.ndarray
    cohort: np.ndarray
    cluster: np.ndarray | None
    period: np.ndarray | None
    constant_x: bool


@dataclass(frozen=True)
class Adjusted:
    """Values and influences of K cells; a cell without overlap is ``nan``."""

    value: np.ndarray
    psi: np.ndarray
    effective_controls: np.ndarray


def adjusted_cells(entities: Entities, cells: Cells, how: Adjust) -> Adjusted:
    """Every cell's adjusted effect.

    On a panel, of the change since the base period, at the base period's covariates. On
    cross-sections, the gap in the period minus the gap in the base period, each at its own rows'
    covariates; this needs a cohort's covariates to keep their distribution.
    """
    k = len(cells)
    out = Adjusted(np.full(k, np.nan), np.zeros((len(entities.weight), k)), np.full(k, np.nan))
    if entities.period is None:
        _panel(entities, cells, how, out)
    else:
        _cross_sections(entities, cells, how, out)
    return out


def _panel(entities: Entities, cells: Cells, how: Adjust, out: Adjusted) -> None:
    base_of_x = np.zeros_like(cells.base) if entities.constant_x else cells.base
    keys = np.column_stack([cells.cohort, base_of_x, cells.control])
    _, group = np.unique(keys, axis=0, return_inverse=True)
    for i in np.unique(group):
        mine = np.flatnonzero(group == i)
        first = mine[0]
        inside = cells.control[first][entities.cohort] | (entities.cohort == cells.cohort[first])
        rows = np.flatnonzero(inside)
        treated = (entities.cohort[rows] == cells.cohort[first]).astype(float)
        change = entities.y[np.ix_(rows, cells.period[mine])]
        change = change - entities.y[np.ix_(rows, cells.base[mine])]
        x = entities.x[rows, base_of_x[first]]
        gap = adjusted_gap(change, treated, x, entities.weight[rows], how)
        if gap is None:
            continue
        out.value[mine] = gap.value
        out.psi[np.ix_(rows, mine)] = gap.psi
        out.effective_controls[mine] = gap.effective_controls


def _cross_sections(entities: Entities, cells: Cells, how: Adjust, out: Adjusted) -> None:
    known: dict[tuple[int, int, bytes], tuple[np.ndarray, Gap] | None] = {}
    for k in range(len(cells)):
        terms = []
        for period in (int(cells.period[k]), int(cells.base[k])):
            key = (int(cells.cohort[k]), period, cells.control[k].tobytes())
            if key not in known:
                known[key] = _one_period(entities, cells, k, period, how)
            terms.append(known[key])
        after, before = terms
        if after is None or before is None:
            continue
        out.value[k] = after[1].value[0] - before[1].value[0]
        out.psi[after[0], k] += after[1].psi[:, 0]
        out.psi[before[0], k] -= before[1].psi[:, 0]
        out.effective_controls[k] = min(after[1].effective_controls, before[1].effective_controls)


def _one_period(
    entities: Entities, cells: Cells, k: int, period: int, how: Adjust
) -> tuple[np.ndarray, Gap] | None:
    inside = cells.control[k][entities.cohort] | (entities.cohort == cells.cohort[k])
    rows = np.flatnonzero(inside & (entities.period == period))
    treated = (entities.cohort[rows] == cells.cohort[k]).astype(float)
    gap = adjusted_gap(
        entities.y[rows, None], treated, entities.x[rows], entities.weight[rows], how
    )
    return None if gap is None else (rows, gap)


def with_influences(data: Moments, entities: Entities, psi: np.ndarray) -> Moments:
    """The same rollout with these influences as features, and each cluster's weight as the last.

    Parameters
    ----------
    psi
        Shape ``(N, K)``.
    """
    keep = data.n_clusters <= KEEP_FEATURES or not data.nested
    grams, features, members = [], [], []
    for c in range(len(data.launch)):
        rows = np.flatnonzero(entities.cohort == c)
        part, weight = psi[rows], entities.weight[rows]
        if entities.cluster is not None:
            present, where = np.unique(entities.cluster[rows], return_inverse=True)
            if len(present) < len(rows):
                by = [np.bincount(where, weights=column) for column in part.T]
                part, weight = np.column_stack(by), np.bincount(where, weights=weight)
                members.append(present)
            else:
                members.append(entities.cluster[rows])
        cross = (part.T @ weight)[:, None]
        total = np.array([[weight @ weight]])
        grams.append(np.block([[part.T @ part, cross], [cross.T, total]]))
        if keep:
            features.append(np.column_stack([part, weight]))
    share = np.zeros(psi.shape[1] + 1)
    # Shares count weight in every period; a panel's units have it in each.
    share[-1] = data.weight.sum() / entities.weight.sum()
    return replace(
        data,
        gram=tuple(grams),
        features=tuple(features) if keep else None,
        members=tuple(members),
        share_features=share,
    )


def as_parameters(data: Moments, adjusted: Adjusted, columns: np.ndarray) -> Linear:
    """The cells in ``columns`` as parameters on the features of :func:`with_influences`."""
    n_features = len(data.share_features)
    picks = np.zeros((n_features, len(columns)))
    picks[columns, np.arange(len(columns))] = 1.0
    maps = np.broadcast_to(picks, (len(data.launch), *picks.shape)).copy()
    return Linear(adjusted.value[columns], maps)
