"""Placebo opt-ins: among users who didn't opt in, some are said to have, by their score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.design_matrix import design_matrix
from noholdout_shared.errors import DesignError
from noholdout_shared.estimate import Estimate
from noholdout_shared.input import binary

from noholdout.calibrate.planting import Trial, generator, planted

MINIMUM = 50


class PropensityPlacebos:
    """Untreated rows with a treatment that never was, drawn by the fitted score.

    The opt-in depends on the covariates as it does in the data, so a method that can't balance
    them is found out. A hidden confounder isn't: the draw knows none.
    """

    def __init__(
        self, frame: pd.DataFrame, arguments: Mapping[str, Any], replications: int, seed: int
    ) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        self.arguments, self.seed = dict(arguments), seed
        treated = binary(frame, arguments["treatment"])
        if (treated == 0).sum() < MINIMUM:
            raise DesignError(
                f"{int((treated == 0).sum())} rows are untreated.",
                "The placebos are drawn among them.",
                f"At least {MINIMUM} are needed.",
            )
        x = StandardScaler().fit_transform(design_matrix(frame, arguments["covariates"]).values)
        score = LogisticRegression(C=1e8, max_iter=1000).fit(x, treated).predict_proba(x)[:, 1]
        untreated = treated == 0
        self.frame = frame[untreated].reset_index(drop=True)
        self.score = score[untreated]
        weight = {
            "ate": np.ones_like(self.score),
            "att": self.score,
            "atc": 1 - self.score,
            "ato": self.score * (1 - self.score),
        }
        self.weights = weight[str(arguments.get("estimand", "ate"))]
        self.planted = self.placebos = self.apart = tuple(range(replications))
        self.note = (
            f"placebo opt-ins among the {len(self.frame):,} untreated rows, drawn by the fitted "
            "score; what no covariate tells, they don't have"
        )

    def trial(self, number: int, effect: float) -> Trial:
        """See :class:`~noholdout.calibrate.planting.Placebos`."""
        rng = generator(self.seed, number)
        treated = rng.random(self.score.size) < self.score
        frame, names = self.frame.copy(), self.arguments
        frame[names["treatment"]] = treated.astype(int)
        if effect:
            planted(frame, names, effect, treated, self.weights, rng)
        return Trial(frame, names)

    def truth(self, trial: Trial, effect: float, found: Estimate) -> float:
        """The planted effect: the estimand's weighted mean of all rows' own."""
        return effect
