"""rdrobust at a threshold."""

from __future__ import annotations

from noholdout.benchmark.peers import quiet
from noholdout.benchmark.problems import Problem


def rdrobust(problem: Problem, row: str = "Robust") -> dict[str, float]:
    """``rdrobust.rdrobust`` with its defaults; its jump is right minus left.

    Parameters
    ----------
    row
        ``Robust``: the bias-corrected point with its robust interval; ``Conventional``: the
        conventional point, which its table prints first, with the robust interval.
    """
    from rdrobust import rdrobust as fit

    names, frame = problem.arguments, problem.frame
    with quiet():
        found = fit(
            frame[names["outcome"]].to_numpy(dtype=float),
            frame[names["running"]].to_numpy(dtype=float),
            c=names["cutoff"],
            level=100 * problem.conf_level,
        )
    sign = -1.0 if names["treated_side"] == "below" else 1.0
    low, high = sorted(sign * float(bound) for bound in found.ci.loc["Robust"])
    return {
        "estimate": sign * float(found.coef.loc[row].iloc[0]),
        "std_error": float(found.se.loc["Robust"].iloc[0]),
        "conf_low": low,
        "conf_high": high,
        "p_value": float(found.pv.loc["Robust"].iloc[0]),
    }
