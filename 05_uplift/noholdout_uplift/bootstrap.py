"""Standard errors by resampling rows (or clusters) within folds, the rankings held fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from noholdout_shared.parallel import run_parallel, spawn_seeds

from noholdout_uplift.inference import METRICS
from noholdout_uplift.kernels.ranking import Ranking, metric_values, rank, top_mean
from noholdout_uplift.scored import Drawn

if TYPE_CHECKING:
    from noholdout_uplift.result import UpliftEstimate

BLOCK = 25


def bootstrap_errors(
    estimate: UpliftEstimate, *, replicates: int = 500, seed: int = 0, jobs: int = 1
) -> pd.Series:
    """Bootstrap standard errors of an estimate that is there already, without fitting again.

    The same as ``inference="bootstrap"`` would give: of the headline (``top``) and of each
    metric, by name.
    """
    rows = estimate.scores[estimate.scores["evaluated"]]
    cluster, copies = (rows[c].to_numpy() if c in rows else None for c in ("cluster", "copies"))
    weight = rows["weight"].to_numpy() if "weight" in rows else np.ones(len(rows))
    if copies is not None:
        weight = copies.astype(float)
    errors = bootstrap_std_errors(
        rows["score"].to_numpy(),
        rows["aipw"].to_numpy(),
        rows["fold"].to_numpy(),
        weight,
        Drawn(cluster, copies),
        float(estimate.settings["fraction"]),
        replicates=replicates,
        seed=seed,
        jobs=jobs,
    )
    return pd.Series(errors, index=["top", *METRICS], name="std_error")


def bootstrap_std_errors(
    score: np.ndarray,
    gamma: np.ndarray,
    fold: np.ndarray,
    weight: np.ndarray,
    drawn: Drawn,
    fraction: float,
    *,
    replicates: int,
    seed: int,
    jobs: int,
) -> np.ndarray:
    """Standard errors of the effect in the top ``fraction`` and of the five metrics, shape (6,).

    Each draw resamples the rows of every fold (its clusters) with replacement and ranks them
    anew by the scores that they have. The learners aren't fitted again: the target is the worth
    of the rankings that were made.
    """
    parts = []
    for k in np.unique(fold):
        inside = fold == k
        ranking = rank(score[inside], weight[inside])
        one = drawn.part(inside).part(ranking.order)
        parts.append((ranking, gamma[inside][ranking.order], one))
    sizes = [min(BLOCK, replicates - i) for i in range(0, replicates, BLOCK)]
    seeds = spawn_seeds(seed, len(sizes))
    work = _Draws(parts, fraction)
    blocks = run_parallel(work, list(zip(seeds, sizes, strict=True)), jobs=jobs, label="bootstrap")
    return np.std(np.vstack(blocks), axis=0, ddof=1)


class _Draws:
    """A block of draws; a class, so that worker processes can receive it."""

    def __init__(
        self,
        parts: list[tuple[Ranking, np.ndarray, Drawn]],
        fraction: float,
    ) -> None:
        self.parts, self.fraction = parts, fraction

    def __call__(self, item: tuple[np.random.SeedSequence, int]) -> np.ndarray:
        rng = np.random.default_rng(item[0])
        draws = np.zeros((item[1], 1 + len(METRICS)))
        for row in draws:
            mass = selected = 0.0
            for ranking, gamma, drawn in self.parts:
                weight = ranking.weight * _counts(rng, gamma.size, drawn)
                width = np.bincount(
                    ranking.group, weights=weight, minlength=ranking.group_weight.size
                )
                again = Ranking(ranking.order, ranking.group, weight, width)
                share = weight.sum()
                row[1:5] += share * np.array(metric_values(again, gamma))
                row[5] += share * top_mean(again, gamma, 0.3)
                selected += share * top_mean(again, gamma, self.fraction)
                mass += share
            row[0] = selected
            row /= mass
        return draws


def _counts(rng: np.random.Generator, n: int, drawn: Drawn) -> np.ndarray:
    """How often each entry is drawn, on average over the rows behind it; shape ``(n,)``."""
    codes, copies = drawn.clusters, drawn.copies
    if codes is None and copies is not None:
        total = copies.sum()
        return rng.multinomial(total, copies / total) / copies
    units = n if codes is None else int(codes.max()) + 1
    counts = np.bincount(rng.integers(0, units, units), minlength=units).astype(float)
    return counts if codes is None else counts[codes]
