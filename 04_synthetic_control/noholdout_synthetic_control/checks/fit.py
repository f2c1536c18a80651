"""Checks of the time before the launch: fit, similarity, a fake launch, the hull, the length."""

from __future__ import annotations

import math

import numpy as np
from noholdout_shared.checks import Check, HypothesisCheck, Status, structural
from noholdout_shared.inference import two_sided_p
from noholdout_shared.render import effect_text

from noholdout_synthetic_control.checks.evidence import (
    FEW_BLOCKS,
    Backdated,
    Evidence,
    above,
    misfits,
)
from noholdout_synthetic_control.inference import (
    group_placebos,
    jackknife_uncertainty,
    placebo_uncertainty,
)

SHORT_BLOCKS = 8
FEW_DAYS = 28


def pre_fit(evidence: Evidence) -> HypothesisCheck | None:
    """Does the twin follow the treated side before the launch, as well as placebos do theirs?"""
    own, ratio, others = misfits(evidence, evidence.fit, evidence.reference)
    statistic, p_value = above(ratio, others)
    if math.isnan(p_value):
        return None
    noise = own / ratio if ratio > 0 else 0.0
    excess = math.sqrt(max(own - noise * float(np.median(others)), 0.0))
    return HypothesisCheck(
        name="pre_fit",
        assumption="Before the launch the synthetic twin follows the treated side.",
        statistic=statistic,
        p_value=p_value,
        bias=excess,
        found=f"Before the launch the gap's size is {math.sqrt(ratio):.1f} times what the units' "
        f"own noise leaves; placebos have {math.sqrt(float(np.median(others))):.1f}.",
        todo="A twin that misses the past will miss the counterfactual: add donors that resemble "
        "the treated side, or compare another way.",
    )


def donor_similarity(evidence: Evidence) -> HypothesisCheck | None:
    """Before any fitting: does the treated side drift like the donors' average?"""
    panel, sign = evidence.panel, evidence.signs.trend
    if sign is None:
        return None
    return HypothesisCheck(
        name="donor_similarity",
        assumption="Before the launch the donors drift like the treated side.",
        statistic=sign.statistic,
        p_value=sign.p_value,
        bias=sign.bias,
        found=f"Unweighted, the treated side was drifting away from the donors: by the time after "
        f"the launch the trend makes {effect_text(sign.size, panel.proportion)} "
        f"(t {sign.statistic:.1f}), of which the twin may leave "
        f"{effect_text(sign.bias, panel.proportion)}.",
        todo="A trend that goes on looks like an effect: choose donors of the treated side's kind "
        "(region, size, use), or report how much of the answer it could be.",
    )


def in_time_placebo(evidence: Evidence, backdated: Backdated) -> HypothesisCheck | None:
    """An effect before the launch, where there can be none."""
    panel, fit = evidence.panel, backdated.fit
    donors, target = panel.donors, panel.target
    if evidence.design == "jackknife":
        members = np.flatnonzero(panel.treated)
        found = jackknife_uncertainty(backdated.problem.outcomes, fit, members, donors)
    else:
        placebos, df = backdated.placebos, len(backdated.placebos.fits) - 1
        if evidence.regions is not None and panel.groups is not None:
            placebos = group_placebos(backdated.problem, donors, panel.groups)
            df = len(placebos.fits)
        found = placebo_uncertainty(placebos, fit, target, donors, evidence.noise, df, "")
    if not found.std_error > 0:
        return None
    statistic = fit.effect / found.std_error
    return HypothesisCheck(
        name="in_time_placebo",
        assumption="Nothing happened to the treated side alone before the launch.",
        statistic=statistic,
        p_value=two_sided_p(statistic, found.df),
        bias=fit.effect,
        found=f"A fake launch {backdated.horizon} periods early shows "
        f"{effect_text(fit.effect, panel.proportion)} "
        f"(standard error {effect_text(found.std_error, panel.proportion, signed=False)}).",
        todo="The twin had drifted off already, or the launch was felt early: move start back, or "
        "don't trust the gap.",
    )


def convex_hull(evidence: Evidence) -> Check:
    """Can weights on the simplex reach the treated side at all?"""
    panel, block = evidence.panel, evidence.block
    name, assumption = "convex_hull", "The treated side lies within the donors' range."
    count = panel.n_pre // block
    span = slice(panel.n_pre - count * block, panel.n_pre)
    blocks = panel.outcomes[:, span].reshape(-1, count, block).mean(axis=2)
    levels = blocks.mean(axis=1)
    shifted = evidence.fit.pre_weights.any()
    if shifted:
        blocks = blocks - levels[:, None]
    own, others = panel.target @ blocks, blocks[panel.donors]
    outside = float(((own < others.min(axis=0)) | (own > others.max(axis=0))).mean())
    level = float(panel.target @ levels)
    inside = levels[panel.donors].min() <= level <= levels[panel.donors].max()
    where = "inside" if inside else "outside"
    found = (
        f"The treated side's level lies {where} the donors' range; its "
        f"{'movements leave' if shifted else 'path leaves'} that range in {outside:.0%} of the "
        "blocks of periods before the launch."
    )
    std_error = evidence.uncertainty.std_error
    left = abs(float(evidence.fit.gap[: panel.n_pre].mean()))
    if outside <= 0.5:
        return structural(name, assumption, "pass", outside, found)
    if not shifted and std_error > 0 and left > 2 * std_error:
        message = f"{found} No weights reach it: use an estimator with an intercept."
        return structural(name, assumption, "fail", outside, message)
    message = (
        f"{found} The twin extrapolates there: compare with donors of the treated side's kind."
    )
    return structural(name, assumption, "caution", outside, message)


def short_history(evidence: Evidence) -> Check:
    """Are there enough periods before the launch to fit on, and as many as after it?"""
    panel, block = evidence.panel, evidence.block
    count, n_post = panel.n_pre // block, panel.times.size - panel.n_pre
    found = f"{panel.n_pre} periods before the launch" + (
        f", {count} blocks of {block}." if block > 1 else "."
    )
    short = panel.n_pre < n_post or (panel.daily is True and panel.n_pre < FEW_DAYS)
    status: Status = "caution" if count < SHORT_BLOCKS or short else "pass"
    fitted = np.ptp(evidence.fit.weights) > 0
    if fitted and count < FEW_BLOCKS:
        status = "fail"
    message = found
    if status != "pass":
        message += (
            f" Weights fitted to so few (the time after is {n_post}) match noise, and placebo "
            "tests then reject too often:"
            if fitted
            else f" Equal weights need no more, but whether both sides moved alike can hardly be "
            f"seen in so few (the time after is {n_post}):"
        )
        message += (
            " bring more history (four weeks of days at least, and as long as the time after), or "
            "finer periods."
        )
    name, assumption = "short_history", "The history is long enough to tell twins from luck."
    return structural(name, assumption, status, count, message)
