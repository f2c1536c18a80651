"""Placebo cutoffs: other values of the running variable, at which nothing happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError
from noholdout_shared.estimate import Estimate
from noholdout_shared.input import numeric

from noholdout.calibrate.planting import Trial, generator, planted

EDGE = 0.15  # of a side's rows beyond the outermost placebo cutoffs
MINIMUM = 100


class RddPlacebos:
    """Placebo cutoffs on either side of the real one; each sees its own side's rows only."""

    def __init__(
        self, frame: pd.DataFrame, arguments: Mapping[str, Any], replications: int, seed: int
    ) -> None:
        if arguments.get("treatment") is not None:
            raise DesignError(
                "Placebo cutoffs of a fuzzy design aren't offered.",
                "At a placebo cutoff nobody's treatment jumps, so there is nothing to scale by.",
                "Leave --treatment out to calibrate the sharp comparison.",
            )
        self.arguments, self.seed, self.frame = dict(arguments), seed, frame
        self.running = numeric(frame, arguments["running"], "Running")
        cutoff = float(arguments["cutoff"])
        self.sides: list[np.ndarray] = []
        self.cutoffs: list[tuple[float, int]] = []
        for side in (self.running < cutoff, self.running >= cutoff):
            if side.sum() < MINIMUM:
                continue
            half = max(1, replications // 2)
            places = np.unique(np.quantile(self.running[side], np.linspace(EDGE, 1 - EDGE, half)))
            self.cutoffs += [(float(place), len(self.sides)) for place in places]
            self.sides.append(side)
        if not self.cutoffs:
            raise DesignError(
                f"Neither side of the cutoff has {MINIMUM} rows.",
                "A placebo cutoff splits one side once more.",
                "Get more data.",
            )
        self.planted = self.placebos = tuple(range(len(self.cutoffs)))
        self.apart = self._apart()
        self.note = (
            f"placebo cutoffs at {len(self.cutoffs)} values of {arguments['running']}; "
            "neighbouring ones share rows, so the ± is too small"
        )

    def _apart(self) -> tuple[int, ...]:
        """Cutoffs whose windows, as wide as the method chooses there, don't overlap."""
        chosen: list[int] = []
        reached = dict.fromkeys(range(len(self.sides)), -np.inf)
        for number, (cutoff, side) in enumerate(self.cutoffs):
            width = self._width(number)
            if cutoff - width >= reached[side]:
                chosen.append(number)
                reached[side] = cutoff + width
        return tuple(chosen)

    def _width(self, number: int) -> float:
        from noholdout_rdd import estimate

        trial = self.trial(number, 0.0)
        try:
            table = estimate(trial.frame, **trial.arguments).tables["bandwidths"]
        except DesignError:
            return np.inf
        return float(table["h"].max())

    def trial(self, number: int, effect: float) -> Trial:
        """See :class:`~noholdout.calibrate.planting.Placebos`."""
        rng, names = generator(self.seed, number), self.arguments
        cutoff, side = self.cutoffs[number]
        rows = self.sides[side]
        frame, running = self.frame[rows].reset_index(drop=True), self.running[rows]
        if effect:
            below = running < cutoff
            treated = below if names.get("treated_side", "above") == "below" else ~below
            # The truth is the effect at the cutoff, so the room is that of the rows next to it.
            near = np.argsort(np.abs(running - cutoff), kind="stable")
            weights = np.zeros(near.size)
            weights[near[: max(MINIMUM // 2, near.size // 20)]] = 1.0
            planted(frame, names, effect, treated, weights, rng)
        return Trial(frame, {**names, "cutoff": cutoff})

    def truth(self, trial: Trial, effect: float, found: Estimate) -> float:
        """The planted effect at the placebo cutoff."""
        return effect
