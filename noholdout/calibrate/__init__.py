"""Re-run a method on the user's own data where the truth is known: placebos, planted effects."""

from noholdout.calibrate.study import Calibration, calibrate

__all__ = ["Calibration", "calibrate"]
