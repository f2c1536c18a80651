"""How often the intervals hold the truth, and what the verdict says, over simulated opt-ins.

    python benchmarks/propensity/coverage_study.py --replications 2000 --seed 2024 \
        --out benchmarks/results/propensity_coverage.csv

A cell of the design: the score model is right or wrong, the outcome model is right or wrong,
overlap is good, weak or absent, rows are independent or come in clusters. `promised` says whether
the estimator's theory promises its coverage in that cell; then the 99.9% Monte Carlo interval of
the coverage must meet [0.935, 0.965].
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from noholdout_propensity.assemble import assemble
from noholdout_propensity.estimators.aipw import fit_aipw
from noholdout_propensity.estimators.common import Build
from noholdout_propensity.estimators.entropy_balancing import fit_entropy_balancing
from noholdout_propensity.estimators.ipw import fit_ipw
from noholdout_propensity.estimators.matching import MatchOptions, fit_matching
from noholdout_propensity.estimators.regression import fit_regression
from noholdout_propensity.inference import spread_of
from noholdout_propensity.options import Options
from noholdout_propensity.problem import prepare
from noholdout_shared.inference import interval
from noholdout_shared.parallel import run_parallel, spawn_seeds

EFFECT, SLOPE = 1.0, 0.5  # the effect is EFFECT + SLOPE * x1
RANGE = (0.935, 0.965)
POPULATION = 2_000_000


@dataclass(frozen=True)
class Cell:
    """One data-generating process."""

    name: str
    score_bends: bool = False
    outcome_bends: bool = False
    strength: float = 1.0
    clusters: int = 0
    n: int = 1000


CELLS = (
    Cell("both right"),
    Cell("score wrong", score_bends=True),
    Cell("outcome wrong", outcome_bends=True),
    Cell("both wrong", score_bends=True, outcome_bends=True),
    Cell("weak overlap", strength=2.2, n=2000),
    Cell("clustered", clusters=50),
    Cell("no overlap", strength=12.0),
)

FITS: dict[str, Build] = {
    "aipw": fit_aipw,
    "ipw": fit_ipw,
    "regression": fit_regression,
    "regression, weighted": partial(fit_regression, outcome_fit="weighted"),
    "entropy-balancing": fit_entropy_balancing,
    "matching": partial(fit_matching, link="logit", how=MatchOptions()),
}

# Estimator, estimand, and the cells in which its theory promises coverage.
ONE_WRONG = ("both right", "score wrong", "outcome wrong", "clustered")
SCORE_RIGHT = ("both right", "outcome wrong", "clustered")
ASKED = (
    ("aipw", "ate", (*ONE_WRONG, "weak overlap")),
    ("aipw", "att", ONE_WRONG),
    ("aipw", "ato", (*SCORE_RIGHT, "weak overlap")),
    ("ipw", "ate", SCORE_RIGHT),
    ("ipw", "att", SCORE_RIGHT),
    ("ipw", "ato", (*SCORE_RIGHT, "weak overlap")),
    ("regression", "ate", ("both right", "score wrong", "weak overlap", "clustered")),
    ("regression", "att", ("both right", "score wrong", "weak overlap", "clustered")),
    ("regression, weighted", "ate", ONE_WRONG),
    ("entropy-balancing", "att", ONE_WRONG),
    ("matching", "ate", SCORE_RIGHT),
    ("matching", "att", SCORE_RIGHT),
)
WITH_VERDICT = (("aipw", "ate"), ("matching", "att"))


def draw(cell: Cell, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """One data set; `e` and `tau` are the true score and effect, for the truth alone."""
    x1, x2 = rng.normal(size=(2, n))
    x3 = rng.integers(0, 2, n).astype(float)
    index = cell.strength * (0.6 * x1 - 0.4 * x2) + 0.4 * x3 - 0.3
    if cell.score_bends:
        index = index + 0.5 * (x1**2 - 1)
    outcome = x1 + 0.5 * x2 + 0.5 * x3
    if cell.outcome_bends:
        outcome = outcome + 0.6 * (x1**2 - 1)
    noise = rng.normal(size=n)
    cluster = np.arange(n)
    if cell.clusters:
        cluster = rng.integers(0, cell.clusters, n)
        index = index + rng.normal(scale=0.5, size=cell.clusters)[cluster]
        noise = noise + rng.normal(scale=0.4, size=cell.clusters)[cluster]
    score = 1 / (1 + np.exp(-index))
    treated = (rng.random(n) < score).astype(int)
    tau = EFFECT + SLOPE * x1
    return pd.DataFrame(
        {
            "y": outcome + tau * treated + noise, "d": treated, "x1": x1, "x2": x2, "x3": x3,
            "cluster": cluster, "e": score, "tau": tau,
        }
    )  # fmt: skip


def truths(cell: Cell, seed: int) -> dict[str, float]:
    """Population effects of each estimand, from two million draws.

    ATO is defined by the true score; under a wrong score model no estimator aims at it.
    """
    frame = draw(
        cell if not cell.clusters else Cell(cell.name, clusters=200_000),
        POPULATION,
        np.random.default_rng(seed),
    )
    e, tau = frame["e"].to_numpy(), frame["tau"].to_numpy()
    weights = {"ate": np.ones_like(e), "att": e, "ato": e * (1 - e)}
    return {name: float(np.average(tau, weights=w)) for name, w in weights.items()}


def replicate(
    item: tuple[np.random.SeedSequence, bool], cell: Cell
) -> list[tuple[float, float, float, float, str]]:
    """Estimate, error, interval and, where asked, the verdict of those in WITH_VERDICT.

    The item is a seed and whether verdicts are asked: they cost more than all the estimates.
    """
    seed, judged = item
    problem = prepare(
        Options(
            draw(cell, cell.n, np.random.default_rng(seed)),
            outcome="y",
            treatment="d",
            covariates=["x1", "x2", "x3"],
            cluster="cluster" if cell.clusters else None,
        )
    )
    rows = []
    for estimator, estimand, _ in ASKED:
        asked, build = problem.asked(estimand), FITS[estimator]
        if judged and (estimator, estimand) in WITH_VERDICT:
            answer = assemble(asked, build)
            span = (answer.std_error, answer.conf_low, answer.conf_high)
            rows.append((answer.estimate, *span, answer.verdict))
            continue
        fit = build(asked)
        spread = spread_of(asked, fit)
        found = interval(fit.estimate, spread.std_error, 0.95, spread.df)
        rows.append((fit.estimate, found.std_error, found.conf_low, found.conf_high, ""))
    return rows


def summarise(cell: Cell, results: list, truth: dict[str, float]) -> list[dict]:
    """One row an estimator."""
    out = []
    for j, (estimator, estimand, promised) in enumerate(ASKED):
        values = np.array([r[j][:4] for r in results], dtype=float)
        verdicts = pd.Series([r[j][4] for r in results if r[j][4]], dtype=object)
        answered = np.isfinite(values[:, 1])
        count = int(answered.sum())
        held = (values[:, 2] <= truth[estimand]) & (truth[estimand] <= values[:, 3])
        coverage = float(held[answered].mean()) if count else np.nan
        margin = 3.29 * np.sqrt(coverage * (1 - coverage) / count) if count else np.nan
        out.append(
            {
                "cell": cell.name,
                "estimator": estimator,
                "estimand": estimand,
                "n": cell.n,
                "replications": len(results),
                "answered": count,
                "truth": truth[estimand],
                "bias": float(values[answered, 0].mean() - truth[estimand]) if count else np.nan,
                "spread": float(values[answered, 0].std(ddof=1)) if count > 1 else np.nan,
                "mean_std_error": float(values[answered, 1].mean()) if count else np.nan,
                "coverage": coverage,
                "promised": cell.name in promised,
                "met": bool(coverage + margin >= RANGE[0] and coverage - margin <= RANGE[1])
                if cell.name in promised
                else None,
                "verdicts": len(verdicts),
                **{
                    word: float((verdicts == word).mean()) if len(verdicts) else np.nan
                    for word in ("sound", "caution", "do-not-use")
                },
            }
        )
    return out


def main() -> None:
    """Run the cells asked for and write one CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--verdicts", type=int, default=2000, help="first data sets with verdicts")
    parser.add_argument("--cells", nargs="*", default=[cell.name for cell in CELLS])
    parser.add_argument("--out", default="benchmarks/results/propensity_coverage.csv")
    args = parser.parse_args()
    rows: list[dict] = []
    if Path(args.out).exists():
        # Cells that aren't asked for keep their rows.
        before = pd.read_csv(args.out)
        rows = before[~before["cell"].isin(args.cells)].to_dict("records")
    for cell in CELLS:
        if cell.name not in args.cells:
            continue
        seeds = spawn_seeds(args.seed, args.replications)
        items = [(seed, number < args.verdicts) for number, seed in enumerate(seeds)]
        results = run_parallel(
            partial(replicate, cell=cell), items, jobs=args.jobs, label=cell.name
        )
        rows += summarise(cell, results, truths(cell, args.seed))
        table = pd.DataFrame(rows)
        table.round(5).to_csv(args.out, index=False)
        print(table[table["cell"] == cell.name].round(4).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
