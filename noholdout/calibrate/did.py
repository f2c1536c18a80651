"""Placebo launches of a staged rollout: earlier dates, and other units, before anything began."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.estimate import Estimate

from noholdout.calibrate.planting import Trial, generator, planted


class DidPlacebos:
    """Placebos in the periods before the first launch.

    Two kinds: the first wave as it is with its launch moved to an earlier period, and units
    drawn at random with a launch in the middle. Effects are planted into the second kind.
    """

    def __init__(
        self, frame: pd.DataFrame, arguments: Mapping[str, Any], replications: int, seed: int
    ) -> None:
        self.arguments, self.seed = dict(arguments), seed
        time, first = arguments["time"], arguments["first_treated"]
        group = arguments.get("unit") or arguments.get("cluster")
        if group is None:
            raise DataError(
                "Neither a unit nor a cluster is named.",
                "A placebo launch reaches whole units, and which those are isn't known.",
                "Name --unit or --cluster.",
            )
        periods = np.sort(frame[time].unique())
        launched = _launches(frame[first], periods)
        if launched.isna().all():
            raise DesignError("No unit is treated within the data.", "", "Check --first-treated.")
        begin = launched.min()
        wave = launched == begin
        place = int(np.searchsorted(periods, begin)) - int(arguments.get("anticipation", 0))
        before = periods[: max(0, place)]
        if len(before) < 2:
            raise DesignError(
                f"{len(before)} period{'s lie' if len(before) != 1 else ' lies'} before the first "
                "launch.",
                "A placebo launch needs one period before it and one after.",
                "Get earlier data.",
            )
        later = launched[~wave]
        end = later.min() if later.notna().any() and not later.isna().any() else None
        real = int(((periods >= begin) & ((periods < end) if end is not None else True)).sum())
        self.reach = max(1, min(real, len(before) // 3))
        rows = frame[time].isin(before).to_numpy()
        self.frame = frame[rows].reset_index(drop=True)
        self.periods = before
        self.wave = wave.to_numpy()[rows]
        self.groups, self.group = np.unique(self.frame[group].astype(str), return_inverse=True)
        in_wave = np.bincount(self.group, self.wave, len(self.groups)) > 0
        if in_wave.all() or not in_wave.any():
            raise DesignError(
                "All units are in the first wave.", "Nobody is left to compare with.", ""
            )
        self.n_treated = int(in_wave.sum())
        launches = len(before) - self.reach
        self.placebos = tuple(range(launches))
        # A placebo stands on the period before it and its own: the next starts after those.
        self.apart = tuple(range(0, launches, self.reach + 1))
        self.planted = tuple(range(launches, launches + replications))
        self.note = (
            f"placebo launches of the first wave in {len(before)} earlier periods, each lasting "
            f"{self.reach}; effects are planted where {self.n_treated} of {len(self.groups)} "
            f"{group} drawn at random launch in the middle"
        )

    def trial(self, number: int, effect: float) -> Trial:
        """See :class:`~noholdout.calibrate.planting.Placebos`."""
        rng = generator(self.seed, number)
        if number in self.placebos:
            place, treated = number + 1, self.wave
        else:
            place = max(1, (len(self.periods) - self.reach + 1) // 2)
            chosen = rng.permutation(len(self.groups)) < self.n_treated
            treated = chosen[self.group]
        names = self.arguments
        window = self.periods[: place + self.reach]
        rows = self.frame[names["time"]].isin(window).to_numpy()
        frame, treated = self.frame[rows].copy(), treated[rows]
        after = treated & (frame[names["time"]] >= self.periods[place]).to_numpy()
        launch = pd.Series(pd.NA, index=frame.index, dtype="object")
        launch[treated] = self.periods[place]
        frame[names["first_treated"]] = _as(self.frame[names["time"]], launch)
        if effect and not after.any():
            raise DesignError("The placebo launch reaches no row.", "", "")
        if effect:
            planted(frame, names, effect, after, after.astype(float), rng)
        return Trial(frame, {**names, "anticipation": 0})

    def truth(self, trial: Trial, effect: float, found: Estimate) -> float:
        """The planted effect: all treated rows after the launch share it."""
        return effect


def _launches(first: pd.Series, periods: np.ndarray) -> pd.Series:
    """Each row's launch, missing where it never launches within the data."""
    if pd.api.types.is_numeric_dtype(first) or pd.api.types.is_datetime64_any_dtype(first):
        launched = first
    elif pd.api.types.is_number(periods[0]):
        launched = pd.to_numeric(first, errors="coerce")
    else:
        launched = first.astype(object)
    return launched.where((launched > periods[0]) & (launched <= periods[-1]) & launched.notna())


def _as(time: pd.Series, launch: pd.Series) -> pd.Series:
    """The placebo launches in the type of the periods, missing where there is none."""
    if pd.api.types.is_numeric_dtype(time):
        return pd.to_numeric(launch.astype("Float64")).astype(float)
    if pd.api.types.is_datetime64_any_dtype(time):
        return pd.to_datetime(launch)
    return launch
