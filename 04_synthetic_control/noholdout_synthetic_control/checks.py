"""The checks of a synthetic control: what the time before the launch says about the twin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from noholdout_shared.checks import (
    Check,
    HypothesisCheck,
    Status,
    judge,
    structural,
    untestable,
)
from noholdout_shared.inference import two_sided_p
from noholdout_shared.render import effect_text, p_text
from scipy import stats

from noholdout_synthetic_control.inference import (
    Placebos,
    Uncertainty,
    donor_placebos,
    excess_variance,
    group_placebos,
    jackknife_uncertainty,
    loading,
    noise_variance,
    placebo_uncertainty,
)
from noholdout_synthetic_control.kernels.fits import EqualWeights, Fit, Problem
from noholdout_synthetic_control.panel import Panel

FEW_DONORS = 5
FEW_BLOCKS, SHORT_BLOCKS = 4, 8


@dataclass(frozen=True)
class Evidence:
    """What the checks look at.

    Parameters
    ----------
    panel, fit, placebos, regions, uncertainty, noise
        Of the estimate.
    build
        Makes the estimator's problem on another panel, for the fake launch before the real one;
        ``None`` where it can't (predictors that look at the time after the fake launch).
    design
        The inference that the standard error comes from.
    dropped
        Leave-one-donor-out estimates, shape ``(J,)``.
    block
        Periods a block in the fit.
    smallest_p
        The smallest p-value that a ranking of placebos can give.
    conf_low, conf_high
        The interval.
    unique
        Whether the fit has one solution only (a ridge, or fixed weights).
    """

    panel: Panel
    fit: Fit
    placebos: Placebos
    regions: Placebos | None
    uncertainty: Uncertainty
    noise: np.ndarray
    build: Callable[[np.ndarray, int, np.ndarray], Problem] | None
    design: str
    dropped: np.ndarray
    block: int
    smallest_p: float
    conf_low: float
    conf_high: float
    unique: bool = True

    @property
    def reference(self) -> Placebos:
        """The placebos that resemble the treated side most."""
        return self.placebos if self.regions is None else self.regions


@dataclass(frozen=True)
class Backdated:
    """The same analysis with a fake launch at ``n_pre`` inside the time before the real one."""

    problem: Problem
    n_pre: int
    horizon: int
    fit: Fit
    placebos: Placebos


def all_checks(evidence: Evidence) -> tuple[Check, ...]:
    """Every check, hypothesis tests judged as one family."""
    tests = [pre_fit(evidence), donor_similarity(evidence)]
    backdated = backdate(evidence)
    if backdated is not None:
        tests.append(in_time_placebo(evidence, backdated))
        tests.append(contaminated_donors(evidence, backdated))
        tests.append(launch_week_shock(evidence, backdated))
    known = [t for t in tests if t is not None]
    return (
        *judge(known, evidence.uncertainty.std_error),
        convex_hull(evidence),
        donor_pool(evidence),
        short_history(evidence),
        leaning(evidence),
        *unique_weights(evidence),
        placebo_resolution(evidence),
        treated_only_shock(evidence),
        same_ruler(evidence),
    )


def misfit(gap: np.ndarray, n_pre: int, block: int) -> float:
    """Mean squared gap of block means before the launch."""
    count = n_pre // block
    blocks = gap[n_pre - count * block : n_pre].reshape(count, block).mean(axis=1)
    return float((blocks**2).mean())


def misfits(evidence: Evidence, fit: Fit, placebos: Placebos) -> tuple[float, float, np.ndarray]:
    """Misfit before the launch over what the units' own noise leaves: treated, and placebos.

    Returns the treated side's mean squared misfit, its ratio to noise, and the placebos' ratios.
    """
    panel, noise, block = evidence.panel, evidence.noise, evidence.block
    floor = 1e-12 * float(panel.outcomes.var())

    def expected(target: np.ndarray, donors: np.ndarray, weights: np.ndarray) -> float:
        return max(float(target**2 @ noise + weights**2 @ noise[donors]) / block, floor)

    own = misfit(fit.gap, panel.n_pre, block)
    ratio = own / expected(panel.target, panel.donors, fit.weights)
    others = [
        misfit(f.gap, panel.n_pre, block) / expected(t, d, f.weights)
        for t, d, f in zip(placebos.targets, placebos.donors, placebos.fits, strict=True)
    ]
    return own, ratio, np.array(others)


def above(own: float, others: np.ndarray) -> tuple[float, float]:
    """How far ``own`` lies above the others on the log scale: t statistic, one-sided p-value.

    Ranks among few placebos can't fall below 1 / (P + 1); logs of mean squares are near normal.
    """
    logs = np.log(np.maximum(others, 1e-300))
    count = logs.size
    if count < 3 or logs.std(ddof=1) == 0:
        return math.nan, math.nan
    spread = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / count)
    statistic = (math.log(max(own, 1e-300)) - float(logs.mean())) / spread
    return statistic, float(stats.t.sf(statistic, count - 1))


def pre_fit(evidence: Evidence) -> HypothesisCheck | None:
    """Does the twin follow the treated side before the launch, as well as placebos do theirs?"""
    own, ratio, others = misfits(evidence, evidence.fit, evidence.reference)
    statistic, p_value = above(ratio, others)
    if math.isnan(p_value):
        return None
    excess = math.sqrt(max(own - own / ratio * float(np.median(others)), 0.0))
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
    """Before any fitting: does the treated side move like the donors' average?"""
    panel = evidence.panel
    plain = EqualWeights(panel.outcomes, panel.n_pre)
    fit = plain.fit(panel.target, panel.donors)
    if evidence.regions is not None and panel.groups is not None:
        placebos = group_placebos(plain, panel.donors, panel.groups)
    else:
        placebos = donor_placebos(plain, panel.donors)
    own, ratio, others = misfits(evidence, fit, placebos)
    statistic, p_value = above(ratio, others)
    if math.isnan(p_value):
        return None
    fitted, fitted_ratio, _ = misfits(evidence, evidence.fit, evidence.reference)
    typical = fitted / fitted_ratio * float(np.median(others))
    return HypothesisCheck(
        name="donor_similarity",
        assumption="The donors move like the treated side, before anything is fitted.",
        statistic=statistic,
        p_value=p_value,
        bias=math.sqrt(max(fitted - typical, 0.0)),
        found=f"Unweighted, the treated side strays from the donors' average by "
        f"{effect_text(math.sqrt(own), panel.proportion, signed=False)} a block of periods, "
        f"{math.sqrt(ratio / float(np.median(others))):.1f} times what a donor does.",
        todo="What moves the treated side doesn't move the donors: choose donors of its kind "
        "(region, size, use), or the weights only fit noise.",
    )


