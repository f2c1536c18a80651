"""Intervals by design: placebo units, placebo regions, a jackknife, and those on request."""

from noholdout_synthetic_control.inference.allowance import (
    Sign,
    Signs,
    donor_sign,
    trend_sign,
)
from noholdout_synthetic_control.inference.placebos import (
    Placebos,
    donor_placebos,
    excess_variance,
    group_placebos,
    loading,
    noise_variance,
    placebo_uncertainty,
    rank_p,
    rmspe_ratio,
)
from noholdout_synthetic_control.inference.requested import (
    Refit,
    conformal_uncertainty,
    jackknife_plus_uncertainty,
    user_bootstrap_uncertainty,
)
from noholdout_synthetic_control.inference.resampling import (
    bootstrap_uncertainty,
    jackknife_uncertainty,
    leave_one_out,
)
from noholdout_synthetic_control.inference.uncertainty import Uncertainty

__all__ = [
    "Placebos",
    "Refit",
    "Sign",
    "Signs",
    "Uncertainty",
    "bootstrap_uncertainty",
    "conformal_uncertainty",
    "donor_placebos",
    "donor_sign",
    "excess_variance",
    "group_placebos",
    "jackknife_plus_uncertainty",
    "jackknife_uncertainty",
    "leave_one_out",
    "loading",
    "noise_variance",
    "placebo_uncertainty",
    "rank_p",
    "rmspe_ratio",
    "trend_sign",
    "user_bootstrap_uncertainty",
]
