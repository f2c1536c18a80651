"""The catalogue of named scenarios: what each breaks, by how much, and whether data can tell.

``severity`` is the bias of the design's default estimator over its standard error at 50,000
users (telemetry: 40 upgraded workspaces and 10 pinned ones), as far as a bias is what breaks.
The promise counts severity 3. ``STD_ERROR`` holds the standard errors, ``UNIT`` the amount of
each knob that makes a bias of one of them; ``data_generator/severity_study.py`` measures both.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from noholdout_shared.errors import DataError

from noholdout_data_generator.knobs import TelemetryKnobs, UserKnobs

Design = Literal["all", "did", "propensity", "rdd", "synthetic_control", "uplift"]
Knobs = UserKnobs | TelemetryKnobs | tuple[UserKnobs, TelemetryKnobs]

# Of each design's default estimate at 50,000 users, in probability.
STD_ERROR = {
    "did": 0.0180,
    "propensity": 0.0052,
    "rdd": 0.0225,
    "synthetic_control": 0.0100,
    "uplift": 0.0108,
}
# Bias of the default estimate per unit of the knob (measured, unless it follows at once).
GAIN = {
    "did-pre-trends": 7.5,
    "did-anticipation": -1.0,
    "did-composition": 0.285,
    "did-spill-over": -1.0,
    "propensity-hidden-confounder": 0.25,
    "propensity-no-overlap": 0.215,
    "propensity-nonlinear-selection": 0.0985,
    "propensity-post-treatment": -0.41,
    "rdd-gamed-scores": 0.48,
    "rdd-rounded-scores": 1.38,
    "rdd-overrides": -0.12,
    "rdd-curvature": 0.22,
    "rdd-second-rule": 1.0,
    "synthetic-control-outside-hull": 0.54,
    "synthetic-control-contaminated-donors": -0.5,
    "synthetic-control-launch-week-shock": 0.7 * 7 / 30,
    "synthetic-control-everyone": 1.0,
    "uplift-confounded-assignment": 0.26,
}


@dataclass(frozen=True)
class Scenario:
    """A named data-generating process.

    Parameters
    ----------
    name
        As ``generate(scenario=…)`` takes it.
    design
        Which method's assumption it breaks; ``all`` for the products without a trap.
    breaks
        What breaks, in a sentence.
    equation
        What is added to the clean product's equations, k being the dial.
    dial
        What one unit of severity is.
    revealable
        Whether the data that the default analysis reads can reveal the violation.
    revealed_by
        What reveals it, or why nothing can.
    revealed_with
        The argument without which it can't be seen, where the default analysis hasn't got it.
    turn
        From a severity to the knobs.
    severities
        The severities at which the benchmark looks, 3 for the promise.
    max_severity
        Above this, probabilities or shares would leave their range.
    is_bias
        Whether severity is a bias in standard errors; else what ``dial`` says.
    launch
        The only launch that it makes sense with; ``None`` for any.
    """

    name: str
    design: Design
    breaks: str
    equation: str
    dial: str
    revealable: bool
    revealed_by: str
    turn: Callable[[float], Knobs]
    revealed_with: str = ""
    severities: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)
    max_severity: float = 5.0
    is_bias: bool = True
    launch: str | None = None

    def knobs(self, severity: float) -> tuple[UserKnobs, TelemetryKnobs]:
        """The knobs of both tables at a severity."""
        if not (math.isfinite(severity) and 0 <= severity <= self.max_severity):
            raise DataError(
                f"Severity {severity:g} is out of bounds for scenario {self.name!r}.",
                "Severity is bias over standard error; beyond the bound probabilities would clip.",
                f"Give a number from 0 to {self.max_severity:g}.",
            )
        turned = self.turn(severity)
        if isinstance(turned, tuple):
            return turned
        if isinstance(turned, UserKnobs):
            return turned, TelemetryKnobs()
        return UserKnobs(), turned


@dataclass(frozen=True)
class Chosen:
    """A scenario at one severity, with its knobs."""

    scenario: Scenario
    severity: float
    users: UserKnobs
    telemetry: TelemetryKnobs


def amount(name: str, severity: float) -> float:
    """How far a trap's knob is turned for a bias of ``severity`` standard errors.

    Where the gain is negative the bias is: the knob is never turned below zero.
    """
    design = name.split("-")[0] if not name.startswith("synthetic") else "synthetic_control"
    return severity * STD_ERROR[design] / abs(GAIN[name])


def choose(name: str, severity: float) -> Chosen:
    """The scenario of that name, turned to that severity."""
    from noholdout_data_generator.catalogue import CATALOGUE

    known = {scenario.name: scenario for scenario in CATALOGUE}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
        raise DataError(
            f"There is no scenario {name!r}.",
            f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else "",
            f"Known: {', '.join(known)}.",
        )
    users, telemetry = known[name].knobs(float(severity))
    return Chosen(known[name], float(severity), users, telemetry)


def scenarios() -> tuple[Scenario, ...]:
    """Every scenario, the clean product first."""
    from noholdout_data_generator.catalogue import CATALOGUE

    return CATALOGUE
