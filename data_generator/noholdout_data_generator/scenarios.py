"""Named scenarios: which structural knobs each turns, and by how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from noholdout_shared.errors import DataError

Design = Literal["all", "did", "propensity", "rdd", "synthetic_control", "uplift"]


@dataclass(frozen=True)
class UserKnobs:
    """What a scenario may change in the users table; the defaults are the clean product."""

    n_workspaces: int = 50


@dataclass(frozen=True)
class TelemetryKnobs:
    """What a scenario may change in the telemetry; the defaults are the clean product."""

    n_workspaces: int = 50


@dataclass(frozen=True)
class Scenario:
    """A named data-generating process at one severity."""

    name: str
    design: Design
    users: UserKnobs = field(default_factory=UserKnobs)
    telemetry: TelemetryKnobs = field(default_factory=TelemetryKnobs)


def scenario_at(name: str, severity: float) -> Scenario:
    """The scenario of that name at that severity."""
    if name != "clean":
        raise DataError(f"There is no scenario {name!r}.", "", "Known scenarios: clean.")
    return Scenario("clean", "all")
