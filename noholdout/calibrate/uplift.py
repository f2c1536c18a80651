"""Placebo treatments: the coin is flipped again, so that nobody was treated in truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.estimate import Estimate
from noholdout_shared.input import binary, denominators, numeric

from noholdout.calibrate.planting import (
    Trial,
    generator,
    planted,
    shuffled,
)


class UpliftPlacebos:
    """The treatment in random order; effects are the same for everyone who has room for one."""

    def __init__(
        self, frame: pd.DataFrame, arguments: Mapping[str, Any], replications: int, seed: int
    ) -> None:
        self.arguments, self.seed, self.frame = dict(arguments), seed, frame
        self.treated = binary(frame, arguments["treatment"])
        self.base = denominators(frame, arguments.get("denominator"), arguments["outcome"])
        cluster = arguments.get("cluster")
        self.groups = None if cluster is None else frame[cluster].astype(str).to_numpy()
        self.planted = self.placebos = self.apart = tuple(range(replications))
        self.note = f"the treatment in random order among all {len(frame):,} rows"

    def trial(self, number: int, effect: float) -> Trial:
        """See :class:`~noholdout.calibrate.planting.Placebos`."""
        rng, names = generator(self.seed, number), self.arguments
        propensity = names.get("propensity")
        if isinstance(propensity, str):
            chance = numeric(self.frame, propensity, "Propensity")
            treated = (rng.random(chance.size) < chance).astype(int)
        else:
            treated = shuffled(self.treated, self.groups, rng)
        frame = self.frame.copy()
        frame[names["treatment"]] = treated
        own = planted(frame, names, effect, treated == 1, np.ones(len(frame)), rng)
        return Trial(frame, names, own)

    def truth(self, trial: Trial, effect: float, found: Estimate) -> float:
        """The mean effect on those whom the estimate chose; of a ratio metric, in its unit."""
        assert trial.effects is not None
        top = found.scores["top"].to_numpy()  # type: ignore[attr-defined]
        own = float(top @ trial.effects / top.sum())
        if self.base is None:
            return own
        weights = self.arguments.get("weights")
        mass = None if weights is None else numeric(self.frame, weights, "Weights")
        return own / float(np.average(self.base, weights=mass))
