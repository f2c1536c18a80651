"""Opt-in features: the effect on users who chose, by propensity scores."""

from noholdout_propensity.audit import audit_page
from noholdout_propensity.estimate import estimate
from noholdout_propensity.estimators.aipw import aipw
from noholdout_propensity.estimators.entropy_balancing import entropy_balancing
from noholdout_propensity.estimators.ipw import ipw
from noholdout_propensity.estimators.matching import matching
from noholdout_propensity.estimators.regression import regression
from noholdout_propensity.result import PropensityEstimate

__all__ = [
    "PropensityEstimate",
    "aipw",
    "audit_page",
    "entropy_balancing",
    "estimate",
    "ipw",
    "matching",
    "regression",
]
