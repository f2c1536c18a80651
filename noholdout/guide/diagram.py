"""The decision tree as a Mermaid diagram, and its place in the README."""

from __future__ import annotations

from noholdout.guide.tree import Tree

BEGIN = "<!-- guide diagram: made by `python -m noholdout.guide --write README.md` -->"
END = "<!-- end of guide diagram -->"


def mermaid(tree: Tree) -> str:
    """The diagram's text: a diamond a question, a box an outcome, an arrow an answer."""
    lines = ["flowchart TD"]
    for question in tree.questions.values():
        lines.append(f'    {question.id}{{"{_wrap(question.ask)}"}}')
    for outcome in tree.outcomes.values():
        shape = '["{}"]' if outcome.command else '(["{}"])'
        lines.append(f"    {outcome.id}{shape.format(_wrap(outcome.name))}")
    for question in tree.questions.values():
        for answer in question.answers:
            lines.append(f'    {question.id} -->|"{answer.short}"| {answer.next}')
    return "\n".join(lines)


def _wrap(text: str, width: int = 28) -> str:
    import textwrap

    return "<br>".join(textwrap.wrap(text, width))


def block(tree: Tree) -> str:
    """The diagram between its two markers, as it stands in the README."""
    return f"{BEGIN}\n```mermaid\n{mermaid(tree)}\n```\n{END}"


def replace_block(text: str, tree: Tree) -> str:
    """``text`` with the diagram between its markers made anew."""
    head, _, rest = text.partition(BEGIN)
    if not rest or END not in rest:
        raise ValueError("the text has no guide diagram to replace")
    return head + block(tree) + rest.partition(END)[2]
