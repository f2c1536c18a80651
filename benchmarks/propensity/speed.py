"""What the work costs beside plain versions and whichever rivals are installed.

    python benchmarks/propensity/speed.py --rows 50000 --repeats 5 \
        --out benchmarks/results/propensity_speed.csv

Each case runs ours and the others alternately in one process after a warm-up, on one BLAS thread;
medians. Rivals that aren't installed are left out and named.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import time
from collections.abc import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from noholdout_propensity import estimate  # noqa: E402

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["x1", "x2", "x3", "x4"]}


def draw(n: int, seed: int) -> pd.DataFrame:
    """Four confounders, opt-in by a logit, a linear outcome."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    d = (rng.random(n) < 1 / (1 + np.exp(-(0.5 * x[:, 0] - 0.4 * x[:, 1])))).astype(int)
    y = x.sum(axis=1) + d + rng.normal(size=n)
    return pd.DataFrame(x, columns=["x1", "x2", "x3", "x4"]).assign(d=d, y=y)


def newton(x: np.ndarray, d: np.ndarray) -> np.ndarray:
    """A plain unpenalised logit."""
    b = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ b))
        step = np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]), x.T @ (d - p))
        b += step
        if np.abs(step).max() < 1e-9:
            break
    return b


def arrays(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Design with a constant, treatment, outcome."""
    x = np.column_stack([np.ones(len(frame)), frame[["x1", "x2", "x3", "x4"]].to_numpy()])
    return x, frame["d"].to_numpy(float), frame["y"].to_numpy()


def plain_ipw(frame: pd.DataFrame) -> float:
    """Newton, Hajek means and influence values, nothing else."""
    x, d, y = arrays(frame)
    p = 1 / (1 + np.exp(-x @ newton(x, d)))
    w = d / p + (1 - d) / (1 - p)
    m1, m0 = np.average(y, weights=w * d), np.average(y, weights=w * (1 - d))
    n = len(y)
    psi = w * d * (y - m1) - w * (1 - d) * (y - m0)
    slope = x.T @ (-d * (1 - p) / p * (y - m1) - (1 - d) * p / (1 - p) * (y - m0)) / n
    bread = np.linalg.inv(x.T @ (x * (p * (1 - p))[:, None]) / n)
    psi = psi + ((d - p)[:, None] * x) @ (bread @ slope)
    return float(np.sqrt(psi @ psi) / n)


def plain_aipw(frame: pd.DataFrame) -> float:
    """Five folds, Newton and least squares in each."""
    x, d, y = arrays(frame)
    fold = np.random.default_rng(0).integers(0, 5, len(y))
    psi = np.empty(len(y))
    for f in range(5):
        out, rest = fold == f, fold != f
        p = 1 / (1 + np.exp(-x[out] @ newton(x[rest], d[rest])))
        m = [
            x[out] @ np.linalg.lstsq(x[rest & (d == a)], y[rest & (d == a)], rcond=None)[0]
            for a in (0, 1)
        ]
        psi[out] = (
            m[1] - m[0] + d[out] / p * (y[out] - m[1]) - (1 - d[out]) / (1 - p) * (y[out] - m[0])
        )
    return float(psi.std() / np.sqrt(len(y)))


def rival_doubleml(frame: pd.DataFrame) -> float:
    """DoubleML's interactive regression model."""
    import doubleml
    from sklearn.linear_model import LinearRegression, LogisticRegression

    data = doubleml.DoubleMLData(frame, "y", "d", COLUMNS["covariates"])
    model = doubleml.DoubleMLIRM(
        data, LinearRegression(), LogisticRegression(C=np.inf), n_folds=5, trimming_threshold=1e-12
    )
    return float(model.fit().se[0])


def rival_econml(frame: pd.DataFrame) -> float:
    """EconML's linear doubly robust learner."""
    from econml.dr import LinearDRLearner
    from sklearn.linear_model import LinearRegression, LogisticRegression

    x, d, y = arrays(frame)
    model = LinearDRLearner(
        model_regression=LinearRegression(), model_propensity=LogisticRegression(C=np.inf), cv=5
    )
    model.fit(y, d, X=None, W=x[:, 1:])
    return float(model.intercept__inference(T=1).stderr)


Runner = Callable[[pd.DataFrame], object]


def ours(**options: object) -> Runner:
    """The front function with these options, checks and tables included."""
    return lambda frame: estimate(frame, **COLUMNS, **options)


CASES: dict[str, dict[str, Runner]] = {
    "cross-fitted AIPW, 5 folds": {
        "noholdout": ours(),
        "plain numpy": plain_aipw,
        "doubleml": rival_doubleml,
        "econml": rival_econml,
    },
    "normalised IPW with its error": {"noholdout": ours(estimator="ipw"), "plain numpy": plain_ipw},
    "matching on the score, with replacement": {"noholdout": ours(estimator="matching")},
    "matching on the score, without replacement": {
        "noholdout": ours(estimator="matching", estimand="att", replace=False, caliper=0.2)
    },
    "matching on 4 covariates (Mahalanobis)": {
        "noholdout": ours(estimator="matching", distance="mahalanobis")
    },
    "500 bootstrap refits of IPW": {
        "noholdout": ours(estimator="ipw", inference="bootstrap", replicates=500)
    },
}


def main() -> None:
    """Time every case and write one CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="benchmarks/results/propensity_speed.csv")
    args = parser.parse_args()
    frame = draw(args.rows, args.seed)
    rows = []
    for case, runners in CASES.items():
        present = {
            name: run
            for name, run in runners.items()
            if name in ("noholdout", "plain numpy") or importlib.util.find_spec(name)
        }
        repeats = 1 if "bootstrap" in case else args.repeats
        wall: dict[str, list[float]] = {name: [] for name in present}
        cpu: dict[str, list[float]] = {name: [] for name in present}
        for turn in range(repeats + 1):
            for name, run in present.items():
                started, used = time.perf_counter(), time.process_time()
                run(frame)
                if turn or repeats == 1:
                    wall[name].append(time.perf_counter() - started)
                    cpu[name].append(time.process_time() - used)
        for name in present:
            rows.append(
                {
                    "case": case,
                    "package": name,
                    "rows": args.rows,
                    "repeats": repeats,
                    "median_seconds": float(np.median(wall[name])),
                    "median_cpu_seconds": float(np.median(cpu[name])),
                    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                    "not_installed": " ".join(sorted(set(runners) - set(present))),
                }
            )
        print(pd.DataFrame(rows[-len(present) :]).round(4).to_string(index=False), flush=True)
    pd.DataFrame(rows).round(4).to_csv(args.out, index=False)


if __name__ == "__main__":
    main()
