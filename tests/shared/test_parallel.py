"""The same result whatever the number of jobs, and progress only when asked."""

import numpy as np
import pytest
from noholdout_shared.errors import DataError
from noholdout_shared.parallel import run_parallel, spawn_seeds
from noholdout_shared.progress import track


def draw(seed: np.random.SeedSequence) -> float:
    return float(np.random.default_rng(seed).normal())


def refuse(item: int) -> int:
    raise DataError(f"item {item}", "why", "todo")


def test_one_job_and_two_jobs_agree() -> None:
    seeds = spawn_seeds(7, 6)
    assert run_parallel(draw, seeds, jobs=1) == run_parallel(draw, seeds, jobs=2)


def test_a_refusal_in_a_worker_arrives_whole() -> None:
    with pytest.raises(DataError, match=r"item \d why todo"):
        run_parallel(refuse, [1, 2], jobs=2)


def test_track_yields_everything_and_is_silent_when_quick(capsys: pytest.CaptureFixture) -> None:
    assert list(track(range(3), "working")) == [0, 1, 2]
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
