"""Uplift against its rivals on the same work, measured alternately in one process.

Rivals that aren't installed are left out and named. Medians of five runs after a warm-up; the
machine drifts, so the ratio is the number to quote.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/uplift/speed.py
"""

from __future__ import annotations

import argparse
import importlib
import io
import statistics
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Work = Callable[[], Any]


def alternately(works: dict[str, Work], runs: int) -> dict[str, float]:
    """Median seconds of each piece of work, one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_number in range(runs + 1):
        for name, work in works.items():
            started = time.perf_counter()
            with redirect_stdout(io.StringIO()):
                work()
            if round_number:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def optional(module: str) -> Any:
    """The module, or ``None``."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def draw(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, treatment and a 0/1 outcome."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, 5)), rng.integers(0, 2, n)
    chance = 1 / (1 + np.exp(-(x[:, 0] + w * (0.2 + 0.3 * x[:, 1]))))
    return x, w, (rng.random(n) < chance).astype(float)


def learners(n: int) -> dict[str, dict[str, Work]]:
    """T- and X-learner, fitted and predicted, on the same gradient boosting."""
    from noholdout_uplift import TLearner, XLearner
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, w, y = draw(n)

    def model() -> Any:
        return HistGradientBoostingRegressor(max_iter=50, early_stopping=False)

    econml, causalml = optional("econml.metalearners"), optional("causalml.inference.meta")
    cases: dict[str, dict[str, Work]] = {}
    for name, ours in (("T", TLearner), ("X", XLearner)):
        works: dict[str, Work] = {
            "noholdout": lambda ours=ours: ours(model=model()).fit(x, y, w).predict(x)
        }
        if econml is not None:
            kind = getattr(econml, f"{name}Learner")
            works["econml"] = lambda kind=kind: kind(models=model()).fit(y, w, X=x).effect(x)
        if causalml is not None:
            rival = getattr(causalml, f"Base{name}Regressor")
            extra = {"p": np.full(n, 0.5)} if name == "X" else {}
            works["causalml"] = lambda rival=rival, extra=extra: rival(learner=model()).fit_predict(
                X=x, treatment=w, y=y, **extra
            )
        cases[f"{name}-learner, {n:,} rows"] = works
    return cases


def curves(n: int) -> dict[str, Work]:
    """Qini and AUUC of one score; ours with their standard errors."""
    from noholdout_uplift import rank_metrics

    rng = np.random.default_rng(2)
    _, w, y = draw(n)
    score, gamma = rng.normal(size=n), rng.normal(size=n)
    works: dict[str, Work] = {"noholdout": lambda: rank_metrics(score, gamma)}
    causalml, sklift = optional("causalml.metrics"), optional("sklift.metrics")
    if causalml is not None:
        frame = pd.DataFrame({"y": y, "w": w, "score": score})
        works["causalml"] = lambda: (
            causalml.qini_score(frame, outcome_col="y", treatment_col="w"),
            causalml.auuc_score(frame, outcome_col="y", treatment_col="w"),
        )
    if sklift is not None:
        works["scikit-uplift"] = lambda: (
            sklift.qini_auc_score(y, score, w),
            sklift.uplift_auc_score(y, score, w),
        )
    return works


def main() -> None:
    """Measure and write one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", default="benchmarks/results/uplift_speed.csv")
    args = parser.parse_args()
    cases = {
        **learners(50_000),
        "Qini and AUUC, 1,000,000 rows": curves(1_000_000),
        "Qini with its error, 100,000 rows": curves(100_000),
    }
    rows = []
    for case, works in cases.items():
        medians = alternately(works, args.runs)
        for package, seconds in medians.items():
            rows.append(
                {
                    "case": case,
                    "package": package,
                    "seconds": round(seconds, 4),
                    "ratio_to_ours": round(seconds / medians["noholdout"], 2),
                }
            )
        print(pd.DataFrame(rows).query("case == @case").to_string(index=False), flush=True)
    pd.DataFrame(rows).to_csv(Path(args.out), index=False)


if __name__ == "__main__":
    main()
