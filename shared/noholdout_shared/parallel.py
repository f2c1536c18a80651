"""Run independent pieces of work on several processes, with the same result as on one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from noholdout_shared.arguments import check_whole
from noholdout_shared.errors import DataError
from noholdout_shared.progress import track

T = TypeVar("T")


def spawn_seeds(seed: int, count: int) -> list[np.random.SeedSequence]:
    """Independent seeds, one a piece of work, so that the order of work can't matter."""
    return np.random.SeedSequence(seed).spawn(count)


def run_parallel(
    work: Callable[..., T], items: Sequence[Any] | Iterable[Any], *, jobs: int = 1, label: str = ""
) -> list[T]:
    """``[work(item) for item in items]``, on ``jobs`` processes with one BLAS thread each.

    The result doesn't depend on ``jobs``. With a ``label``, progress goes to stderr.
    """
    check_whole("jobs", jobs)
    if jobs == 0:
        raise DataError("jobs is 0.", "Somebody must do the work.", "Use 1 or more.")
    items = list(items)
    if jobs == 1 or len(items) < 2:
        return [work(item) for item in track(items, label)]
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=1):
        results = Parallel(n_jobs=jobs, return_as="generator")(
            delayed(work)(item) for item in items
        )
        return list(track(results, label, total=len(items)))
