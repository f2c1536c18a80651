"""The interval against zero as places on a line, for a drawing that needs no picture file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from noholdout_shared.render import effect_text

if TYPE_CHECKING:
    from noholdout_shared.estimate import Estimate

EDGE = 14.0  # percent of the line left free at each end, for the labels
CLOSE = 9.0  # percent within which two labels would touch


@dataclass(frozen=True)
class Bar:
    """Places in percent of the line's width, and the labels that fit."""

    low: float
    high: float
    at: float
    zero: float
    margin: float | None
    low_text: str
    high_text: str
    margin_text: str

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low


def interval_bar(estimate: Estimate) -> Bar | None:
    """Where the interval, zero and the margin lie; ``None`` without an interval."""
    low, high, value = estimate.conf_low, estimate.conf_high, estimate.estimate
    if not all(map(math.isfinite, (low, high, value))):
        return None
    margin = None if estimate.margin is None else -estimate.margin
    marks = [low, high, value, 0.0] + ([] if margin is None else [margin])
    left, right = min(marks), max(marks)
    span = (right - left) or 1.0

    def place(x: float) -> float:
        return round(EDGE + (100 - 2 * EDGE) * (x - left) / span, 2)

    def text(x: float) -> str:
        return effect_text(x, estimate.proportion).removesuffix(" points")

    zero, at_margin = place(0.0), None if margin is None else place(margin)
    ends = [place(low), place(high)]
    return Bar(
        low=ends[0],
        high=ends[1],
        at=place(value),
        zero=zero,
        margin=at_margin,
        low_text=text(low),
        high_text=text(high) if ends[1] - ends[0] >= CLOSE else "",
        margin_text="" if margin is None else f"margin {text(margin)}",
    )
