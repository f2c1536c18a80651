"""What a ranking, or any panel, can not show."""

from __future__ import annotations

import math

from noholdout_shared.checks import Check, structural, untestable
from noholdout_shared.render import effect_text

from noholdout_synthetic_control.checks.evidence import Evidence

MUCH_MISSING = 0.1  # of the panel's cells


def placebo_resolution(evidence: Evidence) -> Check:
    """How small a p-value a ranking among placebos could be."""
    count = len(evidence.reference.fits)
    message = f"A ranking among {count} placebos can't give a p-value below 1/{count + 1}."
    if evidence.smallest_p > 0.05:
        message += " No ranking can speak at the 0.05 level here; the interval rests on t."
    return structural(
        "placebo_resolution",
        "The design can reach the level of significance asked of it.",
        "pass",
        evidence.smallest_p,
        message,
    )


def missing_cells(evidence: Evidence) -> tuple[Check, ...]:
    """How much of the panel was left out for its gaps."""
    settings = evidence.panel.settings
    if "cells_missing" not in settings:
        return ()
    share, donors = settings["share_dropped"], settings["donors_dropped"]
    found = (
        f"{settings['cells_missing']:,} cells had no row: {settings['periods_dropped']:,} periods "
        f"and {len(donors):,} donors were left out, {share:.0%} of the panel."
    )
    name, assumption = "missing_cells", "What is missing is missing by chance."
    if share <= MUCH_MISSING:
        return (structural(name, assumption, "pass", share, found),)
    message = f"{found} Gaps that come with trouble hide it: find out why they are there."
    return (structural(name, assumption, "caution", share, message),)


def treated_only_shock(evidence: Evidence) -> Check:
    """What no data of this kind can show."""
    low, high = evidence.conf_low, evidence.conf_high
    name, assumption = "treated_only_shock", "Nothing else hit the treated side at the launch."
    if math.isnan(low):
        return untestable(name, assumption, "No panel can tell such a shock from the effect.")
    clear = max(low, -high, 0.0)
    size = effect_text(clear, evidence.panel.proportion, signed=False)
    told = (
        f"one of {size} in the effect's direction would bring zero into the interval."
        if clear > 0
        else "the interval holds zero already."
    )
    message = f"No panel can tell a shock to the treated side alone from the effect; {told}"
    return untestable(name, assumption, message, clear)


def same_ruler(evidence: Evidence) -> Check:
    """A metric that is measured anew with the launch."""
    return untestable(
        "same_ruler",
        "The outcome is measured the same way before and after, here and there.",
        "If the launch also changed the judge, the logging or who answers, that change is in the "
        "effect: re-score a sample of old and new rows with one ruler, and name columns that the "
        "launch can't have moved (negative_controls).",
    )
