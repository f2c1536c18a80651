"""Standard errors: from influence values, or by resampling rows or clusters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from noholdout_shared.errors import ConvergenceError
from noholdout_shared.parallel import run_parallel, spawn_seeds

from noholdout_propensity.problem import Problem

if TYPE_CHECKING:
    from noholdout_propensity.estimators.common import Fit

CHUNK = 10  # draws that share a seed: the result doesn't depend on the number of jobs
FAILED_SHARE = 0.01  # more failed draws than this and the rest is a selected sample

Replicate = Callable[[np.ndarray], float | None]


@dataclass(frozen=True)
class Uncertainty:
    """A standard error, its reference distribution and its name."""

    std_error: float
    df: float
    name: str
    failed_draws: int = 0


def analytic(problem: Problem, influence: np.ndarray, source: str) -> Uncertainty:
    """From influence values; sums within clusters take the rows' place."""
    std_error = problem.std_error(influence)
    if problem.n_clusters is None:
        return Uncertainty(std_error, math.inf, f"{source}, robust")
    df = problem.n_clusters - 1
    return Uncertainty(
        std_error, df, f"{source}, cluster-robust by {problem.options.cluster}, t({df})"
    )


def spread_of(problem: Problem, fit: Fit) -> Uncertainty:
    """A fit's analytic standard error."""
    if fit.influence is None:
        return Uncertainty(fit.std_error, fit.df, fit.source)
    return analytic(problem, fit.influence, fit.source)


def bootstrap(
    problem: Problem, replicate: Replicate, replicates: int, seed: int, jobs: int
) -> Uncertainty:
    """Standard deviation of the estimate over resamples, everything refitted in each.

    Rows (or whole clusters) are drawn with replacement; ``replicate`` takes each row's count and
    returns the estimate, or ``None`` when the resample has none.
    """
    full, rest = divmod(replicates, CHUNK)
    sizes = [CHUNK] * full + ([rest] if rest else [])
    items = list(zip(spawn_seeds(seed, len(sizes)), sizes, strict=True))
    work = partial(_draw, replicate=replicate, n=problem.n, codes=problem.cluster_codes)
    chunks = run_parallel(work, items, jobs=jobs, label="bootstrap")
    draws = np.concatenate(chunks)
    failed = int(np.isnan(draws).sum())
    if failed > FAILED_SHARE * replicates:
        raise ConvergenceError(
            f"In {failed:,} of {replicates:,} resamples the models have no solution.",
            "The resamples that are left aren't a fair picture of the estimate's spread.",
            "Use the analytic interval, fewer covariates, or more data.",
        )
    std_error = float(np.nanstd(draws, ddof=1))
    what = "rows" if problem.n_clusters is None else f"clusters of {problem.options.cluster}"
    df = math.inf if problem.n_clusters is None else problem.n_clusters - 1
    name = f"bootstrap of {what}, {replicates:,} replicates, everything refitted"
    return Uncertainty(std_error, df, name, failed)


def _draw(
    item: tuple[np.random.SeedSequence, int],
    *,
    replicate: Replicate,
    n: int,
    codes: np.ndarray | None,
) -> np.ndarray:
    sequence, size = item
    rng = np.random.default_rng(sequence)
    count = n if codes is None else int(codes.max()) + 1
    draws = np.full(size, np.nan)
    for b in range(size):
        counts = np.bincount(rng.integers(0, count, count), minlength=count).astype(float)
        value = replicate(counts if codes is None else counts[codes])
        if value is not None:
            draws[b] = value
    return draws