def backdate(evidence: Evidence) -> Backdated | None:
    """Refit with the launch moved into the last third before the real one (Abadie 2021, 5.2).

    One fake launch only: folds further back have so little history that they reject by
    themselves. ``None`` when too few blocks are left to fit.
    """
    panel = evidence.panel
    if evidence.build is None:
        return None
    horizon = max(min(panel.times.size - panel.n_pre, panel.n_pre // 3), 1)
    n_pre = panel.n_pre - horizon
    if n_pre < max(FEW_BLOCKS * evidence.block, 2) or panel.donors.size < 3:
        return None
    before = panel.outcomes[:, : panel.n_pre]
    problem = evidence.build(before, n_pre, evidence.noise)
    fit = problem.fit(panel.target, panel.donors)
    return Backdated(problem, n_pre, horizon, fit, donor_placebos(problem, panel.donors))


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


def contaminated_donors(evidence: Evidence, backdated: Backdated) -> HypothesisCheck | None:
    """Did a donor jump at the launch by more than donors stray without one?

    Each donor's jump over the first periods after the launch is studentised by how far the same
    donors strayed after the fake launch; the largest is judged among their number (Sidak).
    """
    panel, noise, horizon = evidence.panel, evidence.noise, backdated.horizon
    placebos, earlier = evidence.placebos, backdated.placebos
    if len(placebos.fits) < 3 or len(earlier.fits) < 3:
        return None
    common = excess_variance(earlier, earlier.effects, noise, horizon)
    after = slice(panel.n_pre, panel.n_pre + horizon)
    jumps = placebos.gaps[:, after].mean(axis=1)
    parts = zip(placebos.targets, placebos.donors, placebos.fits, strict=True)
    sizes = [
        math.sqrt(common * loading(t, f.weights) + noise_variance(noise, t, d, f, horizon))
        for t, d, f in parts
    ]
    if min(sizes) <= 0:
        return None
    p_worst, worst, score, shocks = touched(jumps, np.array(sizes), placebo_weights(placebos))
    touched_count = max(int((shocks != 0).sum()), 1)
    weights = evidence.fit.weights[: jumps.size]
    name = panel.units[panel.donors[worst]]
    return HypothesisCheck(
        name="contaminated_donors",
        assumption="The launch didn't touch the donors.",
        statistic=score,
        p_value=p_worst,
        bias=float(weights @ shocks),
        found=f"The largest jump of a donor at the launch is {name}'s, "
        f"{effect_text(float(jumps[worst]), panel.proportion)} (weight {weights[worst]:.2f}; "
        f"{p_text(p_worst)} among {jumps.size} donors).",
        todo=f"{touched_count} donor{'s' if touched_count > 1 else ''} may have felt the launch "
        "or had a shock then; what a donor gained is taken off the effect: leave such donors "
        "out and compare.",
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
        p_value=float(stats.f.sf(ratio, count - 1, count - 1)),
        bias=excess * math.sqrt(float(weights @ weights)) * length / n_post,
        found=f"In the {first} after the launch donors strayed from their twins "
        f"{math.sqrt(ratio):.1f} times as far as after a fake launch.",
        todo="Something else happened to some of them that week: find out what, and leave out "
        "the donors that it hit, or the week.",
    )


def placebo_weights(placebos: Placebos) -> np.ndarray:
    """Weight of each donor in each donor's placebo twin, shape ``(P, P)``."""
    order = {int(np.argmax(target)): k for k, target in enumerate(placebos.targets)}
    weights = np.zeros((len(placebos.fits), len(placebos.fits)))
    for row, (donors, fit) in enumerate(zip(placebos.donors, placebos.fits, strict=True)):
        weights[row, [order[int(d)] for d in donors]] = fit.weights
    return weights


def touched(
    jumps: np.ndarray, sizes: np.ndarray, weights: np.ndarray
) -> tuple[float, int, float, np.ndarray]:
    """Which donors jumped, the largest first: its p-value, position, score, and all shocks.

    A donor's own shock ``s_j`` also moves the twins that it is part of, so that the jumps are
    ``(I - W) s``: each shock found is taken off everyone's jump before the next is looked for.
    """
    count = jumps.size
    left, shocks = jumps.copy(), np.zeros(count)
    first: tuple[float, int, float] = (1.0, 0, 0.0)
    for step in range(max(count // 2, 1)):
        scores = left / sizes
        worst = int(np.argmax(np.abs(scores)))
        p_each = min(two_sided_p(float(scores[worst]), count - 1), 1 - 1e-12)
        p_worst = -math.expm1(count * math.log1p(-p_each))
        if step == 0:
            first = (p_worst, worst, float(scores[worst]))
        elif p_worst >= 0.05:
            break
        shocks[worst] += left[worst]
        left += weights[:, worst] * left[worst]
        left[worst] = 0.0
        if p_worst >= 0.05:
            break
    return *first, shocks


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


def short_history(evidence: Evidence) -> Check:
    """Are there enough periods before the launch to fit on?"""
    panel, block = evidence.panel, evidence.block
    count = panel.n_pre // block
    unit = "blocks" if block > 1 else "periods"
    found = f"{panel.n_pre} periods before the launch" + (
        f", {count} {unit} of {block}." if block > 1 else "."
    )
    name, assumption = "short_history", "The history is long enough to tell twins from luck."
    status: Status = (
        "pass" if count >= SHORT_BLOCKS else "caution" if count >= FEW_BLOCKS else "fail"
    )
    message = (
        found
        if status == "pass"
        else f"{found} Weights fitted to so few match noise, and placebo tests then reject far "
        "too often: bring more history, or finer periods."
    )
    return structural(name, assumption, status, count, message)


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
        "effect: re-score a sample of old and new rows with one ruler.",
    )
