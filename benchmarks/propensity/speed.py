"""What the work costs beside plain versions and whichever rivals are installed.

    python benchmarks/propensity/speed.py --rows 50000 --repeats 9 \
        --out benchmarks/results/propensity_speed.csv

Each case runs ours and the others in one process after a warm-up, in a new order each turn, on one
BLAS thread; medians, and their processor time over ours. Ours includes reading, all tables and all
checks; "ours, no checks" is reading and the estimate with its standard error alone. Memory is what
one call in a process of its own adds at its peak to what stood there before (after a warm-up on
2,000 rows: resident, and as traced allocations). Rivals that aren't installed are left out and
named; with an environment of their own, run it there with PYTHONPATH=shared:02_propensity_opt_in.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from noholdout_propensity import estimate  # noqa: E402
from noholdout_propensity.estimate import fitter  # noqa: E402
from noholdout_propensity.inference import spread_of  # noqa: E402
from noholdout_propensity.options import Options  # noqa: E402
from noholdout_propensity.problem import prepare  # noqa: E402

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


def rival_causalinference(frame: pd.DataFrame) -> float:
    """causalinference's matching on all covariates, ATE with its error."""
    from causalinference import CausalModel

    x, d, y = arrays(frame)
    model = CausalModel(y, d, x[:, 1:])
    model.est_via_matching(matches=1, bias_adj=False)
    return float(model.estimates["matching"]["ate_se"])


Runner = Callable[[pd.DataFrame], object]
OURS, BARE = "noholdout", "ours, no checks"


def ours(**options: object) -> Runner:
    """The front function with these options, checks and tables included."""
    return lambda frame: estimate(frame, **COLUMNS, **options)


def bare(estimator: str, estimand: str = "ate", **options: object) -> Runner:
    """Reading, estimate and standard error."""

    def run(frame: pd.DataFrame) -> float:
        problem = prepare(Options(frame, *COLUMNS.values(), estimand))
        return spread_of(problem, fitter(estimator, options)(problem)).std_error

    return run


WITHOUT = {"replace": False, "caliper": 0.2}
CASES: dict[str, dict[str, Runner]] = {
    "cross-fitted AIPW, 5 folds": {
        OURS: ours(),
        BARE: bare("aipw"),
        "plain numpy": plain_aipw,
        "doubleml": rival_doubleml,
        "econml": rival_econml,
    },
    "normalised IPW with its error": {
        OURS: ours(estimator="ipw"),
        BARE: bare("ipw"),
        "plain numpy": plain_ipw,
    },
    "matching on the score, with replacement": {
        OURS: ours(estimator="matching"),
        BARE: bare("matching"),
    },
    "matching on the score, without replacement": {
        OURS: ours(estimator="matching", estimand="att", **WITHOUT),
        BARE: bare("matching", "att", **WITHOUT),
    },
    "matching on 4 covariates (Mahalanobis)": {
        OURS: ours(estimator="matching", distance="mahalanobis"),
        BARE: bare("matching", distance="mahalanobis"),
        "causalinference": rival_causalinference,
    },
    "500 bootstrap refits of IPW": {
        OURS: ours(estimator="ipw", inference="bootstrap", replicates=500)
    },
}
ONCE = ("500 bootstrap refits of IPW", "matching on 4 covariates (Mahalanobis)")
# The rival's time grows with the square of the rows: at 50,000 it takes a minute and 8 GB.
FEWER_ROWS = {"matching on 4 covariates (Mahalanobis)": 20_000}
MEMORY = {
    "a million rows matched on the score with a caliper": {
        "estimator": "matching",
        "estimand": "att",
        "caliper": 0.2,
    },
    "a million rows by cross-fitted AIPW": {},
    "50,000 rows matched on 4 covariates (Mahalanobis)": {
        "estimator": "matching",
        "distance": "mahalanobis",
    },
}
MEMORY_ROWS = {"50,000 rows matched on 4 covariates (Mahalanobis)": 50_000}


def installed(name: str) -> bool:
    """Whether a runner can run here."""
    return name in (OURS, BARE, "plain numpy") or importlib.util.find_spec(name) is not None


def resident() -> float:
    """Megabytes of this process in memory."""
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak(case: str) -> tuple[float, float, float]:
    """Megabytes of the input, and what one call adds at its peak: resident, and traced."""
    estimate(draw(2_000, 0), **COLUMNS, **MEMORY[case])
    frame = draw(MEMORY_ROWS.get(case, 1_000_000), 0)
    before = resident()
    highest, stop = [before], threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            highest[0] = max(highest[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    estimate(frame, **COLUMNS, **MEMORY[case])
    stop.set()
    watcher.join()
    added = highest[0] - before
    tracemalloc.start()
    estimate(frame, **COLUMNS, **MEMORY[case])
    traced = tracemalloc.get_traced_memory()[1] / 2**20
    return float(frame.memory_usage(index=False).sum()) / 2**20, added, traced


def timed(case: str, frame: pd.DataFrame, repeats: int) -> list[dict[str, object]]:
    """One row a package."""
    present = {name: run for name, run in CASES[case].items() if installed(name)}
    wall: dict[str, list[float]] = {name: [] for name in present}
    cpu: dict[str, list[float]] = {name: [] for name in present}
    once = case in ONCE
    # Whoever comes after another finds the processor's cache as that one left it.
    order = np.random.default_rng(0)
    for turn in range(1 if once else repeats + 1):
        for name in order.permutation(list(present)):
            run = present[name]
            started, used = time.perf_counter(), time.process_time()
            run(frame)
            if turn or once:
                wall[name].append(time.perf_counter() - started)
                cpu[name].append(time.process_time() - used)
    base = float(np.median(cpu[OURS]))
    return [
        {
            "case": case,
            "package": name,
            "rows": len(frame),
            "repeats": 1 if once else repeats,
            "median_seconds": float(np.median(wall[name])),
            "median_cpu_seconds": float(np.median(cpu[name])),
            "cpu_over_ours": float(np.median(cpu[name])) / base,
            "not_installed": " ".join(sorted(set(CASES[case]) - set(present))),
        }
        for name in present
    ]


def measured_peak(case: str) -> dict[str, object]:
    """A row of memory, from a process of its own."""
    line = [sys.executable, __file__, "--peak", case]
    input_mb, peak_mb, traced_mb = map(float, subprocess.check_output(line, text=True).split())
    return {
        "case": case,
        "package": OURS,
        "rows": MEMORY_ROWS.get(case, 1_000_000),
        "repeats": 1,
        "input_mb": input_mb,
        "peak_mb": peak_mb,
        "traced_peak_mb": traced_mb,
        "traced_over_input": traced_mb / input_mb,
    }


def main() -> None:
    """Time every case and write one CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="benchmarks/results/propensity_speed.csv")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        print(*peak(args.peak))
        return
    frame = draw(args.rows, args.seed)
    rows: list[dict[str, object]] = []
    for case in CASES:
        rows += timed(case, frame[: FEWER_ROWS.get(case, args.rows)], args.repeats)
    rows += [measured_peak(case) for case in MEMORY]
    table = pd.DataFrame(rows)
    table.round(4).to_csv(args.out, index=False)
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
