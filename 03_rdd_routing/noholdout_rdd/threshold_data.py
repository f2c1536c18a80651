"""From the user's rows to the two sides of a cutoff, each sorted by distance."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from noholdout_shared.design_matrix import design_matrix
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import require_clusters
from noholdout_shared.input import (
    Missing,
    check_choice,
    codes,
    denominators,
    numeric,
    positive_weights,
)
from noholdout_shared.input import binary as binary_column

from noholdout_rdd.kernels.local import Side
from noholdout_rdd.pushdown import Pair, by_score, read_scores

TreatedSide = Literal["above", "below"]
MixedBin = Literal["keep", "drop"]

MIXED_ROWS, MIXED_SHARE = 10, 0.1  # a score that mixes both arms has at least so many and much

LEAST_ROWS = 10  # rows on each side below which no local fit makes sense


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
class Columns:
    """Which column plays which part."""

    outcome: str
    running: str
    treatment: str | None = None
    denominator: str | None = None
    covariates: tuple[str, ...] = ()
    other_rules: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    cluster: str | None = None
    weights: str | None = None

    def named(self) -> list[str | None]:
        """All columns, those left out as ``None``."""
        first = [self.outcome, self.denominator, self.running, self.treatment]
        return [
            *first,
            self.cluster,
            self.weights,
            *self.covariates,
            *self.other_rules,
            *self.costs,
        ]

    def refuse_reuse(self) -> None:
        """Raise a DataError when the score or the outcome plays another part too."""
        parts = {
            "outcome": (self.outcome,),
            "denominator": (self.denominator,),
            "treatment": (self.treatment,),
            "cluster": (self.cluster,),
            "covariates": self.covariates,
            "other rules": self.other_rules,
            "a cost": self.costs,
        }
        for part, columns in parts.items():
            if self.running in columns:
                raise DataError(
                    f"The running variable {self.running!r} is also named as {part}.",
                    "The score is in the fit already, and must differ from what it decides.",
                    f"Name another column for {part}, or leave it out.",
                )
        parts |= {"outcome": (), "denominator": (), "a cost": (), "weights": (self.weights,)}
        for part, columns in parts.items():
            if self.outcome in columns:
                raise DataError(
                    f"The outcome {self.outcome!r} is also named as {part}.",
                    "What is to be explained can't explain itself.",
                    f"Name another column for {part}, or leave it out.",
                )


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
        score in another part.
    DesignError
        Too few rows on a side of the cutoff.
    """
    check_choice("treated_side", treated_side, ("above", "below"))
    check_choice("mixed_bin", mixed_bin, ("keep", "drop"))
    check_cutoff(cutoff)
    columns.refuse_reuse()
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
    others = {c: numeric(frame, c, "Other rule") for c in columns.other_rules}
    costs = {c: numeric(frame, c, "Cost") for c in columns.costs}
    coded, n_clusters = _clusters(frame, columns.cluster)
    sampling = positive_weights(frame, columns.weights)
    settings: dict[str, Any] = {**rows.settings, "cutoff": cutoff, "treated_side": treated_side}
    if columns.denominator is not None:
        settings["denominator"] = columns.denominator
    if columns.covariates:
        settings |= {"covariates": list(design.names), **design.settings}
    each = rows.each
    kept, left_out = _kept(score, cutoff, sampling, donut, each)
    mixed = _mixed_bin(score, received, cutoff, treated_side, each)
    if mixed_bin == "drop":
        left_out["rows_left_out_of_mixed_bin"] = int(each[kept & mixed].sum())
        kept &= ~mixed
    check_sides(score[kept], cutoff, columns.running, each[kept])
    if not kept.all():
        _require_variation(y[kept], columns.outcome)
    orders, distances = _nearest_first(score, cutoff, kept)
    values = np.vstack([y, design.values.T]) if columns.covariates else y[None]
    left, right = (
        Side(
            distance,
            values.take(order, axis=1),
            None if sampling is None else sampling[order],
            None if coded is None else coded[order],
            *rows.behind(columns.outcome, order),
        )
        for order, distance in zip(orders, distances, strict=True)
    )

    def split(column: np.ndarray) -> Pair:
        return column[orders[0]], column[orders[1]]

    pair, joint = None if received is None else split(received), None
    if rows.cells is not None:
        left, right, pair, joint = by_score(left, right, pair)
    return ThresholdData(
        left=left,
        right=right,
        treatment=pair,
        sign=1 if treated_side == "above" else -1,
        cutoff=float(cutoff),
        outcome=columns.outcome,
        running=columns.running,
        treatment_column=columns.treatment,
        covariate_names=design.names,
        n_clusters=n_clusters,
        proportion=proportion if below is None else bool(((y >= 0) & (y <= below)).all()),
        settings={**settings, **left_out},
        other_rules={name: split(column) for name, column in others.items()},
        costs={name: split(column) for name, column in costs.items()},
        numerator=None if below is None else split(y),
        denominator=None if below is None else split(below),
        denominator_column=columns.denominator,
        mixed_rows=0 if received is None else int(each[mixed].sum()),
        mixed_score=float(score[mixed][0]) if mixed.any() else float("nan"),
        joint=joint,
    )


