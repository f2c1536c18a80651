"""Every command and snippet of every README runs as it stands, and every link leads somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from processes import ROOT, run, workplace
from readme_output import N_USERS, README, Shown, printed, shown

from noholdout.guide import Outcome, load_tree

DOCUMENTS = [
    ROOT / name
    for name in ("README.md", "METHODS.md", "CONTRIBUTING.md", "CHANGELOG.md")
    if (ROOT / name).is_file()
] + sorted([*ROOT.glob("0*/README.md"), *ROOT.glob("data_generator/*.md")])
DOCUMENTS += sorted(ROOT.glob("noholdout/*/README.md"))

# What a README tells people to type before there is an installation, or that other tests run.
SETUP = ("git ", "cd ", "make", "pip ", "python -m venv", ". .venv", "python -m pip")
TESTED_ELSEWHERE = ("noholdout demo", "python tests/", "python benchmarks/")


def blocks(document: Path, language: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each fenced block of a language."""
    for token in MarkdownIt().parse(document.read_text("utf-8")):
        if token.type == "fence" and token.info.strip() == language:
            assert token.map is not None
            yield token.map[0] + 1, token.content


def commands(document: Path) -> Iterator[tuple[int, str]]:
    """(line, command) of each shell command that runs without setting anything up."""
    for line, text in blocks(document, "bash"):
        for command in re.sub(r"\\\n\s*", "", text).splitlines():
            stripped = re.sub(r"\s+#.*$", "", command).strip()
            placeholder = "mypkg." in stripped  # stands for the reader's own package
            if not stripped or stripped.startswith(("#", *SETUP, *TESTED_ELSEWHERE)) or placeholder:
                continue
            yield line, stripped


def named(found: list[tuple[Path, int, str]]) -> list[object]:
    return [
        pytest.param(text, id=f"{document.relative_to(ROOT)}:{line}")
        for document, line, text in found
    ]


COMMANDS = [(d, line, text) for d in DOCUMENTS for line, text in commands(d)]
SNIPPETS = [(d, line, text) for d in DOCUMENTS for line, text in blocks(d, "python")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workplace(tmp_path_factory.mktemp("clone"))


@pytest.mark.demo
@pytest.mark.parametrize("command", named(COMMANDS))
def test_commands_run(command: str, clone: Path) -> None:
    assert command.startswith(("noholdout ", "python ")), f"what is {command!r}?"
    (clone / "out").mkdir(exist_ok=True)
    # a study's length isn't what is tested here
    ran = run(re.sub(r"--runs \d+", "--runs 2", command), clone)
    # a verdict that reaches --fail-on is an answer too
    assert ran.returncode == 0 or (ran.returncode == 3 and "--fail-on" in command), ran.stderr
    assert "Traceback" not in ran.stderr
    assert max((len(line.rstrip()) for line in ran.stdout.splitlines()), default=0) <= 80 or (
        "--json" in command
    )


@pytest.mark.demo
@pytest.mark.parametrize("outcome", load_tree().outcomes.values(), ids=lambda outcome: outcome.id)
def test_the_guides_examples_run(outcome: Outcome, clone: Path) -> None:
    for command in outcome.example:
        ran = run(command, clone)
        assert ran.returncode == 0, ran.stderr


@pytest.mark.demo
@pytest.mark.parametrize("snippet", named(SNIPPETS))
def test_snippets_run(snippet: str, clone: Path, tmp_path: Path) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(snippet, "utf-8")
    ran = run(["python", str(script)], clone)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def full_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workplace(tmp_path_factory.mktemp("full"), n_users=N_USERS)


@pytest.mark.demo
@pytest.mark.parametrize("pair", shown(README.read_text("utf-8")), ids=lambda pair: pair.command)
def test_the_shown_output_is_what_the_command_prints(pair: Shown, full_clone: Path) -> None:
    assert printed(pair.command, full_clone) == pair.text, "type: python tests/readme_output.py"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for token in MarkdownIt().parse(document.read_text("utf-8")):
        for child in token.children or []:
            target = str(child.attrs.get("href") or child.attrs.get("src") or "")
            if target and not target.startswith(("http://", "https://", "#", "mailto:")):
                assert (document.parent / target.split("#")[0]).exists(), target


def test_the_readme_holds_what_a_newcomer_types() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for line in (
        "make demo",
        "make test",
        "pip install -r requirements.txt",
        "noholdout demo all",
        "noholdout propensity data/users.csv --outcome task_completed "
        "--treatment opt_in_agent_mode "
        "--covariates engagement_tier,signup_week,query_confidence",
    ):
        assert line in re.sub(r"\\\n\s*", "", text), line


def test_shell_blocks_are_found() -> None:
    assert len(COMMANDS) >= 10
