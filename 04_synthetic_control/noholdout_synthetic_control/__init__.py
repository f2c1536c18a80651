"""Global launches: synthetic control with intervals that hold."""

from noholdout_synthetic_control.estimate import estimate
from noholdout_synthetic_control.estimators.augmented import augmented
from noholdout_synthetic_control.estimators.classic import classic
from noholdout_synthetic_control.estimators.demeaned import demeaned
from noholdout_synthetic_control.estimators.did import did
from noholdout_synthetic_control.estimators.interrupted import interrupted
from noholdout_synthetic_control.estimators.staggered import staggered
from noholdout_synthetic_control.estimators.synthetic_did import synthetic_did
from noholdout_synthetic_control.monitor import monitor
from noholdout_synthetic_control.result import SyntheticControlEstimate

__all__ = [
    "estimate",
    "demeaned",
    "classic",
    "synthetic_did",
    "augmented",
    "did",
    "interrupted",
    "monitor",
    "staggered",
    "SyntheticControlEstimate",
]
