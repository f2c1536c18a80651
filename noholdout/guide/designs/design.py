"""One design that the data allow: which method, why, what it takes for granted, what to type."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Fit = Literal["works", "needs-an-answer"]


@dataclass(frozen=True)
class Design:
    """A method that can work on these data.

    Parameters
    ----------
    method
        ``did``, ``propensity``, ``rdd``, ``synthetic_control`` or ``uplift``.
    name
        The design in a few words: "Staged rollout", "Coin flip".
    about
        The column (or launch) whose effect it measures.
    because
        What was found in the data, one sentence each, with numbers.
    assumed
        What the data can't say and was taken for granted, one sentence each.
    needs
        Flags that the command still lacks, with what to say in them.
    arguments
        Flags of the command: name to value; a list repeats the flag.
    command
        The command, where another one than the method's own runs it.
    """

    method: str
    name: str
    about: str
    because: tuple[str, ...]
    arguments: Mapping[str, Any]
    assumed: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None

    @property
    def fit(self) -> Fit:
        """Whether the command is complete."""
        return "needs-an-answer" if self.needs else "works"

    def argv(self, location: str) -> list[str] | None:
        """The command as words, or ``None`` while something is missing."""
        if self.needs:
            return None
        words = ["noholdout", self.command or self.method.replace("_", "-"), location]
        for name, value in self.arguments.items():
            for one in value if isinstance(value, list) else [value]:
                words += ["--" + name] if one is True else ["--" + name, str(one)]
        return words

    def to_dict(self, location: str) -> dict[str, Any]:
        """Plain JSON values."""
        argv = self.argv(location)
        return {
            "method": self.method,
            "design": self.name,
            "about": self.about,
            "fit": self.fit,
            "because": list(self.because),
            "assumed": list(self.assumed),
            "needs": dict(self.needs),
            "arguments": dict(self.arguments),
            "argv": argv,
            "command": None if argv is None else shlex.join(argv),
        }


def names_text(names: Sequence[str], most: int = 4) -> str:
    """``a, b, c and 5 more``."""
    shown = ", ".join(map(str, names[:most]))
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
