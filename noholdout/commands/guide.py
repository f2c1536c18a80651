"""``noholdout guide``: which method fits a launch, and why the others don't."""

from __future__ import annotations

import json
import sys
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from noholdout_shared.errors import DataError

from noholdout.commands import options as opt

if TYPE_CHECKING:
    from rich.console import RenderableType

    from noholdout.guide import Path, Question, Tree


def guide(
    goal: Annotated[
        Literal["average", "whom"] | None,
        typer.Option(help="Did it help on average, or whom does it help?"),
    ] = None,
    experiment: Annotated[
        Literal["yes", "no"] | None, typer.Option(help="Did a coin flip decide who got it?")
    ] = None,
    rollout: Annotated[
        Literal["waves", "opt-in", "threshold", "everyone"] | None,
        typer.Option(help="What decided who got it?"),
    ] = None,
    before: Annotated[
        Literal["yes", "no"] | None,
        typer.Option(help="Waves: is there an outcome from before the first one?"),
    ] = None,
    gaming: Annotated[
        Literal["yes", "no"] | None,
        typer.Option(help="Threshold: can scores be pushed, or does a second rule start there?"),
    ] = None,
    reasons: Annotated[
        Literal["logged", "hidden"] | None,
        typer.Option(help="Opt-in: were the reasons logged before?"),
    ] = None,
    donors: Annotated[
        Literal["some", "none"] | None,
        typer.Option(help="Everyone: did any unit stay on the old version?"),
    ] = None,
    as_json: opt.AsJson = False,
) -> None:
    """Find the method that fits a launch.

    It asks a few questions, says what each answer rules out, and prints the command to type.
    Without flags it asks. With flags, questions left open get the likely answer, and it says so.
    """
    from noholdout.guide import load_tree, walk

    tree = load_tree()
    given = {
        "goal": goal,
        "experiment": experiment,
        "rollout": rollout,
        "before": before,
        "gaming": gaming,
        "reasons": reasons,
        "donors": donors,
    }
    by_flags = any(value is not None for value in given.values())
    if not by_flags and not sys.stdin.isatty():
        raise DataError(
            "No answers were given, and there is no terminal to ask on.",
            "",
            "Answer by flags, for example: noholdout guide --rollout waves",
        )
    path = walk(tree, given, None if by_flags else _ask)
    if as_json:
        typer.echo(json.dumps(path.to_dict(), indent=2))
        return
    from rich.console import Console

    Console().print(_renderable(path, tree))


def _ask(question: Question) -> str:
    typer.echo(f"\n{question.ask}", err=True)
    for number, answer in enumerate(question.answers, 1):
        typer.echo(f"  {number}  {answer.label}", err=True)
    by_number = {str(number): key for number, key in enumerate(question.keys, 1)}
    while True:
        reply = str(typer.prompt(f"1 to {len(by_number)}", err=True)).strip()
        key = by_number.get(reply, reply)
        if key in question.keys:
            return key
        typer.echo(f"Type a number from 1 to {len(by_number)}.", err=True)


def _renderable(path: Path, tree: Tree) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    steps = Table.grid(padding=(0, 2))
    for step in path.steps:
        said = f"{step.answer.label} (assumed: --{step.question.flag} {step.answer.key})"
        steps.add_row(
            Text(step.question.ask, style="dim"), Text(said if step.assumed else step.answer.label)
        )
    outcome = path.outcome
    parts: list[RenderableType] = [
        Text("Your answers", style="bold"),
        Padding(steps, (0, 0, 1, 2), expand=False),
        Text(outcome.name, style="bold green" if outcome.command else "bold yellow"),
        Padding(Text(outcome.because), (0, 0, 1, 2), expand=False),
    ]
    if outcome.must_be_true:
        listed = Group(*[Text(f"- {condition}") for condition in outcome.must_be_true])
        parts += [
            Text("What must be true", style="bold"),
            Padding(listed, (0, 0, 1, 2), expand=False),
        ]
    ruled_out = Table.grid(padding=(0, 2))
    for method, reason in path.ruled_out(tree.outcomes):
        ruled_out.add_row(Text(method, style="dim"), Text(reason))
    if ruled_out.rows:
        parts += [Text("Ruled out", style="bold"), Padding(ruled_out, (0, 0, 1, 2), expand=False)]
    if outcome.command:
        # not rich's Padding: it fills lines with spaces, and a space after \\ breaks a pasted line
        examples = "\n".join(shell_lines(command) for command in outcome.example)
        parts += [
            Text("Type", style="bold"),
            Text(indent(shell_lines(outcome.command), "  ") + "\n"),
            Text("On the example data (noholdout generate)", style="bold"),
            Text(indent(examples, "  ") + "\n"),
        ]
    parts.append(Text(outcome.note))
    return Group(*parts)


def shell_lines(command: str, width: int = 76) -> str:
    """A command broken before its flags with backslashes, so that it can be pasted."""
    first, *flags = command.split(" --")
    lines = [first]
    for flag in flags:
        if len(lines[-1]) + len(flag) + 5 > width:
            lines[-1] += " \\"
            lines.append(f"  --{flag}")
        else:
            lines[-1] += f" --{flag}"
    return "\n".join(lines)
