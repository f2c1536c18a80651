"""Were scores moved across the cutoff? Their density, and the rows nearest to it."""

from __future__ import annotations

import numpy as np
from noholdout_shared.checks import HypothesisCheck
from noholdout_shared.render import p_text
from scipy import special

from noholdout_rdd.inference import Effect
from noholdout_rdd.kernels.bandwidth import MANY_TIES
from noholdout_rdd.kernels.density import density_jump
from noholdout_rdd.kernels.local import SparseWindow
from noholdout_rdd.threshold_data import ThresholdData

DENSITY_SCORES = 20  # different scores within h that the density fit needs when scores repeat
NEAREST_ROWS = 100  # rows around the cutoff whose sides the binomial test counts
GRID = 5  # scores on each side of the cutoff whose rows it compares where scores repeat

DENSITY_HOLDS = "Nobody can move their score across the cutoff on purpose."
BINOMIAL_HOLDS = "Right at the cutoff, as many rows lie below as above."


def density_check(data: ThresholdData, effect: Effect) -> HypothesisCheck:
    """Density test of Cattaneo, Jansson and Ma (2020): do scores heap on one side?

    Implied bias: the surplus share of rows on the fuller side, times the outcome's standard
    deviation near the cutoff (those who moved differ from the others by one such deviation).
    """
    if repeated_share(data) >= MANY_TIES and least_scores(data, effect) < DENSITY_SCORES:
        # The window that holds enough scores would be far too wide, and a bend look like a jump.
        raise SparseWindow(max(effect.h), 0, DENSITY_SCORES)
    found = density_jump(data.sides)
    low, high = sorted(max(f, 0.0) for f in found.density)
    share = (high - low) / high if high > 0 else 0.0
    fuller = "at or above" if found.difference > 0 else "below"
    return HypothesisCheck(
        "density",
        DENSITY_HOLDS,
        found.statistic,
        found.p_value,
        share * _deviation_near(data, effect) / abs(effect.first_stage),
        f"The density of {data.running} is {found.density[0]:.4g} just below the cutoff and "
        f"{found.density[1]:.4g} just above ({p_text(found.p_value)}).",
        f"Up to {share:.0%} of the rows just {fuller} it look moved there, and who moves isn't "
        "random. Find out who can see or set the score; try --donut.",
    )


def binomial_check(data: ThresholdData, effect: Effect) -> HypothesisCheck:
    """Exact binomial test on the rows nearest to the cutoff or, on a grid, on the nearest scores.

    So near, the density can hardly change by itself, and no fit is needed. Implied bias as in
    :func:`density_check`.
    """
    if repeated_share(data) >= MANY_TIES:
        p_value, surplus, share, found = _heap(data, effect)
    else:
        p_value, surplus, share, found = _nearest_rows(data)
    return HypothesisCheck(
        "binomial",
        BINOMIAL_HOLDS,
        surplus,
        p_value,
        share * _deviation_near(data, effect) / abs(effect.first_stage),
        f"{found} ({p_text(p_value)}).",
        "The rows right at the cutoff pile up on one side, as moved scores would. Find out who can "
        "see, set or round the score.",
    )


def _nearest_rows(data: ThresholdData) -> tuple[float, float, float, str]:
    """p-value, surplus above, its share of the fuller side, and what was found."""
    nearest = np.sort(
        np.concatenate(
            [
                np.repeat(s.distance[:NEAREST_ROWS], s.each(s.n)[:NEAREST_ROWS].astype(int))
                for s in data.sides
            ]
        )
    )
    width = float(nearest[min(NEAREST_ROWS, nearest.size) - 1])
    below, above = (side.rows_in(side.within(width, "uniform")) for side in data.sides)
    rows = below + above
    less = min(below, above)
    found = (
        f"Of the {rows} rows within {width:.3g} of the cutoff {below} lie below and {above} at or "
        "above"
    )
    p_value = min(1.0, 2 * float(special.bdtr(less, rows, 0.5)))
    return p_value, float(above - below), 1 - less / max(below, above), found


def _heap(data: ThresholdData, effect: Effect) -> tuple[float, float, float, str]:
    """The same on a grid: a score beside the cutoff with over twice any neighbour's rows.

    Two looks, Bonferroni. The surplus is of that score; its share is of the rows within h there.
    """
    counts = [side.rows_of_score for side in data.sides]
    looks = []
    for k, (side, sign) in enumerate(zip(data.sides, (-1, 1), strict=True)):
        rows = int(counts[k][0])
        fullest = int(max(counts[k][1 : 1 + GRID].max(initial=0), counts[1 - k][:GRID].max()))
        p_value = min(1.0, 2 * float(special.bdtrc(rows - 1, rows + fullest, 2 / 3)))
        share = max(rows - fullest, 0) / effect.rows_h[k]
        at = data.cutoff + sign * float(side.distance[0])
        looks.append((p_value, sign * float(rows - fullest), share, rows, fullest, at))
    p_value, surplus, share, rows, fullest, at = min(looks, key=lambda look: look[0])
    found = f"{rows:,} rows have the score {at:.4g} by the cutoff, and at most {fullest:,} another"
    return p_value, surplus, share, f"{found} near it"


def _deviation_near(data: ThresholdData, effect: Effect) -> float:
    """Standard deviation of the outcome among the rows within h."""
    near = [
        (side.values[0, :n], side.each(n), side.scatter(n))
        for side, n in zip(data.sides, effect.pair.n_h, strict=True)
    ]
    rows = sum(float(each.sum()) for _, each, _ in near)
    mean = sum(float(each @ y) for y, each, _ in near) / rows
    squares = sum(float(each @ (y - mean) ** 2 + own.sum()) for y, each, own in near)
    return float(np.sqrt(squares / rows))


def repeated_share(data: ThresholdData) -> float:
    """The share of rows that repeat another row's score, on the side with more of them."""
    return max(1 - side.different.size / side.rows for side in data.sides)


def least_scores(data: ThresholdData, effect: Effect) -> int:
    """Different scores within h, on the side with fewer."""
    return min(
        int(np.searchsorted(side.different, side.distance[n - 1], side="right"))
        for side, n in zip(data.sides, effect.pair.n_h, strict=True)
    )
