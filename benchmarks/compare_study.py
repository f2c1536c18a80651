"""How often each method's 95% interval holds its truth, over many seeds of the clean product.

``python benchmarks/compare_study.py --replications 200 --jobs 2`` writes
``benchmarks/results/compare_200_seeds.csv``: one row a seed and method, seeds 1 to 200, and prints
the counts.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from noholdout.compare import DESIGNS, Source, compare

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Run the study and write its rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=200, help="number of seeds")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--n-users", type=int, default=50_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="the CSV file")
    asked = parser.parse_args()
    out = asked.out or RESULTS / f"compare_{asked.replications}_seeds.csv"
    seeds = range(asked.seed, asked.seed + asked.replications)
    found = compare([Source(seed, asked.n_users) for seed in seeds], jobs=asked.jobs)
    out.parent.mkdir(parents=True, exist_ok=True)
    found.to_frame().round(6).to_csv(out, index=False)
    for method in DESIGNS:
        share = found.held(method) / asked.replications
        error = math.sqrt(share * (1 - share) / asked.replications)
        print(f"{method}: held {found.held(method)} of {asked.replications} (± {error:.3f})")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
