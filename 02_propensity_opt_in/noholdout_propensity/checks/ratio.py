"""Is a ratio metric's denominator known well enough to divide by?"""

from __future__ import annotations

import math

import numpy as np
from noholdout_shared.checks import Check, denominator_check

from noholdout_propensity.problem import Problem


def ratio_check(problem: Problem, weights: np.ndarray) -> Check:
    """The mean denominators of both arms and their errors; the outcome is a ratio.

    ``weights`` are each row's in its arm's mean, shape ``(n,)``.
    """
    assert problem.denominator is not None
    means, relative = [], []
    for places in problem.places:
        w, z = weights[places], problem.denominator[places]
        mean = float(w @ z / w.sum())
        influence = np.zeros(problem.n)
        influence[places] = problem.n * w * (z - mean) / w.sum()
        means.append(mean)
        relative.append(problem.std_error(influence) / mean if mean > 0 else math.inf)
    moved = means[0] / means[1] - 1 if means[1] > 0 else math.nan
    return denominator_check(max(relative), moved)
