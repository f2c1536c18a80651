"""From the user's rows to the two sides of a cutoff, each sorted by distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
    is_proportion,
    numeric,
    positive_weights,
    read_rows,
)
from noholdout_shared.input import binary as binary_column
from noholdout_shared.input import outcome as outcome_column

from noholdout_rdd.kernels.local import Side

TreatedSide = Literal["above", "below"]

LEAST_ROWS = 10  # rows on each side below which no local fit makes sense


@dataclass(frozen=True)
class ThresholdData:
    """Rows around a cutoff.

    Parameters
    ----------
    left, right
        Rows below the cutoff, and rows at or above it. ``values``: outcome, then covariates.
    treatment
        Treatment actually received, left and right in the sides' order, or ``None``.
    sign
        +1 when the treated side is above, -1 when it is below.
    """

    left: Side
    right: Side
    treatment: tuple[np.ndarray, np.ndarray] | None
    sign: int
    cutoff: float
    outcome: str
    running: str
    treatment_column: str | None
    covariate_names: tuple[str, ...]
    n_clusters: int | None
    proportion: bool
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right."""
        return self.left, self.right

    @property
    def n_obs(self) -> int:
        """Rows in all."""
        return self.left.n + self.right.n

    @property
    def treated_index(self) -> int:
        """0 when the left side is treated, 1 when the right one is."""
        return int(self.sign > 0)


def read_threshold(
    data: Any,
    *,
    outcome: str,
    running: str,
    cutoff: float,
    treated_side: TreatedSide,
    treatment: str | None,
    covariates: Sequence[str],
    cluster: str | None,
    weights: str | None,
    donut: float | None,
    missing: Missing,
) -> ThresholdData:
    """Read, check and sort the rows.

    Raises
    ------
    DataError
        As :func:`noholdout_shared.input.read_rows`; a cutoff that isn't a finite number; the
        score used as an outcome or a covariate.
    DesignError
        Too few rows on a side of the cutoff.
    """
    check_choice("treated_side", treated_side, ("above", "below"))
    _check_cutoff(cutoff)
    for role, column in (("outcome", outcome), ("treatment", treatment), ("cluster", cluster)):
        if column == running and column is not None:
            raise DataError(
                f"Column {running!r} is both the running variable and the {role}.",
                "The score must differ from what it decides.",
                f"Name the {role}'s own column.",
            )
    columns = [outcome, running, treatment, *covariates, cluster, weights]
    rows = read_rows(data, columns, missing=missing)
    frame = rows.frame
    score = numeric(frame, running, "Running")
    y = outcome_column(frame, outcome)
    _check_sides(score, cutoff, running)
    design = design_matrix(frame, [c for c in covariates if c != running])
    if running in covariates:
        raise DataError(
            f"The running variable {running!r} is also named as a covariate.",
            "The score is in the fit already, on both sides of the cutoff.",
            "Leave it out of the covariates.",
        )
    received = None if treatment is None else binary_column(frame, treatment).astype(float)
    coded, n_clusters = _clusters(frame, cluster)
    sampling = positive_weights(frame, weights)
    kept = np.ones(score.size, dtype=bool) if sampling is None else sampling > 0
    outside = _outside(score, cutoff, donut)
    settings: dict[str, Any] = {**rows.settings, "cutoff": cutoff, "treated_side": treated_side}
    if covariates:
        settings |= {"covariates": list(design.names), **design.settings}
    if sampling is not None:
        settings |= {"weights": weights, "rows_with_weight_zero": int((~kept).sum())}
    if donut is not None:
        settings |= {"donut": donut, "rows_left_out_by_donut": int((kept & ~outside).sum())}
    kept &= outside
    _check_sides(score[kept], cutoff, running)
    values = np.vstack([y, design.values.T])
    parts = []
    for below in (True, False):
        chosen = np.flatnonzero(kept & ((score < cutoff) == below))
        distance = np.abs(score[chosen] - cutoff)
        order = np.argsort(distance, kind="stable")
        chosen = chosen[order]
        parts.append(
            (
                Side(
                    distance[order],
                    np.ascontiguousarray(values[:, chosen]),
                    None if sampling is None else sampling[chosen],
                    None if coded is None else coded[chosen],
                ),
                None if received is None else received[chosen],
            )
        )
    (left, got_left), (right, got_right) = parts
    return ThresholdData(
        left=left,
        right=right,
        treatment=None if got_left is None or got_right is None else (got_left, got_right),
        sign=1 if treated_side == "above" else -1,
        cutoff=float(cutoff),
        outcome=outcome,
        running=running,
        treatment_column=treatment,
        covariate_names=design.names,
        n_clusters=n_clusters,
        proportion=is_proportion(y),
        settings=settings,
    )


def _check_cutoff(cutoff: Any) -> None:
    number = isinstance(cutoff, (int, float, np.number)) and not isinstance(cutoff, bool)
    if not number or not np.isfinite(cutoff):
        raise DataError(
            f"The cutoff is {cutoff!r}.",
            "It must be a finite number on the scale of the running variable.",
            "Give the value at which the rule switches, such as 0.85.",
        )


def _check_sides(score: np.ndarray, cutoff: float, running: str) -> None:
    below = int((score < cutoff).sum())
    above = score.size - below
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
    if not (np.isfinite(donut) and donut > 0):
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
