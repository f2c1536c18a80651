"""A panel of many units as sums: products of periods by wave, formed where the rows are.

Without covariates an effect's influence is linear in a unit's outcomes, so that every estimate and
error follows from the ``T x T`` sums of products within each wave. No unit leaves the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from noholdout_shared import engine
from noholdout_shared.engine import SummedRows, collected, open_table, read_cells
from noholdout_shared.input import Missing
from noholdout_shared.plain import settle_types

from noholdout_did.coding import period_codes
from noholdout_did.kernels.moments import KEEP_FEATURES, Moments
from noholdout_did.launches import REASONS, launches

MOST_PERIODS = 40  # the engine forms 2 T^2 sums
FLAWS = ("odd", "unnamed", "repeated")  # two launches, no name, two rows a period
UNIT, FIRST, LOW, HIGH, ROWS = (f"{engine.PREFIX}{n}" for n in ("u", "f", "low", "high", "n"))


@dataclass(frozen=True)
class PanelSums:
    """A panel that the engine has summed.

    Parameters
    ----------
    rows
        An entry a period and launch.
    moments
        Of the units that aren't treated from the start.
    settings
        How many units there are of each kind, and whether the panel is complete.
    """

    rows: SummedRows
    moments: Moments
    settings: dict[str, Any]


def read_panel(
    data: Any, outcome: str, time: str, first_treated: str, unit: str, missing: Missing
) -> PanelSums | None:
    """The sums; ``None`` where rows must be read: to refuse them, or because they are few.

    Duplicates, units with two launches or without a name, more than 40 periods and fewer than
    5,000 units (whose own influences the bootstrap draws from) are left to the rows.
    """
    names = (outcome, time, first_treated, unit)
    with open_table(data) as table:
        if table is None or len(set(names)) < 4:
            return None
        schema = table.collect_schema()
        plain = set(names) <= set(schema.names()) and schema[outcome].is_numeric()
        if not plain or _literal(schema[time], None) is None:
            return None
        if int(collected(table.select(nw.len().alias("n")))["n"].iloc[0]) < engine.WHOLE_BELOW:
            return None
        rows = read_cells(
            table.to_native(),
            keys=[time, first_treated],
            values=[outcome],
            missing=missing,
            may_be_empty=(first_treated,),
        )
        if rows.cells is None:
            return None
        periods = period_codes(rows.frame, time)[1]
        if not 2 <= len(periods) <= MOST_PERIODS:
            return None
        centre = float(np.average(rows.frame[outcome], weights=rows.cells.copies))
        sums = collected(_by_launch(table, schema, names, periods, centre))
    settle_types(sums)
    if any(sums[flaw].sum() > 0 for flaw in FLAWS):
        return None
    placed = launches(sums[LOW], periods, first_treated, time)
    units = sums["units"].to_numpy(dtype=np.int64)
    counts = np.bincount(placed.reasons, weights=units, minlength=len(REASONS))
    settings: dict[str, Any] = {f"units_{n}": int(counts[i]) for i, n in enumerate(REASONS)}
    absent = int(units.sum()) * len(periods) - rows.n_rows
    settings["panel"] = "balanced" if absent == 0 else "unbalanced"
    if absent:
        settings["unit_periods_absent"] = absent
    found = _moments(sums, placed.index, units, len(periods), centre)
    if found.n_clusters <= KEEP_FEATURES:
        return None
    said = f"{rows.n_rows:,} rows of {int(units.sum()):,} units in {len(sums):,} waves"
    rows = SummedRows(rows.frame, {**rows.settings, "summed_by_engine": said}, rows.cells)
    return PanelSums(rows, found, settings)


def _literal(kind: Any, label: Any) -> Any:
    """A period as the engine compares it; ``None`` for a type that isn't compared exactly."""
    if kind.is_integer():
        return 0 if label is None else int(label)
    if kind == nw.String:
        return "" if label is None else str(label)
    if kind == nw.Date:
        return pd.Timestamp(label or 0).date()
    return None


