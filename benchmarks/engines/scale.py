"""How time and memory grow with rows, against DuckDB's own GROUP BY over the same columns.

    python benchmarks/engines/scale.py --out benchmarks/results/engines_scale.csv

For each size the product is generated as Parquet (timed too, and removed afterwards), and a panel
of units by ten weeks. Each job
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
    "routing, fuzzy": ["query_confidence", "routed_to_premium"],
    "opt-in, by groups": ["engagement_tier", "signup_week", "opt_in_agent_mode"],
    "opt-in, a million rows drawn": ["engagement_tier", "signup_week", "opt_in_agent_mode"],
    "rollout by unit": ["who", "week", "first"],
}
PERIODS = 10  # of the panel by unit


def job(name: str, path: str) -> Callable[[], Any]:
    """What is timed."""
    from noholdout import did, propensity, rdd, synthetic_control

    if name == "staged rollout":
        return lambda: did.estimate(
            path,
            outcome=OUTCOME,
            time="signup_week",
            first_treated="treatment_week",
            cluster="workspace_id",
        )
    if name == "rollout by unit":
        panel = {"outcome": OUTCOME, "time": "week", "first_treated": "first", "unit": "who"}
        return lambda: did.estimate(path, **panel)
    if name.startswith("routing"):
        score = {"running": "query_confidence", "cutoff": 0.85, "treated_side": "below"}
        received = {"treatment": "routed_to_premium"} if "fuzzy" in name else {}
        return lambda: rdd.estimate(path, outcome=OUTCOME, **score, **received)
    if name.startswith("opt-in"):
        known = ["engagement_tier", "signup_week"]
        how: dict[str, Any] = {"covariates": known, "folds": 1}
        if "drawn" in name:
            how = {"covariates": [*known, "query_confidence"], "sample": 1_000_000}
        return lambda: propensity.estimate(
            path, outcome=OUTCOME, treatment="opt_in_agent_mode", **how
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
    """DuckDB alone, with what the job needs as its result; of units, how many groups there are.

    A group for each row wouldn't fit into a frame at 100 million rows.
    """
    import duckdb

    keys = ", ".join(JOBS[name])
    query = (
        f"SELECT {keys}, count(*) AS n, sum({OUTCOME}) AS total, "
        f"sum({OUTCOME} * {OUTCOME}) AS squares "
        f"FROM read_parquet('{path}') GROUP BY {keys}"
    )
    if name == "rollout by unit":
        query = f"SELECT count(*), sum(n), sum(total), sum(squares) FROM ({query})"

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


def write_panel(n_rows: int, path: Path) -> None:
    """A panel of units by ten weeks in three waves, in the units' order."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT i // {PERIODS} AS who, i % {PERIODS} AS week, CASE (i // {PERIODS}) % 4 "
            "WHEN 0 THEN 3 WHEN 1 THEN 5 WHEN 2 THEN 7 END AS first, hash(i // "
            f"{PERIODS}) % 1000 / 1000 + hash(i) % 1000 / 1000 AS {OUTCOME} "
            f"FROM range({n_rows}) r(i)) TO '{path}'"
        )


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
            panel = folder / "panel.parquet"
            write_panel(n_rows, panel)
            for name in JOBS:
                data = panel if name == "rollout by unit" else folder / "users.parquet"
                table.append(measured(n_rows, str(data), name))
                print(table[-1], flush=True)
            panel.unlink()
    frame = pd.DataFrame(table).round({"seconds": 2, "group_by_seconds": 3, "ratio": 2})
    frame = frame.round({"memory_mb": 0, "group_by_memory_mb": 0})
    frame.to_csv(asked.out, index=False)
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
