"""What each method is asked on the synthetic product, its naive rival and its truth, as data.

Every truth is the sample's: the mean effect on this data set's own users or workspaces, from
expected outcomes. No number of the truth reaches an estimator: it is read after the estimate.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from noholdout_data_generator import Dataset
    from noholdout_shared.estimate import Estimate

WEEKS_PER_PERIOD = 5  # both launches (weeks 20 and 30) fall on the start of a period
FEATURES = ("engagement_tier", "signup_week", "query_confidence")

Question = tuple["pd.DataFrame", dict[str, Any]]


@dataclass(frozen=True)
class Design:
    """One method on the synthetic product.

    Parameters
    ----------
    method
        The method's package, without its prefix.
    title
        The launch, in words.
    estimand
        Which effect the estimate and the truth are of.
    naive_is
        What the naive answer compares.
    ask
        The rows and the keyword arguments of the method's ``estimate``; no truth among them.
    naive
        The answer of somebody who doesn't think about the design.
    truth
        The sample's truth of the same estimand.
    """

    method: str
    title: str
    estimand: str
    naive_is: str
    ask: Callable[[Dataset], Question]
    naive: Callable[[Dataset, Estimate], float]
    truth: Callable[[Dataset, Estimate], float]

    def run(self, data: Dataset, seed: int) -> Estimate:
        """The method's estimate with its defaults."""
        frame, arguments = self.ask(data)
        package = importlib.import_module(f"noholdout_{self.method}")
        return package.estimate(frame, **arguments, seed=seed)


def _did(data: Dataset) -> Question:
    users = data.users[["user_id", "workspace_id", *FEATURES, "task_completed"]].assign(
        period=data.users["signup_week"] // WEEKS_PER_PERIOD,
        first_treated=data.users["treatment_week"] // WEEKS_PER_PERIOD,
    )
    return users, {
        "outcome": "task_completed",
        "time": "period",
        "first_treated": "first_treated",
        "cluster": "workspace_id",
    }


def _propensity(data: Dataset) -> Question:
    return data.users, {
        "outcome": "task_completed",
        "treatment": "opt_in_agent_mode",
        "covariates": list(FEATURES),
    }


def _rdd(data: Dataset) -> Question:
    return data.users, {
        "outcome": "task_completed",
        "running": "query_confidence",
        "cutoff": 0.85,
        "treated_side": "below",
    }


def _synthetic_control(data: Dataset) -> Question:
    upgraded = data.telemetry[data.telemetry["upgraded"] == 1]
    return data.telemetry, {
        "outcome": "task_completion_rate",
        "unit": "workspace_id",
        "time": "date",
        "treated": sorted(upgraded["workspace_id"].unique()),
        "start": upgraded["date"].min(),
    }


def _uplift(data: Dataset) -> Question:
    return data.users, {
        "outcome": "task_completed",
        "treatment": "prompt_variant",
        "features": list(FEATURES),
    }


def _gap(outcome: pd.Series, treated: pd.Series) -> float:
    return float(outcome[treated == 1].mean() - outcome[treated == 0].mean())


def _before_after(data: Dataset, _: Estimate) -> float:
    telemetry = data.telemetry
    upgraded = telemetry[telemetry["upgraded"] == 1]
    rows = telemetry[telemetry["workspace_id"].isin(upgraded["workspace_id"].unique())]
    return _gap(rows["task_completion_rate"], rows["upgraded"])


def _truth_of_chosen(data: Dataset, estimate: Estimate) -> float:
    top = estimate.scores["top"].to_numpy()  # type: ignore[attr-defined]
    effects = data.truth_users["effect_prompt"].to_numpy()
    return float(top @ effects / top.sum())


DESIGNS: dict[str, Design] = {
    design.method: design
    for design in (
        Design(
            method="did",
            title="staged rollout",
            estimand="ATT of wave 1 in weeks 20 to 29",
            naive_is="users after launch minus users before",
            ask=_did,
            naive=lambda d, _: _gap(d.users["task_completed"], d.users["treated_post"]),
            truth=lambda d, _: d.truth["did"]["simple"]["sample"],
        ),
        Design(
            method="propensity",
            title="opt-in agent mode",
            estimand="ATE of agent mode",
            naive_is="opted in minus the others",
            ask=_propensity,
            naive=lambda d, _: _gap(d.users["task_completed"], d.users["opt_in_agent_mode"]),
            truth=lambda d, _: d.truth["propensity"]["ate"]["sample"],
        ),
        Design(
            method="rdd",
            title="threshold routing",
            estimand="effect of premium routing at confidence 0.85",
            naive_is="premium minus the others",
            ask=_rdd,
            naive=lambda d, _: _gap(d.users["task_completed"], d.users["routed_to_premium"]),
            truth=lambda d, _: d.truth["rdd"]["at_cutoff"]["sample"],
        ),
        Design(
            method="synthetic_control",
            title="global launch",
            estimand="ATT of the upgraded workspaces",
            naive_is="workspaces after minus before",
            ask=_synthetic_control,
            naive=_before_after,
            truth=lambda d, _: d.truth["synthetic_control"]["att"]["sample"],
        ),
        Design(
            method="uplift",
            title="personalised prompt",
            estimand="effect of the prompt in the top fifth by cross-fitted score",
            naive_is="top fifth of the training rows",
            ask=_uplift,
            naive=lambda _, estimate: float(estimate.settings["in_sample_top_effect"]),
            truth=_truth_of_chosen,
        ),
    )
}
