"""Intervals that stay valid when trends are only nearly parallel.

Rambachan and Roth (2023, Review of Economic Studies 90:2555-2591). Smoothness: the slope of the
gap may change by at most M from one period to the next; the interval is their optimal
fixed-length one (section 3.2 there, after Armstrong and Kolesár 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.errors import ConvergenceError
from scipy import optimize, special


@dataclass(frozen=True)
class FixedLength:
    """``centre`` plus or minus ``half``; ``bias`` is the worst case, ``sd`` the estimator's."""

    centre: float
    half: float
    bias: float
    sd: float

    @property
    def low(self) -> float:
        return self.centre - self.half

    @property
    def high(self) -> float:
        return self.centre + self.half


def folded_normal_quantile(level: float, shift: float) -> float:
    """The ``level`` quantile of ``|N(shift, 1)|``."""

    def excess(x: float) -> float:
        return float(special.ndtr(x - shift) - special.ndtr(-x - shift)) - level

    return float(optimize.brentq(excess, 0.0, shift + 10.0))


def second_difference_map(n_pre: int, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How a smooth departure moves the leads and the target.

    Parameters
    ----------
    n_pre
        Leads, ordered from the earliest, ``n_pre`` periods before the base, to the last.
    reach
        The target's weights on 1, 2, ... periods after the base, shape ``(P,)``.

    Returns
    -------
    Slope: shape ``(n_pre + 1,)``, the leads' and the target's value of a straight line; and the
    map, shape ``(n_pre + 1, n_pre + P - 1)``, from changes of slope to the same.
    """
    times = np.arange(-n_pre, len(reach) + 1)
    # A change of slope at s bends the line away from the base on the far side of s.
    at = np.arange(-n_pre + 1, len(reach))
    bend = np.where(
        at[None, :] >= 0,
        np.maximum(times[:, None] - at[None, :], 0),
        np.maximum(at[None, :] - times[:, None], 0),
    ).astype(float)
    before = times < 0
    after = times > 0
    slope = np.append(times[before], reach @ times[after])
    moved = np.vstack([bend[before], reach @ bend[after]])
    return slope.astype(float), moved


def fixed_length(
    leads: np.ndarray,
    target: float,
    covariance: np.ndarray,
    reach: np.ndarray,
    m: float,
    conf_level: float,
) -> FixedLength:
    """The shortest fixed-length interval when the slope changes by at most ``m`` a period.

    Parameters
    ----------
    leads
        Gaps before the launch relative to the base, from the earliest, shape ``(K,)``.
    target
        The estimate.
    covariance
        Of leads and target, shape ``(K + 1, K + 1)``.
    reach
        As in :func:`second_difference_map`.
    """
    n_pre = len(leads)
    slope, moved = second_difference_map(n_pre, reach)
    beta = np.append(leads, target)
    n_bends = moved.shape[1]

    def fit(bias_limit: float | None) -> tuple[np.ndarray, float, float]:
        c = _least_variance(covariance, slope, moved, bias_limit)
        return c, float(np.abs(moved.T @ c).sum()), float(np.sqrt(c @ covariance @ c))

    free, most_bias, least_sd = fit(None)
    if m == 0 or n_bends == 0:
        critical = float(special.ndtri(0.5 + conf_level / 2))
        return FixedLength(float(free @ beta), critical * least_sd, 0.0, least_sd)
    least = _least_bias(slope, moved)
    least_bias = float(np.abs(moved.T @ least).sum())

    def half(bias_limit: float) -> float:
        _, bias, sd = fit(bias_limit)
        return folded_normal_quantile(conf_level, m * bias / sd) * sd

    if most_bias <= least_bias * (1 + 1e-9):
        best = most_bias
    else:
        low = least_bias * (1 + 1e-7) + 1e-12
        found = optimize.minimize_scalar(
            half, bounds=(low, most_bias), method="bounded", options={"xatol": 1e-3 * most_bias}
        )
        candidates = (low, float(found.x), most_bias)
        best = min(candidates, key=half)
    c, bias, sd = fit(best)
    length = folded_normal_quantile(conf_level, m * bias / sd) * sd
    return FixedLength(float(c @ beta), length, m * bias, sd)


def _least_bias(slope: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The combination (1 on the target) that straight lines don't move and bends move least."""
    k, n_bends = moved.shape[0] - 1, moved.shape[1]
    cost = np.append(np.zeros(k), np.ones(n_bends))
    block = np.hstack([moved[:-1].T, -np.eye(n_bends)])
    mirrored = np.hstack([-moved[:-1].T, -np.eye(n_bends)])
    found = optimize.linprog(
        cost,
        A_ub=np.vstack([block, mirrored]),
        b_ub=np.concatenate([-moved[-1], moved[-1]]),
        A_eq=np.append(slope[:-1], np.zeros(n_bends))[None, :],
        b_eq=[-slope[-1]],
        bounds=[(None, None)] * k + [(0, None)] * n_bends,
    )
    if found.x is None:
        raise ConvergenceError(
            "The sensitivity interval's linear program found no solution.",
            f"Its message: {found.message}",
            "Leave --sensitivity out, and report the data set.",
        )
    return np.append(found.x[:k], 1.0)


def _least_variance(
    covariance: np.ndarray, slope: np.ndarray, moved: np.ndarray, bias_limit: float | None
) -> np.ndarray:
    """The least variable combination (1 on the target) with bounded worst-case bias."""
    k = len(slope) - 1
    v, cross = covariance[:-1, :-1], covariance[:-1, -1]
    kkt = np.block([[v, slope[:-1, None]], [slope[None, :-1], np.zeros((1, 1))]])
    free = np.linalg.lstsq(kkt, np.append(-cross, -slope[-1]), rcond=None)[0][:k]
    c = np.append(free, 1.0)
    if bias_limit is None or np.abs(moved.T @ c).sum() <= bias_limit:
        return c
    start = _least_bias(slope, moved)[:k]
    n_bends = moved.shape[1]
    scale = float(np.sqrt(np.trace(v) / k))

    def objective(x: np.ndarray) -> float:
        c = np.append(x[:k], 1.0)
        return float(c @ covariance @ c) / scale**2

    def gradient(x: np.ndarray) -> np.ndarray:
        c = np.append(x[:k], 1.0)
        return np.append(2 * (covariance @ c)[:k], np.zeros(n_bends)) / scale**2

    block = np.hstack([-moved[:-1].T, np.eye(n_bends)])
    mirrored = np.hstack([moved[:-1].T, np.eye(n_bends)])
    limit = np.append(np.zeros(k), -np.ones(n_bends))[None, :]
    a = np.vstack([block, mirrored, limit])
    b = np.concatenate([-moved[-1], moved[-1], [bias_limit]])
    level = np.append(slope[:-1], np.zeros(n_bends))
    x0 = np.append(start, np.abs(moved.T @ np.append(start, 1.0)))
    found = optimize.minimize(
        objective,
        x0,
        jac=gradient,
        method="SLSQP",
        constraints=[
            {"type": "ineq", "fun": lambda x: a @ x + b, "jac": lambda x: a},
            {"type": "eq", "fun": lambda x: level @ x + slope[-1], "jac": lambda x: level},
        ],
        options={"ftol": 1e-10, "maxiter": 200},
    )
    return np.append(found.x[:k], 1.0)
