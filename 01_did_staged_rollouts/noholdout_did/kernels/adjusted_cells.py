"""ATT(g,t) cells at equal covariates, on a panel or on repeated cross-sections."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from noholdout_did.kernels.adjusted import Adjust, Gap, Side, adjusted_gap
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
    """Values and influences of K cells; a cell without overlap is ``nan``.

    Parameters
    ----------
    value, effective_controls
        Shape ``(K,)``.
    rows
        Entities of each cohort.
    columns
        Cells that compare each cohort, as treated or as control; elsewhere it has no influence.
    psi
        Influences on these, one ``(n_c, K_c)`` array a cohort.
    """

    value: np.ndarray
    effective_controls: np.ndarray
    rows: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    psi: tuple[np.ndarray, ...]

    def block(self, cohort: int, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cohort's influences, and the columns there of the given cells."""
        return self.psi[cohort], np.searchsorted(self.columns[cohort], cells)


def adjusted_cells(entities: Entities, cells: Cells, how: Adjust) -> Adjusted:
    """Every cell's adjusted effect.

    On a panel, of the change since the base period, at the base period's covariates. On
    cross-sections, the gap in the period minus the gap in the base period, each at its own rows'
    covariates; this needs a cohort's covariates to keep their distribution.
    """
    k, n_cohorts = len(cells), cells.control.shape[1]
    rows = tuple(np.flatnonzero(entities.cohort == c) for c in range(n_cohorts))
    columns = tuple(
        np.flatnonzero((cells.cohort == c) | cells.control[:, c]) for c in range(n_cohorts)
    )
    psi = tuple(np.zeros((len(r), len(c))) for r, c in zip(rows, columns, strict=True))
    out = Adjusted(np.full(k, np.nan), np.full(k, np.nan), rows, columns, psi)
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
        own, controls = int(cells.cohort[first]), np.flatnonzero(cells.control[first]).tolist()
        # One product takes all differences at once, each exact: its entries are 0, 1 and -1.
        change = np.zeros((entities.y.shape[1], len(mine)))
        change[cells.period[mine], np.arange(len(mine))] += 1.0
        change[cells.base[mine], np.arange(len(mine))] -= 1.0

        def side(rows: np.ndarray, base: int, change: np.ndarray) -> Side:
            return Side(entities.y[rows] @ change, entities.x[rows, base], entities.weight[rows])

        base = int(base_of_x[first])
        others = np.concatenate([out.rows[c] for c in controls])
        gap = adjusted_gap(side(out.rows[own], base, change), side(others, base, change), how)
        if gap is None:
            continue
        out.value[mine] = gap.value
        out.effective_controls[mine] = gap.effective_controls
        ends = np.cumsum([len(out.rows[c]) for c in controls])
        for c, part in zip(controls, np.split(gap.psi_control, ends[:-1]), strict=True):
            block, at = out.block(c, mine)
            block[:, at] = part
        block, at = out.block(own, mine)
        block[:, at] = gap.psi_treated


@dataclass(frozen=True)
class _Period:
    """The gap of one period, and the rows of each side."""

    treated: np.ndarray
    control: np.ndarray
    gap: Gap


def _cross_sections(entities: Entities, cells: Cells, how: Adjust, out: Adjusted) -> None:
    place = np.empty(len(entities.weight), dtype=np.int64)
    for rows in out.rows:
        place[rows] = np.arange(len(rows))
    known: dict[tuple[int, int, bytes], _Period | None] = {}
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
        out.value[k] = after.gap.value[0] - before.gap.value[0]
        out.effective_controls[k] = min(after.gap.effective_controls, before.gap.effective_controls)
        for sign, term in ((1.0, after), (-1.0, before)):
            _add(entities, out, place, k, term.treated, sign * term.gap.psi_treated[:, 0])
            _add(entities, out, place, k, term.control, sign * term.gap.psi_control[:, 0])


def _add(
    entities: Entities, out: Adjusted, place: np.ndarray, k: int, rows: np.ndarray, psi: np.ndarray
) -> None:
    """Add influences of rows on cell k; ``place`` is each row's place within its cohort."""
    cohort = entities.cohort[rows]
    for c in np.unique(cohort):
        block, at = out.block(int(c), np.array([k]))
        block[place[rows[cohort == c]], at[0]] += psi[cohort == c]


def _one_period(
    entities: Entities, cells: Cells, k: int, period: int, how: Adjust
) -> _Period | None:
    here = entities.period == period
    treated = np.flatnonzero((entities.cohort == cells.cohort[k]) & here)
    control = np.flatnonzero(cells.control[k][entities.cohort] & here)

    def side(rows: np.ndarray) -> Side:
        return Side(entities.y[rows, None], entities.x[rows], entities.weight[rows])

    gap = adjusted_gap(side(treated), side(control), how)
    return None if gap is None else _Period(treated, control, gap)


def with_influences(data: Moments, entities: Entities, found: Adjusted) -> Moments:
    """The same rollout with these influences as features, and each cluster's weight as the last."""
    size = len(found.value) + 1
    keep = data.n_clusters <= KEEP_FEATURES or not data.nested
    grams, features, members = [], [], []
    for rows, columns, psi in zip(found.rows, found.columns, found.psi, strict=True):
        part = np.column_stack([psi, entities.weight[rows]])
        if entities.cluster is not None:
            present, where = np.unique(entities.cluster[rows], return_inverse=True)
            if len(present) < len(rows):
                part = np.column_stack([np.bincount(where, weights=column) for column in part.T])
                members.append(present)
            else:
                members.append(entities.cluster[rows])
        used = np.append(columns, size - 1)
        gram = np.zeros((size, size))
        gram[np.ix_(used, used)] = part.T @ part
        grams.append(gram)
        if keep:
            wide = np.zeros((len(part), size))
            wide[:, used] = part
            features.append(wide)
    share = np.zeros(size)
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
