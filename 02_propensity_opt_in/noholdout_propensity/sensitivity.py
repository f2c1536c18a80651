"""How strong must a hidden cause be, measured against the covariates that were logged?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.inference import critical_value

from noholdout_propensity.kernels.sensitivity import (
    LinearEffect,
    adjusted,
    benchmark_strength,
    linear_effect,
    on_treatment,
    partial_r2,
    robustness_value,
    rosenbaum_gamma,
    rosenbaum_p,
    with_treatment,
)
from noholdout_propensity.problem import Problem

TIMES = (1.0, 2.0, 3.0)
GAMMAS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)


@dataclass(frozen=True)
class Robustness:
    """Cinelli and Hazlett's (2020) analysis of the linear regression.

    Parameters
    ----------
    effect
        Of the regression of the outcome on the treatment and all covariates.
    to_zero, to_interval
        Share of both residual variances that a confounder must explain to bring the estimate, or
        its interval, to zero.
    bounds
        A confounder 1, 2 and 3 times as strong as each covariate: ``covariate, times,
        r2_treatment, r2_outcome, estimate, std_error, t, conf_low, conf_high``.
    """

    effect: LinearEffect
    to_zero: float
    to_interval: float
    bounds: pd.DataFrame

    def settings(self) -> dict[str, Any]:
        """The regression and its robustness values, as an estimate's settings name them."""
        return {
            "regression_estimate": self.effect.estimate,
            "regression_error": self.effect.std_error,
            "regression_df": self.effect.df,
            "robustness_value": self.to_zero,
            "robustness_value_interval": self.to_interval,
        }


def robustness(problem: Problem, conf_level: float) -> Robustness:
    """Robustness values, and bounds by each named covariate (all its indicators together)."""
    arms = problem.arms
    effect = linear_effect(*arms, problem.n_rows)
    of_treatment, of_outcome = on_treatment(*arms), with_treatment(*arms)
    records = []
    for covariate, columns in covariate_columns(problem).items():
        explained = partial_r2(of_treatment, columns), partial_r2(of_outcome, columns)
        for times in TIMES:
            strength = benchmark_strength(*explained, times)
            if strength is None:
                continue
            value, error = adjusted(effect, *strength)
            half = critical_value(conf_level, effect.df - 1) * error
            records.append(
                {
                    "covariate": covariate,
                    "times": times,
                    "r2_treatment": strength[0],
                    "r2_outcome": strength[1],
                    "estimate": value,
                    "std_error": error,
                    "t": value / error if error > 0 else math.nan,
                    "conf_low": value - half,
                    "conf_high": value + half,
                }
            )
    columns_ = [
        "covariate", "times", "r2_treatment", "r2_outcome", "estimate", "std_error", "t",
        "conf_low", "conf_high",
    ]  # fmt: skip
    return Robustness(
        effect,
        robustness_value(effect),
        robustness_value(effect, conf_level),
        pd.DataFrame(records, columns=columns_),
    )


def covariate_columns(problem: Problem) -> dict[str, list[int]]:
    """Each named covariate's columns of the score's design; those without any are left out."""
    covariates = problem.settings["covariates"]
    found = {
        covariate: [
            j + 1
            for j, name in enumerate(problem.names)
            # A name such as "tier=heavy" may also be a covariate of its own.
            if name == covariate
            or (name not in covariates and str(name).startswith(f"{covariate}="))
        ]
        for covariate in covariates
    }
    return {covariate: columns for covariate, columns in found.items() if columns}


def outcome_strengths(problem: Problem) -> dict[str, float]:
    """Share of the outcome's residual variance that each covariate explains beside the others."""
    sums = with_treatment(*problem.arms)
    return {
        covariate: partial_r2(sums, columns)
        for covariate, columns in covariate_columns(problem).items()
    }


def rosenbaum_table(differences: np.ndarray, conf_level: float) -> tuple[float, pd.DataFrame]:
    """The bias that the paired comparison withstands, and p-values along the way.

    Parameters
    ----------
    differences
        Treated minus control of each matched pair, shape ``(pairs,)``.
    """
    table = pd.DataFrame(
        {"gamma": GAMMAS, "p_upper": [rosenbaum_p(differences, g) for g in GAMMAS]}
    )
    return rosenbaum_gamma(differences, conf_level), table
