"""Negative controls: outcomes that the launch can't have moved, unless it moved the ruler."""

from __future__ import annotations

import math

import pandas as pd
from noholdout_shared.checks import Check, HypothesisCheck, untestable
from noholdout_shared.render import effect_text, p_text

from noholdout_synthetic_control.checks.evidence import Evidence, Move

NAME = "negative_controls"
ASSUMPTION = "The launch changed nothing in how things are counted."


def negative_controls(evidence: Evidence) -> HypothesisCheck | None:
    """Did the column that moved most clearly move at all? Bonferroni over the columns.

    A log that loses rows, a judge that was replaced or another mix of who answers moves what the
    product can't have moved (Lipsitch, Tchetgen Tchetgen and Cohen 2010, Epidemiology 21(3)). The
    bias is that of an outcome that moved by the same share of its level.
    """
    known = [move for move in evidence.controls if not math.isnan(move.p_value)]
    if not known:
        return None
    worst = min(known, key=lambda move: move.p_value)
    p_value = min(1.0, worst.p_value * len(known))
    bias = worst.bias(evidence.level)
    others = f" (the clearest of {len(known)})" if len(known) > 1 else ""
    share = evidence.panel.proportion
    as_much = f": as much of the outcome is {effect_text(bias, share)}" if bias == bias else ""
    return HypothesisCheck(
        name=NAME,
        assumption=ASSUMPTION,
        statistic=worst.effect / worst.std_error,
        p_value=p_value,
        bias=bias,
        found=f"The negative control {worst.column}{others} changed by {worst.relative()} at the "
        f"launch ({p_text(p_value)}){as_much}.",
        todo="It couldn't have, so the ruler may have moved and not the product: find out what the "
        "launch changed in logging, judging or who is counted, and measure old and new rows with "
        "one ruler.",
    )


def unmeasured_controls(evidence: Evidence) -> tuple[Check, ...]:
    """Said where controls were named and none has an interval."""
    if not evidence.controls or any(not math.isnan(m.p_value) for m in evidence.controls):
        return ()
    names = ", ".join(move.column for move in evidence.controls)
    message = f"{names}: this design gives no standard error, so a move can't be told from noise."
    return (untestable(NAME, ASSUMPTION, message),)


def controls_table(controls: tuple[Move, ...], level: float) -> dict[str, pd.DataFrame]:
    """Every negative control's move, and the bias that it would mean; nothing without any."""
    if not controls:
        return {}
    rows = [
        {
            "column": move.column,
            "estimate": move.effect,
            "std_error": move.std_error,
            "conf_low": move.conf_low,
            "conf_high": move.conf_high,
            "p_value": move.p_value,
            "level": move.level,
            "implied_bias": move.bias(level),
        }
        for move in controls
    ]
    return {NAME: pd.DataFrame(rows)}
