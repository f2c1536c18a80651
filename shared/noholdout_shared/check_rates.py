"""How often each check catches its violation and how often it cries wolf, as measured.

The numbers lie in ``check_rates.json``, which ``noholdout benchmark --check-rates`` writes. The
file is read when an estimate is shown, never at import.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("check_rates.json")
SEVERITY = 3.0  # the largest that is shown: a bias of 3 standard errors at 50,000 users
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
        it was (the scenario's severity) and in how many users; ``None`` and ``nan`` when no
        measured violation sets it off.
    fired, runs
        It fired in that many of that many data sets with the violation.
    milder
        (severity, fired, runs) of the same violation at lower severities, the largest first.
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
    milder: tuple[tuple[float, int, int], ...] = ()

    @property
    def text(self) -> str:
        """What stands beside the check; shares are never rounded in its favour.

        ``finds 96 of 100 violations of severity 3, 60 of 2 (did-pre-trends, 50,000 users); false
        alarm 4 in 100``.
        """
        alarm = f"false alarm {-(-100 * self.false_alarms // self.clean_runs)} in 100"
        size = f"{self.n_users:,} users"
        if self.scenario is None:
            return f"{alarm} ({size}); no violation measured so far sets it off"
        found = f"finds {100 * self.fired // self.runs} of 100 violations of severity "
        found += f"{self.severity:g}"
        for severity, fired, runs in self.milder:
            found += f", {100 * fired // runs} of {severity:g}"
        return f"{found} ({self.scenario}, {size}); {alarm}"


@lru_cache(maxsize=4)
def load_rates(path: Path = FILE) -> dict[tuple[str, str, int], CheckRate]:
    """The rates by method, check and number of users; empty when none were measured."""
    if not path.is_file():
        return {}
    grouped: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for row in json.loads(path.read_text("utf-8"))["rates"]:
        grouped.setdefault((row["method"], row["check"], row["n_users"]), []).append(row)
    found = {key: _rate(group) for key, group in grouped.items()}
    return {key: rate for key, rate in found.items() if rate is not None}


def _rate(rows: list[dict[str, Any]]) -> CheckRate | None:
    clean = next((row for row in rows if row["scenario"] == CLEAN), None)
    if clean is None:
        return None
    traps: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: -row["severity"]):
        if row["scenario"] not in UNBROKEN and row["severity"] <= SEVERITY:
            traps.setdefault(row["scenario"], []).append(row)
    if rows[0]["check"] == VERDICT and traps:
        # The worst and the best trap together: the best alone would flatter a verdict.
        traps = {f"{len(traps)} kinds together": _together(list(traps.values()))}
    best = max(traps, key=lambda name: _share(traps[name][0]), default=None)
    # A trap on which it fires no more often than on clean data isn't one that it catches.
    if best is None or _share(traps[best][0]) <= _share(clean):
        best, worst, milder = None, clean, []
    else:
        worst, *milder = traps[best]
    return CheckRate(
        scenario=best,
        severity=worst["severity"] if best else float("nan"),
        n_users=clean["n_users"],
        fired=worst["fired"] if best else 0,
        runs=worst["runs"] if best else 0,
        false_alarms=clean["fired"],
        clean_runs=clean["runs"],
        milder=tuple((row["severity"], row["fired"], row["runs"]) for row in milder),
    )


def _share(row: dict[str, Any]) -> float:
    return float(row["fired"] / row["runs"])


def _together(traps: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """All traps as one: each at its own largest severity, then at those lower ones all have."""
    shared = set.intersection(*({row["severity"] for row in trap[1:]} for trap in traps))
    groups = [[trap[0] for trap in traps]]
    for step in sorted(shared, reverse=True):
        groups.append([row for trap in traps for row in trap if row["severity"] == step])
    return [
        {
            "severity": max(row["severity"] for row in group),
            "fired": sum(row["fired"] for row in group),
            "runs": sum(row["runs"] for row in group),
        }
        for group in groups
    ]


def check_rate(estimator: str, check: str, n_obs: int = N_USERS) -> CheckRate | None:
    """The measured rate of a check, or ``None`` where it wasn't measured.

    Parameters
    ----------
    estimator
        ``Estimate.method``. Only the defaults were measured: another estimator's checks may be as
        good, but no number says so.
    check
        Its name, or ``verdict``.
    n_obs
        The estimate's rows: of the sizes measured the nearest (in proportion) is shown. A panel's
        rows aren't users, so synthetic control is always shown at 50,000 users.
    """
    method = MEASURED.get(estimator)
    if method is None:
        return None
    rates = load_rates()
    sizes = {size for by, name, size in rates if (by, name) == (method, check)}
    if not sizes:
        return None
    wanted = N_USERS if method == "synthetic_control" else max(n_obs, 1)
    nearest = min(sizes, key=lambda size: abs(math.log(size / wanted)))
    return rates[method, check, nearest]
