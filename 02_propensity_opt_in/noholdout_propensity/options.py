"""What an estimate is asked: columns with their roles and every choice, checked together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict

from noholdout_shared.arguments import (
    check_choice,
    check_columns,
    check_level,
    check_seed,
    column_names,
    resolve_replicates,
)
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing

from noholdout_propensity.kernels.weighting import Estimand

DEFAULT_REPLICATES = 500

Inference = Literal["analytic", "bootstrap"]
Pairs = Mapping[str, str] | Sequence[str]

ESTIMANDS: dict[Estimand, str] = {
    "ate": "average effect over everyone (ATE)",
    "att": "average effect on those who opted in (ATT)",
    "atc": "average effect on those who didn't opt in (ATC)",
    "ato": "average effect where opting in and not were both likely (ATO)",
}


class Common(TypedDict, total=False):
    """What every estimator of this method takes besides its own choices.

    The defaults stand in :class:`Options`.

    Parameters
    ----------
    denominator
        Column over which the outcome is a ratio: the effect is then the difference of two ratios
        of means.
    cluster, weights
        Columns of the groups whose rows move together, and of sampling weights.
    inference, replicates
        ``analytic``, or ``bootstrap`` of rows or clusters with 500 replicates by default.
    sample
        Read that many random rows only, drawn by ``seed``.
    missing, conf_level, margin, seed, jobs
        As in every method.
    """

    denominator: str | None
    cluster: str | None
    weights: str | None
    inference: Inference
    replicates: int | None
    sample: int | None
    missing: Missing
    conf_level: float
    margin: float | None
    seed: int
    jobs: int


@dataclass(frozen=True)
class Options:
    """What an estimate was asked, whatever the estimator does with the rows."""

    data: Any
    outcome: str
    treatment: str
    covariates: Sequence[str]
    estimand: Estimand = "ate"
    outcome_covariates: Sequence[str] | None = None
    denominator: str | None = None
    cluster: str | None = None
    weights: str | None = None
    inference: Inference = "analytic"
    replicates: int | None = None
    sample: int | None = None
    missing: Missing = "refuse"
    conf_level: float = 0.95
    margin: float | None = None
    seed: int = 0
    jobs: int = 1
    exact: Sequence[str] = ()
    negative_controls: Sequence[str] = ()
    covariate_times: Pairs | None = None
    treatment_time: str | None = None
    pre_values: Pairs | None = None
    extra_columns: Sequence[str] = ()
    may_sum: Literal["never", "always", "largest"] = "never"

    def __post_init__(self) -> None:
        for name in ("covariates", "exact", "negative_controls", "extra_columns"):
            object.__setattr__(self, name, column_names(getattr(self, name)))
        if self.outcome_covariates is not None:
            object.__setattr__(self, "outcome_covariates", column_names(self.outcome_covariates))

    def checked(self) -> Options:
        """A copy with the number of draws settled; raises a DataError for a wrong choice."""
        check_columns(outcome=self.outcome, treatment=self.treatment)
        for name in ("denominator", "cluster", "weights"):
            if getattr(self, name) is not None:
                check_columns(**{name: getattr(self, name)})
        check_choice("estimand", self.estimand, tuple(ESTIMANDS))
        check_choice("inference", self.inference, ("analytic", "bootstrap"))
        check_level(self.conf_level)
        check_seed(self.seed)
        draws = resolve_replicates(
            self.replicates, self.inference, ("bootstrap",), DEFAULT_REPLICATES
        )
        return replace(self, replicates=draws)


def require_covariates(options: Options) -> list[str]:
    """The covariates, none of them the outcome, the treatment or named twice."""
    covariates = list(options.covariates)
    if not covariates:
        raise DataError(
            "No covariates were named.",
            "Without them the estimate is the naive comparison of adopters with the others.",
            "Name what drives both the opt-in and the outcome, measured before the opt-in.",
        )
    roles = (
        (options.outcome, "outcome"),
        (options.treatment, "treatment"),
        (options.denominator, "denominator"),
    )
    for column, role in roles:
        if column in covariates or column in (options.outcome_covariates or ()):
            raise DataError(
                f"Column {column!r} is named as covariate and as {role}.",
                f"Adjusting for the {role} itself would explain the effect away.",
                "Name it once.",
            )
    if options.outcome == options.treatment:
        raise DataError(f"Column {options.outcome!r} is named as outcome and treatment.", "", "")
    return list(dict.fromkeys(covariates))


def later_columns(options: Options, covariates: Sequence[str]) -> list[str]:
    """The columns that only one check looks at; refuses timings of what isn't a covariate."""
    times, earlier = paired(options.covariate_times), paired(options.pre_values)
    for name, given in (("covariate_times", times), ("pre_values", earlier)):
        strangers = [column for column in given if column not in covariates]
        if strangers:
            raise DataError(
                f"{name} names {strangers[0]!r}, which isn't a covariate.",
                "Only covariates must come before the opt-in.",
                f"The covariates are {', '.join(covariates)}.",
            )
    if bool(times) != (options.treatment_time is not None):
        raise DataError(
            "Only one of covariate_times and treatment_time was given.",
            "A covariate's time says something only beside the time of the opt-in.",
            "Give both: --covariate-times COVARIATE=COLUMN,... --treatment-time COLUMN.",
        )
    asked = [options.treatment_time] if options.treatment_time is not None else []
    return [
        *options.exact,
        *options.negative_controls,
        *options.extra_columns,
        *times.values(),
        *asked,
        *earlier,
        *earlier.values(),
    ]


def paired(pairs: Pairs | None) -> dict[str, str]:
    """Covariates and their columns, from a mapping or from texts ``covariate=column``."""
    if isinstance(pairs, Mapping):
        return dict(pairs)
    found = {}
    for pair in pairs or ():
        covariate, _, column = (piece.strip() for piece in pair.partition("="))
        if not (covariate and column):
            raise DataError(
                f"{pair!r} doesn't say which column belongs to which covariate.",
                "",
                "Write COVARIATE=COLUMN.",
            )
        found[covariate] = column
    return found
