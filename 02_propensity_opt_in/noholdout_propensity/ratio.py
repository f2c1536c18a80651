"""A ratio metric, ``sum of outcome / sum of denominator``, by the delta method.

Every estimator here is linear in the outcome, arm by arm. With arm ratios ``R_a = M_a(y) / M_a(z)``
the outcome ``R_a + (y - R_a z) / M_a(z)`` of arm a therefore has the ratios as its adjusted means
and the linearised influence of their difference as its influence values (Deng, Knoblich and Lu
2018, section 2, give the same linearisation for an experiment).
"""

from __future__ import annotations

import numpy as np
from noholdout_shared.errors import DataError

from noholdout_propensity.estimators.common import Build, Fit
from noholdout_propensity.problem import Problem


def settled(problem: Problem, build: Build) -> tuple[Problem, Fit]:
    """The fit, and the problem that it answers: with a ratio's linearised outcome.

    Raises
    ------
    DataError
        A bootstrap of a ratio, or a denominator whose adjusted mean isn't positive.
    """
    if problem.denominator is None:
        return problem, build(problem)
    if problem.options.inference == "bootstrap":
        raise DataError(
            "A bootstrap was asked of a ratio metric.",
            "The ratio's error comes from the delta method; resampling it isn't written.",
            "Use --inference analytic.",
        )
    above = build(problem)
    if above.separation:
        return problem, above
    below = build(problem.on(problem.denominator))
    arms = ((above.mean_treated, below.mean_treated), (above.mean_control, below.mean_control))
    if min(mean for _, mean in arms) <= 0:
        raise DataError(
            f"The adjusted mean of denominator {problem.options.denominator!r} is "
            f"{below.mean_treated:.4g} with and {below.mean_control:.4g} without the feature.",
            "A ratio over zero or less has no meaning.",
            "Name a denominator that most users have.",
        )
    linear = [
        top / base + (problem.outcome - top / base * problem.denominator) / base
        for top, base in arms
    ]
    answered = problem.on(np.where(problem.treated == 1, *linear))
    return answered, build(answered)


def naive_difference(problem: Problem) -> tuple[float, float]:
    """The arms' unadjusted difference, of means or of ratios of means, and its standard error.

    Sampling weights count. The error is robust with each arm's own degree of freedom (the HC2 of
    MacKinnon and White 1985), or by clusters.
    """
    below = np.ones(problem.n) if problem.denominator is None else problem.denominator
    influence = np.empty(problem.n)
    levels = []
    for places, sign in zip(problem.places, (1.0, -1.0), strict=True):
        y, z, w = problem.outcome[places], below[places], problem.sampling[places]
        level = float(w @ y / (w @ z))
        apart = w * (y - level * z) / (w @ z)
        if not problem.clustered:
            apart *= np.sqrt(places.size / (places.size - 1))
        influence[places] = sign * apart
        levels.append(level)
    return levels[0] - levels[1], problem.std_error(problem.n * influence)
