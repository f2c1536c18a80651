"""Threshold routing: regression discontinuity designs.

`estimate` is the front function; `local_polynomial` is its estimator.
"""

from noholdout_rdd.estimate import estimate
from noholdout_rdd.estimators.local_polynomial import local_polynomial
from noholdout_rdd.result import RddEstimate

__all__ = ["RddEstimate", "estimate", "local_polynomial"]
