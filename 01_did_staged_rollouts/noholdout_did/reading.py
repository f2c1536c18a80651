"""From the user's rows to the arrays of a staged rollout, or to a refusal that says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import Missing, codes, positive_weights

from noholdout_did.coding import CODE, period_codes, plain_codes
from noholdout_did.launches import REASONS, Launches, launches
from noholdout_did.panel import one_row_a_cell, take_rows
from noholdout_did.panel_sums import PanelSums, read_panel
from noholdout_did.pushdown import read_summed
from noholdout_did.ratio import ratio
from noholdout_did.rollout import Rollout
from noholdout_did.rollout_log import Changes, LogRequest, read_changes


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns mean what, and how to read them: the arguments of ``estimate``.

    Parameters
    ----------
    averages
        Whether the estimator is built from means by wave and period alone.
    by_unit
        Whether sums over a panel's units are enough for it.
    """

    outcome: str
    time: str
    first_treated: str | None
    unit: str | None
    cluster: str | None
    log: LogRequest | None = None
    weights: str | None = None
    denominator: str | None = None
    covariates: tuple[str, ...] = ()
    composition: tuple[str, ...] = ()
    cell_mean: bool = False
    missing: Missing = "refuse"
    averages: bool = False
    by_unit: bool = False

    def __post_init__(self) -> None:
        if self.cell_mean and self.unit is None:
            raise DataError(
                "cell_mean averages rows within (unit, time), but no unit was named.",
                "",
                "Add --unit (unit=...), for example the workspace.",
            )
        if (self.first_treated is None) == (self.log is None):
            raise DataError(
                "Launches come from a column or from a rollout log: name one of the two."
                if self.log is None
                else f"Both first_treated ({self.first_treated!r}) and a rollout log were given.",
                "",
                "Use --first-treated COLUMN, or --rollout-log LOG.",
            )
        if self.log is not None and self.whose is None:
            raise DataError(
                "A rollout log was given, but no column of units.",
                "Its events are by unit.",
                "Name --unit; in repeated cross-sections, name the log's unit in --cluster.",
            )

    @property
    def whose(self) -> str | None:
        """The column that a log's units are in."""
        return self.unit or self.cluster

    @property
    def launch_name(self) -> str:
        return self.first_treated or "rollout_log"


def read_rollout(data: Any, named: Columns) -> Rollout:
    """Read and validate. Rows of always-treated units are left out, counted.

    Raises
    ------
    DataError
        Unreadable, mistyped or contradictory columns; duplicate (unit, time) rows.
    DesignError
        One period, nobody treated, or everybody treated from the start.
    """
    panel = _panel_in_engine(data, named)
    rollout = _from_rows(data, named) if panel is None else _summed(panel, named)
    return _without_always_treated(rollout, named)


def _panel_in_engine(data: Any, named: Columns) -> PanelSums | None:
    """The sums of a panel that may stay in its engine; ``None`` where rows are needed."""
    others = (named.cluster, named.weights, named.denominator, named.cell_mean)
    extra = any((*others, *named.covariates, *named.composition))
    if extra or not named.by_unit or named.unit is None or named.first_treated is None:
        return None
    return read_panel(
        data, named.outcome, named.time, named.first_treated, named.unit, named.missing
    )


def _from_rows(data: Any, named: Columns) -> Rollout:
    """The rollout from rows, or from cells where the estimator can use these."""
    n = named
    columns = [n.outcome, n.time, n.first_treated, n.unit, n.cluster, n.weights, n.denominator]
    rows = read_summed(
        data,
        [*columns, *n.covariates, *n.composition],
        outcome=n.outcome,
        cluster=n.cluster,
        weights=n.weights,
        rowwise=any((n.unit, n.log, n.denominator, n.covariates, n.composition)),
        averages=n.averages,
        missing=n.missing,
        may_be_empty=() if n.first_treated is None else (n.first_treated,),
    )
    frame = rows.frame
    settings = dict(rows.settings)
    sampling = positive_weights(frame, n.weights)
    if n.denominator is None:
        y, proportion = rows.outcome(n.outcome)
    else:
        y, sampling, proportion = ratio(frame, n.outcome, n.denominator, sampling)
        settings["denominator"] = n.denominator
    period, periods = period_codes(frame, n.time)
    if len(periods) < 2:
        raise DesignError(
            f"Column {n.time!r} holds one period ({periods[0]}).",
            "A before-after comparison needs at least one period before the launch and one after.",
            "Add earlier or later data, or check the column.",
        )
    placed, changes, log_unit = _place(frame, named, periods, settings)
    unit, cluster = _groups(frame, named, placed)
    settings.update(_count_launches(placed.reasons, unit, rows.copies))
    matrix, names = _matrix(frame, n.covariates, "covariates", settings)
    watched, watched_names = _matrix(frame, n.composition, "composition", settings)
    rollout = Rollout(
        y=y,
        period=period,
        launch=placed.index,
        cluster=cluster,
        unit=unit,
        weights=sampling,
        covariates=matrix,
        covariate_names=names,
        composition=watched,
        composition_names=watched_names,
        periods=periods,
        cluster_name=n.cluster or n.unit,
        proportion=proportion,
        settings=settings,
        changes=changes,
        log_unit=log_unit,
        copies=rows.copies,
        spread=None if rows.cells is None else rows.cells.spread[n.outcome],
    )
    if n.unit is None:
        return rollout
    return one_row_a_cell(rollout, frame, n.unit, n.time, n.cell_mean)


