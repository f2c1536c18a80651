"""What this method returns: an Estimate that can draw its score and its balance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from noholdout_shared.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class RowDetail:
    """Row-level pieces behind an estimate, each of shape ``(n,)`` in the order of the rows used.

    Parameters
    ----------
    treated
        0/1.
    score
        The propensity score, fitted for the checks alone where the estimator has none; ``nan``
        where none exists.
    weights
        Each row's weight in its arm's mean; 0 for a row that isn't used.
    kept
        False for a trimmed row.
    copies
        Rows that each entry stands for, when an engine has summed them.
    """

    treated: np.ndarray
    score: np.ndarray
    weights: np.ndarray
    kept: np.ndarray
    copies: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class PropensityEstimate(Estimate):
    """The effect of an opt-in, with the score, the weights and the balance behind it."""

    rows: RowDetail | None = field(default=None, repr=False, compare=False)

    @property
    def further_rows(self) -> tuple[tuple[str, str], ...]:
        """Whom the answer covers, where rows were left out; whose intervals were resampled."""
        named = (("covers", "covers"), ("estimators_inference", "intervals"))
        return tuple(
            (label, str(self.settings[name])) for name, label in named if self.settings.get(name)
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Mirrored score histograms on ``ax``; without one, a new figure with the love plot too.

        After an audit the new figure also shows the estimators and the hidden cause.
        """
        from noholdout_propensity.plot import plot_audit, plot_overview, plot_scores

        if ax is not None:
            return plot_scores(self, ax)
        audited = "estimators" in self.tables and "sensitivity" in self.tables
        return plot_audit(self) if audited else plot_overview(self)

    def plot_balance(self, ax: Axes | None = None) -> Axes:
        """The love plot: standardised differences before and after."""
        from noholdout_propensity.plot import plot_balance

        return plot_balance(self, ax)

    def plot_estimators(self, ax: Axes | None = None) -> Axes:
        """Every estimator with its interval; needs ``estimator="all"`` or an audit."""
        from noholdout_propensity.plot import plot_estimators

        return plot_estimators(self, ax)

    def plot_hidden_cause(self, ax: Axes | None = None) -> Axes:
        """What a hidden cause would leave of the effect, covariates as landmarks."""
        from noholdout_propensity.plot import plot_hidden_cause

        return plot_hidden_cause(self, ax)
