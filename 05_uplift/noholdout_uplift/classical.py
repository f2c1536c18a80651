"""The raw and normalised scores that other packages print, for comparison with theirs.

They use observed outcomes instead of AIPW scores, and but for least squares give no interval.
scikit-uplift divides by a "perfect" curve that depends on the outcome's level; the numbers compare
models on one data set and nothing else. Rows tied in score count together here as there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.errors import DataError

from noholdout_uplift.kernels.ranking import rank, tops_of


@dataclass(frozen=True)
class ClassicalCurve:
    """Points of a curve: rows treated so far and the curve's value, both from (0, 0)."""

    count: np.ndarray
    value: np.ndarray

    @property
    def area(self) -> float:
        """Area under the curve less that under the straight line to its end."""
        return float(np.trapezoid(self.value, self.count) - self.count[-1] * self.value[-1] / 2)


def _cumulated(
    outcome: np.ndarray, treatment: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, ...]:
    ranking = rank(np.asarray(score, dtype=float))
    y = np.asarray(outcome, dtype=float)[ranking.order]
    w = np.asarray(treatment, dtype=float)[ranking.order]
    parts = (w, 1 - w, w * y, (1 - w) * y)
    return tuple(np.append(0.0, np.cumsum(np.bincount(ranking.group, weights=p))) for p in parts)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.zeros(top.size), where=bottom > 0)


def uplift_curve(outcome: np.ndarray, treatment: np.ndarray, score: np.ndarray) -> ClassicalCurve:
    """Difference of the arms' means among the best so far, times their number."""
    treated, control, sum_treated, sum_control = _cumulated(outcome, treatment, score)
    count = treated + control
    return ClassicalCurve(
        count, (_ratio(sum_treated, treated) - _ratio(sum_control, control)) * count
    )


def qini_curve(outcome: np.ndarray, treatment: np.ndarray, score: np.ndarray) -> ClassicalCurve:
    """Treated outcomes less control outcomes scaled to the treated's number (Radcliffe 2007)."""
    treated, control, sum_treated, sum_control = _cumulated(outcome, treatment, score)
    scaled = sum_control * _ratio(treated, control)
    return ClassicalCurve(treated + control, sum_treated - scaled)


def _require_binary(outcome: np.ndarray) -> np.ndarray:
    values = np.asarray(outcome)
    if not np.isin(values, (0, 1)).all():
        raise DataError(
            "The outcome isn't 0/1, so there is no perfect curve to divide by.",
            "These normalised scores are defined for 0/1 outcomes only.",
            "Use the qini and auuc of noholdout_uplift.estimate.",
        )
    return values


def _share(area: float, whole: float) -> float:
    if whole == 0:
        raise DataError(
            "The curve to divide by is flat.",
            "These outcomes leave a ranking nothing to find.",
            "Use the qini and auuc of noholdout_uplift.estimate, which divide by nothing.",
        )
    return area / whole


def normalised_auuc(outcome: np.ndarray, treatment: np.ndarray, score: np.ndarray) -> float:
    """scikit-uplift's ``uplift_auc_score``: area over a perfect ranking's, random taken off both.

    Its perfect ranking puts treated successes and control failures first and breaks the rest by
    the rarer error: control successes against treated failures.
    """
    y = _require_binary(outcome)
    w = np.asarray(treatment)
    tie_break = y if ((y == 1) & (w == 0)).sum() > ((y == 0) & (w == 1)).sum() else w
    best = uplift_curve(y, w, 2 * (y == w) + tie_break)
    return _share(uplift_curve(y, w, score).area, best.area)


def normalised_qini(outcome: np.ndarray, treatment: np.ndarray, score: np.ndarray) -> float:
    """scikit-uplift's ``qini_auc_score`` (negative effects counted)."""
    y = _require_binary(outcome)
    w = np.asarray(treatment)
    best = qini_curve(y, w, y * w - y * (1 - w))
    return _share(qini_curve(y, w, score).area, best.area)


def normalised_qini_by_total(
    outcome: np.ndarray, treatment: np.ndarray, score: np.ndarray
) -> float:
    """causalml's ``qini_score``: mean height over the random line, as a share of the curve's end.

    Meaningless when the average effect is near zero, since that is what it divides by. Before the
    first control row the curve is the treated's sum here and a straight line there, a difference
    of the order of one row.
    """
    ranking = rank(np.asarray(score, dtype=float))
    curve = qini_curve(outcome, treatment, score)
    # one point a row, tied rows on the straight line between their group's ends
    position = np.append(0.0, np.cumsum(ranking.group_weight))
    rows = np.arange(ranking.order.size + 1)
    height = np.interp(rows, position, curve.value)
    line = np.linspace(0.0, curve.value[-1], rows.size)
    return _share(float((height - line).mean()), abs(float(curve.value[-1])))


def raw_uplift_at(
    outcome: np.ndarray, treatment: np.ndarray, score: np.ndarray, fraction: float
) -> float:
    """Difference of the arms' means in the top fraction; rows tied at the edge count in part."""
    top = tops_of(rank(np.asarray(score, dtype=float)), np.array([fraction]))[:, 0]
    w = np.asarray(treatment)
    y = np.asarray(outcome, dtype=float)
    if not (top @ w > 0 and top @ (1 - w) > 0):
        raise DataError(
            f"The top {fraction:.0%} holds rows of one arm only.",
            "There is nothing to compare.",
            "Use a larger fraction.",
        )
    return float((top * w) @ y / (top @ w) - (top * (1 - w)) @ y / (top @ (1 - w)))


def least_squares_effect(
    outcome: np.ndarray,
    treatment: np.ndarray,
    covariates: np.ndarray | None = None,
    modifier: np.ndarray | None = None,
) -> tuple[float, float]:
    """The number of a regression table: a coefficient of least squares and its HC1 error.

    Of the treatment, adjusted for ``covariates`` (shape ``(n, k)``) without interactions; or, with
    a ``modifier`` (shape ``(n,)``), of its product with the treatment: by how much the effect
    differs per unit of the modifier. Such an adjustment agrees with AIPW up to noise when the
    assignment was random; with effects that differ, only AIPW keeps the average effect otherwise.
    """
    y, w = np.asarray(outcome, dtype=float), np.asarray(treatment, dtype=float)
    columns = [w] if modifier is None else [w * modifier, w, np.asarray(modifier, dtype=float)]
    if covariates is not None:
        columns.extend(np.asarray(covariates, dtype=float).T)
    x = np.column_stack([*columns, np.ones(y.size)])
    if y.size <= x.shape[1]:
        raise DataError(
            f"There are {y.size} rows for {x.shape[1]} coefficients.",
            "Nothing is left to tell an error from.",
            "Use more rows.",
        )
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise DataError(
            "The columns are collinear.",
            "Least squares can't tell their coefficients apart.",
            "Leave out those that the others add up to.",
        )
    inverse = np.linalg.inv(x.T @ x)
    slopes = inverse @ (x.T @ y)
    scores = x * (y - x @ slopes)[:, None]
    variance = inverse @ (scores.T @ scores) @ inverse * y.size / (y.size - x.shape[1])
    return float(slopes[0]), float(np.sqrt(variance[0, 0]))
