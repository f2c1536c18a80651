"""Is a ratio metric's denominator known well enough to divide by?"""

from __future__ import annotations

import math

import numpy as np
from noholdout_shared.checks import Check, structural

from noholdout_propensity.problem import Problem

ROUGH = 0.1  # Cochran 1977, section 6.8: the largest relative error of a mean to divide by
KNOWN = "The denominator's mean is known well enough to divide by."


def denominator_check(problem: Problem, weights: np.ndarray) -> Check:
    """Dividing by a mean is nearly linear while its standard error is below a tenth of it.

    ``weights`` are each row's in its arm's mean, shape ``(n,)``; the outcome is a ratio.
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
    worst = max(relative)
    if math.isinf(worst):
        message = "With the answer's weights the denominator's mean in an arm is 0."
    else:
        message = (
            f"The treatment moves the denominator's mean by {means[0] / means[1] - 1:+.1%}; the "
            f"standard error of an arm's mean is at most {worst:.1%} of it."
        )
    if worst < ROUGH:
        return structural("ratio_denominator", KNOWN, "pass", worst, message)
    message += " From 10% on a ratio is skewed, and a symmetric interval is rough: collect more."
    return structural("ratio_denominator", KNOWN, "caution", worst, message)
