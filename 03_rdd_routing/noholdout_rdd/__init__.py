"""Threshold routing: regression discontinuity designs.

`estimate` is the front function, `local_polynomial` its estimator; `plan` asks before a launch what
a cutoff could show.
"""

from noholdout_rdd.estimate import estimate
from noholdout_rdd.estimators.local_polynomial import local_polynomial
from noholdout_rdd.plan import RddPlan, plan
from noholdout_rdd.result import RddEstimate

__all__ = ["RddEstimate", "RddPlan", "estimate", "local_polynomial", "plan"]
