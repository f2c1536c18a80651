"""How often the intervals of uplift hold the truth, and how often the decision is right.

Structural equations, for features X1..X4 standard normal and a coin W unless said otherwise:
``Y = X1 + 0.5 X2 + W tau(X) + e``, ``e`` standard normal, 2,000 rows. The cells:

- ``strong``         tau = 0.5 + 0.5 X3
- ``weak``           tau = 0.5 + 0.1 X3
- ``none``           tau = 0.3
- ``sleeping-dogs``  tau = 0.4, but -0.5 where X4 > 0.674 (a quarter of the users)
- ``confounded``     strong, with P(W = 1) = expit(0.8 X1 - 0.5 X3), estimated by a logit

The truth of a metric or policy is that of the very rankings which each fold was given, on 10,000
fresh users with their true effects; of the headline, the chosen users' own mean effect. A cell
misses the range [0.93, 0.97] when its 99.9% Monte Carlo interval excludes it. The learner is the
default, X, on least squares (where it equals the T-learner) and on boosting (the default). Bands
are asked to hold the whole curve, from 5% of the users on.

    python benchmarks/uplift/coverage_study.py --models linear --replications 1000 --seed 1
    python benchmarks/uplift/coverage_study.py --models boosting --cells none,sleeping-dogs \
        --replications 200 --seed 1 --out benchmarks/results/uplift_coverage_boosting.csv
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy._core._internal
import pandas as pd
import sklearn
from noholdout_shared.parallel import run_parallel
from noholdout_uplift import estimate
from noholdout_uplift.decision import NO_EVIDENCE
from noholdout_uplift.estimators.choices import make_learner
from noholdout_uplift.inference import metrics_by_fold, std_errors
from noholdout_uplift.kernels.curves import gain_curve, toc_curve
from noholdout_uplift.kernels.ranking import metric_values, rank, tops_of
from noholdout_uplift.scored import Drawn
from numpy._core import _internal as numpy_internal
from scipy.special import expit
from scipy.stats import beta
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble._hist_gradient_boosting import binning

CELLS = ("none", "sleeping-dogs", "strong", "confounded", "weak")
FEATURES = ["x1", "x2", "x3", "x4"]
METRICS = ("ate", "autoc", "qini", "auuc", "uplift_at_30")
N_ROWS, N_FRESH = 2000, 10_000
LOW, HIGH = 0.93, 0.97
COVERAGE = ("top_20", *METRICS, "gain_band", "toc_band", "policy_top_20", "top_80_over_all")


def effects(cell: str, x: np.ndarray) -> np.ndarray:
    """Each user's true effect."""
    if cell == "weak":
        return 0.5 + 0.1 * x[:, 2]
    if cell == "none":
        return np.full(len(x), 0.3)
    if cell == "sleeping-dogs":
        return np.where(x[:, 3] > 0.674, -0.5, 0.4)
    return 0.5 + 0.5 * x[:, 2]


