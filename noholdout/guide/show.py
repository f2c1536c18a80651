"""The guide's answers for a terminal of 80 columns; commands in them can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from textwrap import indent
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

if TYPE_CHECKING:
    from noholdout.guide.advice import Advice
    from noholdout.guide.designs.design import Design
    from noholdout.guide.tree import Tree
    from noholdout.guide.walk import Path

NAMES = {
    "did": "difference-in-differences",
    "propensity": "propensity scores",
    "rdd": "regression discontinuity",
    "synthetic_control": "synthetic control",
    "uplift": "uplift",
}


def advice_text(advice: Advice) -> RenderableType:
    """What was seen, what can work with its command, and what can't."""
    rows = f"{advice.n_rows:,} rows"
    if advice.n_rows > advice.n_looked_at:
        rows += f", of which {advice.n_looked_at:,} at random were looked at"
    parts: list[RenderableType] = [Text(f"{advice.location}: {rows}", style="bold")]
    roles = [(name.replace("_", " "), _role(value)) for name, value in advice.roles.items()]
    if roles:
        parts += [_grid(roles), Text("")]
    else:
        parts.append(Text(""))
    if advice.flaws:
        parts += [Text("Put right first", style="bold yellow"), _bullets(advice.flaws), Text("")]
    for number, design in enumerate(advice.designs, 1):
        parts += _design(number, design, advice.location)
    if not advice.designs:
        parts += [
            Text("No design fits yet", style="bold yellow"),
            Text("  noholdout guide, without a file, asks how the launch was made.\n"),
        ]
    if advice.ruled_out:
        listed = [(NAMES[method], why) for method, why in advice.ruled_out.items()]
        parts += [Text("What can't work here", style="bold"), _grid(listed), Text("")]
    if advice.assumed:
        parts += [
            Text("Assumed, as the data can't say it", style="bold"),
            _bullets(advice.assumed),
        ]
    return Group(*parts)


def _design(number: int, design: Design, location: str) -> list[RenderableType]:
    ready = not design.needs
    title = f"{number}  {design.name}: {NAMES[design.method]}"
    parts: list[RenderableType] = [
        Text(title, style="bold green" if ready else "bold yellow"),
        _bullets(design.because),
    ]
    if design.assumed:
        parts += [Text("  if", style="dim"), _bullets(design.assumed)]
    argv = design.argv(location)
    if argv is not None:
        # not rich's Padding: it fills lines with spaces, and a space after \ breaks a pasted line
        command = indent(paste_lines(argv), "  ")
        parts.append(Text(f"\n{command}\n", no_wrap=True, overflow="ignore"))
    else:
        wanted = [f"--{flag}: {what}" for flag, what in design.needs.items()]
        parts += [Text("  still needed", style="dim"), _bullets(wanted), Text("")]
    return parts


def path_text(path: Path, tree: Tree) -> RenderableType:
    """A walk through the decision tree: answers, the outcome, what it rules out."""
    steps = []
    for step in path.steps:
        said = f"{step.answer.label} (assumed: --{step.question.flag} {step.answer.key})"
        steps.append((step.question.ask, said if step.assumed else step.answer.label))
    outcome = path.outcome
    parts: list[RenderableType] = [
        Text("Your answers", style="bold"),
        _grid(steps),
        Text(""),
        Text(outcome.name, style="bold green" if outcome.command else "bold yellow"),
        Padding(Text(outcome.because), (0, 0, 1, 2), expand=False),
    ]
    if outcome.must_be_true:
        parts += [
            Text("What must be true", style="bold"),
            _bullets(outcome.must_be_true),
            Text(""),
        ]
    ruled_out = path.ruled_out(tree.outcomes)
    if ruled_out:
        parts += [Text("Ruled out", style="bold"), _grid(ruled_out), Text("")]
    if outcome.command:
        examples = "\n".join(shell_lines(command) for command in outcome.example)
        parts += [
            Text("Type", style="bold"),
            Text(indent(shell_lines(outcome.command), "  ") + "\n"),
            Text("On the example data (noholdout generate)", style="bold"),
            Text(indent(examples, "  ") + "\n"),
        ]
    parts.append(Text(outcome.note))
    return Group(*parts)


def _role(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _grid(rows: Sequence[tuple[str, str]]) -> RenderableType:
    grid = Grid.grid(padding=(0, 2))
    for left, right in rows:
        grid.add_row(Text(left, style="dim"), Text(right))
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _bullets(lines: Sequence[str]) -> RenderableType:
    grid = Grid.grid(padding=(0, 1))
    for line in lines:
        grid.add_row("-", Text(line))
    return Padding(grid, (0, 0, 0, 2), expand=False)


def shell_lines(command: str, width: int = 76) -> str:
    """A command broken before its flags with backslashes, so that it can be pasted."""
    return paste_lines(shlex.split(command), width)


def paste_lines(argv: Sequence[str], width: int = 76) -> str:
    """The words of a command, quoted, on lines that end in backslashes before its flags."""
    pieces: list[str] = []
    for word in argv:
        if word.startswith("--") or not pieces:
            pieces.append(shlex.quote(word))
        else:
            pieces[-1] += f" {shlex.quote(word)}"
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(piece) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"  {piece}")
        else:
            lines[-1] += f" {piece}"
    return "\n".join(lines)
