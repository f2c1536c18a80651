"""Runs: the same numbers whatever the processes, the interruptions and the order."""

import inspect
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from noholdout_shared.errors import DataError

from noholdout.benchmark import Cell, benchmark, entry, leaderboard, plan, yours
from noholdout.benchmark.problems import ESTIMANDS, problem_of
from noholdout.benchmark.registry import entries, load
from noholdout.benchmark.store import BATCH, SCHEMA

MINE = Path(__file__).with_name("estimators.py")
CELLS = [(Cell(n_users=200), ("propensity",))]


def numbers(runs: pd.DataFrame) -> pd.DataFrame:
    """All but the clock."""
    return runs.drop(columns="seconds")


def mine(name: str, design: str = "propensity") -> object:
    return yours(f"{MINE}:{name}", design)


def test_one_job_and_two_jobs_give_identical_results(tmp_path: Path) -> None:
    cells = [(Cell(n_users=2000), ("propensity", "did", "rdd", "synthetic_control"))]
    chosen = [entry(name) for name in ("propensity", "did", "rdd", "synthetic_control")]
    one = benchmark(plan(chosen, cells, 3), tmp_path / "one", jobs=1)
    two = benchmark(plan(chosen, cells, 3), tmp_path / "two", jobs=2)
    assert list(one.columns) == list(SCHEMA)
    assert len(one) == 12
    pd.testing.assert_frame_equal(numbers(one), numbers(two), check_exact=True)


SCRIPT = """
import sys
from noholdout.benchmark import Cell, benchmark, plan, yours
chosen = [yours(sys.argv[1] + ":opted_in", "propensity")]
benchmark(plan(chosen, [(Cell(n_users=200), ("propensity",))], 400), sys.argv[2], jobs=1)
"""


