"""What the user said, what is asked of him, and what the tests find on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from noholdout.guide.designs.design import Design, names_text

# Called with a flag, a question that the data can't answer, and its choices, the likely one first.
Ask = Callable[[str, str, Sequence[str]], str]


@dataclass(frozen=True)
class Answers:
    """What the user said; everything else is looked for."""

    outcome: str | None = None
    treatment: str | None = None
    unit: str | None = None
    time: str | None = None
    first_treated: str | None = None
    running: str | None = None
    cutoff: float | None = None
    treated_side: str | None = None
    treated: tuple[str, ...] = ()
    start: str | None = None
    goal: str | None = None
    gaming: str | None = None
    reasons: str | None = None
    experiment: str | None = None


@dataclass
class Found:
    """What the tests collect on the way."""

    said: Answers
    ask: Ask | None = None
    designs: list[Design] = field(default_factory=list)
    ruled: dict[str, str] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    roles: dict[str, Any] = field(default_factory=dict)

    def choose(
        self, flag: str, question: str, choices: Sequence[str], otherwise: str | None = None
    ) -> str:
        """The user's choice; the first one, said to be assumed, when nobody is asked."""
        given = getattr(self.said, flag, None)
        if given is not None:
            return str(given)
        if len(choices) == 1:
            return choices[0]
        if self.ask is not None:
            return self.ask(flag, question, choices)
        other = otherwise or f"--{flag} {names_text(choices[1:], 3)}"
        self.assumed.append(f"{question} Assumed: {choices[0]} (else {other}).")
        return choices[0]

    def outcome(self, ranked: Sequence[str]) -> str | None:
        """The outcome: said, chosen before, or the likeliest of these."""
        if self.said.outcome is None and "outcome" not in self.roles and not ranked:
            return None
        if "outcome" not in self.roles:
            self.roles["outcome"] = self.choose(
                "outcome", "Which column is the outcome?", ranked[:9]
            )
        return str(self.roles["outcome"])
