"""The outputs that the main README shows: read them, or renew them by running their commands.

A ``text`` block straight after a ``bash`` block is what its last command prints, on the data of
``noholdout generate --n-users 50000 --seed 42 --out data/``. ``python tests/readme_output.py``
writes them anew, and the picture beside them.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from processes import ROOT, run, workplace

README = ROOT / "README.md"
PAIR = re.compile(r"```bash\n(?P<bash>(?:(?!```).)*?)```\n\n```text\n(?P<text>.*?)```", re.DOTALL)
N_USERS = 50_000


@dataclass(frozen=True)
class Shown:
    """A command, what the README says that it prints, and where that stands."""

    command: str
    text: str
    start: int
    end: int


def shown(readme: str) -> list[Shown]:
    """The README's commands with their outputs."""
    return [
        Shown(
            command=re.sub(r"\\\n\s*", "", pair["bash"]).strip().splitlines()[-1],
            text=pair["text"],
            start=pair.start("text"),
            end=pair.end("text"),
        )
        for pair in PAIR.finditer(readme)
    ]


def printed(command: str, folder: Path) -> str:
    """What the command prints, without spaces at the ends of lines."""
    ran = run(command, folder)
    if ran.returncode:
        raise RuntimeError(f"{command} ended with {ran.returncode}: {ran.stderr}")
    return "".join(f"{line.rstrip()}\n" for line in ran.stdout.strip("\n").splitlines())


def main() -> None:
    """Write every shown output anew."""
    readme = README.read_text("utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = workplace(Path(name) / "clone", n_users=N_USERS)
        for pair in reversed(shown(readme)):
            readme = readme[: pair.start] + printed(pair.command, folder) + readme[pair.end :]
        printed(f"noholdout compare --seed 42 --plot {ROOT / 'docs/compare.png'}", folder)
    README.write_text(readme, "utf-8")


if __name__ == "__main__":
    main()
