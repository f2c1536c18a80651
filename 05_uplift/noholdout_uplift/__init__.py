"""Uplift: who should get it, what is that worth, and is there anything to target at all.

Learners load on first use, so that importing the package doesn't import scikit-learn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# At once, since the function has its module's name: a later import of the module would hide it.
from noholdout_uplift.estimate import estimate

if TYPE_CHECKING:
    from noholdout_uplift.bootstrap import bootstrap_errors
    from noholdout_uplift.classical import (
        least_squares_effect,
        normalised_auuc,
        normalised_qini,
        normalised_qini_by_total,
        raw_uplift_at,
    )
    from noholdout_uplift.contest import compare_learners
    from noholdout_uplift.estimators.class_transformation import ClassTransformation
    from noholdout_uplift.estimators.dr_learner import DRLearner
    from noholdout_uplift.estimators.r_learner import RLearner
    from noholdout_uplift.estimators.s_learner import SLearner
    from noholdout_uplift.estimators.t_learner import TLearner
    from noholdout_uplift.estimators.x_learner import XLearner
    from noholdout_uplift.kernels.ranking import rank_metrics, top_weights
    from noholdout_uplift.optimism import in_sample_top_effect
    from noholdout_uplift.result import UpliftEstimate

_WHERE = {
    "UpliftEstimate": "result",
    "in_sample_top_effect": "optimism",
    "bootstrap_errors": "bootstrap",
    "compare_learners": "contest",
    "least_squares_effect": "classical",
    "normalised_auuc": "classical",
    "normalised_qini": "classical",
    "normalised_qini_by_total": "classical",
    "raw_uplift_at": "classical",
    "SLearner": "estimators.s_learner",
    "TLearner": "estimators.t_learner",
    "RLearner": "estimators.r_learner",
    "DRLearner": "estimators.dr_learner",
    "ClassTransformation": "estimators.class_transformation",
    "XLearner": "estimators.x_learner",
    "rank_metrics": "kernels.ranking",
    "top_weights": "kernels.ranking",
}

__all__ = [
    "estimate",
    "UpliftEstimate",
    "in_sample_top_effect",
    "bootstrap_errors",
    "compare_learners",
    "SLearner",
    "TLearner",
    "XLearner",
    "RLearner",
    "DRLearner",
    "ClassTransformation",
    "rank_metrics",
    "top_weights",
    "least_squares_effect",
    "normalised_auuc",
    "normalised_qini",
    "normalised_qini_by_total",
    "raw_uplift_at",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(f"noholdout_uplift.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'noholdout_uplift' has no attribute {name!r}")