def draw(cell: str, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """A data set of the cell and its users' true effects."""
    x = rng.normal(size=(N_ROWS, 4))
    tau = effects(cell, x)
    chance = expit(0.8 * x[:, 0] - 0.5 * x[:, 2]) if cell == "confounded" else np.full(N_ROWS, 0.5)
    w = (rng.random(N_ROWS) < chance).astype(int)
    y = x[:, 0] + 0.5 * x[:, 1] + w * tau + rng.normal(size=N_ROWS)
    return pd.DataFrame(x, columns=FEATURES).assign(w=w, y=y), tau


class LeastSquares(RegressorMixin, BaseEstimator):
    """Ordinary least squares without the checks that cost more than the fit on 2,000 rows."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Self:
        """Solve the normal equations."""
        self.centre_ = x.mean(axis=0)
        centred = x - self.centre_
        self.coef_ = np.linalg.solve(centred.T @ centred, centred.T @ y)
        self.level_ = y.mean()
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The fitted plane."""
        return self.level_ + (x - self.centre_) @ self.coef_


def quicken() -> None:
    """Take out of scikit-learn's many small fits what costs time and changes no number."""
    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
    binning.Parallel = InTurn
    # Each tree asks numpy to parse the same type's description anew, a fifth of a fit's time.
    if not hasattr(numpy_internal._dtype_from_pep3118, "cache_info"):
        numpy_internal._dtype_from_pep3118 = cache(numpy_internal._dtype_from_pep3118)


class InTurn:
    """joblib's Parallel on one thread, without its overhead of a third of a small fit."""

    def __init__(self, **_: Any) -> None:
        pass

    def __call__(self, tasks: Any) -> list[Any]:
        return [function.function(*args, **named) for function, args, named in tasks]


class Replication:
    """One data set of a cell; a class, so that worker processes can receive it."""

    def __init__(self, cell: str, learner: str, model: str) -> None:
        self.cell, self.learner = cell, learner
        self.model = LeastSquares() if model == "linear" else model

    def __call__(self, seed: np.random.SeedSequence) -> dict[str, Any]:
        quicken()
        rng = np.random.default_rng(seed)
        frame, tau = draw(self.cell, rng)
        confounded = self.cell == "confounded"
        found = estimate(
            frame,
            outcome="y",
            treatment="w",
            features=FEATURES,
            learner=self.learner,  # type: ignore[arg-type]
            model=self.model,
            propensity="estimate" if confounded else None,
            seed=int(rng.integers(2**31)),
        )
        truth = self._truth(found, rng)
        row: dict[str, Any] = {
            "top_20": found.conf_low
            <= np.average(tau, weights=found.scores["top"])
            <= found.conf_high
        }
        for metric in found.tables["metrics"].itertuples():
            row[metric.name] = metric.conf_low <= truth[metric.name] <= metric.conf_high
        for name, table in (("gain", "qini"), ("toc", "toc")):
            band = found.tables[table].dropna()
            real = truth[name][band.index]
            row[f"{name}_band"] = bool(
                ((band["band_low"] <= real) & (real <= band["band_high"])).all()
            )
        policy = found.tables["policy"].set_index("rule").loc["top-20%"]
        row["policy_top_20"] = policy["conf_low"] <= truth["policy"] <= policy["conf_high"]
        contrast = found.tables["contrasts"].set_index(["rule", "against"])
        over_all = contrast.loc[("top-80%", "treat-all")]
        row["top_80_over_all"] = over_all["conf_low"] <= truth["over_all"] <= over_all["conf_high"]
        row["no_evidence"] = found.decision == NO_EVIDENCE
        row["targets"] = found.decision.startswith("ship to the top")
        row["to_all"] = found.decision == "ship to all"
        row["beats_all"] = bool(contrast.xs("treat-all", level="against")["lower_bound"].max() > 0)
        qini = found.tables["metrics"].set_index("name").loc["qini"]
        row["rejects_sequential"] = abs(qini["estimate"]) > 1.96 * qini["std_error"]
        row["sound"] = found.verdict == "sound"
        if self.cell == "none" and isinstance(self.model, LeastSquares):
            row["rejects_pooled"], row["rejects_in_sample"] = self._dishonest(frame, found)
        return row

    def _learner(self) -> Any:
        return make_learner(self.learner, self.model, 0)

    def _truth(self, found: Any, rng: np.random.Generator) -> dict[str, Any]:
        """What the rankings that each fold was given are worth to 10,000 fresh users."""
        fresh = rng.normal(size=(N_FRESH, 4))
        tau = effects(self.cell, fresh)
        fold = found.scores["fold"].to_numpy() - 1
        truth: dict[str, Any] = dict.fromkeys((*METRICS, "policy", "over_all", "gain", "toc"), 0.0)
        for k in range(1, fold.max() + 1):
            part = (fold == k).sum() / (fold > 0).sum()
            ranking = rank(found.learners[k].predict(fresh))
            own = metric_values(ranking, tau[ranking.order])
            for name, value in zip(METRICS, own, strict=False):
                truth[name] += part * value
            at_20, at_30, at_80 = tops_of(ranking, np.array([0.2, 0.3, 0.8])).T
            truth["uplift_at_30"] += part * np.average(tau, weights=at_30)
            truth["policy"] += part * float(np.mean(at_20 * tau))  # E Y(0) = 0
            truth["over_all"] -= part * float(np.mean((1 - at_80) * tau))
            for name, curve in (("gain", gain_curve), ("toc", toc_curve)):
                shares = found.tables["qini" if name == "gain" else name]["fraction"].to_numpy()
                truth[name] = truth[name] + part * curve(ranking, tau, shares).value
        return truth

    def _dishonest(self, frame: pd.DataFrame, found: Any) -> tuple[bool, bool]:
        """Would the Qini test reject on pooled cross-fitted scores, and on in-sample scores?"""
        x, y, w = frame[FEATURES].to_numpy(), frame["y"].to_numpy(), frame["w"].to_numpy()
        fold = found.scores["fold"].to_numpy()
        gamma = found.scores["aipw"].to_numpy()
        pooled = np.empty(N_ROWS)
        for k in np.unique(fold):
            pooled[fold == k] = (
                self._learner().fit(x[fold != k], y[fold != k], w[fold != k]).predict(x[fold == k])
            )
        inside = self._learner().fit(x, y, w).predict(x)
        ones = np.ones(N_ROWS)
        answers = []
        for score, groups in ((pooled, fold), (inside, np.ones(N_ROWS, dtype=int))):
            metrics = metrics_by_fold(score, gamma, groups, ones)
            answers.append(bool(abs(metrics.values[2]) > 1.96 * std_errors(metrics, Drawn())[2]))
        return answers[0], answers[1]


def monte_carlo(share: float, count: int) -> tuple[float, float]:
    """The exact 99.9% interval of a share of ``count`` draws (Clopper and Pearson 1934)."""
    hits = round(share * count)
    low = beta.ppf(0.0005, hits, count - hits + 1) if hits else 0.0
    high = beta.ppf(0.9995, hits + 1, count - hits) if hits < count else 1.0
    return float(low), float(high)


def study(cell: str, learner: str, model: str, count: int, seed: int, jobs: int) -> pd.DataFrame:
    """One row a quantity of the cell."""
    place = CELLS.index(cell)
    seeds = np.random.SeedSequence([seed, place]).spawn(count)
    work = Replication(cell, learner, model)
    rows = pd.DataFrame(run_parallel(work, seeds, jobs=jobs, label=f"{cell}, {model}"))
    table = []
    for name, share in rows.astype(float).mean().items():
        low, high = monte_carlo(share, count)
        kind = "coverage" if name in COVERAGE else "share"
        table.append(
            {
                "cell": cell,
                "learner": learner,
                "model": model,
                "quantity": name,
                "kind": kind,
                "value": round(share, 4),
                "mc_low": round(low, 4),
                "mc_high": round(high, 4),
                "missed": kind == "coverage" and (high < LOW or low > HIGH),
                "replications": count,
            }
        )
    return pd.DataFrame(table)


def main() -> None:
    """Run the cells and write one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--learner", default="x")
    parser.add_argument("--models", default="linear,boosting")
    parser.add_argument("--out", default="benchmarks/results/uplift_coverage.csv")
    args = parser.parse_args()
    parts = []
    for model in args.models.split(","):
        for cell in args.cells.split(","):
            part = study(cell, args.learner, model, args.replications, args.seed, args.jobs)
            print(part.to_string(index=False), flush=True)
            parts.append(part)
            pd.concat(parts).to_csv(Path(args.out), index=False)


if __name__ == "__main__":
    main()
