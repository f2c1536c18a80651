"""A staged rollout as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from noholdout_did.kernels.moments import Moments
from noholdout_did.rollout_log import Changes


@dataclass(frozen=True)
class Rollout:
    """A staged rollout, one entry a row of data. T periods, coded 0 to T-1 in order.

    Parameters
    ----------
    y
        Outcome, shape ``(n,)``.
    period
        Period codes, shape ``(n,)``.
    launch
        Index of the first treated period, shape ``(n,)``; T is never.
    cluster
        Codes of the groups whose rows move together, shape ``(n,)``; ``None`` when rows count
        as independent.
    unit
        Unit codes, shape ``(n,)``; ``None`` for repeated cross-sections.
    weights
        Sampling weights, shape ``(n,)``, or ``None``.
    covariates
        Shape ``(n, k)``, or ``None``; ``covariate_names`` has k names.
    composition
        Columns to watch, likewise; they aren't adjusted for.
    periods
        Labels of the periods, shape ``(T,)``.
    cluster_name, proportion, settings
        For the result.
    changes, log_unit
        With a rollout log: what it says of each unit, and each row's unit there, shape ``(n,)``.
    copies, spread
        When an engine summed rows into cells: rows behind each entry, and their sum of squared
        deviations from its mean, shape ``(n,)``; ``y`` then holds means, ``weights`` sums.
    summed
        The sums of a panel that stayed in its engine; ``unit`` and ``cluster`` then only say that
        there are units.
    """

    y: np.ndarray
    period: np.ndarray
    launch: np.ndarray
    cluster: np.ndarray | None
    unit: np.ndarray | None
    weights: np.ndarray | None
    covariates: np.ndarray | None
    covariate_names: tuple[str, ...]
    composition: np.ndarray | None
    composition_names: tuple[str, ...]
    periods: np.ndarray
    cluster_name: str | None
    proportion: bool
    settings: dict[str, Any]
    changes: Changes | None = None
    log_unit: np.ndarray | None = None
    copies: np.ndarray | None = None
    spread: np.ndarray | None = None
    summed: Moments | None = None

    @property
    def n_rows(self) -> int:
        return len(self.y) if self.copies is None else int(self.copies.sum())

    @property
    def n_periods(self) -> int:
        return len(self.periods)

    @property
    def n_treated_rows(self) -> int:
        return self.count(self.period >= self.launch)

    def count(self, chosen: np.ndarray) -> int:
        """Rows behind the chosen entries; ``chosen`` is boolean, shape ``(n,)``."""
        return int(chosen.sum() if self.copies is None else self.copies[chosen].sum())
