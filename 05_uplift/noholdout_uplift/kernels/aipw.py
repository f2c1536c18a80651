"""Doubly robust scores: their mean over any group of rows is the group's effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AipwScores:
    """Scores of one row each, shape ``(n,)``.

    ``control`` and ``treated`` have the mean outcome under no treatment and under treatment as
    their expectation; ``effect`` is their difference.
    """

    control: np.ndarray
    treated: np.ndarray

    @property
    def effect(self) -> np.ndarray:
        """``treated - control``."""
        return self.treated - self.control

    def part(self, rows: np.ndarray) -> AipwScores:
        """The same of some rows; ``rows`` has shape ``(n,)``."""
        return AipwScores(self.control[rows], self.treated[rows])


def aipw_scores(
    outcome: np.ndarray,
    treatment: np.ndarray,
    propensity: np.ndarray,
    mean_control: np.ndarray,
    mean_treated: np.ndarray,
) -> AipwScores:
    """Augmented inverse-probability scores (Robins, Rotnitzky and Zhao 1994, JASA 89(427)).

    All arrays have shape ``(n,)``; ``mean_control`` and ``mean_treated`` are predictions of
    models that weren't trained on the row. With a known propensity the scores are unbiased
    whatever these models are.
    """
    control = mean_control + (1 - treatment) / (1 - propensity) * (outcome - mean_control)
    treated = mean_treated + treatment / propensity * (outcome - mean_treated)
    return AipwScores(control, treated)
