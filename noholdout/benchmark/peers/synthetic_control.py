"""mlsynth and pysyncon on a global launch: the treated units averaged into one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from noholdout.benchmark.peers import quiet
from noholdout.benchmark.problems import Problem

TREATED = "treated"


def _panel(problem: Problem) -> tuple[pd.DataFrame, int]:
    """One row a unit and period, the treated as one unit, periods from 0; and the first treated."""
    names, frame = problem.arguments, problem.frame
    unit = frame[names["unit"]].where(~frame[names["unit"]].isin(names["treated"]), TREATED)
    period, labels = pd.factorize(frame[names["time"]], sort=True)
    panel = pd.DataFrame(
        {"unit": unit, "period": period, "y": frame[names["outcome"]].astype(float)}
    )
    start = int(np.searchsorted(labels, names["start"]))
    return panel.groupby(["unit", "period"])["y"].mean().reset_index(), start


def mlsynth(problem: Problem) -> dict[str, float]:
    """``mlsynth.SDID``: synthetic difference-in-differences with its placebo variance."""
    from mlsynth import SDID

    panel, start = _panel(problem)
    panel["launched"] = ((panel["unit"] == TREATED) & (panel["period"] >= start)).astype(int)
    config: Any = {
        "df": panel, "outcome": "y", "treat": "launched", "unitid": "unit", "time": "period",
        "display_graphs": False, "save": False, "seed": problem.seed,
    }  # fmt: skip
    with quiet():
        found = SDID(config).fit()
    return {
        "estimate": float(found.effects.att),
        "std_error": float(found.inference.standard_error),
    }


def pysyncon(problem: Problem) -> dict[str, float]:
    """``pysyncon.Synth`` matched on every earlier period; it gives no interval of the average."""
    from pysyncon import Synth

    panel, start = _panel(problem)
    wide = panel.pivot(index="period", columns="unit", values="y")
    donors = wide.drop(columns=TREATED)
    before = np.arange(len(wide)) < start
    with quiet():
        model = Synth()
        model.fit(
            X0=donors[before], X1=wide.loc[before, TREATED],
            Z0=donors[before], Z1=wide.loc[before, TREATED],
            custom_V=np.ones(start),
        )  # fmt: skip
    gap = wide[TREATED] - donors.to_numpy() @ np.asarray(model.W)
    return {"estimate": float(gap[~before].mean())}
