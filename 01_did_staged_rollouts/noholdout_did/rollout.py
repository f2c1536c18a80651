"""From the user's rows to the arrays of a staged rollout, or to a refusal that says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import (
    Missing,
    codes,
    positive_weights,
)

from noholdout_did.coding import CODE, period_codes
from noholdout_did.kernels.moments import Moments
from noholdout_did.launches import REASONS, Launches, launches
from noholdout_did.panel import one_row_a_cell, take_rows
from noholdout_did.panel_sums import PanelSums, read_panel
from noholdout_did.pushdown import read_summed
from noholdout_did.ratio import ratio
from noholdout_did.rollout_log import Changes, LogRequest, read_changes


@dataclass(frozen=True)
class Rollout:
    """A staged rollout, one entry a row of data. T periods, coded 0 to T-1 in order.

    Parameters
    ----------
    y
        Outcome, shape ``(n,)``.
    period
        Period codes, shape ``(n,)``.
    launch
        Index of the first treated period, shape ``(n,)``; T is never.
    cluster
        Codes of the groups whose rows move together, shape ``(n,)``; ``None`` when rows count
        as independent.
    unit
        Unit codes, shape ``(n,)``; ``None`` for repeated cross-sections.
    weights
        Sampling weights, shape ``(n,)``, or ``None``.
    covariates
        Shape ``(n, k)``, or ``None``; ``covariate_names`` has k names.
    composition
        Columns to watch, likewise; they aren't adjusted for.
    periods
        Labels of the periods, shape ``(T,)``.
    cluster_name, proportion, settings
        For the result.
    changes, log_unit
        With a rollout log: what it says of each unit, and each row's unit there, shape ``(n,)``.
    copies, spread
        When an engine summed rows into cells: rows behind each entry, and their sum of squared
        deviations from its mean, shape ``(n,)``; ``y`` then holds means, ``weights`` sums.
    summed
        The sums of a panel that stayed in its engine; ``unit`` and ``cluster`` then only say that
        there are units.
    """

    y: np.ndarray
    period: np.ndarray
    launch: np.ndarray
    cluster: np.ndarray | None
    unit: np.ndarray | None
    weights: np.ndarray | None
    covariates: np.ndarray | None
    covariate_names: tuple[str, ...]
    composition: np.ndarray | None
    composition_names: tuple[str, ...]
    periods: np.ndarray
    cluster_name: str | None
    proportion: bool
    settings: dict[str, Any]
    changes: Changes | None = None
    log_unit: np.ndarray | None = None
    copies: np.ndarray | None = None
    spread: np.ndarray | None = None
    summed: Moments | None = None

    @property
    def n_rows(self) -> int:
        return len(self.y) if self.copies is None else int(self.copies.sum())

    @property
    def n_periods(self) -> int:
        return len(self.periods)

    @property
    def n_treated_rows(self) -> int:
        return self.count(self.period >= self.launch)

    def count(self, chosen: np.ndarray) -> int:
        """Rows behind the chosen entries; ``chosen`` is boolean, shape ``(n,)``."""
        return int(chosen.sum() if self.copies is None else self.copies[chosen].sum())


def read_rollout(
    data: Any,
    *,
    outcome: str,
    time: str,
    first_treated: str | None,
    unit: str | None,
    cluster: str | None,
    log: LogRequest | None = None,
    weights: str | None = None,
    denominator: str | None = None,
    covariates: Sequence[str] = (),
    composition: Sequence[str] = (),
    cell_mean: bool = False,
    missing: Missing = "refuse",
    averages: bool = False,
    by_unit: bool = False,
) -> Rollout:
    """Read and validate. Rows of always-treated units are left out, counted.

    ``averages``: whether the estimator is built from means by wave and period alone; ``by_unit``:
    whether sums over a panel's units are enough for it.

    Raises
    ------
    DataError
        Unreadable, mistyped or contradictory columns; duplicate (unit, time) rows.
    DesignError
        One period, nobody treated, or everybody treated from the start.
    """
    if cell_mean and unit is None:
        raise DataError(
            "cell_mean averages rows within (unit, time), but no unit was named.",
            "",
            "Add --unit (unit=...), for example the workspace.",
        )
    columns = [outcome, time, first_treated, unit, cluster, weights, denominator]
    columns += [*covariates, *composition]
    by = unit or cluster
    if (first_treated is None) == (log is None):
        raise DataError(
            "Launches come from a column or from a rollout log: name one of the two."
            if log is None
            else f"Both first_treated ({first_treated!r}) and a rollout log were given.",
            "",
            "Use --first-treated COLUMN, or --rollout-log LOG.",
        )
    if log is not None and by is None:
        raise DataError(
            "A rollout log was given, but no column of units.",
            "Its events are by unit.",
            "Name --unit; in repeated cross-sections, name the log's unit in --cluster.",
        )
    may_be_empty = () if first_treated is None else (first_treated,)
    others = (cluster, log, weights, denominator, cell_mean, *covariates, *composition)
    if by_unit and unit and first_treated and not any(others):
        panel = read_panel(data, outcome, time, first_treated, unit, missing)
        if panel is not None:
            return _without_always_treated(
                _summed(panel, outcome, time, first_treated, unit), first_treated, time
            )
    rows = read_summed(
        data,
        columns,
        outcome=outcome,
        cluster=cluster,
        weights=weights,
        rowwise=any((unit, log, denominator, covariates, composition)),
        averages=averages,
        missing=missing,
        may_be_empty=may_be_empty,
    )
    frame = rows.frame
    sampling = positive_weights(frame, weights)
    if denominator is None:
        y, proportion = rows.outcome(outcome)
    else:
        y, sampling, proportion = ratio(frame, outcome, denominator, sampling)
    period, periods = period_codes(frame, time)
    if len(periods) < 2:
        raise DesignError(
            f"Column {time!r} holds one period ({periods[0]}).",
            "A before-after comparison needs at least one period before the launch and one after.",
            "Add earlier or later data, or check the column.",
        )
    settings = dict(rows.settings)
    if denominator is not None:
        settings["denominator"] = denominator
    changes, log_unit = None, None
    if log is None:
        assert first_treated is not None
        placed = launches(frame[first_treated], periods, first_treated, time)
    else:
        assert by is not None
        log_unit, units = codes(frame, by)
        changes = read_changes(log, units, periods, by, missing)
        settings.update(changes.settings)
        placed = _logged(changes.launch[log_unit], len(periods))
        first_treated = "rollout_log"
    unit_codes = None if unit is None else _plain_codes(frame[unit])
    cluster_codes = None if cluster is None else _plain_codes(frame[cluster])
    if unit is not None and unit_codes is not None:
        if log is None:
            _require_constant(placed.index, unit_codes, frame, unit, first_treated, "launch")
        if cluster is not None and cluster_codes is not None:
            _require_constant(cluster_codes, unit_codes, frame, unit, cluster, "cluster")
    settings.update(_count_launches(placed.reasons, unit_codes, rows.copies))
    matrix, names = _columns(frame, covariates, "covariates", settings)
    watched, watched_names = _columns(frame, composition, "composition", settings)
    rollout = Rollout(
        y=y,
        period=period,
        launch=placed.index,
        cluster=unit_codes if cluster_codes is None else cluster_codes,
        unit=unit_codes,
        weights=sampling,
        covariates=matrix,
        covariate_names=names,
        composition=watched,
        composition_names=watched_names,
        periods=periods,
        cluster_name=cluster or unit,
        proportion=proportion,
        settings=settings,
        changes=changes,
        log_unit=log_unit,
        copies=rows.copies,
        spread=None if rows.cells is None else rows.cells.spread[outcome],
    )
    if unit_codes is not None:
        rollout = one_row_a_cell(rollout, frame, unit or "", time, cell_mean)
    return _without_always_treated(rollout, first_treated, time)


def _summed(panel: PanelSums, outcome: str, time: str, first_treated: str, unit: str) -> Rollout:
    """A rollout whose units stayed in their engine: an entry a launch and period."""
    rows = panel.rows
    assert rows.cells is not None
    y, proportion = rows.outcome(outcome)
    period, periods = period_codes(rows.frame, time)
    placed = launches(rows.frame[first_treated], periods, first_treated, time)
    nobody = np.zeros(len(y), dtype=np.int64)
    return Rollout(
        y=y,
        period=period,
        launch=placed.index,
        cluster=nobody,
        unit=nobody,
        weights=None,
        covariates=None,
        covariate_names=(),
        composition=None,
        composition_names=(),
        periods=periods,
        cluster_name=unit,
        proportion=proportion,
        settings={**rows.settings, **panel.settings},
        copies=rows.copies,
        spread=rows.cells.spread[outcome],
        summed=panel.moments,
    )


def _logged(launch: np.ndarray, n_periods: int) -> Launches:
    reasons = np.where(launch == 0, 5, np.where(launch == n_periods, 1, 0))
    return Launches(launch.astype(CODE), reasons.astype(np.int8))


def _columns(
    frame: pd.DataFrame, columns: Sequence[str], role: str, settings: dict[str, Any]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Columns as numbers, what became of them noted in ``settings``."""
    if not columns:
        return None, ()
    from noholdout_shared.design_matrix import design_matrix

    built = design_matrix(frame, columns)
    settings[role] = built.settings
    return built.values, built.names


