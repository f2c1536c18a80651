"""From the user's table to the arrays that every estimator works on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypedDict, TypeVar

import numpy as np
import pandas as pd
from noholdout_shared.arguments import (
    check_choice,
    check_columns,
    check_level,
    check_seed,
    column_names,
    resolve_replicates,
)
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import influence_std_error, require_clusters
from noholdout_shared.input import (
    Missing,
    binary,
    codes,
    denominators,
    is_proportion,
    outcome,
    positive_weights,
    read_rows,
)

from noholdout_propensity.columns import covariate_columns, joined
from noholdout_propensity.kernels.designs import Design
from noholdout_propensity.kernels.sums import ArmSums, arm_sums
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.pushdown import read_grouped

MINIMUM_ARM = 2
DEFAULT_REPLICATES = 500

Inference = Literal["analytic", "bootstrap"]
Pairs = Mapping[str, str] | Sequence[str]
T = TypeVar("T")

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


@dataclass(frozen=True)
class Problem:
    """Validated arrays.

    Parameters
    ----------
    outcome, treated, sampling
        Shape ``(n,)`` floats; ``sampling`` are the sampling weights, ones without.
    score_design, outcome_design
        A constant and the standardised covariates, shape ``(n, k)``; made block by block as they
        are used when they are large.
    names
        Columns of ``score_design`` without the constant.
    balance_values, balance_names
        Every covariate as the user gave it, categories with all their levels, ``(n,)`` each.
    cluster_codes, strata
        Shape ``(n,)`` or ``None``; matches must lie within a stratum.
    denominator
        Shape ``(n,)``, what the outcome is a ratio over, or ``None``.
    frame
        The rows of columns that only one check needs.
    copies
        Rows behind each entry, ``(n,)``, when an engine has summed them; so is ``sampling`` then.
    memo
        What depends on covariates and treatment alone, computed once; kept by copies with another
        outcome.
    """

    options: Options
    outcome: np.ndarray
    treated: np.ndarray
    sampling: np.ndarray
    score_design: Design
    outcome_design: Design
    names: tuple[str, ...]
    balance_values: tuple[np.ndarray, ...]
    balance_names: tuple[str, ...]
    cluster_codes: np.ndarray | None
    n_clusters: int | None
    strata: np.ndarray | None
    denominator: np.ndarray | None
    proportion: bool
    frame: pd.DataFrame
    copies: np.ndarray | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    memo: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n(self) -> int:
        """Entries: rows, unless ``copies`` says otherwise."""
        return self.outcome.size

    @property
    def n_rows(self) -> int:
        """Rows of positive sampling weight."""
        return self.count(self.sampling > 0)

    def count(self, chosen: np.ndarray) -> int:
        """Rows behind the chosen entries, given as booleans ``(n,)`` or as places."""
        if self.copies is not None:
            return round(float(self.copies[chosen].sum()))
        return int(chosen.sum()) if chosen.dtype == bool else chosen.size

    def each(self, places: np.ndarray) -> np.ndarray | float:
        """Rows behind each of these entries."""
        return 1.0 if self.copies is None else self.copies[places]

    def std_error(self, influence: np.ndarray) -> float:
        """Of an estimator with these influence values, sums over each entry's rows."""
        if self.copies is not None and self.cluster_codes is None:
            influence = influence / np.sqrt(self.copies)  # a square a row, each with its share
        return influence_std_error(influence, self.cluster_codes)

    @property
    def estimand(self) -> Estimand:
        """Whom the answer covers."""
        return self.options.estimand

    @property
    def clustered(self) -> bool:
        """Whether rows move together in clusters."""
        return self.cluster_codes is not None

    @property
    def likelihood_weights(self) -> np.ndarray | None:
        """The sampling weights, ``None`` without any."""
        plain = self.options.weights is None and self.copies is None
        return None if plain else self.sampling

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of ``make()``, computed at most once for these covariates and treatment."""
        if key not in self.memo:
            self.memo[key] = make()
        value: T = self.memo[key]
        return value

    def asked(self, estimand: Estimand) -> Problem:
        """The same rows, asked for another population."""
        return replace(self, options=replace(self.options, estimand=estimand))

    def on(self, values: np.ndarray) -> Problem:
        """The same rows with another outcome."""
        return replace(self, outcome=values)

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the treated and of the control rows."""
        return self.once(
            "places", lambda: (np.flatnonzero(self.treated), np.flatnonzero(1 - self.treated))
        )

    @cached_property
    def arms(self) -> tuple[ArmSums, ArmSums]:
        """Sums of the score's design and the outcome in the treated and the control arm."""
        return arm_sums(self.score_design, self.outcome, self.treated, self.sampling)


