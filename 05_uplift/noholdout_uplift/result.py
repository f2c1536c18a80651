"""The estimate of an uplift analysis: the shared Estimate with each user's score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
from noholdout_shared.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class UpliftEstimate(Estimate):
    """Effect among the users with the highest predicted effect, and all that ranks them.

    Parameters
    ----------
    scores
        One row for each row used, in the input's order: ``fold`` (1 to K), ``evaluated`` (fold 1
        only trains), ``score`` (predicted effect by models that never saw the row), ``aipw`` (an
        unbiased score of its effect), ``top`` (how much of the row belongs to the top fraction:
        1, 0, or a share when ties stand at the edge; 0 for rows not evaluated), and ``cluster``
        (codes) where rows are clustered. The headline is the mean of ``aipw`` with weights
        ``top``. Not part of the JSON.
    """

    scores: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False, compare=False)

    def plot(self, ax: Axes | None = None) -> Axes:
        """The gain (Qini) curve with its band against a random order."""
        from noholdout_uplift.plot import plot_qini

        return plot_qini(self, ax)

    def plot_deciles(self, ax: Axes | None = None) -> Axes:
        """Predicted against observed effect by decile of the score."""
        from noholdout_uplift.plot import plot_deciles

        return plot_deciles(self, ax)