def _summed(panel: PanelSums, named: Columns) -> Rollout:
    """A rollout whose units stayed in their engine: an entry a launch and period."""
    rows = panel.rows
    assert rows.cells is not None and named.first_treated is not None
    y, proportion = rows.outcome(named.outcome)
    period, periods = period_codes(rows.frame, named.time)
    placed = launches(rows.frame[named.first_treated], periods, named.first_treated, named.time)
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
        cluster_name=named.unit,
        proportion=proportion,
        settings={**rows.settings, **panel.settings},
        copies=rows.copies,
        spread=rows.cells.spread[named.outcome],
        summed=panel.moments,
    )


def _place(
    frame: pd.DataFrame, named: Columns, periods: np.ndarray, settings: dict[str, Any]
) -> tuple[Launches, Changes | None, np.ndarray | None]:
    """Each row's launch, from the column or the log; the log's changes, and its unit by row."""
    if named.first_treated is not None:
        column = named.first_treated
        return launches(frame[column], periods, column, named.time), None, None
    assert named.log is not None and named.whose is not None
    log_unit, units = codes(frame, named.whose)
    changes = read_changes(named.log, units, periods, named.whose, named.missing)
    settings.update(changes.settings)
    return _logged(changes.launch[log_unit], len(periods)), changes, log_unit


def _groups(
    frame: pd.DataFrame, named: Columns, placed: Launches
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Codes of units and of clusters; a unit has one launch and one cluster."""
    unit = None if named.unit is None else plain_codes(frame[named.unit])
    cluster = None if named.cluster is None else plain_codes(frame[named.cluster])
    if named.unit is None or unit is None:
        return unit, cluster
    if named.first_treated is not None:
        _require_constant(placed.index, unit, frame, named.unit, named.first_treated, "launch")
    if named.cluster is None or cluster is None:
        return unit, unit
    _require_constant(cluster, unit, frame, named.unit, named.cluster, "cluster")
    return unit, cluster


def _logged(launch: np.ndarray, n_periods: int) -> Launches:
    reasons = np.where(launch == 0, 5, np.where(launch == n_periods, 1, 0))
    return Launches(launch.astype(CODE), reasons.astype(np.int8))


def _matrix(
    frame: pd.DataFrame, columns: tuple[str, ...], role: str, settings: dict[str, Any]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Columns as numbers, what became of them noted in ``settings``."""
    if not columns:
        return None, ()
    from noholdout_shared.design_matrix import design_matrix

    built = design_matrix(frame, columns)
    settings[role] = built.settings
    return built.values, built.names


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


def _without_always_treated(rollout: Rollout, named: Columns) -> Rollout:
    keep = rollout.launch > 0
    if not keep.any():
        raise DesignError(
            f"Every row is treated from the first period on ({rollout.periods[0]}).",
            "Without a period before the launch there is nothing to compare with.",
            f"Add data from before the launch, or check {named.launch_name!r}.",
        )
    if (rollout.launch[keep] == rollout.n_periods).all():
        always = "" if keep.all() else " besides those treated from the start"
        raise DesignError(
            f"Nobody is first treated after {rollout.periods[0]} and by {rollout.periods[-1]}, the "
            f"last period{always}.",
            "An effect is a comparison of treated with untreated.",
            f"Check that {named.launch_name!r} is in the unit of {named.time!r}.",
        )
    return rollout if keep.all() else take_rows(rollout, keep)
