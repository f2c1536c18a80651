"""csdid and diff-diff on a staged rollout: group-time effects, not-yet-treated controls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from noholdout.benchmark.peers import quiet
from noholdout.benchmark.problems import Problem


def _frame(problem: Problem) -> pd.DataFrame:
    """Both need a row id, periods from 1 and workspaces as numbers."""
    names, frame = problem.arguments, problem.frame
    return pd.DataFrame(
        {
            "y": frame[names["outcome"]].astype(float),
            "period": frame[names["time"]].astype(int) + 1,
            "first": frame[names["first_treated"]].astype(int) + 1,
            "cluster": pd.factorize(frame[names["cluster"]])[0],
            "row": np.arange(len(frame)),
        }
    )


def csdid(problem: Problem) -> dict[str, float]:
    """``csdid.att_gt.ATTgt`` with its multiplier bootstrap, which is how it clusters."""
    from csdid.att_gt import ATTgt

    with quiet():
        np.random.seed(problem.seed)  # noqa: NPY002 - it draws from numpy's global state
        fitted = ATTgt(
            yname="y", tname="period", idname="row", gname="first", data=_frame(problem),
            control_group="notyettreated", panel=False, clustervar="cluster",
            alp=1 - problem.conf_level,
        ).fit(est_method="reg", bstrap=True)  # fmt: skip
        simple: Any = fitted.aggte(typec="simple").atte
    return {"estimate": _number(simple["overall_att"]), "std_error": _number(simple["overall_se"])}


def diff_diff(problem: Problem) -> dict[str, float]:
    """``diff_diff.CallawaySantAnna`` with cluster-robust errors."""
    from diff_diff import CallawaySantAnna

    with quiet():
        fitted = CallawaySantAnna(
            control_group="not_yet_treated", estimation_method="reg", cluster="cluster",
            panel=False, alpha=1 - problem.conf_level,
        ).fit(
            _frame(problem), outcome="y", unit="row", time="period", first_treat="first",
            aggregate="simple",
        )  # fmt: skip
    low, high = fitted.overall_conf_int
    return {
        "estimate": float(fitted.overall_att),
        "std_error": float(fitted.overall_se),
        "conf_low": float(low),
        "conf_high": float(high),
        "p_value": float(fitted.overall_p_value),
    }


def _number(value: Any) -> float:
    return float(np.ravel(value)[0])
