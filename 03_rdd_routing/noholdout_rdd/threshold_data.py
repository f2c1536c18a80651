"""From the user's rows to the two sides of a cutoff, each sorted by distance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.arguments import check_choice
from noholdout_shared.design_matrix import DesignMatrix, design_matrix
from noholdout_shared.engine import SummedRows
from noholdout_shared.inference import require_clusters
from noholdout_shared.input import Missing, codes, denominators, numeric, positive_weights
from noholdout_shared.input import binary as binary_column

from noholdout_rdd.columns import Columns
from noholdout_rdd.kernels.side import Side
from noholdout_rdd.placement import (
    MixedBin,
    TreatedSide,
    as_stored,
    check_cutoff,
    check_reach,
    check_sides,
    nearest_first,
    require_variation,
    rows_kept,
    rows_of_mixed_bin,
)
from noholdout_rdd.pushdown import Pair, by_score, read_scores

Sides = tuple[Side, Side]


@dataclass(frozen=True)
class ThresholdData:
    """Rows around a cutoff.

    Parameters
    ----------
    left, right
        Rows below the cutoff, and rows at or above it. ``values``: outcome, then covariates.
    treatment
        Treatment actually received, left and right in the sides' order, or ``None``; where entries
        are scores, the share of their rows that received it.
    joint
        Where entries are scores: sums of the products of outcome and treatment, both less their
        means in the score, left and right.
    other_rules, costs
        Other treatments, and costs, by column, left and right.
    numerator, denominator
        Of a ratio metric, or ``None``; the sides then hold its linearised outcome once settled.
    mixed_rows, mixed_score
        Rows at the one score by the cutoff that alone mixes both arms (0 when there is none).
    sign
        +1 when the treated side is above, -1 when it is below.
    """

    left: Side
    right: Side
    treatment: Pair | None
    sign: int
    cutoff: float
    outcome: str
    running: str
    treatment_column: str | None
    covariate_names: tuple[str, ...]
    n_clusters: int | None
    proportion: bool
    settings: dict[str, Any] = field(default_factory=dict)
    other_rules: dict[str, Pair] = field(default_factory=dict)
    costs: dict[str, Pair] = field(default_factory=dict)
    numerator: Pair | None = None
    denominator: Pair | None = None
    denominator_column: str | None = None
    mixed_rows: int = 0
    mixed_score: float = float("nan")
    joint: Pair | None = None

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right."""
        return self.left, self.right

    @property
    def n_obs(self) -> int:
        """Rows in all."""
        return self.left.rows + self.right.rows

    @property
    def treated_index(self) -> int:
        """0 when the left side is treated, 1 when the right one is."""
        return int(self.sign > 0)


@dataclass(frozen=True)
class _Read:
    """The columns as arrays, an entry a row or (summed by an engine) a score; shape ``(n,)``."""

    rows: SummedRows
    score: np.ndarray
    outcome: np.ndarray
    proportion: bool
    denominator: np.ndarray | None
    design: DesignMatrix
    received: np.ndarray | None
    others: dict[str, np.ndarray]
    costs: dict[str, np.ndarray]
    clusters: np.ndarray | None
    n_clusters: int | None
    sampling: np.ndarray | None

    def settings(self, columns: Columns) -> dict[str, Any]:
        """What was read and how."""
        found = dict(self.rows.settings)
        if columns.denominator is not None:
            found["denominator"] = columns.denominator
        if columns.covariates:
            found |= {"covariates": list(self.design.names), **self.design.settings}
        return found

    def sides(self, orders: list[np.ndarray], distances: list[np.ndarray], outcome: str) -> Sides:
        """The entries of each side, in the orders given."""
        y, covariates = self.outcome, self.design.values
        values = np.vstack([y, covariates.T]) if covariates.shape[1] else y[None]
        left, right = (
            Side(
                distance,
                values.take(order, axis=1),
                None if self.sampling is None else self.sampling[order],
                None if self.clusters is None else self.clusters[order],
                *self.rows.behind(outcome, order),
            )
            for order, distance in zip(orders, distances, strict=True)
        )
        return left, right


