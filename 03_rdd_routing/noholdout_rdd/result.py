"""The result type of a regression discontinuity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noholdout_shared.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class RddEstimate(Estimate):
    """The jump at a cutoff.

    Tables: ``bandwidths``, ``variants``, ``sweep``, ``placebo_cutoffs``, ``binned_means``,
    ``fits``; with costs or a step also ``price``.
    """

    def plot(self, ax: Axes | None = None) -> Axes:
        """Binned means with both local fits and their bands around the cutoff."""
        from noholdout_rdd.plot import plot_threshold

        return plot_threshold(self, ax)

    def plot_sweep(self, ax: Axes | None = None) -> Axes:
        """The effect over bandwidths."""
        from noholdout_rdd.plot import plot_sweep

        return plot_sweep(self, ax)

    def plot_price(self, ax: Axes | None = None) -> Axes:
        """What moving the cutoff would change; needs the table ``price``."""
        from noholdout_rdd.plot import plot_price

        return plot_price(self, ax)

    def plot_placebos(self, ax: Axes | None = None) -> Axes:
        """The jump beside jumps where nothing switches."""
        from noholdout_rdd.plot import plot_placebos

        return plot_placebos(self, ax)
