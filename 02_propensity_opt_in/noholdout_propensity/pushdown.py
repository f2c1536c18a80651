"""What an engine may sum before rows reach the estimators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from noholdout_shared import engine
from noholdout_shared.engine import SummedRows, collected, open_table, read_cells
from noholdout_shared.errors import DataError
from noholdout_shared.input import Rows, binary

from noholdout_propensity.columns import covariate_columns

if TYPE_CHECKING:
    from noholdout_propensity.options import Options

# Below so many rows AIPW reads them, since its folds are drawn by row.
FOLDED_BELOW = 10_000_000
HEAD = 50_000  # rows that are looked at for how often covariates repeat
REPEATED = 0.2  # most different combinations among them, as a share


@dataclass(frozen=True)
class Grouped:
    """Rows as entries of equal covariates, treatment and cluster.

    Parameters
    ----------
    rows
        One entry each: covariates, treatment and cluster.
    copies
        Rows that each stands for, shape ``(n,)``; halves where an odd number was parted.
    outcome
        Shape ``(n,)``.
    share
        Whether every row's outcome lies within [0, 1].
    """

    rows: Rows
    copies: np.ndarray
    outcome: np.ndarray
    share: bool


def read_grouped(options: Options, columns: Sequence[str | None]) -> Grouped | None:
    """The sums of a large table; ``None`` where rows must be read.

    Scores, weights and outcome models depend on covariates alone, and an influence is linear in
    its row's outcome. So a group's mean and sum of squares give every estimate and error that its
    rows give: the group stands as two entries, half its rows each, one standard deviation below
    and above its mean.
    """
    named = dict.fromkeys(c for c in columns if c is not None)
    keys = [c for c in named if c != options.outcome]
    others = (options.weights, options.denominator, options.sample, *_checked_alone(options))
    if options.may_sum == "never" or any(others):
        return None
    with open_table(options.data) as table:
        if table is None or not set(keys) <= set(table.collect_schema().names()):
            return None
        if not _is_worth_it(table.select(keys), options.may_sum == "largest"):
            return None
        found = read_cells(
            table.to_native(), keys=keys, values=[options.outcome], missing=options.missing
        )
    if found.cells is None or not _readable(found, options):
        return None
    return _parted(found, options.outcome)


def _checked_alone(options: Options) -> tuple[Any, ...]:
    return (
        options.exact,
        options.negative_controls,
        options.extra_columns,
        options.covariate_times,
        options.treatment_time,
        options.pre_values,
    )


def _is_worth_it(table: nw.LazyFrame[Any], largest: bool) -> bool:
    """Whether there are enough rows, and few combinations among the first of them."""
    n_rows = int(collected(table.select(nw.len().alias("n")))["n"].iloc[0])
    if n_rows < max(engine.WHOLE_BELOW, FOLDED_BELOW if largest else 0):
        return False
    head = collected(table.head(HEAD))
    return len(head.drop_duplicates()) <= REPEATED * len(head)


def _readable(found: SummedRows, options: Options) -> bool:
    """Whether nothing is to be refused: otherwise rows are read, for the message to count them."""
    try:
        binary(found.frame, options.treatment)
        for names in (options.covariates, options.outcome_covariates or ()):
            covariate_columns(found.frame, names)
    except DataError:
        return False
    return True


def _parted(found: SummedRows, outcome: str) -> Grouped:
    """Each group as two entries that have its rows' mean and sum of squares."""
    assert found.cells is not None
    mean, share = found.outcome(outcome)
    apart = np.sqrt(found.cells.spread[outcome] / found.each)
    order = np.repeat(np.arange(mean.size), np.where(apart > 0, 2, 1))
    # Richer models look at the first rows for columns that hold more than two values.
    order = np.random.default_rng(0).permutation(order)
    _, first = np.unique(order, return_index=True)
    sign = np.ones(order.size)
    sign[first] = np.where(apart > 0, -1.0, 0.0)
    frame = found.frame.drop(columns=outcome).iloc[order].reset_index(drop=True)
    copies = found.each[order] / np.where(apart > 0, 2, 1)[order]
    rows = Rows(pd.DataFrame(frame), found.settings)
    return Grouped(rows, copies, mean[order] + sign * apart[order], share)