def _by_launch(
    table: nw.LazyFrame[Any],
    schema: Any,
    names: tuple[str, str, str, str],
    periods: np.ndarray,
    centre: float,
) -> nw.LazyFrame[Any]:
    """One row a launch as written: units, and the sums of products of their periods."""
    outcome, time, first_treated, unit = names
    y, first = nw.col(outcome).cast(nw.Float64), nw.col(first_treated)
    known = ~nw.col(time).is_null() & ~y.is_null()
    if schema[outcome].is_float():
        known = known & ~y.is_nan()
    if schema[first_treated].is_float():
        first = nw.when(~first.is_nan()).then(first)
    columns = [f"y{t}" for t in range(len(periods))]
    one, none = nw.lit(1.0), nw.lit(0.0)
    values = [
        nw.when(nw.col(time) == _literal(schema[time], label)).then(y - centre).alias(name)
        for label, name in zip(periods, columns, strict=True)
    ]
    rows = table.filter(known).select(nw.col(unit).alias(UNIT), first.alias(FIRST), *values)
    rows = rows.with_columns(nw.when(nw.col(FIRST).is_null()).then(none).otherwise(one).alias("f"))
    units = rows.group_by(UNIT).agg(
        nw.len().alias(ROWS),
        nw.col("f").sum(),
        nw.col(FIRST).min().alias(LOW),
        nw.col(FIRST).max().alias(HIGH),
        # A unit has one row a period, or is left to the rows: this is its value.
        *(nw.col(name).max() for name in columns),
    )
    seen = {name: nw.when(nw.col(name).is_null()).then(none).otherwise(one) for name in columns}
    value = {name: nw.col(name).fill_null(0.0) for name in columns}
    count = sum((seen[name] for name in columns), start=nw.lit(0.0))
    same = (nw.col(LOW) == nw.col(HIGH)) & (nw.col("f") == nw.col(ROWS))
    odd = nw.when((nw.col("f") == 0) | same).then(none).otherwise(one)
    wide = units.select(
        LOW,
        odd.alias("odd"),
        nw.when(nw.col(UNIT).is_null()).then(one).otherwise(none).alias("unnamed"),
        nw.when(nw.col(ROWS) > count).then(one).otherwise(none).alias("repeated"),
        *(value[name].alias(name) for name in columns),
        *(seen[name].alias(f"w{name}") for name in columns),
    )
    pairs = _pairs(len(periods))
    products = [(nw.col(a) * nw.col(b)).alias(f"{a} {b}") for a, b in pairs]
    summed = [nw.col(name).sum() for name in (*FLAWS, *(f"{a} {b}" for a, b in pairs))]
    chosen = wide.select(LOW, *FLAWS, *products)
    return chosen.group_by(LOW).agg(nw.len().alias("units"), *summed)


def _pairs(n_periods: int) -> list[tuple[str, str]]:
    """The products' names: of every outcome and weight with itself and with those after it."""
    names = [f"{kind}y{t}" for kind in ("", "w") for t in range(n_periods)]
    return [(a, b) for i, a in enumerate(names) for b in names[i:]]


def _moments(
    sums: pd.DataFrame, launch: np.ndarray, units: np.ndarray, n_periods: int, centre: float
) -> Moments:
    """What :func:`noholdout_did.kernels.moments.moments` makes of the units themselves."""
    width = 2 * n_periods
    products = np.zeros((len(sums), width, width))
    upper = zip(*np.triu_indices(width), strict=True)
    for (i, j), (a, b) in zip(upper, _pairs(n_periods), strict=True):
        products[:, i, j] = products[:, j, i] = sums[f"{a} {b}"]
    waves = np.unique(launch[launch > 0])
    shape = (len(waves), n_periods)
    mean, weight, gram = np.empty(shape), np.empty(shape), []
    for c, wave in enumerate(waves):
        total = products[launch == wave].sum(axis=0)
        # A weight is 0 or 1, so its square is itself, and times the outcome it is the outcome.
        weight[c] = np.diag(total)[n_periods:]
        with np.errstate(invalid="ignore"):
            mean[c] = np.diag(total[:n_periods, n_periods:]) / weight[c]
        # Residuals are outcomes less weights times means: a linear map of the features.
        less = np.eye(width)
        less[:n_periods, n_periods:] = -np.diag(np.nan_to_num(mean[c]))
        gram.append(less @ total @ less.T)
    sizes = np.array([units[launch == wave].sum() for wave in waves])
    return Moments(
        launch=waves.astype(np.int64),
        mean=mean + centre,
        weight=weight,
        gram=tuple(gram),
        features=None,
        members=(),
        share_features=np.repeat([0.0, 1.0], n_periods),
        part_sizes=sizes,
        n_clusters=int(sizes.sum()),
        nested=True,
    )
