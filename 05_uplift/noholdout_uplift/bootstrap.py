"""Standard errors by resampling rows (or clusters) within folds, the rankings held fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from noholdout_shared.arguments import check_seed, resolve_replicates
from noholdout_shared.parallel import run_parallel, spawn_seeds

from noholdout_uplift.inference import METRICS
from noholdout_uplift.kernels.aipw import AipwScores
from noholdout_uplift.kernels.ranking import Ranking, metric_values, rank, top_mean
from noholdout_uplift.scored import Drawn, Scored

if TYPE_CHECKING:
    from noholdout_uplift.result import UpliftEstimate

BLOCK = 25
# Columns of a ratio metric's scores: its outcome's, its denominator's over the treated's mean.
RATIO_COLUMNS = ["aipw_untreated", "denominator_untreated", "denominator_treated"]


def bootstrap_errors(
    estimate: UpliftEstimate, *, replicates: int = 500, seed: int = 0, jobs: int = 1
) -> pd.Series:
    """Bootstrap standard errors of an estimate that is there already, without fitting again.

    The same as ``inference="bootstrap"`` would give: of the headline (``top``) and of each
    metric, by name.
    """
    check_seed(seed)
    resolve_replicates(replicates, "bootstrap", ["bootstrap"], replicates)
    used = estimate.scores[estimate.scores["evaluated"]]
    column = {str(name): used[name].to_numpy() for name in used}
    copies = column.get("copies")
    weight = column.get("weight", np.ones(len(used)))
    ratio = [column[name] for name in RATIO_COLUMNS if name in column]
    rows = Scored(
        score=column["score"],
        gamma=column["aipw"],
        gamma_control=ratio[0] if ratio else np.zeros(len(used)),
        fold=column["fold"],
        weight=weight if copies is None else copies.astype(float),
        drawn=Drawn(column.get("cluster"), copies),
        cost=None,
        conf_level=estimate.conf_level,
        df=estimate.df,
        below=AipwScores(*ratio[1:]) if ratio else None,
    )
    errors = bootstrap_std_errors(
        rows,
        float(estimate.settings["fraction"]),
        replicates=replicates,
        seed=seed,
        jobs=jobs,
    )
    return pd.Series(errors, index=["top", *METRICS], name="std_error")


def bootstrap_std_errors(
    rows: Scored,
    fraction: float,
    *,
    replicates: int,
    seed: int,
    jobs: int,
) -> np.ndarray:
    """Standard errors of the effect in the top ``fraction`` and of the five metrics, shape (6,).

    Each draw resamples the rows of every fold (its clusters) with replacement and ranks them
    anew by the scores that they have; a ratio metric's parts follow the draw's own ratio. The
    learners aren't fitted again: the target is the worth of the rankings that were made.
    """
    parts = []
    level = rows.share @ rows.gamma_control / rows.share.size
    for k in np.unique(rows.fold):
        inside = rows.fold == k
        ranking = rank(rows.score[inside], rows.weight[inside])
        entries = np.flatnonzero(inside)[ranking.order]
        ratio = None
        if rows.below is not None:
            ratio = _RatioRows(rows.gamma_control[entries] - level, rows.below.part(entries))
        parts.append(_Part(ranking, rows.gamma[entries], rows.drawn.part(entries), ratio))
    sizes = [min(BLOCK, replicates - i) for i in range(0, replicates, BLOCK)]
    seeds = spawn_seeds(seed, len(sizes))
    work = _Draws(parts, fraction)
    blocks = run_parallel(work, list(zip(seeds, sizes, strict=True)), jobs=jobs, label="bootstrap")
    return np.std(np.vstack(blocks), axis=0, ddof=1)


@dataclass(frozen=True)
class _RatioRows:
    """Scores of ``(y - R z) / M`` without treatment, and of ``z / M``."""

    away: np.ndarray
    below: AipwScores


@dataclass(frozen=True)
class _Part:
    """A fold's ranking, and its scores and how they were drawn in that order."""

    ranking: Ranking
    gamma: np.ndarray
    drawn: Drawn
    ratio: _RatioRows | None


def _effects(parts: list[_Part], weights: list[np.ndarray]) -> list[np.ndarray]:
    """Each part's effects; of a ratio metric with the draw's own ``R`` and ``M``."""
    ratios = [part.ratio for part in parts if part.ratio is not None]
    if not ratios:
        return [part.gamma for part in parts]
    pairs = list(zip(weights, ratios, strict=True))
    away, least, base = (
        sum(weight @ values(one) for weight, one in pairs)
        for values in (lambda r: r.away, lambda r: r.below.control, lambda r: r.below.treated)
    )
    base /= sum(weight.sum() for weight in weights)
    return [
        (part.gamma - away / least * one.below.effect) / base
        for part, one in zip(parts, ratios, strict=True)
    ]


class _Draws:
    """A block of draws; a class, so that worker processes can receive it."""

    def __init__(
        self,
        parts: list[_Part],
        fraction: float,
    ) -> None:
        self.parts, self.fraction = parts, fraction

    def __call__(self, item: tuple[np.random.SeedSequence, int]) -> np.ndarray:
        rng = np.random.default_rng(item[0])
        draws = np.zeros((item[1], 1 + len(METRICS)))
        for row in draws:
            mass = selected = 0.0
            weights = [
                part.ranking.weight * _counts(rng, part.gamma.size, part.drawn)
                for part in self.parts
            ]
            effects = _effects(self.parts, weights)
            for part, weight, gamma in zip(self.parts, weights, effects, strict=True):
                ranking = part.ranking
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
    """How often each entry is drawn, on average over the rows behind it; shape ``(n,)``.

    Of G clusters G - 1 are drawn and scaled up (Rao and Wu 1988, JASA 83(401)): G draws would have
    ``(G - 1) / G`` of the variance, which few clusters feel.
    """
    codes, copies = drawn.clusters, drawn.copies
    if codes is None and copies is not None:
        total = copies.sum()
        return rng.multinomial(total, copies / total) / copies
    if codes is None:
        return np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
    units = int(codes.max()) + 1
    counts = np.bincount(rng.integers(0, units, units - 1), minlength=units)
    return (counts * (units / (units - 1)))[codes]
