"""Run a method on a user's own data where the truth is known, and count how it did."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from noholdout_shared.errors import ConvergenceError, DataError, DesignError
from noholdout_shared.estimate import Estimate
from noholdout_shared.inference import POWER
from noholdout_shared.input import read_rows
from noholdout_shared.parallel import run_parallel
from noholdout_shared.render import effect_text

from noholdout.benchmark.scores import mean_mc, rmse_mc, share_interval
from noholdout.calibrate.planting import Placebos

E = TypeVar("E", bound=Estimate)

METHODS = ("did", "propensity", "rdd", "synthetic_control", "uplift")
CLASSES = {
    "did": "DidPlacebos",
    "propensity": "PropensityPlacebos",
    "rdd": "RddPlacebos",
    "synthetic_control": "SyntheticControlPlacebos",
    "uplift": "UpliftPlacebos",
}
# Arguments of the methods' ``estimate`` that name one column or several.
COLUMN_ROLES = (
    "outcome", "denominator", "treatment", "unit", "time", "first_treated", "running", "cluster",
    "weights", "covariates", "features", "outcome_covariates", "other_rules", "costs", "cost",
    "guardrails", "slices", "propensity", "predictors", "current", "composition",
    "negative_controls", "exact", "scores", "trained_on",
)  # fmt: skip
DEFAULT_REPLICATIONS = 50
SIZES = (0.5, 1.0, 1.5)  # of the smallest effect that the estimate says it could find
INTERVAL = 0.95  # of achieved shares


@dataclass(frozen=True)
class Calibration:
    """What a method achieved on a user's own data.

    Parameters
    ----------
    method
        Which one.
    table
        A row a planted effect (0 first): ``effect, runs, refused, bias, bias_mc, rmse, rmse_mc,
        coverage, coverage_low, coverage_high, found, found_low, found_high, width``. ``found`` is
        the share of intervals that leave zero out: at 0 the false alarms, elsewhere the power.
    n_placebos, n_apart
        Placebo launches, and how many of them share no data.
    size, size_low, size_high
        The share of those apart that were called an effect, with its exact 95% interval.
    smallest_found
        The smallest effect found in 80% of runs, interpolated; ``nan`` beyond the planted sizes.
    promised
        The smallest effect that the estimate itself says it could find.
    n_obs, n_obs_trial
        Rows of the estimate, and of a trial on average: trials with fewer rows find less.
    note
        What the trials were.
    proportion
        Whether effects are shares.
    """

    method: str
    table: pd.DataFrame
    n_placebos: int
    n_apart: int
    size: float
    size_low: float
    size_high: float
    smallest_found: float
    promised: float
    n_obs: int
    n_obs_trial: float
    conf_level: float
    note: str
    proportion: bool

    @property
    def text(self) -> str:
        """The achievement in two sentences."""
        asked = 1 - self.conf_level
        alarms = round(self.size * self.n_apart) if self.n_apart else 0
        said = (
            f"{self.n_placebos} placebo launches, {self.n_apart} of them apart: {alarms} of those "
            f"called an effect (false alarms {self.size_low:.0%} to {self.size_high:.0%}; asked "
            f"{asked:.0%})."
        )
        planted = self.table[self.table["effect"] != 0]
        if len(planted) and planted["runs"].sum():
            runs = planted["runs"].to_numpy()
            held = float((planted["coverage"] * runs).sum() / runs.sum())
            found = (
                effect_text(self.smallest_found, self.proportion, signed=False)
                if math.isfinite(self.smallest_found)
                else "no planted effect"
            )
            promised = effect_text(self.promised, self.proportion, signed=False)
            said += (
                f" Planted effects: {held:.0%} of {int(runs.sum())} intervals held the truth; "
                f"found in 80% of runs: {found} (promised {promised}){self._fewer_rows()}."
            )
        return said

    def _fewer_rows(self) -> str:
        if not self.n_obs_trial < 0.95 * self.n_obs:
            return ""
        return f", in trials of {self.n_obs_trial:,.0f} rows (the estimate has {self.n_obs:,})"

    def to_dict(self) -> dict[str, Any]:
        """Everything, the table as a frame and the text beside it."""
        return {**vars(self), "text": self.text}

    def attach(self, estimate: E) -> E:
        """A copy of the estimate that prints this beside its answer."""
        return replace(estimate, calibration=self.to_dict())


def calibrate(
    method: str,
    data: Any,
    *,
    effects: Sequence[float] | None = None,
    replications: int = DEFAULT_REPLICATIONS,
    **arguments: Any,
) -> tuple[Estimate, Calibration]:
    """How well does this method do on these data, where the truth is known?

    Placebo launches are put where nothing happened, and effects of known sizes are planted.

    Parameters
    ----------
    method
        ``did``, ``propensity``, ``rdd``, ``synthetic_control`` or ``uplift``.
    data, arguments
        As the method's ``estimate`` takes them; ``seed`` and ``jobs`` among them.
    effects
        Sizes to plant, in the outcome's units; by default half, once and one and a half times
        the smallest effect that the estimate says it could find.
    replications
        Trials a size, at most.

    Returns
    -------
    The estimate with its calibration attached, and the calibration.

    Raises
    ------
    DataError, DesignError
        As the method does, or the data leave no room for a placebo.
    """
    if method not in METHODS:
        raise DataError(f"There is no method {method!r}.", "", f"Use: {', '.join(METHODS)}.")
    if replications < 2:
        raise DataError(f"replications is {replications}.", "", "Use 2 or more.")
    if effects is not None and not np.isfinite(list(effects)).all():
        raise DataError(f"The effects are {list(effects)}.", "", "Give finite numbers.")
    _refuse_what_cannot_be_planted(method, arguments)
    seed, jobs = int(arguments.pop("seed", 0)), int(arguments.pop("jobs", 1))
    front = importlib.import_module(f"noholdout_{method}").estimate
    frame = _rows(data, arguments)
    estimate = front(frame, **arguments, seed=seed)
    settled = {name: value for name, value in arguments.items() if name != "missing"}
    sizes = [0.0, *(_sizes(estimate) if effects is None else [e for e in effects if e])]
    module = importlib.import_module(f"noholdout.calibrate.{method}")
    placebos: Placebos = getattr(module, CLASSES[method])(frame, settled, replications, seed)
    plan = [(number, 0.0) for number in sorted({*placebos.placebos, *placebos.planted})]
    plan += [(number, size) for size in sizes[1:] for number in placebos.planted]
    work = partial(_run, method, placebos, seed)
    rows = run_parallel(work, plan, jobs=jobs, label="calibrating")
    runs = pd.DataFrame(rows)
    calibration = _summary(method, placebos, runs, sizes, estimate)
    return calibration.attach(estimate), calibration


def _refuse_what_cannot_be_planted(method: str, arguments: Mapping[str, Any]) -> None:
    outcome = arguments.get("outcome")
    several = isinstance(outcome, (list, tuple)) and len(outcome) > 1
    timing = "a drawn opt-in has no time of its own"
    refused = {
        "covariate_times": (True, timing),
        "treatment_time": (True, timing),
        "pre_values": (True, timing),
        "rollout_log": (True, "a placebo moves a launch, and a log's other changes stay"),
        "first_treated": (method == "synthetic_control", "a placebo moves one launch, not several"),
        "outcome": (several, "an effect is planted into one outcome at a time"),
    }
    for name, (holds, reason) in refused.items():
        if holds and arguments.get(name):
            flag = name.replace("_", "-")
            raise DataError(
                f"calibrate can't work with --{flag} {arguments[name]} here.",
                f"The truth must be known: {reason}.",
                "Name one outcome." if name == "outcome" else f"Leave --{flag} out.",
            )


def _rows(data: Any, arguments: Mapping[str, Any]) -> pd.DataFrame:
    names: list[str] = []
    for role in COLUMN_ROLES:
        value = arguments.get(role)
        names += [value] if isinstance(value, str) else []
        names += list(value) if isinstance(value, (list, tuple)) else []
    empty = [name] if (name := arguments.get("first_treated")) else []
    missing = arguments.get("missing", "refuse")
    return read_rows(data, names, missing=missing, may_be_empty=empty).frame


def _sizes(estimate: Estimate) -> list[float]:
    smallest = estimate.smallest_effect
    if not (math.isfinite(smallest) and smallest > 0):
        raise DesignError(
            "The estimate has no standard error, so it doesn't say what it could find.",
            "",
            "Say which effects to plant: --effects.",
        )
    return [float(f"{share * smallest:.2g}") for share in SIZES]


def _run(method: str, placebos: Placebos, seed: int, work: tuple[int, float]) -> dict[str, Any]:
    number, effect = work
    front = importlib.import_module(f"noholdout_{method}").estimate
    row: dict[str, Any] = {"number": number, "effect": effect, "refused": False}
    empty = dict.fromkeys(("estimate", "conf_low", "conf_high", "truth", "n_obs"), math.nan)
    trial = placebos.trial(number, effect)
    try:
        found = front(trial.frame, **trial.arguments, seed=seed)
    except (DesignError, ConvergenceError):
        return row | empty | {"refused": True}
    return row | {
        "estimate": found.estimate,
        "conf_low": found.conf_low,
        "conf_high": found.conf_high,
        "truth": placebos.truth(trial, effect, found),
        "n_obs": found.n_obs,
    }


def _summary(
    method: str,
    placebos: Placebos,
    runs: pd.DataFrame,
    sizes: Sequence[float],
    estimate: Estimate,
) -> Calibration:
    planted = runs[runs["number"].isin(placebos.planted)]
    rows = [_figures(planted[planted["effect"] == size], size) for size in dict.fromkeys(sizes)]
    table = pd.DataFrame(rows)
    apart = runs[(runs["effect"] == 0) & runs["number"].isin(placebos.apart)]
    apart = apart[apart["conf_low"].notna()]
    alarms = int(((apart["conf_low"] > 0) | (apart["conf_high"] < 0)).sum())
    low, high = share_interval(alarms, len(apart), INTERVAL) if len(apart) else (0.0, 1.0)
    return Calibration(
        method=method,
        table=table,
        n_placebos=len(placebos.placebos),
        n_apart=len(apart),
        size=alarms / len(apart) if len(apart) else math.nan,
        size_low=low,
        size_high=high,
        smallest_found=_smallest(table),
        promised=estimate.smallest_effect,
        n_obs=estimate.n_obs,
        n_obs_trial=float(planted["n_obs"].mean()),
        conf_level=estimate.conf_level,
        note=placebos.note,
        proportion=estimate.proportion,
    )


def _figures(runs: pd.DataFrame, size: float) -> dict[str, Any]:
    answered = runs[runs["conf_low"].notna()]
    error = (answered["estimate"] - answered["truth"]).to_numpy(dtype=float)
    held = (answered["conf_low"] <= answered["truth"]) & (
        answered["truth"] <= answered["conf_high"]
    )
    found = (answered["conf_low"] > 0) | (answered["conf_high"] < 0)
    bias, bias_mc = mean_mc(error)
    rmse, rmse_error = rmse_mc(error)
    n = len(answered)
    shares: dict[str, float] = {}
    for name, values in (("coverage", held), ("found", found)):
        low, high = share_interval(int(values.sum()), n, INTERVAL) if n else (0.0, 1.0)
        shares |= {
            name: float(values.mean()) if n else math.nan,
            f"{name}_low": low,
            f"{name}_high": high,
        }
    return {
        "effect": size,
        "runs": n,
        "refused": int(runs["refused"].sum()),
        "bias": bias,
        "bias_mc": bias_mc,
        "rmse": rmse,
        "rmse_mc": rmse_error,
        **shares,
        "width": float((answered["conf_high"] - answered["conf_low"]).mean()) if n else math.nan,
    }


def _smallest(table: pd.DataFrame) -> float:
    """Where the power first reaches 80% among gains, between planted sizes by a straight line."""
    gains = table[(table["effect"] >= 0) & table["found"].notna()].sort_values("effect")
    size, power = gains["effect"].to_numpy(), gains["found"].to_numpy()
    for k in range(1, size.size):
        if power[k] >= POWER:
            if power[k - 1] >= POWER:
                return float(size[k])
            share = (POWER - power[k - 1]) / (power[k] - power[k - 1])
            return float(size[k - 1] + share * (size[k] - size[k - 1]))
    return math.nan


def renderable(calibration: Calibration) -> Any:
    """The table for a terminal of 80 columns."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    unit = " (points)" if calibration.proportion else ""
    scale = 100 if calibration.proportion else 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in (f"effect{unit}", "runs", "bias", "RMSE", "held truth", "called an effect"):
        table.add_column(name, justify="right")
    for row in calibration.table.to_dict("records"):
        table.add_row(
            f"{scale * row['effect']:+.3g}" if row["effect"] else "0",
            str(row["runs"]) + (f" ({row['refused']} refused)" if row["refused"] else ""),
            f"{scale * row['bias']:+.3g} ± {2 * scale * row['bias_mc']:.2g}",
            f"{scale * row['rmse']:.3g}",
            _share(row, "coverage"),
            _share(row, "found"),
        )
    return Group(
        Text("calibration on these data", style="bold"),
        Text(f"{calibration.note}."),
        table,
        Text(calibration.text),
    )


def _share(row: Mapping[Any, Any], name: str) -> str:
    if not np.isfinite(row[name]):
        return ""
    low, high = 100 * row[f"{name}_low"], 100 * row[f"{name}_high"]
    return f"{row[name]:.0%} ({low:.0f}-{high:.0f})"
