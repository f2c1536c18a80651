"""A ratio metric, ``sum of outcome / sum of denominator``, at the cutoff by the delta method.

With local means A of the outcome and Z of the denominator at a side's edge, the outcome
``A / Z + (y - A / Z z) / Z`` of that side has the ratio as its local mean there and the ratio's
linearised error as its own, so that all that follows treats it as any other outcome.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from noholdout_shared.errors import DesignError

from noholdout_rdd.inference import choose_bandwidths, outcome_sides
from noholdout_rdd.kernels.bandwidth import Selector
from noholdout_rdd.kernels.local import Spec, local_fit
from noholdout_rdd.pushdown import Pair
from noholdout_rdd.threshold_data import ThresholdData


def linearised_ratio(data: ThresholdData, h: tuple[float, float], spec: Spec) -> ThresholdData:
    """The data with the ratio's linearised outcome, at its local means within ``h``.

    Raises
    ------
    DesignError
        A denominator whose local mean isn't positive.
    """
    assert data.numerator is not None and data.denominator is not None
    linear = []
    for side, width, above, below in zip(
        data.sides, h, data.numerator, data.denominator, strict=True
    ):
        weights = local_fit(side, width, spec.degree, spec.kernel).weights(0)
        top, base = float(weights @ above[: weights.size]), float(weights @ below[: weights.size])
        if base <= 0:
            raise DesignError(
                f"The local mean of denominator {data.denominator_column!r} at the cutoff "
                f"{data.cutoff:g} is {base:.4g}.",
                "A ratio over zero or less has no meaning.",
                "Name a denominator that most users near the cutoff have.",
            )
        linear.append(top / base + (above - top / base * below) / base)
    left, right = outcome_sides(data, (linear[0], linear[1]))
    return replace(data, left=left, right=right)


def pilot_ratio(data: ThresholdData, spec: Spec, selector: Selector) -> ThresholdData:
    """Linearised for the bandwidth search: at the bandwidths of the outcome alone."""
    return linearised_ratio(data, choose_bandwidths(data, spec, selector, fuzzy=False).h, spec)


def overall_ratio(data: ThresholdData) -> tuple[float, Pair]:
    """The ratio over all rows, and its linearised outcome without the ratio itself, by side."""
    assert data.numerator is not None and data.denominator is not None
    total = sum(weighted.sum() for weighted in _weighted(data, data.numerator))
    base = sum(weighted.sum() for weighted in _weighted(data, data.denominator))
    rows = sum(float(side.n if side.weights is None else side.weights.sum()) for side in data.sides)
    ratio = float(total / base)
    left, right = (
        (above - ratio * below) / (base / rows)
        for above, below in zip(data.numerator, data.denominator, strict=True)
    )
    return ratio, (left, right)


def _weighted(data: ThresholdData, pair: Pair) -> list[np.ndarray]:
    return [
        values if side.weights is None else side.weights * values
        for side, values in zip(data.sides, pair, strict=True)
    ]
