"""From the user's data to arrays that are ready to be learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.inference import require_clusters
from noholdout_shared.input import (
    binary,
    codes,
    denominators,
    is_proportion,
    numeric,
    outcome,
)

from noholdout_uplift.columns import (
    ESTIMATED,
    Assignment,
    costs,
    current_rule,
    design_of,
    probability,
    refuse_copies,
    sampling_weights,
    without_weight,
)
from noholdout_uplift.folds import split_cells
from noholdout_uplift.options import Options
from noholdout_uplift.own_score import OwnScore, own_score
from noholdout_uplift.pushdown import Read, read, read_whole
from noholdout_uplift.ratio import Parts, parts_of
from noholdout_uplift.scored import Drawn


@dataclass(frozen=True)
class Prepared:
    """Arrays of shape ``(n,)``, and the features (with the user's own score) as ``(n, k)``.

    Of a ratio metric ``outcome`` is that of ``ratio``. ``profiled`` counts the columns of
    ``matrix`` that are features. When ``drawn`` holds copies, entries are cells of equal rows,
    parted into a ``fold`` (unless clusters are) and a ``half``. ``model`` is what learners stand
    on.
    """

    frame: pd.DataFrame
    outcome: np.ndarray
    ratio: Parts | None
    proportion: bool
    treatment: np.ndarray
    matrix: np.ndarray
    names: tuple[str, ...]
    profiled: int
    own: OwnScore | None
    propensity: np.ndarray
    assignment: Assignment
    drawn: Drawn
    fold: np.ndarray | None
    half: np.ndarray | None
    model: Any
    weight: np.ndarray | None
    cost: np.ndarray | None
    current: np.ndarray | None
    guardrails: dict[str, np.ndarray]
    settings: dict[str, Any]

    @property
    def copies(self) -> np.ndarray | None:
        """Rows behind each entry, or ``None`` when entries are rows."""
        return self.drawn.copies

    @property
    def each(self) -> np.ndarray:
        """Rows behind each entry, ones when entries are rows; shape ``(n,)``."""
        return np.ones(self.outcome.size, dtype=int) if self.copies is None else self.copies

    @property
    def arms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a learner is fitted to: features, outcome, treatment."""
        return self.matrix, self.outcome, self.treatment


def prepare(data: Any, options: Options) -> Prepared:
    """Read, validate and code the columns; ``DataError`` says what can't be read as asked."""
    features, propensity, cost = _check_names(options), options.propensity, options.cost
    column = propensity if isinstance(propensity, str) and propensity != ESTIMATED else None
    wanted = [
        options.outcome,
        options.treatment,
        options.denominator,
        *features,
        options.scores,
        options.trained_on,
        options.cluster,
        column,
        options.weights,
        cost if isinstance(cost, str) else None,
        options.current,
        *options.guardrails,
        *options.slices,
    ]
    found = read(data, options, wanted)
    if found.copies is not None:
        try:
            return _prepared(found, options, features)
        except DataError:
            found = read_whole(data, options, wanted)  # for the message to count rows
    return _prepared(found, options, features)


def _prepared(found: Read, options: Options, features: list[str]) -> Prepared:
    propensity, cost, frame = options.propensity, options.cost, found.rows.frame
    fold = half = copies = None
    if found.copies is not None:
        by_row = options.folds if options.cluster is None else None
        cell, fold, half, copies = split_cells(found.copies, by_row, options.seed)
        frame = frame.iloc[cell].reset_index(drop=True)
    empty = without_weight(frame, options.weights)
    counted = {"rows_with_weight_zero": int(empty.sum())} if empty.any() else {}
    frame, own = own_score(frame[~empty].reset_index(drop=True), options)
    y = outcome(frame, options.outcome)
    w = binary(frame, options.treatment)
    design = design_of(frame, features, options.scores)
    refuse_copies(design, y, options.outcome)
    clusters = None
    if options.cluster is not None:
        clusters, labels = codes(frame, options.cluster)
        require_clusters(len(labels), options.cluster)
    weight = sampling_weights(frame, options.weights)
    model = options.model
    if copies is not None:
        from noholdout_uplift.estimators.on_cells import cells_model

        weight, model = copies.astype(float), cells_model(model, options.seed)
    chance, assignment = probability(frame, w, propensity, weight)
    proportion, ratio = is_proportion(y), dict[str, Any]()
    below = denominators(frame, options.denominator, options.outcome)
    parts = None
    if below is not None:
        parts = parts_of(y, below, w, chance, weight, str(options.denominator))
        y, proportion = parts.outcome, False
        ratio = {"denominator": options.denominator, **parts.settings}
    return Prepared(
        frame=frame,
        outcome=y,
        ratio=parts,
        proportion=proportion,
        treatment=w,
        matrix=design.values,
        names=design.names,
        profiled=len(design.names) - (options.scores in set(design.names) - set(features)),
        own=own,
        propensity=chance,
        assignment=assignment,
        drawn=Drawn(clusters, copies),
        fold=None if options.cluster is not None else fold,
        half=half,
        model=model,
        weight=weight,
        cost=costs(frame, cost),
        current=None if options.current is None else current_rule(frame, options.current),
        guardrails={name: numeric(frame, name, "Guardrail") for name in options.guardrails},
        settings={**found.rows.settings, **counted, **design.settings, **ratio},
    )


def _check_names(options: Options) -> list[str]:
    """The features as a list; the columns' roles can't overlap."""
    features = list(options.features)
    if not features and options.scores is None:
        raise DataError(
            "No features are named.",
            "Uplift ranks users by features known before the treatment.",
            "Name them with --features a,b,c (features=['a', 'b', 'c']), or a score of your own "
            "with --scores.",
        )
    roles = ("outcome", "treatment", "denominator")
    for name, role in ((getattr(options, role), role) for role in roles):
        if name is not None and (name in features or name == options.scores):
            raise DataError(
                f"Column {name!r} is both the {role} and a "
                f"{'feature' if name in features else 'score'}.",
                "A feature must be known before the treatment.",
                "Take it out of the features.",
            )
    if options.treatment in (options.outcome, options.denominator):
        role = "outcome" if options.treatment == options.outcome else "denominator"
        raise DataError(
            f"Column {options.treatment!r} is both the {role} and the treatment.", "", ""
        )
    return features
