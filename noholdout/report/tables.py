"""The tables of an estimate as text: which show how the answer moves, which are further detail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from noholdout_shared.jsonable import records
from noholdout_shared.render import effect_text

from noholdout.report.words import label, value_text

if TYPE_CHECKING:
    from noholdout_shared.estimate import Estimate

MAX_ROWS = 15

TITLES = {
    "estimators": "Other estimators of the same question",
    "intervals": "Other ways to make the interval",
    "variants": "Conventional, bias-corrected, robust and honest",
    "sweep": "Other bandwidths",
    "placebo_cutoffs": "Cutoffs where no rule switches",
    "leave_one_out": "Without each donor",
    "sensitivity": "How strong a violation would have to be",
    "relative_magnitudes": "If trends had not been quite parallel",
    "optimism": "What choosing on the same rows would have claimed",
    "pre_tests": "Tests of the time before the launch",
    "outcomes": "Each outcome",
    "group_time": "Effect by wave and period",
    "event_study": "Effect by time since launch",
    "balance": "Balance before and after",
    "weights": "Weights",
    "policy": "What each rule would bring",
    "profile": "Who gains most, who least",
    "metrics": "Measures of the ranking",
    "deciles": "Tenths of users, best predicted first",
    "segments": "Effect by segment",
}
# How the answer moves when the analysis changes.
SENSITIVITY = (
    "outcomes", "estimators", "intervals", "variants", "sensitivity", "relative_magnitudes",
    "sweep", "placebo_cutoffs", "leave_one_out", "optimism",
)  # fmt: skip
CALIBRATION = {
    "effect": "planted effect",
    "runs": "runs",
    "bias": "bias",
    "rmse": "RMSE",
    "coverage": "held the truth",
    "found": "called an effect",
}


@dataclass(frozen=True)
class ShortTable:
    """The first rows of a table as text, and how many rows it has."""

    name: str
    columns: list[str]
    rows: list[list[str]]
    length: int


def short_table(name: str, table: pd.DataFrame) -> ShortTable:
    """The table's first rows as text."""
    rows = [
        [_count(value) if name == "n" else value_text(value) for name, value in row.items()]
        for row in records(table.head(MAX_ROWS))
    ]
    title = TITLES.get(name) or label(name).capitalize()
    return ShortTable(title, [label(str(c)) for c in table.columns], rows, len(table))


def _count(value: Any) -> str:
    """A number of rows; tied ones may count in part."""
    return f"{value:,.0f}" if isinstance(value, float) else value_text(value)


def split_tables(estimate: Estimate) -> tuple[list[ShortTable], list[ShortTable]]:
    """The tables of sensitivity, in their fixed order, and all others."""
    tables = {name: table for name, table in estimate.tables.items() if len(table)}
    moving = [short_table(name, tables[name]) for name in SENSITIVITY if name in tables]
    others = [short_table(n, table) for n, table in tables.items() if n not in SENSITIVITY]
    return moving, others


def calibration_table(calibration: Mapping[str, Any]) -> ShortTable | None:
    """A row a planted effect: how often the interval held it, how often an effect was called."""
    if calibration.get("table") is None:
        return None
    table = pd.DataFrame(calibration["table"])
    share = bool(calibration.get("proportion"))
    rows = []
    for row in table.to_dict("records"):
        cells = {name: effect_text(float(row[name]), share) for name in ("effect", "bias")}
        cells["rmse"] = effect_text(float(row["rmse"]), share, signed=False)
        cells["runs"] = value_text(int(row["runs"]))
        for name in ("coverage", "found"):
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            cells[name] = f"{row[name]:.0%} ({low:.0%} to {high:.0%})" if row["runs"] else ""
        rows.append([cells[name] for name in CALIBRATION])
    return ShortTable("", list(CALIBRATION.values()), rows, len(rows))
