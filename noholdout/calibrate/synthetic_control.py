"""Placebo launches of the same units at earlier dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError
from noholdout_shared.estimate import Estimate

from noholdout.calibrate.planting import Trial, generator, planted

MINIMUM = 6


class SyntheticControlPlacebos:
    """The treated units as they are, with the launch moved into the pre-period."""

    def __init__(
        self, frame: pd.DataFrame, arguments: Mapping[str, Any], replications: int, seed: int
    ) -> None:
        self.arguments, self.seed = dict(arguments), seed
        time, start = frame[arguments["time"]], arguments["start"]
        periods = np.sort(time.unique())
        start = _value_like(periods, start)
        before, after = periods[periods < start], periods[periods >= start]
        first = (len(before) + 1) // 2
        if first < MINIMUM:
            raise DesignError(
                f"{len(before)} periods lie before the launch.",
                "Half of them are needed to fit a placebo, the rest to judge it.",
                f"Get at least {2 * MINIMUM}.",
            )
        self.length = max(1, min(len(after), (len(before) - first) // 3))
        starts = np.arange(first, len(before) - self.length + 1)
        keep = np.unique(np.linspace(0, len(starts) - 1, min(replications, len(starts))).round())
        self.starts = starts[keep.astype(int)]
        self.periods = before
        self.frame = frame[time.isin(before)].reset_index(drop=True)
        self.treated = (
            self.frame[arguments["unit"]].astype(str).isin([str(u) for u in arguments["treated"]])
        ).to_numpy()
        self.planted = self.placebos = tuple(range(len(self.starts)))
        apart, reached = [], -1
        for number, place in enumerate(self.starts):
            if place > reached:
                apart.append(number)
                reached = place + self.length - 1
        self.apart = tuple(apart)
        self.note = (
            f"placebo launches of the treated units at {len(self.starts)} earlier dates, each "
            f"lasting {self.length} periods (the real one: {len(after)}); they share periods, "
            "so the ± is too small"
        )

    def trial(self, number: int, effect: float) -> Trial:
        """See :class:`~noholdout.calibrate.planting.Placebos`."""
        rng, names = generator(self.seed, number), self.arguments
        place = self.starts[number]
        window = self.periods[: place + self.length]
        rows = self.frame[names["time"]].isin(window).to_numpy()
        frame, treated = self.frame[rows].copy(), self.treated[rows]
        start = self.periods[place]
        if effect:
            after = treated & (frame[names["time"]] >= start).to_numpy()
            planted(frame, names, effect, after, after.astype(float), rng)
        return Trial(frame, {**names, "start": start})

    def truth(self, trial: Trial, effect: float, found: Estimate) -> float:
        """The planted effect."""
        return effect


def _value_like(periods: np.ndarray, start: Any) -> Any:
    if np.issubdtype(periods.dtype, np.datetime64):
        return pd.Timestamp(start).to_datetime64()
    if np.issubdtype(periods.dtype, np.number):
        return float(start)
    return start if not isinstance(periods[0], str) else str(start)
