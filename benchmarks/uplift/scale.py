"""How time and memory of uplift on discrete features grow with rows, against one GROUP BY.

    python benchmarks/uplift/scale.py --rows 1000000,10000000,100000000

DuckDB writes a Parquet file of each size: three tiers, 52 weeks, a coin and a 0/1 outcome (312
combinations of tier, week and coin). Then a process of its own, so that its peak memory is its own,
runs DuckDB's GROUP BY over the four columns, and another the estimate with all its checks and
tables. Wall seconds without imports, the faster of two runs. ``effect`` is the effect in the top
fifth, 0.123 under the best ranking.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

RUNS = 2
COLUMNS = "tier, week, prompt, done"


def write(path: Path, rows: int) -> None:
    """Effect of the coin on ``done``: -0.03, 0.02 or 0.07 by tier, and 0.0015 a week from 0."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute(
            f"""COPY (
                SELECT ['light', 'medium', 'heavy'][tier + 1] AS tier, week, prompt,
                    (hash(i, 4) / 18446744073709551616.0 < 0.3 + 0.1 * tier
                        + prompt * (0.05 * tier - 0.03 + 0.0015 * week))::INTEGER AS done
                FROM (SELECT i, (hash(i, 1) % 3)::INTEGER AS tier, (hash(i, 2) % 52)::INTEGER
                    AS week, (hash(i, 3) % 2)::INTEGER AS prompt FROM range({rows}) r(i))
            ) TO '{path}' (FORMAT parquet)"""
        )


def child(job: str, path: str) -> None:
    """Run one job in this process and print its seconds, peak memory and answer."""
    import duckdb

    from noholdout import uplift

    best, answer = float("inf"), None
    for _ in range(RUNS):
        started = time.perf_counter()
        if job == "GROUP BY":
            with duckdb.connect() as connection:
                connection.execute(
                    f"SELECT {COLUMNS}, count(*) FROM read_parquet('{path}') GROUP BY {COLUMNS}"
                ).df()
        else:
            found = uplift.estimate(
                path, outcome="done", treatment="prompt", features=["tier", "week"]
            )
            assert "summed_by_engine" in found.settings
            answer = [found.estimate, found.std_error]
        best = min(best, time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": best, "peak_mb": peak, "answer": answer}))


def measured(job: str, path: Path) -> dict[str, Any]:
    """What a child process found."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", job, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def main() -> None:
    """Write, time, and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000000,10000000,100000000")
    parser.add_argument("--out", default="benchmarks/results/uplift_scale.csv")
    parser.add_argument("--child", nargs=2)
    asked = parser.parse_args()
    if asked.child:
        child(*asked.child)
        return
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in map(int, asked.rows.split(",")):
            path = Path(folder) / f"{rows}.parquet"
            write(path, rows)
            alone, ours = (measured(job, path) for job in ("GROUP BY", "uplift"))
            path.unlink()
            effect, error = ours["answer"]
            table.append(
                {
                    "rows": rows,
                    "seconds": round(ours["seconds"], 2),
                    "group_by_seconds": round(alone["seconds"], 2),
                    "ratio": round(ours["seconds"] / alone["seconds"], 1),
                    "peak_mb": round(ours["peak_mb"]),
                    "effect": round(effect, 5),
                    "std_error": round(error, 6),
                }
            )
            print(table[-1], file=sys.stderr)
    pd.DataFrame(table).to_csv(asked.out, index=False)


if __name__ == "__main__":
    main()