def _plain_codes(values: pd.Series) -> np.ndarray:
    """Codes 0 to G-1, in the values' order where they have one.

    The bootstrap's multipliers go by code: a sorted one doesn't depend on the order of rows.
    """
    if values.dtype.kind in "iu":
        # Whole numbers that leave no gaps are codes already, but for where they start.
        plain = values.to_numpy(dtype=np.int64)
        shifted = plain - plain.min()
        if shifted.max() < len(plain) and (np.bincount(shifted) > 0).all():
            return shifted
    try:
        return pd.factorize(values, sort=True)[0].astype(np.int64)
    except TypeError:
        return pd.factorize(values)[0].astype(np.int64)


def _count_launches(
    reasons: np.ndarray, unit: np.ndarray | None, copies: np.ndarray | None
) -> dict[str, Any]:
    """How many units (rows, without units) are never or always treated, by the reason why."""
    if unit is not None:
        of_unit = np.empty(int(unit.max()) + 1, dtype=reasons.dtype)
        of_unit[unit] = reasons
        reasons = of_unit
    counts = np.bincount(reasons, weights=copies, minlength=len(REASONS))
    of = "rows" if unit is None else "units"
    return {f"{of}_{name}": int(counts[i]) for i, name in enumerate(REASONS)}


def _require_constant(
    values: np.ndarray,
    unit: np.ndarray,
    frame: pd.DataFrame,
    by: str,
    column: str,
    what: str,
) -> None:
    first = np.empty(int(unit.max()) + 1, dtype=values.dtype)
    first[unit[::-1]] = values[::-1]
    differs = values != first[unit]
    if not differs.any():
        return
    row = int(np.flatnonzero(differs)[0])
    count = len(np.unique(unit[differs]))
    example = frame.loc[unit == unit[row], column].drop_duplicates().head(3).tolist()
    shown = ", ".join(str(value) for value in example)
    raise DataError(
        f"{count:,} of {len(first):,} units have more than one {what} in column {column!r} "
        f"(for example {by} {frame[by].iloc[row]}: {shown}).",
        f"A unit has one {what}, in every row.",
        f"Write the same {column!r} in all rows of a unit, or check the --unit column.",
    )


def _without_always_treated(rollout: Rollout, first_treated: str, time: str) -> Rollout:
    keep = rollout.launch > 0
    if not keep.any():
        raise DesignError(
            f"Every row is treated from the first period on ({rollout.periods[0]}).",
            "Without a period before the launch there is nothing to compare with.",
            f"Add data from before the launch, or check {first_treated!r}.",
        )
    if (rollout.launch[keep] == rollout.n_periods).all():
        always = "" if keep.all() else " besides those treated from the start"
        raise DesignError(
            f"Nobody is first treated after {rollout.periods[0]} and by {rollout.periods[-1]}, the "
            f"last period{always}.",
            "An effect is a comparison of treated with untreated.",
            f"Check that {first_treated!r} is in the unit of {time!r}.",
        )
    return rollout if keep.all() else take_rows(rollout, keep)
