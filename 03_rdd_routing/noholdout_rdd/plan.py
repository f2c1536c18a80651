"""Before a launch: what a cutoff could show, from yesterday's scores."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.arguments import check_choice, check_level
from noholdout_shared.checks import Check, judge
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.inference import critical_value
from noholdout_shared.input import Missing, numeric, read_rows
from noholdout_shared.jsonable import jsonable, records
from noholdout_shared.render import effect_text
from scipy import special

from noholdout_rdd.checks.moved import binomial_check, density_check
from noholdout_rdd.checks.scores import distinct_scores
from noholdout_rdd.columns import Columns
from noholdout_rdd.estimators.options import check_positive
from noholdout_rdd.inference import (
    Effect,
    choose_bandwidths,
    fit_effect,
    nearest_scores,
    refuse_sparse,
    require_clusters_near,
)
from noholdout_rdd.kernels.bandwidth import PILOT
from noholdout_rdd.kernels.local import KERNELS, OneCluster, SparseWindow, Spec
from noholdout_rdd.kernels.side import Kernel
from noholdout_rdd.threshold_data import ThresholdData, read_threshold

Widths = tuple[float, float]

GROWTH = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, kw_only=True)
class RddPlan:
    """What a regression discontinuity at a planned cutoff could find.

    Parameters
    ----------
    std_error
        Expected robust standard error with ``rows`` rows.
    smallest_effect
        The effect that would be found with probability ``power``.
    power_at_effect
        Probability of finding ``effect``; ``nan`` when none was given.
    table
        ``rows, std_error, smallest_effect, power_at_effect`` for half to eight times as many rows.
    checks
        What yesterday's scores say already (heaping at the cutoff, too few different scores).
    """

    running: str
    cutoff: float
    rows: int
    rows_within_bandwidth: int
    bandwidth: float
    std_error: float
    smallest_effect: float
    power: float
    effect: float | None
    power_at_effect: float
    conf_level: float
    proportion: bool
    table: pd.DataFrame
    checks: tuple[Check, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        plain = {
            name: jsonable(value)
            for name, value in vars(self).items()
            if name not in ("table", "checks")
        }
        return {
            "plan": "rdd",
            **plain,
            "checks": [jsonable(vars(check)) for check in self.checks],
            "table": records(self.table),
        }

    def summary(self) -> str:
        """The plan as plain text."""

        def text(value: float) -> str:
            return effect_text(value, self.proportion, signed=False)

        lines = [
            f"Plan: regression discontinuity at {self.running} = {self.cutoff:g}",
            f"  rows         {self.rows:,}, of them {self.rows_within_bandwidth:,} within "
            f"{self.bandwidth:.4g} of the cutoff",
            f"  could find   {text(self.smallest_effect)} or more, with {self.power:.0%} power",
        ]
        if self.effect is not None:
            lines.append(
                f"  power        {self.power_at_effect:.0%} for an effect of {text(self.effect)}"
            )
        lines.append("  with more    rows: smallest effect")
        for rows, smallest in zip(self.table["rows"], self.table["smallest_effect"], strict=True):
            lines.append(f"               {rows:,}: {text(smallest)}")
        for check in self.checks:
            words = f"{check.status:<8} {check.name}: {check.message}"
            lines += wrap(words, 78, initial_indent="  ", subsequent_indent=" " * 15)
        return "\n".join(lines)


def plan(
    data: Any,
    *,
    running: str,
    cutoff: float,
    outcome: str | None = None,
    outcome_sd: float | None = None,
    effect: float | None = None,
    rows: int | None = None,
    power: float = 0.8,
    bandwidth: float | None = None,
    kernel: Kernel = "triangular",
    cluster: str | None = None,
    conf_level: float = 0.95,
    missing: Missing = "refuse",
) -> RddPlan:
    """How small an effect could a rule at this cutoff show, and with what power?

    With yesterday's ``outcome``, the whole estimate is run at the planned cutoff, where nothing
    switches yet, and its robust standard error is the one to expect. Without it, ``outcome_sd``
    stands for the noise, and the bandwidth is the selector's pilot unless given.

    Parameters
    ----------
    data
        Yesterday's rows: a frame, a path or a connection URL.
    running, cutoff
        Column of the score, and where the rule is planned to switch.
    outcome
        Column of the outcome before the launch.
    outcome_sd
        Standard deviation of the outcome around its curve, instead of ``outcome``.
    effect
        An effect to state the power for, in the outcome's units.
    rows
        Planned number of rows; as many as in ``data`` when left out. Standard errors shrink with
        the power -2/5 of the rows, as optimal bandwidths shrink too.
    power
        Probability with which the smallest effect would be found.
    bandwidth, kernel, cluster, conf_level, missing
        As for the estimate.

    Returns
    -------
    RddPlan

    Raises
    ------
    DataError
        Neither or both of ``outcome`` and ``outcome_sd``; a power, effect or number of rows that
        can't be.
    DesignError
        Too few rows or scores around the planned cutoff.

    Notes
    -----
    Two-sided power ``Phi(t - z) + Phi(-t - z)`` with ``t`` the effect over the robust standard
    error, as Cattaneo, Titiunik and Vazquez-Bare (2019, Stata Journal 19:210), section 2. With
    clusters a t distribution by those within the bandwidth takes the normal law's place, as in the
    estimate's interval; planned rows then come from as many clusters as yesterday's.
    """
    check_level(conf_level)
    check_choice("kernel", kernel, tuple(KERNELS))
    check_positive(bandwidth=bandwidth)
    _check_plan(outcome, outcome_sd, effect, rows, power, cluster)
    read = _rows(data, running, cutoff, outcome, cluster, missing)
    spec = Spec(kernel=kernel, variance="nearest-neighbour" if cluster is None else "hc0")
    try:
        found = _expected(read, spec, bandwidth, known=outcome is not None)
    except SparseWindow as problem:
        raise refuse_sparse(cutoff, problem) from problem
    per_row = found.robust_error * read.n_obs**0.4
    if outcome_sd is not None:
        per_row = outcome_sd * _weights_length(found) * read.n_obs**0.4
    if not per_row > 0:
        raise DesignError(
            "The expected standard error is zero or undefined.",
            "The outcome doesn't vary near the planned cutoff.",
            "Check the outcome column, or give --outcome-sd.",
        )
    asked = read.n_obs if rows is None else int(rows)
    table = _table(per_row, asked, effect, power, conf_level, found.df)
    now = table[table["rows"] == asked].iloc[0]
    checks = (distinct_scores(read, found),)
    return RddPlan(
        running=running,
        cutoff=float(cutoff),
        rows=asked,
        rows_within_bandwidth=round(sum(found.pair.n_h) * asked / read.n_obs),
        bandwidth=max(found.h),
        std_error=float(now["std_error"]),
        smallest_effect=float(now["smallest_effect"]),
        power=power,
        effect=effect,
        power_at_effect=float(now["power_at_effect"]),
        conf_level=conf_level,
        proportion=read.proportion and outcome is not None,
        table=table,
        checks=(*checks, *_heaping(read, found)),
        settings={**read.settings, "rows_yesterday": read.n_obs, "kernel": kernel},
    )


def _check_plan(
    outcome: str | None,
    outcome_sd: float | None,
    effect: float | None,
    rows: int | None,
    power: float,
    cluster: str | None,
) -> None:
    if (outcome is None) == (outcome_sd is None):
        raise DataError(
            "Exactly one of outcome and outcome_sd is needed.",
            "The noise of the outcome decides what can be found.",
            "Name yesterday's outcome column, or give the standard deviation you expect.",
        )
    check_positive(outcome_sd=outcome_sd)
    if outcome is None and cluster is not None:
        raise DataError(
            "cluster needs yesterday's outcome.",
            "One deviation of all rows doesn't say how much the rows of a cluster move together.",
            "Name the outcome's column instead of its deviation, or leave out cluster.",
        )
    if effect is not None and not (_is_number(effect) and effect != 0):
        raise DataError(f"effect is {effect!r}.", "", "Give an effect other than zero.")
    if rows is not None and not (_is_number(rows) and rows >= 20 and rows == int(rows)):
        raise DataError(f"rows is {rows!r}.", "", "Plan with a whole number of at least 20 rows.")
    if not (_is_number(power) and 0.05 < power < 1):
        raise DataError(
            f"power is {power!r}.", "It is a probability.", "Use 0.8 for four chances in five."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _rows(
    data: Any,
    running: str,
    cutoff: float,
    outcome: str | None,
    cluster: str | None,
    missing: Missing,
) -> ThresholdData:
    if outcome is not None:
        columns = Columns(outcome, running, cluster=cluster)
        return read_threshold(data, columns, cutoff=cutoff, missing=missing)
    # No outcome yet: the scores alone, with a stand-in that is never looked at.
    read = read_rows(data, [running, cluster], missing=missing)
    frame = read.frame
    score = numeric(frame, running, "Running")
    stand_in = "outcome (not known yet)"
    frame = frame.assign(**{stand_in: np.arange(score.size, dtype=float) % 2})
    columns = Columns(stand_in, running, cluster=cluster)
    return read_threshold(frame, columns, cutoff=cutoff)


def _expected(read: ThresholdData, spec: Spec, bandwidth: float | None, *, known: bool) -> Effect:
    h, b = _bandwidths(read, spec, bandwidth, known=known)
    found = fit_effect(read, h, b, spec, fuzzy=False)
    require_clusters_near(found)
    return found


def _bandwidths(
    read: ThresholdData, spec: Spec, bandwidth: float | None, *, known: bool
) -> tuple[Widths, Widths]:
    """As given or as the estimate would choose them; the selector's pilot without an outcome."""
    if bandwidth is None and known:
        try:
            chosen = choose_bandwidths(read, spec, "mserd", fuzzy=False)
            return chosen.h, chosen.b
        except OneCluster:
            raise
        except SparseWindow:
            bandwidth = nearest_scores(read, 3)
    if bandwidth is None:
        scores = np.concatenate([-read.left.distance, read.right.distance])
        quartiles = np.quantile(scores, [0.25, 0.75])
        spread = min(float(scores.std(ddof=1)), float(quartiles[1] - quartiles[0]) / 1.349)
        bandwidth = max(PILOT[spec.kernel] * spread * scores.size**-0.2, nearest_scores(read, 3))
    return (bandwidth,) * 2, (bandwidth,) * 2


