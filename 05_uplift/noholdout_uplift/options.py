"""The arguments of an estimate, as they were given, and what can't be asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

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

DEFAULT_LEARNER = "x"
DEFAULT_REPLICATES = 500


@dataclass(frozen=True, kw_only=True)
class Options:
    """The arguments of :func:`noholdout_uplift.estimate`."""

    outcome: str
    treatment: str
    denominator: str | None = None
    features: Sequence[str] = ()
    learner: str | None = None
    model: Any = "boosting"
    scores: str | None = None
    trained_on: str | None = None
    propensity: float | str | None = None
    cluster: str | None = None
    weights: str | None = None
    cost: float | str | None = None
    budget: float | None = None
    current: str | None = None
    guardrails: Sequence[str] = ()
    slices: Sequence[str] = ()
    fraction: float = 0.2
    folds: int = 5
    inference: str = "influence"
    replicates: int | None = None
    sample: int | None = None
    missing: Missing = "refuse"
    conf_level: float = 0.95
    margin: float | None = None
    seed: int = 0
    jobs: int = 1

    def __post_init__(self) -> None:
        """One column may stand without a list."""
        for name in ("features", "guardrails", "slices"):
            object.__setattr__(self, name, column_names(getattr(self, name)))

    @property
    def headline(self) -> str:
        """The learner that the headline is about: the default one beside all others."""
        return DEFAULT_LEARNER if self.learner in (None, "all") else str(self.learner)


def check_options(options: Options) -> int | None:
    """Refuse what can't be asked; the number of bootstrap draws, if any."""
    check_columns(outcome=options.outcome, treatment=options.treatment)
    check_choice("inference", options.inference, ("influence", "bootstrap"))
    check_level(options.conf_level)
    check_seed(options.seed)
    if options.scores is not None and options.learner is not None:
        raise DataError(
            f"Both scores={options.scores!r} and learner={options.learner!r} are given.",
            "Users are ranked either by a column or by a learner.",
            "Leave one of them out.",
        )
    if options.trained_on is not None and options.scores is None:
        raise DataError(
            f"trained_on={options.trained_on!r} is given without scores.",
            "It says which rows trained the score of the column that --scores names.",
            "Name that column, or leave it out: learners keep their own folds apart.",
        )
    if not (isinstance(options.fraction, Real) and 0 < options.fraction < 1):
        raise DataError(
            f"fraction is {options.fraction!r}.",
            "It is the share of users, best first, that the answer is about.",
            "Use a number between 0 and 1, such as 0.2 for the top fifth.",
        )
    if not (isinstance(options.folds, Integral) and options.folds >= 2):
        raise DataError(
            f"folds is {options.folds!r}.",
            "One part of the rows must train a ranking that another part judges.",
            "Use 2 or more; 5 is the default.",
        )
    budget = options.budget
    if budget is not None and not (isinstance(budget, Real) and 0 <= budget < math.inf):
        raise DataError(
            f"budget is {options.budget!r}.",
            "It is what may be spent, as a mean per user of all users.",
            "Use a number of zero or more, or leave it out.",
        )
    return resolve_replicates(
        options.replicates, options.inference, ["bootstrap"], DEFAULT_REPLICATES
    )
