"""``noholdout guide``: which method fits a launch, and why the others don't."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from noholdout_shared.errors import DataError

from noholdout.commands import options as opt

if TYPE_CHECKING:
    from noholdout.guide import Question

MOST_LISTED = 20


def guide(
    data: Annotated[
        str | None,
        typer.Argument(help="Your data, to be looked at; without it the guide asks."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Don't ask: assume what the data can't say, and say so.")
    ] = False,
    goal: Annotated[
        Literal["average", "whom"] | None,
        typer.Option(help="Did it help on average, or whom does it help?"),
    ] = None,
    experiment: Annotated[
        Literal["yes", "no"] | None, typer.Option(help="Did a coin flip decide who got it?")
    ] = None,
    rollout: Annotated[
        Literal["waves", "opt-in", "threshold", "everyone"] | None,
        typer.Option(help="What decided who got it? (the data say it, where they are given)"),
    ] = None,
    before: Annotated[
        Literal["yes", "no"] | None,
        typer.Option(help="Waves: is there an outcome from before the first one? (as rollout)"),
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
        typer.Option(help="Everyone: did any unit stay on the old version? (as rollout)"),
    ] = None,
    outcome: Annotated[str | None, typer.Option(help="With data: the outcome's column.")] = None,
    treatment: Annotated[
        str | None, typer.Option(help="With data: the 0/1 column of who got it.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="With data: the units of a panel.")] = None,
    time: Annotated[str | None, typer.Option(help="With data: the column of the period.")] = None,
    first_treated: Annotated[
        str | None, typer.Option(help="With data: column of the first treated period.")
    ] = None,
    running: Annotated[
        str | None, typer.Option(help="With data: the score that a rule looks at.")
    ] = None,
    cutoff: Annotated[
        float | None, typer.Option(help="With --running: where the rule switches.")
    ] = None,
    treated_side: Annotated[
        Literal["above", "below"] | None, typer.Option(help="With --running: the treated side.")
    ] = None,
    treated: Annotated[
        list[str] | None,
        typer.Option(help="With data: a unit that got the launch; repeat it for several."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="With --treated: the first treated period.")
    ] = None,
    as_json: opt.AsJson = False,
) -> None:
    """Find the method that fits a launch.

    With your data (a file or URL) it looks at the columns, tests what each design needs, and
    prints the commands that can work; it asks only what the data can't say. Without data it asks
    a few questions. Flags answer them; what they leave open gets the likely answer, and it says so.
    """
    launch = {
        "goal": goal,
        "experiment": experiment,
        "rollout": rollout,
        "before": before,
        "gaming": gaming,
        "reasons": reasons,
        "donors": donors,
    }
    columns: dict[str, Any] = {
        "outcome": outcome,
        "treatment": treatment,
        "unit": unit,
        "time": time,
        "first_treated": first_treated,
        "running": running,
        "cutoff": cutoff,
        "treated_side": treated_side,
        "treated": tuple(treated) if treated else None,
        "start": start,
    }
    if data is None:
        _refuse(columns | {"yes": yes or None}, "it says something about data", "Name a file.")
        shown, plain = _by_questions(launch)
    else:
        of_data = {flag: launch.pop(flag) for flag in ("rollout", "before", "donors")}
        _refuse(of_data, "the data say it", "Leave it out.")
        shown, plain = _by_data(data, {**launch, **columns}, yes)
    if as_json:
        typer.echo(json.dumps(plain, allow_nan=False, indent=2))
        return
    from rich.console import Console

    Console().print(shown(), crop=False)  # a cut line of a command can't be pasted


def _refuse(flags: dict[str, Any], because: str, todo: str) -> None:
    given = [flag for flag, value in flags.items() if value is not None]
    if given:
        raise DataError(f"--{given[0].replace('_', '-')} isn't used here: {because}.", "", todo)


def _by_questions(given: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    from noholdout.guide import load_tree, walk

    tree = load_tree()
    by_flags = any(value is not None for value in given.values())
    if not by_flags and not sys.stdin.isatty():
        raise DataError(
            "No answers were given, and there is no terminal to ask on.",
            "",
            "Name your data (noholdout guide FILE --yes), or answer by flags, for example: "
            "noholdout guide --rollout waves",
        )
    path = walk(tree, given, None if by_flags else _ask_of_tree)

    def shown() -> Any:
        from noholdout.guide.show import path_text

        return path_text(path, tree)

    return shown, path.to_dict()


def _by_data(
    data: str, said: dict[str, Any], yes: bool
) -> tuple[Callable[[], Any], dict[str, Any]]:
    from noholdout.guide.advice import advise
    from noholdout.guide.answers import Answers
    from noholdout.guide.columns import look

    given = {name: value for name, value in said.items() if value is not None}
    advice = advise(look(data), Answers(**given), None if yes else _ask_about_data)

    def shown() -> Any:
        from noholdout.guide.show import advice_text

        return advice_text(advice)

    return shown, advice.to_dict()


def _ask_of_tree(question: Question) -> str:
    return _ask(question.ask, question.keys, [answer.label for answer in question.answers])


def _ask_about_data(flag: str, question: str, choices: Sequence[str]) -> str:
    if not sys.stdin.isatty():
        raise DataError(
            f"The data can't say it, and there is no terminal to ask on: {question}",
            "",
            f"Add --{flag} with one of: {', '.join(choices)}; or --yes to assume {choices[0]}.",
        )
    return _ask(question, choices, choices)


def _ask(question: str, keys: Sequence[str], labels: Sequence[str]) -> str:
    typer.echo(f"\n{question}", err=True)
    for number, label in enumerate(labels[:MOST_LISTED], 1):
        typer.echo(f"  {number}  {label}", err=True)
    if len(labels) > MOST_LISTED:
        typer.echo(f"  ... to {len(labels)}  {labels[-1]} (type the number or the name)", err=True)
    by_number = {str(number): key for number, key in enumerate(keys, 1)}
    while True:
        reply = str(typer.prompt(f"1 to {len(by_number)}", err=True)).strip()
        key = by_number.get(reply, reply)
        if key in keys:
            return key
        typer.echo(f"Type a number from 1 to {len(by_number)}.", err=True)
