"""The question that an estimator is asked: the rows, the columns' roles, and no truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noholdout.compare.designs import DESIGNS, FEATURES, WEEKS_PER_PERIOD

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


def _did(data: Dataset) -> tuple[pd.DataFrame, dict[str, Any]]:
    users = data.users[["user_id", "workspace_id", *FEATURES, "task_completed"]].assign(
        period=data.users["signup_week"] // WEEKS_PER_PERIOD,
        first_treated=data.users["treatment_week"] // WEEKS_PER_PERIOD,
    )
    arguments = {
        "outcome": "task_completed",
        "time": "period",
        "first_treated": "first_treated",
        "cluster": "workspace_id",
    }
    return users, arguments


def _propensity(data: Dataset) -> tuple[pd.DataFrame, dict[str, Any]]:
    arguments = {
        "outcome": "task_completed",
        "treatment": "opt_in_agent_mode",
        "covariates": list(FEATURES),
    }
    return data.users.copy(), arguments


def _rdd(data: Dataset) -> tuple[pd.DataFrame, dict[str, Any]]:
    arguments = {
        "outcome": "task_completed",
        "running": "query_confidence",
        "cutoff": 0.85,
        "treated_side": "below",
    }
    return data.users.copy(), arguments


def _synthetic_control(data: Dataset) -> tuple[pd.DataFrame, dict[str, Any]]:
    upgraded = data.telemetry[data.telemetry["upgraded"] == 1]
    arguments = {
        "outcome": "task_completion_rate",
        "unit": "workspace_id",
        "time": "date",
        "treated": sorted(upgraded["workspace_id"].unique()),
        "start": upgraded["date"].min(),
    }
    return data.telemetry.copy(), arguments


def _uplift(data: Dataset) -> tuple[pd.DataFrame, dict[str, Any]]:
    arguments = {
        "outcome": "task_completed",
        "treatment": "prompt_variant",
        "features": list(FEATURES),
    }
    return data.users.copy(), arguments


_ASKED: dict[str, Callable[[Dataset], tuple[pd.DataFrame, dict[str, Any]]]] = {
    "did": _did,
    "propensity": _propensity,
    "rdd": _rdd,
    "synthetic_control": _synthetic_control,
    "uplift": _uplift,
}


def problem_of(design: str, data: Dataset, seed: int, conf_level: float = 0.95) -> Problem:
    """The design's question on one synthetic product."""
    frame, arguments = _ASKED[design](data)
    return Problem(design, frame, arguments, seed, conf_level)


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


def titles() -> dict[str, str]:
    """Each design's launch, in words."""
    return {name: design.title for name, design in DESIGNS.items()}
