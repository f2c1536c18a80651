"""How often each check catches its violation and how often it cries wolf, as measured.

The numbers lie in ``check_rates.json``, which ``noholdout benchmark --check-rates`` writes. The
file is read when an estimate is shown, never at import.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("check_rates.json")
SEVERITY = 3.0  # that is shown: bias of 3 standard errors, or a trap's largest below
N_USERS = 50_000
CLEAN = "clean"
VERDICT = "verdict"
UNBROKEN = (CLEAN, "no-effect")
MEASURED = {
    "Difference-in-differences: group-time": "did",
    "Propensity scores: cross-fitted AIPW": "propensity",
    "Regression discontinuity: local linear, robust": "rdd",
    "Synthetic control: demeaned simplex": "synthetic_control",
    "Uplift: X-learner": "uplift",
}


@dataclass(frozen=True)
class CheckRate:
    """One check's (or the verdict's) measured rates.

    Parameters
    ----------
    scenario, severity, n_users
        The violation that a check catches most often (of the verdict: all together), how large
        it was (bias over standard error) and in how much data; ``None`` and ``nan`` when no
        measured violation sets it off.
    fired, runs
        It fired in that many of that many data sets with the violation.
    false_alarms, clean_runs
        It fired in that many of that many clean data sets.
    """

    scenario: str | None
    severity: float
    n_users: int
    fired: int
    runs: int
    false_alarms: int
    clean_runs: int

    @property
    def text(self) -> str:
        """``finds 96 of 100 violations of 3 SE (did-pre-trends); false alarm 4 in 100``."""
        alarm = f"false alarm {self.false_alarms:,} in {self.clean_runs:,}"
        if self.scenario is None:
            return f"{alarm}; no violation measured so far sets it off"
        return (
            f"finds {self.fired:,} of {self.runs:,} violations of {self.severity:g} SE "
            f"({self.scenario}); {alarm}"
        )


@lru_cache(maxsize=4)
def load_rates(path: Path = FILE) -> dict[tuple[str, str], CheckRate]:
    """The rates by method and check; empty when the benchmark hasn't measured any."""
    if not path.is_file():
        return {}
    rows = json.loads(path.read_text("utf-8"))["rates"]
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["n_users"] == N_USERS:
            grouped.setdefault((row["method"], row["check"]), []).append(row)
    found = {key: _rate(group) for key, group in grouped.items()}
    return {key: rate for key, rate in found.items() if rate is not None}


def _rate(rows: list[dict[str, Any]]) -> CheckRate | None:
    clean = next((row for row in rows if row["scenario"] == CLEAN), None)
    if clean is None:
        return None
    traps = [row for row in rows if row["scenario"] not in UNBROKEN]
    reached: dict[str, float] = {}
    for row in traps:
        if row["severity"] <= SEVERITY:
            reached[row["scenario"]] = max(row["severity"], reached.get(row["scenario"], 0.0))
    traps = [row for row in traps if row["severity"] == reached.get(row["scenario"])]
    if rows[0]["check"] == VERDICT and traps:
        # The worst and the best trap together: the best alone would flatter a verdict.
        traps = [
            {
                "scenario": f"{len(traps)} kinds together",
                "severity": max(row["severity"] for row in traps),
                "fired": sum(row["fired"] for row in traps),
                "runs": sum(row["runs"] for row in traps),
            }
        ]
    best = max(traps, key=lambda row: row["fired"] / row["runs"], default=None)
    # A trap on which it fires no more often than on clean data isn't one that it catches.
    if best is not None and best["fired"] / best["runs"] <= clean["fired"] / clean["runs"]:
        best = None
    return CheckRate(
        scenario=best["scenario"] if best else None,
        severity=best["severity"] if best else float("nan"),
        n_users=clean["n_users"],
        fired=best["fired"] if best else 0,
        runs=best["runs"] if best else 0,
        false_alarms=clean["fired"],
        clean_runs=clean["runs"],
    )


def check_rate(estimator: str, check: str) -> CheckRate | None:
    """The measured rate of a check, or ``None`` where it wasn't measured.

    Parameters
    ----------
    estimator
        ``Estimate.method``. Only the defaults were measured: another estimator's checks may be as
        good, but no number says so.
    check
        Its name, or ``verdict``.
    """
    method = MEASURED.get(estimator)
    return None if method is None else load_rates().get((method, check))
