"""A score that the user brought: which rows judge it, and what it shows where it was trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import binary, denominators, numeric

from noholdout_uplift.columns import design_of, probability, sampling_weights
from noholdout_uplift.kernels.logit import fit_logit
from noholdout_uplift.kernels.ranking import top_weights
from noholdout_uplift.options import Options
from noholdout_uplift.ratio import parts_of


@dataclass(frozen=True)
class OwnScore:
    """A score that the user brought, on the rows that judge it.

    Parameters
    ----------
    values
        Shape ``(n,)``.
    trained
        ``unsaid``: the user didn't say which rows trained it; ``none``: none of these, others may
        have; ``all``: all of these did.
    n_trained
        Rows that trained it.
    in_sample
        Effect in the top fraction of the rows that trained it, by (inverse-probability weighted)
        means; ``nan`` where they aren't known.
    """

    values: np.ndarray
    trained: Literal["unsaid", "none", "all"]
    n_trained: int
    in_sample: float

    @property
    def n_left_out(self) -> int:
        """Rows of the data that don't judge the score, since they trained it."""
        return self.n_trained if self.trained == "none" else 0


def own_score(frame: pd.DataFrame, options: Options) -> tuple[pd.DataFrame, OwnScore | None]:
    """The rows that judge the user's own score, and that score; all rows without one.

    Rows that trained the score don't judge it, unless there are no others.
    """
    if options.scores is None:
        return frame, None
    values = numeric(frame, options.scores, "Score")
    if np.ptp(values) == 0:
        raise DesignError(
            f"Score column {options.scores!r} is {values[0]:g} in all {values.size:,} rows.",
            "It puts nobody before anybody.",
            "Check that the right column was named.",
        )
    if options.trained_on is None:
        return frame, OwnScore(values, "unsaid", 0, math.nan)
    trained = numeric(frame, options.trained_on, "Training mark")
    if not np.isin(trained, (0, 1)).all():
        raise DataError(
            f"Column {options.trained_on!r} isn't 0/1: it holds "
            f"{trained[~np.isin(trained, (0, 1))][0]:g}.",
            "It must say of each row whether it trained the score (1) or not (0).",
            "Convert it to 0/1.",
        )
    inside, count = trained == 1, int(trained.sum())
    if count == 0:
        return frame, OwnScore(values, "none", 0, math.nan)
    in_sample = _in_training(frame[inside], values[inside], options)
    if inside.all():
        return frame, OwnScore(values, "all", count, in_sample)
    judging = frame[~inside].reset_index(drop=True)
    return judging, OwnScore(values[~inside], "none", count, in_sample)


def _in_training(frame: pd.DataFrame, score: np.ndarray, options: Options) -> float:
    """Effect in the top fraction of the rows that trained the score."""
    w = binary(frame, options.treatment)
    weight = sampling_weights(frame, options.weights)
    chance, assignment = probability(frame, w, options.propensity, weight)
    if assignment == "estimated":
        matrix = design_of(frame, options.features, options.scores).values
        fit = fit_logit(matrix, w, weight=weight)
        if not fit.converged:
            return math.nan
        chance = fit.predict(matrix)
    y = numeric(frame, options.outcome, "Outcome")
    below = denominators(frame, options.denominator, options.outcome)
    if below is not None:
        y = parts_of(y, below, w, chance, weight, str(options.denominator)).outcome
    mass = np.ones(y.size) if weight is None else weight
    return observed_top_effect(y, w, chance, mass * top_weights(score, options.fraction, mass))


def observed_top_effect(
    outcome: np.ndarray, treatment: np.ndarray, propensity: np.ndarray, top: np.ndarray
) -> float:
    """Difference of the arms' (inverse-probability weighted) means among rows weighted ``top``."""
    treated = top * treatment / propensity
    control = top * (1 - treatment) / (1 - propensity)
    if treated.sum() == 0 or control.sum() == 0:
        raise DesignError(
            "The top group by predicted effect holds no rows of one arm.",
            "There is nothing to compare.",
            "Use a larger fraction or more rows.",
        )
    return float(treated @ outcome / treated.sum() - control @ outcome / control.sum())
