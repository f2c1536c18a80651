"""The one result type: a number with its interval, its checks and its verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from noholdout_shared.arguments import check_margin
from noholdout_shared.checks import Check, Verdict, structural, verdict
from noholdout_shared.inference import not_worse_p, smallest_effect
from noholdout_shared.jsonable import jsonable, records

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The effect that a method found, and whether to believe it.

    Parameters
    ----------
    method, estimand
        Which method, and which effect for whom, in words.
    estimate, std_error, conf_low, conf_high, conf_level, p_value
        All of one and the same estimator, in the outcome's units; ``nan`` when undefined, the
        reason standing in ``inference``.
    inference
        Names the estimator's inference, e.g. ``cluster-robust by workspace_id, t(49)``.
    outcome
        The outcome column.
    n_obs, n_treated, n_control, n_clusters
        Rows used; ``n_clusters`` is ``None`` when rows count as independent.
    settings
        Every choice made and every row dropped, clipped or trimmed.
    checks
        The assumptions looked at; the verdict follows from them.
    tables
        Named frames with stable column names.
    df
        Degrees of freedom of the reference distribution, ``inf`` for the normal.
    proportion
        Whether the outcome is a share, so that people read effects in percentage points.
    margin
        With a margin M the one-sided question "not worse than -M" is answered too.
    calibration
        Error rates achieved on the user's own data, where that was run.
    """

    method: str
    estimand: str
    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    conf_level: float
    p_value: float
    inference: str
    outcome: str
    n_obs: int
    n_treated: int
    n_control: int
    n_clusters: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    df: float = math.inf
    proportion: bool = False
    margin: float | None = None
    calibration: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Hold what every estimate must: a usable margin, and say where there is no interval."""
        if self.margin is not None:
            check_margin(self.margin)
        said = any(check.name == "interval" for check in self.checks)
        if math.isnan(self.conf_low) and not said and verdict(self.checks) != "do-not-use":
            object.__setattr__(self, "checks", (*self.checks, _no_interval(self)))

    @property
    def verdict(self) -> Verdict:
        """``sound``, ``caution`` or ``do-not-use``: the worst status among the checks."""
        return verdict(self.checks)

    @property
    def smallest_effect(self) -> float:
        """The smallest effect that these data could have found at 80% power."""
        return smallest_effect(self.std_error, self.conf_level, self.df)

    @property
    def not_worse_p(self) -> float:
        """One-sided p-value against "the effect is -margin or worse"; ``nan`` without a margin."""
        if self.margin is None:
            return math.nan
        return not_worse_p(self.estimate, self.std_error, self.margin, self.df)

    @property
    def further_rows(self) -> tuple[tuple[str, str], ...]:
        """What a method adds to the printed answer, as (label, text) rows."""
        return ()

    def check(self, name: str) -> Check:
        """The check of that name; raises ``KeyError`` when there is none."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"no check {name!r}; there are: {', '.join(c.name for c in self.checks)}")

    def measured(self, check: str) -> dict[str, Any] | None:
        """How often that check, or the ``verdict``, finds a violation and how often it cries wolf.

        ``None`` where the benchmark hasn't measured it for this estimator.
        """
        from noholdout_shared.check_rates import check_rate

        rate = check_rate(self.method, check, self.n_obs)
        return None if rate is None else vars(rate) | {"text": rate.text}

    def with_margin(self, margin: float | None) -> Self:
        """A copy that also answers "not worse than -margin"."""
        return replace(self, margin=margin)

    def tidy(self) -> pd.DataFrame:
        """One row with the estimate, its interval and the verdict."""
        names = (
            "method",
            "estimand",
            "outcome",
            "estimate",
            "std_error",
            "conf_low",
            "conf_high",
            "conf_level",
            "p_value",
            "n_obs",
            "verdict",
        )
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values: dates ISO, undefined numbers ``None``."""
        plain = {
            name: jsonable(getattr(self, name))
            for name in (
                "method",
                "estimand",
                "estimate",
                "std_error",
                "conf_low",
                "conf_high",
                "conf_level",
                "p_value",
                "inference",
                "outcome",
                "n_obs",
                "n_treated",
                "n_control",
                "n_clusters",
                "settings",
                "smallest_effect",
                "margin",
                "not_worse_p",
                "calibration",
                "verdict",
            )
        }
        plain["checks"] = [
            jsonable(vars(c) | {"measured": self.measured(c.name)}) for c in self.checks
        ]
        plain["tables"] = {name: records(table) for name, table in self.tables.items()}
        return plain

    def summary(self, width: int = 80) -> str:
        """The answer, the verdict and the checks as plain text."""
        from noholdout_shared.render import summary_text

        return summary_text(self, width)

    def plot(self, ax: Axes | None = None) -> Axes:
        """The estimate with its interval; methods override this with the design's own picture."""
        from noholdout_shared.style import plot_interval

        return plot_interval(self, ax)

    def _repr_html_(self) -> str:
        from noholdout_shared.render import summary_html

        return summary_html(self)


def _no_interval(estimate: Estimate) -> Check:
    undefined = math.isnan(estimate.p_value)
    return structural(
        "interval",
        "The estimate comes with an interval.",
        "fail" if undefined else "caution",
        math.nan,
        f"No interval could be computed ({estimate.inference}), so nothing says how far off the "
        "estimate may be. Look at the outcome's spread, ask for another inference, or get more "
        "data.",
    )
