"""Which data the estimators meet: scenarios of the generator, at a severity and a sample size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from noholdout_shared.errors import DataError

if TYPE_CHECKING:
    from noholdout_data_generator import Dataset

CLEAN = "clean"
WITHOUT_TRAP = (CLEAN, "no-effect")
DEFAULT_USERS = 50_000
PROMISE_SEVERITY = 3.0  # bias over standard error at 50,000 users
PROMISE = 0.07  # P(sound and the interval misses) at most, in traps that data can reveal


@dataclass(frozen=True)
class Trap:
    """A scenario of the generator as the arena sees it.

    Parameters
    ----------
    name, design
        Its name, and the design that it breaks (``all`` where nothing is broken).
    revealable
        Whether data can reveal it; of the others no check is promised to fire.
    launch
        Who gets the model upgrade in the telemetry.
    severities, max_severity
        The documented severities, and the largest that its dial reaches.
    """

    name: str
    design: str = "all"
    revealable: bool = True
    launch: str = "pinned"
    severities: tuple[float, ...] = ()
    max_severity: float = math.inf

    def at(self, asked: Sequence[float]) -> tuple[float, ...]:
        """The severities to run: its only one, or those asked for, cut at its largest."""
        if self.design == "all":
            return (0.0,)
        if len(self.severities) == 1:
            return self.severities
        return tuple(sorted({min(float(severity), self.max_severity) for severity in asked}))


@dataclass(frozen=True)
class Cell:
    """One data-generating process: every seed of it is one data set."""

    scenario: str = CLEAN
    severity: float = 0.0
    n_users: int = DEFAULT_USERS
    launch: str = "pinned"

    @property
    def label(self) -> str:
        """``clean``, or ``pre-trends at 3``."""
        return self.scenario if self.severity == 0 else f"{self.scenario} at {self.severity:g}"

    def data(self, seed: int) -> Dataset:
        """The data set of one seed."""
        from noholdout_data_generator import generate

        return generate(
            n_users=self.n_users,
            seed=seed,
            scenario=self.scenario,
            severity=self.severity or 1.0,
            launch=self.launch,  # type: ignore[arg-type]
        )


@lru_cache(maxsize=1)
def traps() -> dict[str, Trap]:
    """The generator's scenarios by name, as far as it lists them."""
    import noholdout_data_generator as generator

    found = {CLEAN: Trap(CLEAN)}
    listing: Any = getattr(generator, "scenarios", tuple)
    for scenario in listing():
        found[scenario.name] = Trap(
            name=scenario.name,
            design=scenario.design,
            revealable=bool(getattr(scenario, "revealable", True)),
            launch=getattr(scenario, "launch", None) or "pinned",
            severities=tuple(getattr(scenario, "severities", None) or ()),
            max_severity=float(getattr(scenario, "max_severity", math.inf)),
        )
    return found


def cells(
    designs: Sequence[str],
    scenarios: Sequence[str] = (CLEAN,),
    severities: Sequence[float] = (PROMISE_SEVERITY,),
    n_users: Sequence[int] = (DEFAULT_USERS,),
) -> list[tuple[Cell, tuple[str, ...]]]:
    """The cells asked for, each with the designs that meet it.

    Parameters
    ----------
    scenarios
        Names; ``traps`` means every trap of the designs, ``all`` those and the clean product.
    severities
        Of traps; the two without a trap have none.
    """
    known = traps()
    chosen: list[str] = []
    for name in scenarios:
        if name == "all":
            chosen += list(known)
        elif name == "traps":
            chosen += [trap for trap in known if known[trap].design != "all"]
        elif name in known:
            chosen.append(name)
        else:
            raise DataError(
                f"There is no scenario {name!r}.", "", f"Use: all, traps, {', '.join(known)}."
            )
    found: list[tuple[Cell, tuple[str, ...]]] = []
    for name in dict.fromkeys(chosen):
        trap = known[name]
        meets = tuple(d for d in designs if trap.design in ("all", d))
        if not meets:
            continue
        for users in n_users:
            for severity in trap.at(severities):
                found.append((Cell(name, float(severity), users, trap.launch), meets))
    return found
