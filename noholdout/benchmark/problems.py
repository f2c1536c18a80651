"""The question that an estimator is asked: the rows, the columns' roles, and no truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noholdout.compare.designs import DESIGNS

if TYPE_CHECKING:
    import pandas as pd
    from noholdout_data_generator import Dataset


@dataclass(frozen=True)
class Problem:
    """What an estimator gets. It holds no truth, and the frame is the estimator's own copy.

    Parameters
    ----------
    design
        ``did``, ``propensity``, ``rdd``, ``synthetic_control`` or ``uplift``.
    frame
        The rows.
    arguments
        The columns' roles and the design's values, named as in that method's ``estimate``: for
        ``did`` the keys ``outcome, time, first_treated, cluster``; for ``propensity`` ``outcome,
        treatment, covariates``; for ``rdd`` ``outcome, running, cutoff, treated_side``; for
        ``synthetic_control`` ``outcome, unit, time, treated, start``; for ``uplift`` ``outcome,
        treatment, features``.
    seed
        For the estimator's own randomness.
    conf_level
        Of the interval that is scored.
    """

    design: str
    frame: pd.DataFrame
    arguments: Mapping[str, Any]
    seed: int
    conf_level: float = 0.95


def problem_of(design: str, data: Dataset, seed: int, conf_level: float = 0.95) -> Problem:
    """The design's question on one synthetic product."""
    frame, arguments = DESIGNS[design].ask(data)
    return Problem(design, frame.copy(), arguments, seed, conf_level)


ESTIMANDS: dict[str, tuple[str, ...]] = {
    "did": ("simple",),
    "propensity": ("ate", "att", "atc", "ato"),
    "rdd": ("at_cutoff",),
    "synthetic_control": ("att",),
    "uplift": ("top", "ate"),
}


def truth_of(design: str, estimand: str, data: Dataset, top: Any = None) -> float:
    """The sample's truth of an estimand, from expected outcomes.

    Parameters
    ----------
    top
        For the estimand ``top`` of uplift: how much of each user belongs to those whom the
        estimator chose, shape ``(n_users,)``. Who chooses other users has another truth.
    """
    if design == "uplift" and estimand == "top":
        effects = data.truth_users["effect_prompt"].to_numpy()
        return float(top @ effects / top.sum())
    return float(data.truth[design][estimand]["sample"])
