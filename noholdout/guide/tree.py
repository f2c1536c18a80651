"""The decision tree as data: read from ``tree.toml`` and checked once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer to a question: where it leads, and what it rules out with the reason."""

    key: str
    label: str
    short: str
    next: str
    assumed: bool
    rules_out: dict[str, str]


@dataclass(frozen=True)
class Question:
    """One question. Two questions may share a flag when no path asks both."""

    id: str
    flag: str
    ask: str
    answers: tuple[Answer, ...]

    def answer(self, key: str) -> Answer:
        """The answer of that key."""
        return next(answer for answer in self.answers if answer.key == key)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the answers, in order."""
        return tuple(answer.key for answer in self.answers)

    @property
    def assumed(self) -> Answer | None:
        """The answer that a script gets when it left this question open."""
        return next((answer for answer in self.answers if answer.assumed), None)


@dataclass(frozen=True)
class Outcome:
    """Where the tree ends: a method with the command to type, or advice where none fits."""

    id: str
    name: str
    short: str
    because: str
    must_be_true: tuple[str, ...]
    note: str
    command: str | None
    example: tuple[str, ...]


@dataclass(frozen=True)
class Tree:
    """All questions and outcomes, by id."""

    start: str
    questions: dict[str, Question]
    outcomes: dict[str, Outcome]

    @property
    def flags(self) -> dict[str, tuple[str, ...]]:
        """Each flag with its choices."""
        return {question.flag: question.keys for question in self.questions.values()}


@cache
def load_tree() -> Tree:
    """The tree of ``tree.toml``."""
    raw = tomllib.loads(files("noholdout.guide").joinpath("tree.toml").read_text("utf-8"))
    questions = {entry["id"]: _question(entry) for entry in raw["question"]}
    outcomes = {entry["id"]: _outcome(entry) for entry in raw["outcome"]}
    return Tree(raw["start"], questions, outcomes)


def _question(entry: dict[str, Any]) -> Question:
    answers = tuple(
        Answer(
            key=answer["key"],
            label=answer["label"],
            short=answer["short"],
            next=answer["next"],
            assumed=answer.get("assumed", False),
            rules_out=answer.get("rules_out", {}),
        )
        for answer in entry["answer"]
    )
    return Question(entry["id"], entry["flag"], entry["ask"], answers)


def _outcome(entry: dict[str, Any]) -> Outcome:
    return Outcome(
        id=entry["id"],
        name=entry["name"],
        short=entry["short"],
        because=entry["because"],
        must_be_true=tuple(entry["must_be_true"]),
        note=entry["note"],
        command=entry.get("command"),
        example=tuple(entry.get("example", ())),
    )