def read_threshold(
    data: Any,
    columns: Columns,
    *,
    cutoff: float,
    treated_side: TreatedSide = "above",
    donut: float | None = None,
    mixed_bin: MixedBin = "keep",
    missing: Missing = "refuse",
    may_sum: bool = False,
) -> ThresholdData:
    """Read, check and sort the rows.

    ``may_sum``: whether an engine may sum the rows of each score, where the sums are sufficient.

    Raises
    ------
    DataError
        As :func:`noholdout_shared.input.read_rows`; a cutoff that isn't a finite number; the
        score or the outcome in another part; an outcome that never varies.
    DesignError
        Too few rows on a side of the cutoff.
    """
    check_choice("treated_side", treated_side, ("above", "below"))
    check_choice("mixed_bin", mixed_bin, ("keep", "drop"))
    check_cutoff(cutoff)
    columns.require_names()
    columns.refuse_reuse()
    read, cutoff = _read(data, columns, cutoff, missing, may_sum)
    score, each = read.score, read.rows.each
    kept, left_out = rows_kept(score, cutoff, read.sampling, donut, each)
    mixed = rows_of_mixed_bin(score, read.received, cutoff, treated_side, each)
    if mixed_bin == "drop":
        left_out["rows_left_out_of_mixed_bin"] = int(each[kept & mixed].sum())
        kept &= ~mixed
    check_sides(score[kept], cutoff, columns.running, each[kept])
    if not kept.all():
        require_variation(read.outcome[kept], columns.outcome)
    orders, distances = nearest_first(score, cutoff, kept)
    check_reach(distances, columns.running)
    left, right = read.sides(orders, distances, columns.outcome)

    def split(column: np.ndarray) -> Pair:
        return column[orders[0]], column[orders[1]]

    pair, joint = None if read.received is None else split(read.received), None
    if read.rows.cells is not None:
        left, right, pair, joint = by_score(left, right, pair)
    y, below = read.outcome, read.denominator
    chosen = {"cutoff": cutoff, "treated_side": treated_side}
    return ThresholdData(
        left=left,
        right=right,
        treatment=pair,
        sign=1 if treated_side == "above" else -1,
        cutoff=float(cutoff),
        outcome=columns.outcome,
        running=columns.running,
        treatment_column=columns.treatment,
        covariate_names=read.design.names,
        n_clusters=read.n_clusters,
        proportion=read.proportion if below is None else bool(((y >= 0) & (y <= below)).all()),
        settings={**read.settings(columns), **chosen, **left_out},
        other_rules={name: split(column) for name, column in read.others.items()},
        costs={name: split(column) for name, column in read.costs.items()},
        numerator=None if below is None else split(y),
        denominator=None if below is None else split(below),
        denominator_column=columns.denominator,
        mixed_rows=0 if read.received is None else int(each[mixed].sum()),
        mixed_score=float(score[mixed][0]) if mixed.any() else float("nan"),
        joint=joint,
    )


def _read(
    data: Any, columns: Columns, cutoff: float, missing: Missing, may_sum: bool
) -> tuple[_Read, float]:
    """The columns, validated, and the cutoff in the precision of the scores."""
    rows = read_scores(
        data,
        columns.named(),
        columns.running,
        columns.outcome,
        columns.treatment,
        missing,
        may_sum,
    )
    frame = rows.frame
    score = numeric(frame, columns.running, "Running")
    cutoff = as_stored(cutoff, frame[columns.running])
    y, proportion = rows.outcome(columns.outcome)
    below = denominators(frame, columns.denominator, columns.outcome)
    check_sides(score, cutoff, columns.running, rows.copies)
    design = design_matrix(frame, columns.covariates)
    received = None
    if columns.treatment is not None:
        received = binary_column(frame, columns.treatment).astype(float)
    found = _Read(
        rows,
        score,
        y,
        proportion,
        below,
        design,
        received,
        {c: numeric(frame, c, "Other rule") for c in columns.other_rules},
        {c: numeric(frame, c, "Cost") for c in columns.costs},
        *_clusters(frame, columns.cluster),
        positive_weights(frame, columns.weights),
    )
    return found, cutoff


def _clusters(frame: pd.DataFrame, cluster: str | None) -> tuple[np.ndarray | None, int | None]:
    if cluster is None:
        return None, None
    coded, labels = codes(frame, cluster)
    require_clusters(len(labels), cluster)
    return coded, len(labels)
