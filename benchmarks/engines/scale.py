"""How time and memory grow with rows, against DuckDB's own GROUP BY over the same columns.

    python benchmarks/engines/scale.py --out benchmarks/results/engines_scale.csv

For each size the product is generated as Parquet (timed too, and removed afterwards). Each job
runs in a process of its own, so that its peak memory is its own: first the GROUP BY that hands the
job's columns over (count, sum and sum of squares by key), then the job itself, in turns; the
faster of two runs counts, of either. Imports aren't timed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

RUNS = 2
OUTCOME = "task_completed"
JOBS = {
    "staged rollout": ["workspace_id", "signup_week", "treatment_week"],
    "panel for synthetic control": ["workspace_id", "signup_week"],
    "synthetic control, with its estimate": ["workspace_id", "signup_week"],
    "routing": ["query_confidence"],
}


def job(name: str, path: str) -> Callable[[], Any]:
    """What is timed."""
    from noholdout import did, rdd, synthetic_control

    if name == "staged rollout":
        return lambda: did.estimate(
            path,
            outcome=OUTCOME,
            time="signup_week",
            first_treated="treatment_week",
            cluster="workspace_id",
        )
    if name == "routing":
        return lambda: rdd.estimate(
            path, outcome=OUTCOME, running="query_confidence", cutoff=0.85, treated_side="below"
        )
    columns: dict[str, Any] = {
        "outcome": OUTCOME,
        "unit": "workspace_id",
        "time": "signup_week",
        "treated": ["ws_01"],
        "start": 30,
        "cell_mean": True,
    }
    if name == "panel for synthetic control":
        from noholdout_synthetic_control.panel import read_panel

        return lambda: read_panel(path, **columns)
    return lambda: synthetic_control.estimate(path, **columns)


def group_by(name: str, path: str) -> Callable[[], Any]:
    """DuckDB alone, with what the job needs as its result."""
    import duckdb

    keys = ", ".join(JOBS[name])
    query = (
        f"SELECT {keys}, count(*), sum({OUTCOME}), sum({OUTCOME} * {OUTCOME}) "
        f"FROM read_parquet('{path}') GROUP BY {keys}"
    )

    def run() -> Any:
        with duckdb.connect() as connection:
            return connection.execute(query).df()

    return run


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak_mb() -> float:
    """Peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(kind: str, name: str, path: str) -> None:
    """Time one thing in this process, and print what was found."""
    run = job(name, path) if kind == "job" else group_by(name, path)
    print(json.dumps({"seconds": seconds(run), "memory": peak_mb()}))


def measure(kind: str, name: str, path: str) -> dict[str, float]:
    """:func:`child` in a process of its own."""
    line = [sys.executable, __file__, "--child", kind, name, path]
    ran = subprocess.run(line, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def generated(n_rows: int, folder: Path) -> dict[str, Any]:
    """Write the product with the command line; its time and peak memory."""
    line = [sys.executable, "-m", "noholdout", "generate", "--n-users", str(n_rows)]
    line += ["--seed", "42", "--format", "parquet", "--out", str(folder)]
    before = time.perf_counter()
    timed = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", timed, *line], check=True, capture_output=True, text=True
    )
    return {
        "rows": n_rows,
        "job": "generate",
        "seconds": time.perf_counter() - before,
        "memory_mb": float(ran.stdout),
    }


def measured(n_rows: int, path: str, name: str) -> dict[str, Any]:
    """One row of the table."""
    plain, ours = [], []
    for _ in range(RUNS):
        plain.append(measure("group_by", name, path))
        ours.append(measure("job", name, path))
    best, base = (min(run["seconds"] for run in runs) for runs in (ours, plain))
    return {
        "rows": n_rows,
        "job": name,
        "seconds": best,
        "group_by_seconds": base,
        "ratio": best / base,
        "memory_mb": max(run["memory"] for run in ours),
        "group_by_memory_mb": max(run["memory"] for run in plain),
    }


def main() -> None:
    """Measure every size and job, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="1000000,10000000,100000000")
    parser.add_argument("--folder", help="where data is written; users.parquet there is used")
    parser.add_argument("--out", default="benchmarks/results/engines_scale.csv")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(*asked.child)
        return
    table = []
    for n_rows in map(int, asked.rows.split(",")):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(asked.folder or temporary) / str(n_rows)
            if not (folder / "users.parquet").exists():
                table.append(generated(n_rows, folder))
                print(table[-1], flush=True)
            for name in JOBS:
                table.append(measured(n_rows, str(folder / "users.parquet"), name))
                print(table[-1], flush=True)
    frame = pd.DataFrame(table).round({"seconds": 2, "group_by_seconds": 3, "ratio": 2})
    frame = frame.round({"memory_mb": 0, "group_by_memory_mb": 0})
    frame.to_csv(asked.out, index=False)
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
