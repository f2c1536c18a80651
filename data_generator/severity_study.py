"""What each scenario does to its design's naive and default answers, measured.

``python data_generator/severity_study.py`` writes severity_study.csv beside it. Every scenario is
drawn with the clean product's seeds, so its bias is measured by pairs: most noise cancels.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from noholdout_data_generator import Dataset, generate, scenarios
from noholdout_data_generator.telemetry import Launch
from noholdout_shared.errors import NoholdoutError
from noholdout_shared.progress import track

from noholdout.compare.designs import DESIGNS

OUT = Path(__file__).with_name("severity_study.csv")
COLUMNS = (
    "scenario",
    "severity",
    "n_users",
    "seeds",
    "naive_bias",
    "bias",
    "bias_mc_error",
    "std_error",
    "bias_over_std_error",
    "covered",
    "sound",
    "caution",
    "do_not_use",
    "refused",
    "silent_wrong",
)


@dataclass(frozen=True)
class Answer:
    """One run: the errors of both answers, and what was said about the default one."""

    naive_error: float
    error: float
    std_error: float
    covered: bool
    verdict: str


def answer(method: str, data: Dataset) -> Answer:
    """Ask a design its question; a refusal is an answer without a number."""
    design = DESIGNS[method]
    try:
        estimate = design.run(data, seed=1)
    except NoholdoutError:
        return Answer(np.nan, np.nan, np.nan, True, "refused")
    truth = design.truth(data, estimate)
    return Answer(
        naive_error=design.naive(data, estimate) - truth,
        error=estimate.estimate - truth,
        std_error=estimate.std_error,
        covered=bool(estimate.conf_low <= truth <= estimate.conf_high),
        verdict=estimate.verdict,
    )


@cache
def clean_answer(method: str, n_users: int, seed: int, launch: Launch) -> Answer:
    """The same seed without the trap."""
    return answer(method, generate(n_users, seed, launch=launch))


def study(
    n_users: int, seeds: int, severities: list[float], only: str
) -> Iterator[dict[str, object]]:
    """One row a scenario and severity."""
    for scenario in scenarios():
        if scenario.design == "all" or only not in scenario.name:
            continue
        for severity in sorted({min(s, scenario.max_severity) for s in severities}):
            pairs = []
            for seed in track(range(1, seeds + 1), f"{scenario.name} {severity:g}", total=seeds):
                data = generate(n_users, seed, scenario.name, severity)
                pairs.append(
                    (
                        answer(scenario.design, data),
                        clean_answer(scenario.design, n_users, seed, "pinned"),
                    )
                )
            yield row(scenario.name, severity, n_users, pairs)


def row(
    name: str, severity: float, n_users: int, pairs: list[tuple[Answer, Answer]]
) -> dict[str, object]:
    """Means over the seeds."""
    traps, cleans = zip(*pairs, strict=True)
    moved = np.array([a.error - b.error for a, b in pairs])
    std_error = float(np.median([b.std_error for b in cleans]))
    verdicts = [a.verdict for a in traps]
    silent = [a.verdict == "sound" and not a.covered for a in traps]
    values = (
        name,
        severity,
        n_users,
        len(pairs),
        round(float(np.mean([a.naive_error for a in traps])), 4),
        round(float(moved.mean()), 4),
        round(float(moved.std(ddof=1) / np.sqrt(len(moved))), 4),
        round(std_error, 4),
        round(float(moved.mean()) / std_error, 2),
        sum(a.covered and a.verdict != "refused" for a in traps),
        verdicts.count("sound"),
        verdicts.count("caution"),
        verdicts.count("do-not-use"),
        verdicts.count("refused"),
        sum(silent),
    )
    # An empty cell where every run was refused: there is no number.
    shown = ["" if value != value else value for value in values]
    return dict(zip(COLUMNS, shown, strict=True))


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-users", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=20, help="seeds 1 to this")
    parser.add_argument("--severities", default="3", help="commas between them")
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    severities = [float(s) for s in args.severities.split(",")]
    with args.out.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for line in study(args.n_users, args.seeds, severities, args.only):
            writer.writerow(line)
            handle.flush()
            print(*line.values(), sep="\t", flush=True)


if __name__ == "__main__":
    main()