def _weights_length(found: Effect) -> float:
    return float(np.sqrt(sum(float(w @ w) for w in found.pair.corrected.weights)))


def _table(
    per_row: float, asked: int, effect: float | None, power: float, conf_level: float, df: float
) -> pd.DataFrame:
    z = critical_value(conf_level, df)
    rows = np.array([round(asked * growth) for growth in GROWTH])
    std_error = per_row * rows**-0.4
    t = np.full(rows.size, np.nan) if effect is None else np.abs(effect) / std_error
    return pd.DataFrame(
        {
            "rows": rows,
            "std_error": std_error,
            "smallest_effect": (z + _quantile(power, df)) * std_error,
            "power_at_effect": _share_below(t - z, df) + _share_below(-t - z, df),
        }
    )


def _share_below(value: np.ndarray, df: float) -> np.ndarray:
    return np.asarray(special.ndtr(value) if np.isinf(df) else special.stdtr(df, value))


def _quantile(share: float, df: float) -> float:
    return float(special.ndtri(share) if np.isinf(df) else special.stdtrit(df, share))


def _heaping(read: ThresholdData, found: Effect) -> tuple[Check, ...]:
    """Yesterday's scores must not heap at the cutoff: if they do, the rule isn't why."""
    tests = []
    for test in (density_check, binomial_check):
        try:
            tests.append(test(read, found))
        except SparseWindow:
            continue
    return judge(tests, found.robust_error)
