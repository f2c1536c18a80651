"""From the user's table to the arrays that every estimator works on."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError
from noholdout_shared.inference import influence_std_error, require_clusters
from noholdout_shared.input import (
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
from noholdout_propensity.options import Options, later_columns, require_covariates
from noholdout_propensity.pushdown import read_grouped

MINIMUM_ARM = 2

T = TypeVar("T")


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