def _nearest_first(
    score: np.ndarray, cutoff: float, kept: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The kept rows below and above the cutoff, nearest first, and their distances."""
    rows = np.arange(score.size) if kept.all() else np.flatnonzero(kept)
    chosen = score[rows] if rows.size < score.size else score
    order = np.argsort(chosen)
    chosen = chosen[order]
    order = order if rows.size == score.size else rows[order]
    k = int(np.searchsorted(chosen, cutoff))
    orders = [order[:k][::-1], order[k:]]
    return orders, [cutoff - chosen[:k][::-1], chosen[k:] - cutoff]


def _kept(
    score: np.ndarray,
    cutoff: float,
    sampling: np.ndarray | None,
    donut: float | None,
    each: np.ndarray,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Entries with a positive weight outside the donut, and how many rows were left out."""
    kept = np.ones(score.size, dtype=bool)
    left_out: dict[str, Any] = {}
    if sampling is not None:
        kept &= sampling > 0
        left_out["rows_with_weight_zero"] = int((~kept).sum())
    if donut is not None:
        outside = _outside(score, cutoff, donut)
        left_out |= {"donut": donut, "rows_left_out_by_donut": int(each[kept & ~outside].sum())}
        kept &= outside
    return kept, left_out


def _mixed_bin(
    score: np.ndarray,
    received: np.ndarray | None,
    cutoff: float,
    treated_side: TreatedSide,
    each: np.ndarray,
) -> np.ndarray:
    """Rows of the score next to the cutoff that alone mixes both arms, as after rounding.

    Without a treatment column: the rows exactly at the cutoff. With one: the nearest score on
    either side, if the rule is broken there by at least a tenth of its rows, and four times as
    often as elsewhere.
    """
    if received is None:
        return score == cutoff
    above = score >= cutoff
    broken = received != (above == (treated_side == "above"))
    best = np.zeros(score.size, dtype=bool)
    most = MIXED_SHARE
    for side in (above, ~above):
        nearest = score[side].min() if side is above else score[side].max()
        candidate = score == nearest
        rows = float(each[candidate].sum())
        share = float(each[candidate & broken].sum()) / rows
        if rows >= MIXED_ROWS and share >= most and not candidate.all():
            elsewhere = float(each[~candidate & broken].sum() / each[~candidate].sum())
            if elsewhere < share / 4:
                best, most = candidate, share
    return best


def _require_variation(outcome: np.ndarray, column: str) -> None:
    if np.ptp(outcome) == 0:
        raise DataError(
            f"Outcome column {column!r} is {outcome[0]:g} in all {outcome.size:,} rows that count.",
            "Rows of weight zero, in the donut or in the mixed bin don't.",
            "Check the weights, or narrow --donut.",
        )


def as_stored(cutoff: float, scores: pd.Series) -> float:
    """The cutoff in the precision of the scores: 0.7 as 32 bits is less than the number 0.7."""
    kind = scores.dtype
    if isinstance(kind, np.dtype) and kind.kind == "f" and kind.itemsize < 8:
        return float(kind.type(cutoff))
    return cutoff


def check_cutoff(cutoff: Any) -> None:
    number = isinstance(cutoff, (int, float, np.number)) and not isinstance(cutoff, bool)
    if not number or not np.isfinite(cutoff):
        raise DataError(
            f"The cutoff is {cutoff!r}.",
            "It must be a finite number on the scale of the running variable.",
            "Give the value at which the rule switches, such as 0.85.",
        )


def check_sides(
    score: np.ndarray, cutoff: float, running: str, copies: np.ndarray | None = None
) -> None:
    """Raise a DesignError when a side has too few rows; ``copies`` are rows behind each entry."""
    each = np.ones(score.size, dtype=np.int64) if copies is None else copies
    below = int(each[score < cutoff].sum())
    above = int(each.sum()) - below
    if score.size == 0:
        raise DesignError(
            "No row lies outside the donut.", "Nothing is left to fit.", "Narrow --donut."
        )
    if min(below, above) == 0:
        word = "below" if below == 0 else "at or above"
        raise DesignError(
            f"No row lies {word} the cutoff {cutoff:g}: {running!r} runs from "
            f"{score.min():g} to {score.max():g}.",
            "The comparison is between rows just below and just above the cutoff.",
            "Check the cutoff and its scale (0.85 or 85?).",
        )
    if min(below, above) < LEAST_ROWS:
        raise DesignError(
            f"Only {min(below, above)} rows lie on one side of the cutoff {cutoff:g} "
            f"({below:,} below, {above:,} at or above).",
            f"A local fit needs at least {LEAST_ROWS} rows on each side.",
            "Collect more rows on that side.",
        )


def _outside(score: np.ndarray, cutoff: float, donut: float | None) -> np.ndarray:
    """Which rows lie outside the donut."""
    if donut is None:
        return np.ones(score.size, dtype=bool)
    if not (isinstance(donut, Real) and 0 < donut < np.inf):
        raise DataError(
            f"donut is {donut!r}.",
            "It is the distance from the cutoff within which rows are left out.",
            "Give a positive number on the scale of the running variable, such as 0.005.",
        )
    # A score of 0.84 lies 0.01 from 0.85 although its floating-point distance is a bit more.
    return np.abs(score - cutoff) > donut * (1 + 1e-9)


def _clusters(frame: pd.DataFrame, cluster: str | None) -> tuple[np.ndarray | None, int | None]:
    if cluster is None:
        return None, None
    coded, labels = codes(frame, cluster)
    require_clusters(len(labels), cluster)
    return coded, len(labels)
