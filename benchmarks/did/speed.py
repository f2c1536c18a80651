"""Time and memory of staged rollouts against diff-diff, run alternately on the same data.

    python benchmarks/did/speed.py --rounds 5 --out benchmarks/results/did_speed.csv

100,000 units x 10 periods, four waves and a never-treated group. Without diff-diff installed only
our own times are measured. Memory is what the process grows by at its peak (resident set, Linux
only), in one run in a process of its own after a small one; the input is its four columns. pyfixest
is the rival for two-way fixed effects.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib.util
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_did import estimate

COLUMNS = {"outcome": "y", "unit": "unit", "time": "t", "first_treated": "g"}


def panel(units: int, periods: int = 10, seed: int = 1) -> pd.DataFrame:
    """The rollout: effect 1, growing by 0.2 a period; a covariate that doesn't change."""
    rng = np.random.default_rng(seed)
    g = rng.choice([0, 4, 5, 7, 8], units)
    x = rng.normal(0, 1, units)
    t = np.arange(1, periods + 1)
    since = t[None, :] - g[:, None]
    effect = np.where((g[:, None] > 0) & (since >= 0), 1 + 0.2 * since, 0.0)
    y = rng.normal(0, 1, (units, 1)) + 0.1 * t + effect + rng.normal(0, 1, (units, periods))
    y += 0.1 * x[:, None] * t
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(units), periods),
            "t": np.tile(t, units),
            "g": np.repeat(g, periods),
            "x": np.repeat(x, periods),
            "y": y.ravel(),
        }
    )


def ours(**options: Any) -> Callable[[pd.DataFrame], Any]:
    return lambda data: estimate(data, **COLUMNS, **options)


def rival(class_name: str, fit: dict[str, Any], **options: Any) -> Callable[[pd.DataFrame], Any]:
    """A diff-diff estimator under its own names for the same options."""

    def run(data: pd.DataFrame) -> Any:
        import diff_diff

        made = getattr(diff_diff, class_name)(**options)
        return made.fit(data, outcome="y", unit="unit", time="t", first_treat="g", **fit)

    return run


def two_way(data: pd.DataFrame) -> Any:
    """The coefficient of being treated in pyfixest, clustered by unit."""
    import pyfixest

    treated = ((data["g"] > 0) & (data["t"] >= data["g"])).astype(float)
    frame = data[["unit", "t", "y"]].assign(treated=treated)
    return pyfixest.feols("y ~ treated | unit + t", frame, vcov={"CRV1": "unit"})


CS = "CallawaySantAnna"
EVENTS = {"aggregate": "event_study"}
CASES = {
    "group-time, analytic": (
        ours(control_group="never-treated"),
        rival(CS, EVENTS, control_group="never_treated", n_bootstrap=0),
    ),
    "group-time, 999 draws": (
        ours(control_group="never-treated", inference="bootstrap", replicates=999),
        rival(CS, EVENTS, control_group="never_treated", n_bootstrap=999, seed=1),
    ),
    "group-time, doubly robust": (
        ours(control_group="never-treated", covariates=["x"]),
        rival(
            CS,
            {**EVENTS, "covariates": ["x"]},
            control_group="never_treated",
            estimation_method="dr",
            n_bootstrap=0,
        ),
    ),
    "imputation": (ours(estimator="imputation"), rival("ImputationDiD", EVENTS)),
    "two-way fixed effects": (ours(estimator="twfe"), two_way),
}
NAMES = {"two-way fixed effects": ("pyfixest", "pyfixest")}


def seconds(run: Callable[[pd.DataFrame], Any], data: pd.DataFrame) -> float:
    started = time.perf_counter()
    run(data)
    return time.perf_counter() - started


def status(field: str) -> float:
    """A size of this process in bytes, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(float(line.split()[1]) for line in lines if line.startswith(field))


def peak(name: str, who: str, units: int) -> float:
    """By how many bytes this process grows at its peak; it should do nothing else before."""
    run = CASES[name][0 if who == "noholdout" else 1]
    seconds(run, panel(500))
    data = panel(units)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    run(data)
    return status("VmHWM") - before


def peak_apart(name: str, who: str, units: int) -> float:
    """:func:`peak` in a process of its own; ``nan`` where it can't be had."""
    call = [sys.executable, __file__, "--units", str(units), "--peak", name, who]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--out", default="benchmarks/results/did_speed.csv")
    parser.add_argument("--peak", nargs=2, metavar=("CASE", "WHO"), help="print memory alone")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.peak:
        print(peak(*args.peak, args.units))
        return
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    data = panel(args.units)
    size = data[["unit", "t", "g", "y"]].memory_usage(index=False).sum()
    rows = []
    for name in args.cases:
        mine, theirs = CASES[name]
        who, module = NAMES.get(name, ("diff-diff", "diff_diff"))
        runs = {"noholdout": mine}
        if importlib.util.find_spec(module) is not None:
            runs[who] = theirs
        for run in runs.values():
            seconds(run, data)  # warm up
        times: dict[str, list[float]] = {who: [] for who in runs}
        for _ in range(args.rounds):
            for who, run in runs.items():
                times[who].append(seconds(run, data))
        for who in runs:
            rows.append(
                {
                    "case": name,
                    "who": who,
                    "units": args.units,
                    "median_seconds": round(float(np.median(times[who])), 4),
                    "ratio_to_ours": round(
                        float(np.median(times[who]) / np.median(times["noholdout"])), 2
                    ),
                    "peak_over_input": round(peak_apart(name, who, args.units) / size, 2),
                    "rounds": args.rounds,
                }
            )
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(args.out, index=False)


if __name__ == "__main__":
    main()
