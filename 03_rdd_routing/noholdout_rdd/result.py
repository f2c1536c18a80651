"""The result type of a regression discontinuity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noholdout_shared.estimate import Estimate
from noholdout_shared.inference import POWER
from scipy import special

from noholdout_rdd.kernels.honest import bias_aware_critical

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class RddEstimate(Estimate):
    """The jump at a cutoff.

    Parameters
    ----------
    bias_bound
        The largest bias of an honest estimate; 0 for the others.

    Tables: ``bandwidths``, ``variants``, ``sweep``, ``placebo_cutoffs``, ``binned_means``,
    ``fits``, ``score_density``; with costs or a step also ``price``.
    """

    bias_bound: float = 0.0

    @property
    def smallest_effect(self) -> float:
        """The smallest effect that these data could have found at 80% power.

        With an honest interval the curve's bend may also hide as much as it can bias.
        """
        if self.bias_bound == 0 or not self.std_error > 0:
            return super().smallest_effect
        relative = self.bias_bound / self.std_error
        reach = bias_aware_critical(relative, self.conf_level) + float(special.ndtri(POWER))
        return reach * self.std_error + self.bias_bound

    def plot(self, ax: Axes | None = None) -> Axes:
        """Binned means with both local fits and their bands around the cutoff."""
        from noholdout_rdd.plot import plot_threshold

        return plot_threshold(self, ax)

    def plot_sweep(self, ax: Axes | None = None) -> Axes:
        """The effect over bandwidths."""
        from noholdout_rdd.plot import plot_sweep

        return plot_sweep(self, ax)

    def plot_density(self, ax: Axes | None = None) -> Axes:
        """How many scores lie on both sides of the cutoff."""
        from noholdout_rdd.plot import plot_density

        return plot_density(self, ax)

    def plot_price(self, ax: Axes | None = None) -> Axes:
        """What moving the cutoff would change; needs the table ``price``."""
        from noholdout_rdd.plot import plot_price

        return plot_price(self, ax)

    def plot_placebos(self, ax: Axes | None = None) -> Axes:
        """The jump beside jumps where nothing switches."""
        from noholdout_rdd.plot import plot_placebos

        return plot_placebos(self, ax)
