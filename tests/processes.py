"""Run the project's commands as a user's shell would, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def environment(**more: str) -> dict[str, str]:
    """The environment with this interpreter's commands first on the path."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return dict(os.environ, PATH=path, COLUMNS="80", MPLBACKEND="Agg", **more)


def run(
    command: str | Sequence[str], folder: Path = ROOT, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a command line (text goes through bash) and return what it printed."""
    line = ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else command
    return subprocess.run(
        line,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def workplace(folder: Path, n_users: int = 10_000) -> Path:
    """``folder`` as the root of a clone: links to its folders, copies of its documents, data."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in ROOT.iterdir():
        if entry.is_dir() and not entry.name.startswith(".") and entry.name not in ("data", "out"):
            (folder / entry.name).symlink_to(entry)
        elif entry.suffix == ".md":
            shutil.copy(entry, folder)  # a command may write it
    made = run(f"noholdout generate --n-users {n_users} --seed 42 --out data/", folder)
    assert made.returncode == 0, made.stderr
    return folder
