"""Effects of a known size, put into data that have none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError
from noholdout_shared.estimate import Estimate
from noholdout_shared.input import numeric


@dataclass(frozen=True)
class Trial:
    """Data with a known truth, and how the method is asked about them.

    Parameters
    ----------
    frame, arguments
        What the method's ``estimate`` gets.
    effects
        Each row's own expected effect, shape ``(n,)``, where the truth depends on whom the
        estimate is about; ``None`` when the truth is the planted effect itself.
    """

    frame: pd.DataFrame
    arguments: dict[str, Any]
    effects: np.ndarray | None = None


class Placebos(Protocol):
    """A method's trials on a user's data. Without a planted effect, each has none.

    Parameters
    ----------
    placebos
        The numbers of the placebo launches.
    apart
        Those of them that share no data with each other.
    planted
        The numbers of the trials into which effects are planted.
    note
        What the trials are, for the reader.
    """

    placebos: tuple[int, ...]
    apart: tuple[int, ...]
    planted: tuple[int, ...]
    note: str

    def trial(self, number: int, effect: float) -> Trial:
        """The trial of that number; with another effect it has the same draws."""

    def truth(self, trial: Trial, effect: float, found: Estimate) -> float:
        """The true effect of what the estimate is about."""


def is_binary(y: np.ndarray) -> bool:
    """Whether every outcome is 0 or 1."""
    return bool(np.isin(y, (0.0, 1.0)).all())


def expected_effects(y: np.ndarray, effect: float, weights: np.ndarray) -> np.ndarray:
    """Each row's expected effect, so that their weighted mean is ``effect``; shape ``(n,)``.

    A number gets the effect added. Of a 0/1 outcome, zeros become ones (ones zeros, for harm)
    with one probability, so a row that is a one already can't gain.

    Raises
    ------
    DesignError
        The effect is larger than the outcome has room for.
    """
    if not is_binary(y):
        return np.full(y.size, effect)
    room = 1 - y if effect >= 0 else y
    share = float(weights @ room / weights.sum())
    if abs(effect) > share:
        raise DesignError(
            f"An effect of {effect:+.3g} can't be planted: only {share:.1%} of the rows could "
            f"change that way.",
            "The outcome is 0 or 1.",
            "Plant smaller effects: --effects.",
        )
    return effect / share * room if share > 0 else np.zeros(y.size)


def plant(y: np.ndarray, effects: np.ndarray, rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The outcome after ``rows`` (boolean) got their effects.

    Parameters
    ----------
    draws
        Uniform draws, shape ``(n,)``: a 0/1 outcome flips where the draw lies below the size of
        the row's effect, so larger effects flip the same rows and more.
    """
    if not is_binary(y):
        return y + np.where(rows, effects, 0.0)
    flips = rows & (draws < np.abs(effects))
    return np.where(flips, 1 - y, y)


def planted(
    frame: pd.DataFrame,
    arguments: Mapping[str, Any],
    effect: float,
    rows: np.ndarray,
    weights: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Plant the effect into the frame's outcome; return each row's own, shape ``(n,)``.

    Of a ratio metric the numerator grows by ``effect`` times the denominator, so that any sum over
    a sum of treated rows grows by the effect.

    Parameters
    ----------
    frame
        Its outcome column is replaced.
    arguments
        Name the ``outcome``, and the ``denominator`` where there is one.
    rows
        Who is treated, boolean, shape ``(n,)``.
    weights
        Whose weighted mean effect is to be ``effect``, shape ``(n,)``.
    """
    y = frame[arguments["outcome"]].to_numpy(dtype=float)
    denominator = arguments.get("denominator")
    if denominator is not None:
        own = effect * numeric(frame, denominator, "Denominator")
        frame[arguments["outcome"]] = y + np.where(rows, own, 0.0)
        return own
    own = expected_effects(y, effect, weights)
    frame[arguments["outcome"]] = plant(y, own, rows, rng.random(y.size))
    return own


def generator(seed: int, number: int) -> np.random.Generator:
    """The random numbers of one trial, whatever the others are."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))


def shuffled(values: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """The values in random order; whole groups change places when they share one value."""
    if groups is None:
        return rng.permutation(values)
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    if not np.array_equal(values[first][place], values):
        return rng.permutation(values)
    return rng.permutation(values[first])[place]
