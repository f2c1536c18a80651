"""Walk the decision tree from the start to an outcome, keeping the reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from noholdout_shared.errors import DataError

from noholdout.guide.tree import Answer, Outcome, Question, Tree


@dataclass(frozen=True)
class Step:
    """One question with its answer; ``assumed`` when nobody gave it."""

    question: Question
    answer: Answer
    assumed: bool


@dataclass(frozen=True)
class Path:
    """The steps from the first question to an outcome."""

    steps: tuple[Step, ...]
    outcome: Outcome

    def ruled_out(self, names: Mapping[str, Outcome]) -> list[tuple[str, str]]:
        """(method, reason) for each method ruled out on the way, each once, in order.

        The outcome itself is left out: a later answer can bring a method back.
        """
        reasons: dict[str, str] = {}
        for step in self.steps:
            for method, reason in step.answer.rules_out.items():
                if method != self.outcome.id:
                    reasons.setdefault(names[method].name, reason)
        return list(reasons.items())

    def to_dict(self) -> dict[str, Any]:
        """The path as plain JSON values."""
        return {
            "method": self.outcome.id,
            "name": self.outcome.name,
            "because": self.outcome.because,
            "steps": [
                {
                    "question": step.question.ask,
                    "flag": step.question.flag,
                    "answer": step.answer.key,
                    "label": step.answer.label,
                    "assumed": step.assumed,
                    "rules_out": step.answer.rules_out,
                }
                for step in self.steps
            ],
            "must_be_true": list(self.outcome.must_be_true),
            "command": self.outcome.command,
            "example": list(self.outcome.example),
            "note": self.outcome.note,
        }


def walk(
    tree: Tree,
    given: Mapping[str, str | None],
    ask: Callable[[Question], str] | None = None,
) -> Path:
    """Follow the answers to an outcome.

    Parameters
    ----------
    tree
        The decision tree.
    given
        Answers by flag; ``None`` entries are open.
    ask
        Called for each open question. Without it, the answer that the given ones need is taken,
        else the tree's assumed answer, and marked.

    Raises
    ------
    DataError
        An unknown answer, an answer to a question that this path doesn't ask, or an open question
        that has no assumed answer.
    """
    answers = {flag: key for flag, key in given.items() if key is not None}
    steps: list[Step] = []
    here = tree.start
    while here in tree.questions:
        question = tree.questions[here]
        if question.flag in answers or ask is not None:
            step = _given(question, answers, ask)
        else:
            asked = {earlier.question.flag for earlier in steps}
            step = Step(question, _inferred(tree, question, set(answers) - asked), assumed=True)
        steps.append(step)
        here = step.answer.next
    path = Path(tuple(steps), tree.outcomes[here])
    _require_all_used(path, answers)
    return path


def _given(
    question: Question, answers: Mapping[str, str], ask: Callable[[Question], str] | None
) -> Step:
    key = answers.get(question.flag)
    if key is None and ask is not None:
        key = ask(question)
    if key not in question.keys:
        raise DataError(
            f"--{question.flag} is {key!r}.", "", f"Use one of: {', '.join(question.keys)}."
        )
    return Step(question, question.answer(key), assumed=False)


def _inferred(tree: Tree, question: Question, to_come: set[str]) -> Answer:
    """The answer after which every flag in ``to_come`` can still be asked."""
    fitting = [a for a in question.answers if to_come <= reachable_flags(tree, a.next)]
    assumed = question.assumed
    if assumed is not None and (assumed in fitting or not fitting):
        return assumed
    if len(fitting) == 1:
        return fitting[0]
    raise DataError(
        f"'{question.ask}' isn't answered.",
        "The method depends on it.",
        f"Add --{question.flag} {'|'.join(question.keys)}.",
    )


def reachable_flags(tree: Tree, here: str) -> set[str]:
    """The flags of all questions that can still be asked from here."""
    if here not in tree.questions:
        return set()
    question = tree.questions[here]
    return {question.flag}.union(*(reachable_flags(tree, a.next) for a in question.answers))


def _require_all_used(path: Path, answers: Mapping[str, str]) -> None:
    asked = {step.question.flag for step in path.steps}
    unused = [flag for flag in answers if flag not in asked]
    if unused:
        way = ", ".join(
            f"{step.question.flag}={step.answer.key}" + (" (assumed)" if step.assumed else "")
            for step in path.steps
        )
        raise DataError(
            f"--{unused[0]} isn't asked on this path ({way}).",
            "An answer that changes nothing would mislead.",
            "Leave it out, or change the answers before it.",
        )
