"""Threshold routing: regression discontinuity designs.

`estimate` is the front function, `local_polynomial` its estimator, `density_test` the test for
moved scores; `plan` asks before a launch what a cutoff could show.
"""

from noholdout_rdd.estimate import estimate
from noholdout_rdd.estimators.density_test import density_test
from noholdout_rdd.estimators.local_polynomial import local_polynomial
from noholdout_rdd.plan import RddPlan, plan
from noholdout_rdd.result import RddEstimate

__all__ = ["RddEstimate", "RddPlan", "density_test", "estimate", "local_polynomial", "plan"]