def prepare(options: Options) -> Problem:
    """Read, validate and standardise; every choice made is kept in ``settings``."""
    options = options.checked()
    covariates = require_covariates(options)
    for_outcome = list(options.outcome_covariates or covariates)
    later = later_columns(options, covariates)
    columns = [
        options.outcome,
        options.denominator,
        options.treatment,
        *covariates,
        *for_outcome,
        options.cluster,
        options.weights,
        *later,
    ]
    grouped = read_grouped(options, columns)
    if grouped is not None:
        rows, copies, y, proportion = grouped.rows, grouped.copies, grouped.outcome, grouped.share
    else:
        empty = [options.treatment_time] if options.treatment_time else []
        rows = read_rows(
            options.data,
            columns,
            missing=options.missing,
            may_be_empty=empty,
            sample=options.sample,
            seed=options.seed,
        )
        copies, y = None, outcome(rows.frame, options.outcome)
        proportion = is_proportion(y)
    frame = rows.frame
    if options.sample is not None:  # a server may draw other rows when it is asked again
        options = replace(options, data=frame, sample=None)
    treated = binary(frame, options.treatment).astype(float)
    given = covariate_columns(frame, covariates)
    score_design, names, said = given.design()
    if not names:
        raise DesignError(
            f"None of the covariates ({', '.join(covariates)}) varies.",
            "There is nothing to adjust for, so this would be the naive comparison.",
            "Name covariates that vary and that were measured before the opt-in.",
        )
    outcome_design = score_design
    if for_outcome != covariates:
        outcome_design = covariate_columns(frame, for_outcome).design()[0]
    sampling = positive_weights(frame, options.weights) if copies is None else copies
    require_both_arms(treated, sampling, copies)
    cluster_codes, n_clusters = None, None
    if options.cluster is not None:
        cluster_codes, labels = codes(frame, options.cluster)
        n_clusters = len(labels)
        require_clusters(n_clusters, options.cluster)
    below = denominators(frame, options.denominator, options.outcome)
    return Problem(
        options=options,
        outcome=y,
        treated=treated,
        sampling=np.broadcast_to(1.0, y.size) if sampling is None else sampling,
        score_design=score_design,
        outcome_design=outcome_design,
        names=names,
        balance_values=given.columns,
        balance_names=given.names,
        cluster_codes=cluster_codes,
        n_clusters=n_clusters,
        strata=joined(frame, options.exact),
        denominator=below,
        proportion=proportion if below is None else bool((y >= 0).all() and (y <= below).all()),
        frame=pd.DataFrame({name: frame[name] for name in later}, index=frame.index),
        copies=copies,
        settings={**rows.settings, **said, "covariates": covariates},
    )


def require_both_arms(
    treated: np.ndarray, sampling: np.ndarray | None, copies: np.ndarray | None
) -> None:
    """Refuse an arm without a spread: fewer than two rows of positive weight."""
    each = np.ones(treated.size) if copies is None else copies
    if sampling is not None:
        each = each * (sampling > 0)
    inside = round(float(each @ treated))
    for count, word in ((inside, "treated"), (round(float(each.sum())) - inside, "control")):
        if count < MINIMUM_ARM:
            weighed = "" if sampling is None or copies is not None else " of positive weight"
            raise DesignError(
                f"There is only {count} {word} row{weighed}."
                if count
                else f"There is no {word} row{weighed}.",
                "A spread within each arm is needed for a standard error.",
                "Use more data.",
            )


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
