"""The estimate of an uplift analysis: the shared Estimate with each user's score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from noholdout_shared.estimate import Estimate
from noholdout_shared.style import house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class UpliftEstimate(Estimate):
    """Effect among the users with the highest predicted effect, and all that ranks them.

    Parameters
    ----------
    decision
        ``ship to the top x%``, ``ship to all``, ``ship to nobody``, or ``no evidence that
        targeting beats one rule for all``.
    decision_reason
        What the decision rests on, in a sentence or two.
    why_learners_differ
        With ``learner="all"``: which ranks best and worst, whether that is shown, and why.
    scores
        One row for each row used, in the input's order: ``fold`` (1 to K), ``evaluated`` (fold 1
        only trains), ``score`` (predicted effect by models that never saw the row), ``aipw`` (an
        unbiased score of its effect), ``top`` (how much of the row belongs to the top fraction:
        1, 0, or a share when ties stand at the edge; 0 for rows not evaluated), and ``cluster``
        (codes) where rows are clustered. The headline is the mean of ``aipw`` with weights
        ``top``. Of a ratio metric also the scores of the outcome's part without treatment and of
        the denominator, relative to the treated's mean: ``aipw_untreated``,
        ``denominator_untreated``, ``denominator_treated``. Where equal rows are grouped: one row
        for each cell, fold and half, its features in the index, its rows in ``copies``. Not part
        of the JSON.
    learners
        The fitted learners: number ``k`` ranked fold ``k + 1``. None for a score of your own.
        Not part of the JSON.
    """

    decision: str
    decision_reason: str
    why_learners_differ: str | None = None
    scores: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False, compare=False)
    learners: tuple[Any, ...] = field(default=(), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values, the decision included."""
        plain = super().to_dict()
        plain |= {"decision": self.decision, "decision_reason": self.decision_reason}
        if self.why_learners_differ is not None:
            plain["why_learners_differ"] = self.why_learners_differ
        return plain

    @property
    def further_rows(self) -> tuple[tuple[str, str], ...]:
        """The decision, printed beside the verdict."""
        decided = ("decision", f"{self.decision}. {self.decision_reason}")
        if self.why_learners_differ is None:
            return (decided,)
        return (decided, ("learners", self.why_learners_differ))

    def plot(self, ax: Axes | None = None) -> Axes:
        """The gain (Qini) curve with its band against a random order."""
        from noholdout_uplift.plot import plot_qini

        with house_style():
            return plot_qini(self, ax)

    def plot_deciles(self, ax: Axes | None = None) -> Axes:
        """Predicted against observed effect by decile of the score."""
        from noholdout_uplift.plot import plot_deciles

        with house_style():
            return plot_deciles(self, ax)

    def plot_toc(self, ax: Axes | None = None) -> Axes:
        """The TOC: how much more than the average user the top share gains."""
        from noholdout_uplift.plot import plot_toc

        with house_style():
            return plot_toc(self, ax)

    def plot_costs(self, ax: Axes | None = None) -> Axes:
        """The gain for every budget, with the budget marked; needs a cost."""
        from noholdout_uplift.plot import plot_costs

        with house_style():
            return plot_costs(self, ax)

    def plot_profile(self, ax: Axes | None = None) -> Axes:
        """Who gains and who loses: observed effects by level of each feature."""
        from noholdout_uplift.plot import plot_profile

        with house_style():
            return plot_profile(self, ax)
