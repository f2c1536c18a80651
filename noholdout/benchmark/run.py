"""Estimator x scenario x seeds: in parallel, batch by batch, and resumable."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noholdout_shared.errors import ConvergenceError, DataError, DesignError
from noholdout_shared.progress import track

from noholdout.benchmark.answer import Answer, answer_of
from noholdout.benchmark.arena import Cell
from noholdout.benchmark.problems import problem_of, truth_of
from noholdout.benchmark.registry import Entry
from noholdout.benchmark.store import BATCH, Batch, read_batches, write_batch

if TYPE_CHECKING:
    import pandas as pd
    from noholdout_data_generator import Dataset

MESSAGE_LENGTH = 300


@dataclass(frozen=True)
class Turn:
    """One data set and the estimators that meet it: the piece of work of one process."""

    cell: Cell
    seed: int
    entries: tuple[Entry, ...]


def plan(
    entries: Sequence[Entry],
    cells: Sequence[tuple[Cell, tuple[str, ...]]],
    runs: int,
    slow_runs: int | None = None,
    first_seed: int = 1,
    curve: Sequence[tuple[Cell, tuple[str, ...]]] = (),
) -> list[Batch]:
    """The batches of a study: ``runs`` seeds from ``first_seed``, 50 to a batch.

    Parameters
    ----------
    slow_runs
        Runs of rivals and of fits above 50 ms, as many as the others by default.
    curve
        More cells, which only the default estimators meet, ``slow_runs`` times each.
    """
    if runs < 1 or (slow_runs is not None and slow_runs < 1):
        raise DataError("The number of runs is below 1.", "", "Ask for 1 or more.")
    few = runs if slow_runs is None else min(runs, slow_runs)
    counts = [
        (entry, cell, few if entry.slow else runs)
        for cell, designs in cells for entry in entries
        if entry.design in designs and entry.meets(cell.scenario)
    ] + [
        (entry, cell, few)
        for cell, designs in curve for entry in entries
        if entry.design in designs and entry.kind == "default"
    ]  # fmt: skip
    batches = []
    for entry, cell, count in counts:
        for start in range(0, count, BATCH):
            seeds = range(first_seed + start, first_seed + min(start + BATCH, count))
            batches.append(Batch(entry, cell, tuple(seeds)))
    return batches


def benchmark(
    batches: Sequence[Batch], folder: str | Path, *, jobs: int = 1, backend: str | None = None
) -> pd.DataFrame:
    """Run what isn't there yet, and return every run.

    Parameters
    ----------
    batches
        From :func:`plan`.
    folder
        Where the batches' Parquet files lie. A killed run loses the batches being computed and
        nothing else: the same call goes on from the files that are there.
    jobs
        Processes; the numbers don't depend on it.
    backend
        ``None`` for processes on this machine, or the name of a joblib backend that is registered
        and connected (``dask``, ``ray``); the files are written here either way.

    Returns
    -------
    DataFrame
        One row a run, the columns of :data:`noholdout.benchmark.store.SCHEMA`.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for left in place.glob("*.unfinished-*"):
        left.unlink(missing_ok=True)
    missing = [batch for batch in batches if not (place / batch.file_name).is_file()]
    groups: dict[tuple[Cell, tuple[int, ...]], list[Entry]] = {}
    for batch in missing:
        groups.setdefault((batch.cell, batch.seeds), []).append(batch.entry)
    turns = [
        Turn(cell, seed, tuple(entries)) for (cell, seeds), entries in groups.items()
        for seed in seeds
    ]  # fmt: skip
    results = _results(turns, jobs, backend)
    for (cell, seeds), entries in groups.items():
        rows = [next(results) for _ in seeds]
        for number, entry in enumerate(entries):
            write_batch(place, Batch(entry, cell, seeds), [row[number] for row in rows])
    with contextlib.suppress(StopIteration):  # lets the progress bar close
        next(results)
    return read_batches(place, batches)


def _results(
    turns: Sequence[Turn], jobs: int, backend: str | None
) -> Iterator[list[dict[str, Any]]]:
    label = "benchmark"
    if (jobs == 1 and backend is None) or len(turns) < 2:
        from threadpoolctl import threadpool_limits

        # One BLAS thread, as in worker processes: threads change the order of sums.
        with threadpool_limits(1):
            yield from track(map(play, turns), label, total=len(turns))
        return
    from joblib import Parallel, delayed, parallel_config

    chosen: dict[str, Any] = (
        {"backend": "loky", "inner_max_num_threads": 1} if backend is None else {"backend": backend}
    )
    with parallel_config(**chosen):
        stream = Parallel(n_jobs=jobs, return_as="generator")(delayed(play)(t) for t in turns)
        yield from track(stream, label, total=len(turns))


def play(turn: Turn) -> list[dict[str, Any]]:
    """Every estimator of the turn on its data set, one row each."""
    data = turn.cell.data(turn.seed)
    return [_run(entry, turn.cell, turn.seed, data) for entry in turn.entries]


def _run(entry: Entry, cell: Cell, seed: int, data: Dataset) -> dict[str, Any]:
    problem = problem_of(entry.design, data, seed)
    row: dict[str, Any] = {
        "design": entry.design,
        "estimator": entry.name,
        "kind": entry.kind,
        "estimand": entry.estimand,
        "scenario": cell.scenario,
        "severity": cell.severity,
        "n_users": cell.n_users,
        "seed": seed,
        "refused": None,
        "failed": None,
    }
    answer, truth = Answer(math.nan), math.nan
    started = time.process_time()
    try:
        found = entry.run(problem)
        seconds = time.process_time() - started
        answer = answer_of(found, problem.conf_level, len(problem.frame))
        if entry.estimand == "top" and answer.top is None:
            raise DataError(
                "The answer lacks 'top'.",
                "Its truth is the mean effect on those whom it chose.",
                "Return how much of each row was chosen.",
            )
        truth = truth_of(entry.design, entry.estimand, data, answer.top)
    except (DesignError, ConvergenceError) as error:
        seconds = time.process_time() - started
        row["refused"] = _message(error)
    except Exception as error:  # a rival may raise anything: it is shown as failed
        seconds = time.process_time() - started
        row["failed"] = _message(error)
    return row | {
        "estimate": answer.estimate,
        "std_error": answer.std_error,
        "conf_low": answer.conf_low,
        "conf_high": answer.conf_high,
        "p_value": answer.p_value,
        "truth": truth,
        "verdict": answer.verdict,
        "checks": json.dumps(dict(answer.checks)),
        "seconds": seconds,
    }


def _message(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text[:MESSAGE_LENGTH]
