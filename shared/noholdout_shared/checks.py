"""Checks of an estimate's assumptions, and the verdict that follows from them by one rule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Status = Literal["pass", "caution", "fail", "cannot-be-tested"]
Verdict = Literal["sound", "caution", "do-not-use"]

FAMILY_LEVEL = 0.05
CAUTION_BIAS = 0.5  # implied bias, in standard errors of the estimate
FAIL_BIAS = 2.0
ROUGH = 0.1  # Cochran 1977, section 6.8: the largest relative error of a mean to divide by


@dataclass(frozen=True)
class Check:
    """One assumption, looked at.

    Parameters
    ----------
    name
        Stable name, listed in METHODS.md.
    assumption
        The assumption in one plain sentence.
    status
        ``cannot-be-tested`` never changes the verdict.
    statistic, p_value
        Of the test, ``nan`` where the check isn't a hypothesis test. The p-value is raw.
    message
        What was found, why it matters, what to do.
    implied_bias
        The bias of the estimate that the violation would imply, in standard errors of the
        estimate; ``nan`` where it can't be stated.
    """

    name: str
    assumption: str
    status: Status
    statistic: float
    p_value: float
    message: str
    implied_bias: float = math.nan


@dataclass(frozen=True)
class HypothesisCheck:
    """A test of an assumption, before the family of an estimate's tests is judged together.

    Parameters
    ----------
    name, assumption, statistic, p_value
        As in :class:`Check`. A ``nan`` p-value can't be judged: use :func:`untestable`.
    bias
        The bias of the estimate that the point estimate of the violation implies, in the
        outcome's units (the sign doesn't matter).
    found
        What the test found, with its numbers; shown whatever the status.
    todo
        Why a violation matters and what to do; shown when the check doesn't pass.
    """

    name: str
    assumption: str
    statistic: float
    p_value: float
    bias: float
    found: str
    todo: str


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's (1979) step-down adjusted p-values, in the order given. Shape ``(m,)``."""
    p = np.asarray(p_values, dtype=float)
    m = p.size
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((m - np.arange(m)) * p[order])
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def judge(
    tests: Sequence[HypothesisCheck],
    std_error: float,
    adjusted: Sequence[float] | None = None,
) -> tuple[Check, ...]:
    """Turn an estimate's hypothesis tests, as one family, into checks.

    ``caution`` needs a Holm-adjusted p below 0.05 and an implied bias above half a standard
    error; ``fail`` needs the same significance and an implied bias above two. By p-values
    alone every large data set would be unsound; without the adjustment, twelve tests would
    call half of all clean data unsound. A method that knows how its tests depend on each other may
    pass ``adjusted`` p-values that hold the same 5% for the family.
    """
    if adjusted is None:
        adjusted = holm([t.p_value for t in tests]).tolist() if tests else []
    checks = []
    for test, p_adjusted in zip(tests, adjusted, strict=True):
        if math.isnan(test.p_value):
            raise ValueError(f"check {test.name!r} has no p-value; use untestable()")
        size = abs(test.bias) / std_error if std_error > 0 else math.nan
        status: Status = "pass"
        if p_adjusted < FAMILY_LEVEL and (size > CAUTION_BIAS or math.isnan(size)):
            status = "fail" if size > FAIL_BIAS else "caution"
        message = test.found if status == "pass" else f"{test.found} {test.todo}"
        checks.append(
            Check(
                name=test.name,
                assumption=test.assumption,
                status=status,
                statistic=test.statistic,
                p_value=test.p_value,
                message=message,
                implied_bias=size,
            )
        )
    return tuple(checks)


def structural(name: str, assumption: str, status: Status, statistic: float, message: str) -> Check:
    """A check judged by size, not by a p-value (overlap, donors, number of clusters)."""
    return Check(name, assumption, status, statistic, math.nan, message)


def untestable(name: str, assumption: str, message: str, statistic: float = math.nan) -> Check:
    """An assumption that these data can't test; the message says what would overturn the answer."""
    return Check(name, assumption, "cannot-be-tested", statistic, math.nan, message)


def verdict(checks: Iterable[Check]) -> Verdict:
    """The verdict: the worst status among the checks, ``cannot-be-tested`` left aside."""
    statuses = {check.status for check in checks}
    if "fail" in statuses:
        return "do-not-use"
    return "caution" if "caution" in statuses else "sound"


def denominator_check(worst: float, moved: float) -> Check:
    """Dividing by a mean is nearly linear while its standard error is below a tenth of it.

    Parameters
    ----------
    worst
        The larger arm's standard error of the mean denominator over that mean; ``inf`` where a
        mean is 0.
    moved
        By what share the treatment moves the mean denominator.
    """
    name, known = "ratio_denominator", "The denominator's mean is known well enough to divide by."
    if math.isinf(worst):
        message = "The denominator's mean in an arm is 0."
    else:
        message = (
            f"The treatment moves the denominator's mean by {moved:+.1%}; the standard error of an "
            f"arm's mean is at most {worst:.1%} of it."
        )
    if worst < ROUGH:
        return structural(name, known, "pass", worst, message)
    message += " From 10% on a ratio is skewed, and a symmetric interval is rough: collect more."
    return structural(name, known, "caution", worst, message)
