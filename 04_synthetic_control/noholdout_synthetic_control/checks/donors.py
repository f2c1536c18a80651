"""Checks of the donors: touched by the launch, shocked in its week, few, or one too heavy."""

from __future__ import annotations

import math

import numpy as np
from noholdout_shared.checks import Check, HypothesisCheck, Status, structural, untestable
from noholdout_shared.render import effect_text, p_text
from scipy import special

from noholdout_synthetic_control.checks.evidence import Backdated, Evidence

FEW_DONORS = 5
CONCENTRATED = 2.0  # effective donors


def contaminated_donors(evidence: Evidence) -> HypothesisCheck | None:
    """Did donors jump at the launch by more than units jump without one?"""
    panel, sign = evidence.panel, evidence.signs.donors
    if sign is None:
        return None
    names = panel.units[panel.donors[sign.members]]
    listed = ", ".join(map(str, names[:5])) + (" and others" if names.size > 5 else "")
    weight = float(evidence.fit.weights[sign.members].sum())
    return HypothesisCheck(
        name="contaminated_donors",
        assumption="The launch didn't touch the donors.",
        statistic=sign.statistic,
        p_value=sign.p_value,
        bias=sign.bias,
        found=f"At the launch donors jumped apart by {sign.statistic:.1f} times what "
        f"units do without one ({p_text(sign.p_value)}, {panel.donors.size} donors).",
        todo=f"{listed} (weight {weight:.2f}) lie {effect_text(sign.size, panel.proportion)} from "
        "the others: either group may have felt the launch or had a shock. What donors gained is "
        "taken off the effect: find out which did, leave them out and compare. (A jump of all "
        "donors alike can't be seen.)",
    )


def launch_week_shock(evidence: Evidence, backdated: Backdated) -> HypothesisCheck | None:
    """Did the donors scatter more in the launch week than after a fake launch?

    A shock that some donors share is in the twin to the extent of their weights: the ratio of
    the donors' squared gaps in the first block after the launch and after the fake one, by F.
    """
    panel, block = evidence.panel, evidence.block
    after, earlier = evidence.placebos, backdated.placebos
    count, n_post = len(after.fits), panel.times.size - panel.n_pre
    length = min(block, n_post, backdated.horizon)
    if count < 5 or len(earlier.fits) < 5:
        return None
    now = after.gaps[:, panel.n_pre : panel.n_pre + length].mean(axis=1)
    then = earlier.gaps[:, backdated.n_pre : backdated.n_pre + length].mean(axis=1)
    usual = float((then**2).mean())
    if usual <= 0:
        return None
    ratio = float((now**2).mean()) / usual
    excess = math.sqrt(max(ratio - 1, 0.0) * usual)
    weights = evidence.fit.weights
    first = "first period" if length == 1 else f"first {length} periods"
    return HypothesisCheck(
        name="launch_week_shock",
        assumption="No other shock hit some of the donors in the launch week.",
        statistic=ratio,
        p_value=float(special.fdtrc(count - 1, count - 1, ratio)),
        bias=excess * math.sqrt(float(weights @ weights)) * length / n_post,
        found=f"In the {first} after the launch donors strayed from their twins "
        f"{math.sqrt(ratio):.1f} times as far as after a fake launch.",
        todo="Something else happened to some of them that week: find out what, and leave out "
        "the donors that it hit, or the week.",
    )


def donor_pool(evidence: Evidence) -> Check:
    """Are there enough donors for a spread of placebos?"""
    count = evidence.panel.donors.size
    effective = 1 / float(evidence.fit.weights @ evidence.fit.weights)
    found = f"{count} donor{'s' if count != 1 else ''}, {effective:.1f} effective."
    name, assumption = "donor_pool", "Enough donors were left alone by the launch."
    if count < 2:
        message = f"{found} One path says nothing about how far twins stray: no interval."
        return structural(name, assumption, "fail", count, message)
    if count < FEW_DONORS:
        message = f"{found} The interval rests on very few: add donors, or hold more back."
        return structural(name, assumption, "caution", count, message)
    return structural(name, assumption, "pass", count, found)


