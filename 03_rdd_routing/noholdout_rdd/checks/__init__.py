"""What could be wrong at the cutoff, and what the data say about it."""

from noholdout_rdd.checks.elsewhere import placebo_cutoffs
from noholdout_rdd.checks.family import run_checks
from noholdout_rdd.checks.stability import sweep

__all__ = ["placebo_cutoffs", "run_checks", "sweep"]
