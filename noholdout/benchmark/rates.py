"""How often each check and the verdict fire: on each trap by severity and size, and on clean data.

The file that this writes lies in ``noholdout_shared`` and is shown beside the check in every
estimate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from noholdout_shared.errors import DataError

from noholdout.files import require_folder

VERDICT = "verdict"  # the name under which the verdict stands among the checks
FIRED = ("caution", "fail", "do-not-use")


def fire_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """Of the default estimators: how often each check fired in each cell.

    Returns
    -------
    DataFrame
        ``method, check, scenario, severity, n_users, fired, runs``; a check that an estimate
        doesn't carry counts as not fired, and a refusal as the verdict having fired.
    """
    ours = runs[(runs["kind"] == "default") & runs["failed"].isna()]
    rows = []
    keys = ["design", "scenario", "severity", "n_users"]
    for key, cell in ours.groupby(keys, sort=True):
        statuses = [json.loads(text) for text in cell["checks"]]
        names = sorted({name for status in statuses for name in status})
        where: Any = dict(zip(keys, key, strict=True))
        counts = {name: sum(s.get(name) in FIRED for s in statuses) for name in names}
        refused = cell["refused"].notna()
        counts[VERDICT] = int((cell["verdict"].isin(FIRED) | refused).sum())
        for name, fired in counts.items():
            if all(s.get(name, "cannot-be-tested") == "cannot-be-tested" for s in statuses) and (
                name != VERDICT
            ):
                continue  # it never says anything: no rate
            rows.append(
                {
                    "method": where["design"],
                    "check": name,
                    "scenario": where["scenario"],
                    "severity": float(where["severity"]),
                    "n_users": int(where["n_users"]),
                    "fired": int(fired),
                    "runs": len(cell),
                }
            )
    return pd.DataFrame(rows)


def write_rates(runs: pd.DataFrame, path: str | Path, facts: Mapping[str, Any]) -> None:
    """Write the rates as JSON, one row a line, so that two versions can be compared."""
    require_folder(path)
    rates = fire_rates(runs)
    if rates.empty:
        raise DataError(
            "None of our default estimators was run, so no check was measured.",
            "",
            "Leave --estimator out.",
        )
    lines = ",\n  ".join(json.dumps(row) for row in rates.to_dict("records"))
    made = json.dumps(dict(facts), indent=1).replace("\n", "\n ")
    Path(path).write_text(f'{{"made": {made},\n "rates": [\n  {lines}\n]}}\n', encoding="utf-8")
