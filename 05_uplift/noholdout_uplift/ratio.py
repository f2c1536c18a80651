"""A ratio metric, ``sum of outcome / sum of denominator``: each user's part of its change.

With ``Y(a)`` and ``Z(a)`` the outcome and the denominator in arm ``a``, the ratios of the arms are
``R_a = E[Y(a)] / E[Z(a)]``. Their difference is a mean over users,

    ``R_1 - R_0 = E[Y(1) - Y(0) - R_0 (Z(1) - Z(0))] / E[Z(1)]``,

so a user's own term is what treating them adds to it. Terms add up, as effects of a plain outcome
do: every mean over a group, curve or regression of them is one of parts of ``R_1 - R_0``. Whose
ratio doesn't change may have a part nonetheless, by getting more of the denominator at a ratio
above or below ``R_0``. The ratio under a rule that treats some isn't linear: see ``policy.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.errors import DataError, DesignError

from noholdout_uplift.kernels.aipw import AipwScores


@dataclass(frozen=True)
class Parts:
    """Each row's part of a ratio metric.

    Parameters
    ----------
    outcome
        ``R + (y - R z) / M``, shape ``(n,)``, with ``R`` the ratio of the untreated and ``M`` the
        mean of ``z`` of the treated. Its mean is ``R`` without and ``R_1`` with treatment.
    below
        ``z / M``, shape ``(n,)``.
    ratio
        ``R``.
    moved
        By how much the treatment changes the mean of ``z``, relative to that of the untreated.
    """

    outcome: np.ndarray
    below: np.ndarray
    ratio: float
    moved: float

    @property
    def settings(self) -> dict[str, float]:
        """What is said of the ratio."""
        return {"ratio_untreated": self.ratio, "denominator_moved": self.moved}


def parts_of(
    outcome: np.ndarray,
    denominator: np.ndarray,
    treatment: np.ndarray,
    propensity: np.ndarray,
    weight: np.ndarray | None,
    column: str,
) -> Parts:
    """Each row's part, with inverse-probability weighted means. Arrays have shape ``(n,)``.

    Raises
    ------
    DataError
        The denominator's mean isn't positive in one of the arms, or every row has the same ratio.
    """
    mass = np.ones(outcome.size) if weight is None else weight
    arms = (mass * (1 - treatment) / (1 - propensity), mass * treatment / propensity)
    means = [float(np.average(denominator, weights=arm)) for arm in arms]
    for mean, name in zip(means, ("untreated", "treated"), strict=True):
        if mean <= 0:
            raise DataError(
                f"Denominator column {column!r} is zero for every {name} row.",
                "A ratio over nothing has no value.",
                "Name a denominator that most users have.",
            )
    ratio = float(np.average(outcome, weights=arms[0])) / means[0]
    away = outcome - ratio * denominator
    if np.abs(away).max() <= 1e-12 * np.abs(outcome).max():
        raise DataError(
            f"The outcome is {ratio:.6g} times the denominator {column!r} in every row.",
            "A ratio that never varies holds no information about an effect.",
            "Check that the right columns were named.",
        )
    part = ratio + away / means[1]
    return Parts(part, denominator / means[1], ratio, means[1] / means[0] - 1)


def anchored(
    outcome: AipwScores, below: AipwScores, ratio: float, mass: np.ndarray
) -> tuple[AipwScores, AipwScores]:
    """Scores of :class:`Parts`, moved to the ``R`` and ``M`` that the scores themselves give.

    Then the means of rows weighted by ``mass`` are exactly ``R_0`` and ``R_1`` for the outcome, and
    1 for the treated's denominator; all four means are doubly robust.

    Raises
    ------
    DesignError
        The scores' mean of the denominator isn't positive in one of the arms.
    """
    above = [
        scores - ratio * (1 - z)
        for scores, z in ((outcome.control, below.control), (outcome.treated, below.treated))
    ]
    least, base = (float(np.average(z, weights=mass)) for z in (below.control, below.treated))
    if not min(least, base) > 0:
        raise DesignError(
            "The denominator's mean in one of the arms isn't told from zero.",
            "A ratio over nothing has no value.",
            "Name a denominator that more users have, or collect more rows.",
        )
    again = float(np.average(above[0], weights=mass)) / least
    control, treated = (
        again + (y - again * z) / base
        for y, z in zip(above, (below.control, below.treated), strict=True)
    )
    return AipwScores(control, treated), AipwScores(below.control / base, below.treated / base)
