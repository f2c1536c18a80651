"""The choices that every estimator of this method shares, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from noholdout_shared.arguments import (
    check_choice,
    check_level,
    check_seed,
    check_whole,
    resolve_replicates,
)
from noholdout_shared.errors import DataError

from noholdout_did.kernels.adjusted import Adjust
from noholdout_did.kernels.aggregate import AggregateName
from noholdout_did.kernels.group_time import BasePeriod, ControlGroup

if TYPE_CHECKING:
    from noholdout_did.rollout import Rollout

Estimator = Literal[
    "group-time", "two-by-two", "twfe", "imputation", "two-stage", "sun-abraham", "all"
]
Inference = Literal["analytic", "bootstrap", "randomization", "leave-out"]

BAND_DRAWS = 999


@dataclass(frozen=True)
class Options:
    """See :func:`noholdout_did.estimate` for what each means; ``draws`` are also the bands'."""

    estimator: Estimator
    adjust: Adjust
    control_group: ControlGroup
    base_period: BasePeriod
    anticipation: int
    aggregate: AggregateName
    balance: int | None
    sensitivity: bool
    inference: Inference
    draws: int
    conf_level: float
    margin: float | None
    seed: int

    def settings(self) -> dict[str, Any]:
        """The choices as they go into ``Estimate.settings``."""
        return {
            "estimator": self.estimator,
            "adjust": self.adjust,
            "control_group": self.control_group,
            "base_period": self.base_period,
            "anticipation": self.anticipation,
            "aggregate": self.aggregate,
            "balance": self.balance,
            "seed": self.seed,
            "band_draws": self.draws,
        }


def check_options(
    *,
    estimator: Estimator,
    adjust: Adjust,
    control_group: ControlGroup,
    base_period: BasePeriod,
    anticipation: int,
    aggregate: AggregateName,
    balance: int | None,
    sensitivity: bool,
    inference: Inference,
    replicates: int | None,
    conf_level: float,
    margin: float | None,
    seed: int,
) -> Options:
    """Raise a DataError for a value that isn't a choice, or an option that would be ignored."""
    for name, value, choices in (
        ("estimator", estimator, get_args(Estimator)),
        ("adjust", adjust, get_args(Adjust)),
        ("control_group", control_group, get_args(ControlGroup)),
        ("base_period", base_period, get_args(BasePeriod)),
        ("aggregate", aggregate, get_args(AggregateName)),
        ("inference", inference, get_args(Inference)),
    ):
        check_choice(name, value, choices)
    check_level(conf_level)
    check_seed(seed)
    check_whole("anticipation", anticipation)
    check_whole("balance", balance)
    if anticipation < 0:
        raise DataError(
            f"anticipation is {anticipation!r}.",
            "It is the number of periods before the launch in which people may already react.",
            "Use 0, 1, 2, ...",
        )
    if balance is not None and aggregate != "event":
        raise DataError(
            f"balance={balance} was asked with aggregate {aggregate!r}.",
            "Only the average over event times can be balanced; elsewhere it would be ignored.",
            "Add --aggregate event, or leave --balance out.",
        )
    if balance is not None and balance < 0:
        raise DataError(f"balance is {balance}.", "", "Use 0, 1, 2, ... periods after the launch.")
    draws = resolve_replicates(replicates, inference, ("bootstrap", "randomization"), BAND_DRAWS)
    return Options(
        estimator=estimator,
        adjust=adjust,
        control_group=control_group,
        base_period=base_period,
        anticipation=anticipation,
        aggregate=aggregate,
        balance=balance,
        sensitivity=sensitivity,
        inference=inference,
        draws=BAND_DRAWS if draws is None else draws,
        conf_level=conf_level,
        margin=margin,
        seed=seed,
    )


def require_default(options: Options, **defaults: Any) -> None:
    """Refuse options that the chosen estimator doesn't use, rather than ignore them."""
    for name, default in defaults.items():
        value = getattr(options, name)
        if value != default:
            flag = name.replace("_", "-")
            raise DataError(
                f"{name}={value!r} was asked, but estimator {options.estimator!r} doesn't use it.",
                "An option that changes nothing would mislead.",
                f"Leave --{flag} out, or use --estimator group-time.",
            )


def require_no_covariates(rollout: Rollout, options: Options) -> None:
    """Refuse covariates where they would be ignored."""
    if rollout.covariates is not None:
        raise DataError(
            f"Covariates were given, but estimator {options.estimator!r} doesn't adjust for any.",
            "An option that changes nothing would mislead.",
            "Leave --covariates out, or use --estimator group-time.",
        )


def require_inference(options: Options, *own: Inference) -> None:
    """Refuse an inference that the estimator doesn't have; ``own`` has those few do."""
    if options.inference in ("analytic", "bootstrap", *own):
        return
    where = "group-time" if options.inference == "randomization" else "imputation"
    raise DataError(
        f"inference={options.inference!r} isn't there for estimator {options.estimator!r}.",
        "",
        f"Use --estimator {where}, or another inference.",
    )
