"""From runs to a leaderboard: every figure with its Monte Carlo error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

KEYS = ["design", "scenario", "severity", "n_users", "kind", "estimator", "estimand"]
CELL = ["design", "scenario", "severity", "n_users", "estimand"]
KIND_ORDER = ("default", "alternative", "naive", "peer", "yours")
NO_EFFECT = 1e-9


def leaderboard(runs: pd.DataFrame) -> pd.DataFrame:
    """One row an estimator and cell.

    Parameters
    ----------
    runs
        One row a run, from :func:`noholdout.benchmark.benchmark`.

    Returns
    -------
    DataFrame
        ``runs`` counts all of them; ``failed`` and ``refused`` those without an answer. Over the
        answers: ``truth`` (mean), ``bias``, ``rmse``, and ``rmse_ratio``, that of RMSEs to our
        default of the same estimand, on the data sets that both answered. Over the intervals:
        ``coverage``, ``width``, and the share of them that leave zero out, which is ``power``
        where the truth isn't zero and ``size`` where it is. Over all runs that didn't fail:
        ``abstains``
        (refused, or do-not-use), ``sound``, ``silent`` (sound, and the interval misses the
        truth); ``coverage_sound`` over the intervals called sound; ``seconds`` is the median.
        Each has its Monte Carlo error in ``…_mc``; ``message`` is the first failure's.
    """
    errors = runs.assign(error=runs["estimate"] - runs["truth"])
    defaults = {
        key: cell.set_index("seed")["error"]
        for key, cell in errors[errors["kind"] == "default"].groupby(CELL)
    }
    rows = []
    for key, cell in errors.groupby(KEYS, sort=False, dropna=False):
        where = dict(zip(KEYS, key, strict=True))
        default = defaults.get(tuple(where[name] for name in CELL))
        rows.append(where | _figures(cell) | _against(cell.set_index("seed")["error"], default))
    board = pd.DataFrame(rows)
    order = board["kind"].map({kind: place for place, kind in enumerate(KIND_ORDER)})
    first = board["scenario"].map(lambda name: (name != "clean", name))
    return (
        board.assign(_order=order, _first=first)
        .sort_values(["design", "_first", "severity", "n_users", "_order"], kind="stable")
        .drop(columns=["_order", "_first"])
        .reset_index(drop=True)
    )


def _against(errors: pd.Series, default: pd.Series | None) -> dict[str, float]:
    """RMSE over the default's on common data sets: seeds that differ would add their own noise."""
    if default is None:
        return _with_error("rmse_ratio", math.nan, math.nan)
    both = pd.concat([errors, default], axis=1, join="inner").to_numpy(dtype=float)
    both = both[np.isfinite(both).all(axis=1)]
    return _with_error("rmse_ratio", *rmse_ratio_mc(both[:, 0], both[:, 1]))


def _figures(runs: pd.DataFrame) -> dict[str, Any]:
    failed, refused = runs["failed"].notna(), runs["refused"].notna()
    counted = runs[~failed]
    error = runs["error"].to_numpy(dtype=float)
    error = error[np.isfinite(error)]
    bounded = counted[counted["conf_low"].notna() & counted["truth"].notna()]
    low, high, truth = (bounded[name].to_numpy() for name in ("conf_low", "conf_high", "truth"))
    held = (low <= truth) & (truth <= high)
    rejects = (low > 0) | (high < 0)
    null = np.abs(truth) < NO_EFFECT
    says = counted["verdict"].notna() | counted["refused"].notna()
    speaks = bool(says.any())
    sound_bounded = (bounded["verdict"] == "sound").to_numpy()
    figures: dict[str, Any] = {
        "runs": len(runs),
        "failed": int(failed.sum()),
        "refused": int(refused.sum()),
        "truth": float(counted["truth"].mean()) if len(counted) else math.nan,
    }
    figures |= _with_error("bias", *mean_mc(error))
    figures |= _with_error("rmse", *rmse_mc(error))
    figures |= _with_error("coverage", *share_mc(int(held.sum()), held.size))
    figures |= _with_error("width", *mean_mc(high - low))
    for name, chosen in (("power", ~null), ("size", null)):
        figures |= _with_error(name, *share_mc(int(rejects[chosen].sum()), int(chosen.sum())))
    n = len(counted) if speaks else 0
    abstains = (counted["verdict"] == "do-not-use") | counted["refused"].notna()
    figures |= _with_error("abstains", *share_mc(int(abstains.sum()), n))
    figures |= _with_error("sound", *share_mc(int((counted["verdict"] == "sound").sum()), n))
    figures |= _with_error("silent", *share_mc(int((sound_bounded & ~held).sum()), n))
    figures |= _with_error(
        "coverage_sound", *share_mc(int((sound_bounded & held).sum()), int(sound_bounded.sum()))
    )
    seconds = counted["seconds"].to_numpy(dtype=float)
    figures |= _with_error("seconds", *median_mc(seconds))
    messages = runs["failed"].dropna()
    figures["message"] = messages.iloc[0] if len(messages) else None
    return figures


def _with_error(name: str, value: float, error: float) -> dict[str, float]:
    return {name: value, f"{name}_mc": error}


def mean_mc(values: np.ndarray) -> tuple[float, float]:
    """A mean and its Monte Carlo error ``s / sqrt(n)``."""
    if values.size == 0:
        return math.nan, math.nan
    error = values.std(ddof=1) / math.sqrt(values.size) if values.size > 1 else math.nan
    return float(values.mean()), float(error)


def rmse_mc(errors: np.ndarray) -> tuple[float, float]:
    """The root mean square of the errors; its Monte Carlo error by the delta method."""
    if errors.size == 0:
        return math.nan, math.nan
    squared, squared_error = mean_mc(errors**2)
    rmse = math.sqrt(squared)
    return rmse, squared_error / (2 * rmse) if rmse > 0 else 0.0


def rmse_ratio_mc(errors: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """The ratio of two RMSEs on the same data sets; its Monte Carlo error by the delta method."""
    squares, other_squares = errors**2, others**2
    if squares.size == 0 or other_squares.mean() == 0 or squares.mean() == 0:
        return math.nan, math.nan
    ratio = math.sqrt(squares.mean() / other_squares.mean())
    influence = squares / squares.mean() - other_squares / other_squares.mean()
    return ratio, ratio / 2 * mean_mc(influence)[1]


def share_mc(count: int, n: int) -> tuple[float, float]:
    """A share and its Monte Carlo error.

    Agresti and Coull's (1998): two successes and two failures are added for the error, so that
    0 of 100 isn't printed as known for certain.
    """
    if n == 0:
        return math.nan, math.nan
    p = (count + 2) / (n + 4)
    return count / n, math.sqrt(p * (1 - p) / (n + 4))


def median_mc(values: np.ndarray) -> tuple[float, float]:
    """A median; its error from the order statistics one binomial deviation either side."""
    if values.size == 0:
        return math.nan, math.nan
    ordered = np.sort(values)
    reach = math.sqrt(values.size) / 2
    middle, places = (values.size - 1) / 2, np.arange(values.size)
    low, high = np.interp([middle - reach, middle + reach], places, ordered)
    return float(np.median(ordered)), float((high - low) / 2)


def share_interval(count: int, n: int, level: float = 0.999) -> tuple[float, float]:
    """Clopper and Pearson's (1934) exact interval of a share."""
    from scipy import stats

    tail = (1 - level) / 2
    low = 0.0 if count == 0 else float(stats.beta.ppf(tail, count, n - count + 1))
    high = 1.0 if count == n else float(stats.beta.ppf(1 - tail, count + 1, n - count))
    return low, high