def leaning(evidence: Evidence) -> Check:
    """Does the answer lean on one donor?"""
    name, assumption = "leave_one_out", "The answer doesn't hang on one donor."
    dropped, std_error = evidence.dropped, evidence.uncertainty.std_error
    shifts = np.abs(dropped - evidence.fit.effect)
    if np.isnan(shifts).all() or not std_error > 0:
        return untestable(name, assumption, "There is no second donor to compare with.")
    worst = int(np.nanargmax(shifts))
    size = float(shifts[worst]) / std_error
    donor = evidence.panel.units[evidence.panel.donors[worst]]
    found = (
        f"Without {donor} (weight {evidence.fit.weights[worst]:.2f}) the effect is "
        f"{effect_text(float(dropped[worst]), evidence.panel.proportion)}, the largest change of "
        f"any donor: {size:.1f} standard errors."
    )
    if size <= 2:
        return structural(name, assumption, "pass", size, found)
    message = f"{found} Find out what happened to {donor}, and report both answers."
    return structural(name, assumption, "caution", size, message)


def weight_concentration(evidence: Evidence) -> Check:
    """Is the twin more or less one donor?"""
    weights, panel = evidence.fit.weights, evidence.panel
    effective = 1 / float(weights @ weights)
    heavy = int(np.argmax(weights))
    name, assumption = "weight_concentration", "The twin is a mix, not one donor."
    found = (
        f"{effective:.1f} effective donors of {weights.size}; the heaviest is "
        f"{panel.units[panel.donors[heavy]]} with {weights[heavy]:.2f}."
    )
    if effective >= CONCENTRATED or weights.size < FEW_DONORS:
        return structural(name, assumption, "pass", effective, found)
    message = (
        f"{found} Whatever happens to it alone becomes effect: look at what else happened there, "
        "or use an estimator with a ridge (demeaned)."
    )
    return structural(name, assumption, "caution", effective, message)


def unique_weights(evidence: Evidence) -> tuple[Check, ...]:
    """How far the effect ranges over all weights that fit the past exactly as well.

    With more donors than periods many weights give the same twin before the launch and different
    ones after it; two linear programmes find the extremes.
    """
    panel = evidence.panel
    if evidence.unique or panel.donors.size < 2:
        return ()
    from scipy.optimize import linprog

    name, assumption = "unique_weights", "Only these weights fit the past this well."
    others = panel.outcomes[panel.donors]
    after = others[:, panel.n_pre :].mean(axis=1)
    scale = max(float(others.std()), 1e-300)
    rows = np.vstack([others[:, : panel.n_pre].T / scale, np.ones(panel.donors.size)])
    goal = rows @ evidence.fit.weights
    ends = [linprog(sign * after / scale, A_eq=rows, b_eq=goal) for sign in (1, -1)]
    if not all(end.success for end in ends):
        return (untestable(name, assumption, "The range of equally good weights wasn't found."),)
    own = float(evidence.fit.weights @ after)
    shifts = [own - float(end.x @ after) for end in ends]
    low, high = evidence.fit.effect + min(shifts), evidence.fit.effect + max(shifts)
    width = (high - low) / 2 / evidence.uncertainty.std_error
    share = panel.proportion
    found = (
        f"Weights that fit the past exactly as well give effects from {effect_text(low, share)} to "
        f"{effect_text(high, share)} ({panel.donors.size} donors, {panel.n_pre} periods)."
    )
    if not width > 0.5:
        return (structural(name, assumption, "pass", width, found),)
    message = f"{found} Use an estimator with a ridge (demeaned), or more periods."
    status: Status = "fail" if width > 2 else "caution"
    return (structural(name, assumption, status, width, message),)
