"""Start-up costs that a user feels, in processor time, which is wall time on an idle machine."""

import resource
import sys
from pathlib import Path

import pandas as pd
from processes import run


def seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def best_of(count: int, line: list[str], folder: Path) -> float:
    seconds = []
    for _ in range(count):
        before = seconds_of_children()
        ran = run(line, folder)
        seconds.append(seconds_of_children() - before)
        assert ran.returncode == 0, ran.stderr
    return min(seconds)


def test_help_answers_at_once(tmp_path: Path) -> None:
    assert best_of(8, ["noholdout", "--help"], tmp_path) < 0.3


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['noholdout', '--help']\n"
        "from noholdout.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'pandas', 'scipy', 'sklearn', 'matplotlib', 'duckdb',"
        " 'rich') if m in sys.modules])"
    )
    ran = run([sys.executable, "-c", code], tmp_path)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_a_small_file_through_did_is_quick(tmp_path: Path) -> None:
    rows = [
        {"shop": unit, "week": week, "sales": unit + week + 3.0 * (week >= start) + unit * week % 3,
         "launch": start if start < 9 else None}
        for unit in range(20)
        for start in [(4, 6, 9)[unit % 3]]
        for week in range(9)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "small.csv", index=False)
    flags = "--outcome sales --unit shop --time week --first-treated launch"
    line = ["noholdout", "did", "small.csv", *flags.split()]
    assert best_of(5, line, tmp_path) < 1.5
