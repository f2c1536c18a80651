"""The result: an Estimate whose picture is the treated path against its synthetic twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noholdout_shared.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class SyntheticControlEstimate(Estimate):
    """An effect of a global launch.

    ``tables`` holds ``weights`` (unit, weight), ``path`` (time, observed, synthetic, gap,
    conf_low, conf_high: of the gap), ``placebos`` (unit, gap, rmspe_ratio: every donor),
    ``leave_one_out`` (unit, estimate), ``intervals`` (inference, estimate, std_error, conf_low,
    conf_high, df), ``estimators`` (estimator, estimate, std_error, conf_low, conf_high),
    ``placebo_gaps`` (unit, time, gap) and, in a region's launch, ``placebo_regions`` (region, gap,
    rmspe_ratio); on request ``negative_controls`` (column, estimate, std_error, conf_low,
    conf_high, p_value, level, implied_bias) and ``in_time_placebos`` (start, periods, estimate,
    std_error, conf_low, conf_high, df, p_value). With launches at different times ``path`` and the
    gaps are in time since the launch, and there are ``cohorts`` (start, units, share, estimate,
    std_error, conf_low, conf_high), ``event_time`` (event_time, cohorts, units, estimate,
    std_error, conf_low, conf_high) and ``cohort_weights`` (start, unit, weight).
    """

    def plot(self, ax: Axes | None = None) -> Axes:
        """Treated against synthetic with the band; without ``ax`` the gap stands below it."""
        from noholdout_synthetic_control.plot import plot_estimate

        return plot_estimate(self, ax)