def test_a_killed_run_loses_at_most_a_batch_and_resumes_to_identical_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, folder = tmp_path / "log", tmp_path / "killed"
    environment = os.environ | {"NOHOLDOUT_TEST_LOG": str(log)}
    command = [sys.executable, "-c", SCRIPT, str(MINE), str(folder)]
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 120
    while not list(folder.glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    done = len(list(folder.glob("*.parquet")))
    started = len(log.read_text().split())
    assert 1 <= done < 8, "enough batches that a busy machine kills it before the last"
    assert started - BATCH * done <= BATCH

    monkeypatch.setenv("NOHOLDOUT_TEST_LOG", str(log))
    log.unlink()
    batches = plan([mine("opted_in")], CELLS, 400)
    resumed = benchmark(batches, folder)
    assert [int(seed) for seed in log.read_text().split()] == list(range(BATCH * done + 1, 401))
    whole = benchmark(batches, tmp_path / "whole")
    pd.testing.assert_frame_equal(numbers(resumed), numbers(whole), check_exact=True)
    assert resumed["seed"].tolist() == list(range(1, 401))


def test_what_is_there_is_read_and_not_run_again(tmp_path: Path) -> None:
    batches = plan([entry("naive:opted-in")], CELLS, 60)
    first = benchmark(batches, tmp_path)
    files = sorted(tmp_path.iterdir())
    again = benchmark(batches, tmp_path)
    assert sorted(tmp_path.iterdir()) == files
    pd.testing.assert_frame_equal(first, again, check_exact=True)  # the clock's numbers too
    more = benchmark(plan([entry("naive:opted-in")], CELLS, 100), tmp_path)
    assert more["seed"].tolist() == list(range(1, 101))


def test_a_batch_is_known_by_all_that_its_numbers_depend_on(tmp_path: Path) -> None:
    base = plan([entry("propensity")], CELLS, 10)[0]
    others = [
        replace(base, entry=replace(base.entry, options={"estimator": "ipw"})),
        replace(base, cell=Cell(n_users=201)),
        replace(base, seeds=base.seeds[1:]),
    ]
    assert len({b.file_name for b in [base, *others]}) == 4
    file = tmp_path / "own.py"
    file.write_text("def f(problem):\n    return {'estimate': 1.0}\n")
    own = yours(f"{file}:f", "did")
    before = replace(base, entry=own).file_name
    file.write_text("def f(problem):\n    return {'estimate': 2.0}\n")
    assert replace(base, entry=own).file_name != before


def test_an_unfinished_file_is_no_batch(tmp_path: Path) -> None:
    batches = plan([entry("naive:opted-in")], CELLS, 5)
    left = tmp_path / f"{batches[0].file_name[:-8]}.unfinished-1"
    left.write_bytes(b"half")
    assert len(benchmark(batches, tmp_path)) == 5
    assert not left.exists()


def test_a_failure_is_shown_with_its_message_and_a_refusal_counts_as_abstaining(
    tmp_path: Path,
) -> None:
    chosen = [mine("breaks"), mine("refuses")]
    board = leaderboard(benchmark(plan(chosen, CELLS, 4), tmp_path)).set_index("estimator")
    broken = board.loc[f"{MINE}:breaks"]
    assert (broken["runs"], broken["failed"]) == (4, 2)
    assert broken["message"] == "ZeroDivisionError: no rows left"
    refusing = board.loc[f"{MINE}:refuses"]
    assert (refusing["refused"], refusing["failed"], refusing["abstains"]) == (4, 0, 1.0)


def test_slow_entries_get_the_runs_of_rivals() -> None:
    chosen = [entry("rdd"), entry("rdd:honest")]
    batches = plan(chosen, [(Cell(), ("rdd",))], 120, slow_runs=50)
    assert [(b.entry.name, len(b.seeds)) for b in batches] == [
        ("rdd", 50),
        ("rdd", 50),
        ("rdd", 20),
        ("rdd:honest", 50),
    ]
    assert batches[1].seeds[0] == 51


def test_the_curve_is_of_the_defaults_alone() -> None:
    chosen = [entry("rdd"), entry("rdd:honest"), entry("naive:two-sides")]
    at = [(Cell("rdd-curvature", severity), ("rdd",)) for severity in (3.0, 1.0)]
    batches = plan(chosen, at[:1], 60, slow_runs=50, curve=at[1:])
    assert [(b.entry.name, b.cell.severity, len(b.seeds)) for b in batches] == [
        ("rdd", 3.0, 50), ("rdd", 3.0, 10), ("rdd:honest", 3.0, 50),
        ("naive:two-sides", 3.0, 50), ("naive:two-sides", 3.0, 10), ("rdd", 1.0, 50),
    ]  # fmt: skip


def test_what_is_told_of_a_trap_meets_that_trap_and_the_clean_product() -> None:
    told = entry("did:told-tier")
    scenarios = ("clean", "did-composition", "did-pre-trends", "no-effect")
    batches = plan([told], [(Cell(name), ("did",)) for name in scenarios], 2)
    assert [batch.cell.scenario for batch in batches] == ["clean", "did-composition"]


def test_what_takes_long_meets_no_trap() -> None:
    long = entry("uplift:r")
    scenarios = ("clean", "no-effect", "uplift-sleeping-dogs")
    batches = plan([long], [(Cell(name), ("uplift",)) for name in scenarios], 100, slow_runs=50)
    assert [(b.cell.scenario, len(b.seeds)) for b in batches] == [("clean", 50), ("no-effect", 50)]


def test_no_problem_holds_a_truth() -> None:
    data = Cell(n_users=200).data(1)
    for design in {found.design for found in entries()}:
        problem = problem_of(design, data, 1)
        assert not [column for column in problem.frame if "effect" in column]
        for role in ("outcome", "treatment", "time", "running", "unit"):
            if role in problem.arguments:
                assert problem.arguments[role] in problem.frame
        problem.frame.loc[:, problem.arguments["outcome"]] = 0
    assert data.users["task_completed"].sum() > 0, "an estimator's copy isn't the data"


@pytest.mark.parametrize(
    ("call", "design", "said"),
    [
        ("nowhere.f", "did", "can't be loaded: No module named 'nowhere'"),
        (f"{MINE}:nothing", "did", "has no attribute 'nothing'"),
        (f"{MINE}:breaks", None, "isn't known which design"),
        (f"{MINE}:breaks", "rct", "There is no design 'rct'"),
    ],
)
def test_an_estimator_that_cannot_be_used_is_refused(
    call: str, design: str | None, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        yours(call, design)


def test_every_entry_of_ours_is_a_call_that_its_method_takes() -> None:
    found = entries()
    assert len({each.name for each in found}) == len(found)
    for each in found:
        assert each.estimand in ESTIMANDS[each.design]
        if each.ours:
            parameters = inspect.signature(load(each.call)).parameters
            assert set(each.options) <= set(parameters), each.name
    defaults = [each for each in found if each.kind == "default"]
    assert {each.design for each in defaults} == set(ESTIMANDS)
    assert not any(each.options for each in defaults), "a default is what users get"
