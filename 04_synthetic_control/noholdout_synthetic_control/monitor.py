"""``monitor``: which units have left their synthetic twin, looked at as often as one likes."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from noholdout_shared.arguments import check_choice, check_level, check_seed
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import Missing
from noholdout_shared.jsonable import jsonable, records
from noholdout_shared.render import effect_text

from noholdout_synthetic_control.metrics import wanted_metrics
from noholdout_synthetic_control.timing import launch_index, match_treated, shown
from noholdout_synthetic_control.watch import NEVER, Course, watch
from noholdout_synthetic_control.watched import Watched, read_watched

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Limits = Literal["always-valid", "alpha-spending"]
ALWAYS_VALID = "always valid: normal mixture over sizes and days of change, Holm over units"
SPENDING = "alpha spending: Lan and DeMets, Pocock's type, week by week, over all units"
LONGEST_WATCH = 730  # periods whose limits are drawn: two years of days
HISTORY = 56  # periods before the watch when no day is named: eight weeks of days


@dataclass(frozen=True)
class Departures:
    """Who has left their twin.

    Parameters
    ----------
    outcome
        The metric watched.
    departures
        One row a unit that left: unit, said_on (the day this was first said), changed_on (the
        likeliest day of the change, as seen then), direction (up, down), size, conf_low, conf_high
        (all three as seen then), size_now and the adjusted p_value as seen on the last day.
    units
        One row a unit watched: unit, p_value (adjusted, the smallest so far), left.
    path
        One row a unit and day: unit, time, gap, p_value.
    conf_level
        One minus the chance that anybody at all is said to have left when nobody did.
    settings
        First day watched, history, how gaps stray, who isn't watched.
    proportion
        Whether the outcome is a share.
    """

    outcome: str
    departures: pd.DataFrame
    units: pd.DataFrame
    path: pd.DataFrame
    conf_level: float
    settings: dict[str, Any]
    proportion: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the tables as rows, the settings."""
        return {
            "outcome": self.outcome,
            "departures": records(self.departures),
            "units": records(self.units),
            "path": records(self.path),
            "conf_level": self.conf_level,
            "settings": jsonable(self.settings),
        }

    def summary(self) -> str:
        """Who left, when, where to and by how much, as text of 80 columns."""
        known = self.settings
        count = len(self.units)
        head = (
            f"{self.outcome}: {count} unit{'s' if count != 1 else ''} watched for {known['days']} "
            f"period{'s' if known['days'] != 1 else ''} since {jsonable(known['since'])}, after "
            f"{known['history']} of history."
        )
        lines = textwrap.wrap(head, 80)
        for row in self.departures.to_dict("records"):
            low, high, size = (
                effect_text(row[name], self.proportion)
                for name in ("conf_low", "conf_high", "size")
            )
            said = (
                f"{row['unit']} left its twin: {row['direction']} {size} "
                f"({low.removesuffix(' points')} to {high}) since about "
                f"{jsonable(row['changed_on'])}, said on {jsonable(row['said_on'])}; now "
                f"{effect_text(row['size_now'], self.proportion)}."
            )
            lines += textwrap.wrap(said, 80, subsequent_indent="  ")
        if self.departures.empty:
            least = self.units.sort_values("p_value").iloc[0]
            lines += textwrap.wrap(
                f"{least['unit']} hasn't left its twin (p = {least['p_value']:.2f})."
                if count == 1
                else f"None has left its twin (closest: {least['unit']}, adjusted p = "
                f"{least['p_value']:.2f}).",
                80,
            )
        lines += textwrap.wrap(f"{self.promise()}, as far as gaps go on to stray as before.", 80)
        return "\n".join(lines)

    def promise(self) -> str:
        """What the limits hold, as a sentence without its end."""
        error = f"{100 * (1 - self.conf_level):g}%"
        horizon = self.settings["horizon"]
        if horizon is None:
            return (
                "However often you look, the chance of ever naming anybody while nobody left is "
                f"{error} at most"
            )
        left = horizon - self.settings["days"]
        state = f"{left} to come" if left else "now over: start another for later days"
        return (
            f"In this watch of {horizon} periods ({state}) the chance of naming anybody while "
            f"nobody left is {error}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Evidence day by day with its limit; without ``ax`` the gaps stand below it."""
        from noholdout_synthetic_control.plot_departures import plot_departures

        return plot_departures(self, ax)


def monitor(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    treated: Sequence[Any] | None = None,
    since: Any = None,
    denominator: str | None = None,
    weights: str | None = None,
    cell_mean: bool = False,
    missing: Missing = "refuse",
    limits: Limits = "always-valid",
    horizon: int | None = None,
    conf_level: float = 0.95,
    seed: int = 0,
) -> Departures:
    """Has any unit left its synthetic twin, and when? May be asked again every day.

    Each unit's twin is fitted to the history before ``since``: the default estimator's weights,
    completed by a regression on the leading principal components, so that nothing of the
    movements that units share most clearly is left to turn in the gaps.
    How far twins stray without any departure, day by day and in the long run, is learned from
    forecasts within the history, so that autocorrelation and the uncertainty of the weights are
    allowed for. A unit is said to have left once the likelihood of a lasting shift on some day
    exceeds that of none by a factor which, without a shift, is ever reached with a chance of 5% for
    all units together (Ville's inequality, Holm over units), or, with ``alpha-spending``, reached
    within ``horizon`` periods (limits drawn from the wander learned, Lan and DeMets 1983). Nothing
    said of a day uses a later one: a longer file repeats what a shorter one said.

    Assumes that gaps go on to stray as they did in the history (where half of the donors stray
    further, everyone's limits are widened), and that donors aren't touched by what moves the units
    watched. It says that a unit moved, not why.

    Parameters
    ----------
    data, outcome, unit, time, denominator, weights, cell_mean
        As in :func:`noholdout_synthetic_control.estimate`; one outcome, ``a/b`` for a ratio of each
        period's sums.
    treated
        Units to watch, which are then nobody's donor; by default all are watched, each against the
        others.
    since
        First period watched; by default the 57th in the file (eight weeks of days).
    missing
        ``refuse``, or ``drop``: units with gaps in the history aren't watched, units that stop
        reporting are watched (and serve as donors) until then; both are named in the settings.
    limits
        ``always-valid`` (default): they hold however long the watch goes on. ``alpha-spending``:
        a watch whose length is fixed beforehand names departures sooner, above all those that
        come late in it.
    horizon
        With ``alpha-spending``: periods of the whole watch, those to come included. Name the same
        number every day; later periods aren't looked at.
    conf_level
        One minus the chance that anybody is named, ever (or within ``horizon``), while nobody left.
    seed
        Of the watches drawn for ``alpha-spending``.

    Raises
    ------
    DataError
        The data can't be read as asked.
    DesignError
        Fewer than 20 periods of history, none to watch, or fewer than four units to learn from.
    """
    check_level(conf_level)
    check_seed(seed)
    check_choice("limits", limits, get_args(Limits))
    check_horizon(limits, horizon)
    metrics = wanted_metrics(data, outcome, denominator)
    if len(metrics) > 1:
        raise DataError(
            f"{len(metrics)} outcomes were named.",
            "The limits hold for one metric over all units and days.",
            "Watch one at a time; at --conf-level "
            f"{1 - (1 - conf_level) / len(metrics):.4g} each, all hold together.",
        )
    panel = read_watched(
        data,
        metrics[0],
        unit=unit,
        time=time,
        first=first_watched(since, time),
        weights=weights,
        cell_mean=cell_mean,
        missing=missing,
    )
    panel = panel.until(horizon)
    watched = np.zeros(panel.units.size, dtype=bool)
    if treated is not None and len(treated):
        watched = match_treated(panel.units, treated, unit)
    course = watch(panel, watched, 1 - conf_level, horizon, seed)
    return described(panel, course, watched, metrics[0].name, conf_level, horizon)


def check_horizon(limits: Limits, horizon: int | None) -> None:
    """Raise a DataError unless a horizon is given exactly where error is spent over one."""
    if limits == "always-valid" and horizon is not None:
        raise DataError(
            f"horizon {horizon} was given, but always-valid limits hold forever.",
            "An option that changes nothing would mislead.",
            "Leave it out, or ask for --limits alpha-spending.",
        )
    whole = isinstance(horizon, Integral) and 2 <= horizon <= LONGEST_WATCH
    if limits == "alpha-spending" and not whole:
        given = "no horizon was" if horizon is None else f"horizon {horizon!r} was"
        raise DataError(
            f"limits 'alpha-spending' were asked, and {given} given.",
            "The error is spent over a number of periods that is fixed before the first look.",
            f"Name it with --horizon (2 to {LONGEST_WATCH}), the same at every look.",
        )


def first_watched(since: Any, column: str) -> Callable[[np.ndarray], int]:
    """Position of the first period to watch, found among the times once they are read."""

    def find(times: np.ndarray) -> int:
        at = HISTORY if since is None else launch_index(times, since, column, "since")
        if at >= times.size:
            raise DesignError(
                f"No period lies at or after {since if since is not None else 'the 57th'}: "
                f"{column!r} holds {times.size} periods up to {shown(times[-1])}.",
                "Units are watched from there on.",
                "Name an earlier day with --since, or come back when there is more data.",
            )
        return at

    return find


def described(
    panel: Watched,
    course: Course,
    treated: np.ndarray,
    outcome: str,
    conf_level: float,
    horizon: int | None,
) -> Departures:
    """The course as tables, with the user's labels."""
    family = np.flatnonzero(treated) if treated.any() else np.arange(panel.units.size)
    times = panel.times[panel.n_pre :]
    days = times.size
    evidence = course.evidence
    gone = family[course.left_on[family] < NEVER]
    gone = gone[np.argsort(course.left_on[gone], kind="stable")]
    at = course.left_on[gone]
    size, half = evidence.size[gone, at], evidence.half_width[gone, at]
    departures = pd.DataFrame(
        {
            "unit": panel.units[gone],
            "said_on": times[at],
            "changed_on": times[evidence.change[gone, at]],
            "direction": np.where(size > 0, "up", "down"),
            "size": size,
            "conf_low": size - half,
            "conf_high": size + half,
            "size_now": evidence.size[gone, -1],
            "p_value": course.adjusted_p[gone, -1],
        }
    )
    units = pd.DataFrame(
        {
            "unit": panel.units[family],
            "p_value": course.adjusted_p[family, -1],
            "left": course.left_on[family] < NEVER,
        }
    )
    path = pd.DataFrame(
        {
            "unit": np.repeat(panel.units[family], days),
            "time": np.tile(times, family.size),
            "gap": course.gaps[family].ravel(),
            "p_value": course.adjusted_p[family].ravel(),
        }
    )
    settings = {
        **panel.settings,
        "since": times[0],
        "history": panel.n_pre,
        "days": days,
        "block": panel.block,
        "donors": int((~treated).sum()),
        "horizon": horizon,
        "limits": ALWAYS_VALID if horizon is None else SPENDING,
        "gaps_stray": {
            "level_sd": float(np.sqrt(course.wander.level)),
            "drift_sd_per_100_periods": float(np.sqrt(course.wander.slope)),
            "shock_sd": float(np.sqrt(course.wander.shock)),
            "shock_autocorrelation": course.wander.rho,
            "noise_multiple": course.wander.noise,
        },
    }
    return Departures(outcome, departures, units, path, conf_level, settings, panel.proportion)
