"""The front function of staged rollouts."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from noholdout_shared.arguments import check_columns, column_names
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing

from noholdout_did.kernels.adjusted import Adjust
from noholdout_did.kernels.aggregate import AggregateName
from noholdout_did.kernels.group_time import BasePeriod, ControlGroup
from noholdout_did.options import Estimator, Inference, check_options
from noholdout_did.reading import Columns, read_rollout
from noholdout_did.result import DidEstimate
from noholdout_did.rollout_log import LogRequest, TreatedBy, Unlisted


def estimate(
    data: Any,
    *,
    outcome: str,
    time: str,
    first_treated: str | None = None,
    rollout_log: Any = None,
    flag: str | None = None,
    treated_by: TreatedBy = "intention-to-treat",
    ramp_threshold: float = 0.0,
    unlisted: Unlisted = "refuse",
    unit: str | None = None,
    cluster: str | None = None,
    weights: str | None = None,
    denominator: str | None = None,
    covariates: Sequence[str] | None = None,
    adjust: Adjust = "dr",
    composition: Sequence[str] | None = None,
    estimator: Estimator = "group-time",
    control_group: ControlGroup = "not-yet-treated",
    base_period: BasePeriod = "varying",
    anticipation: int = 0,
    aggregate: AggregateName = "simple",
    balance: int | None = None,
    sensitivity: bool = False,
    cell_mean: bool = False,
    inference: Inference = "analytic",
    replicates: int | None = None,
    missing: Missing = "refuse",
    conf_level: float = 0.95,
    margin: float | None = None,
    seed: int = 0,
    jobs: int = 1,
) -> DidEstimate:
    """What did the launch change in the waves that got it?

    Assumes that, without the launch, each wave would have moved in parallel with those not yet
    treated, and that nobody reacted more than ``anticipation`` periods before it.

    Parameters
    ----------
    data
        A pandas, polars or Arrow frame, an Ibis table, a path or a connection URL. One row a
        unit and period, or one row a user seen once (repeated cross-sections).
    outcome, time
        Columns of the outcome (numbers) and the period (numbers, dates, or text in sort order).
    first_treated
        Column of the unit's first treated period, in the unit of ``time``. Empty, NaN, infinite,
        0 before the first period and later than the last period are never treated; units treated
        from the first period on are left out. All are counted in ``settings``. Negative values
        where no time is negative are refused. Or, in its place:
    rollout_log, flag, treated_by, ramp_threshold, unlisted
        A frame or path of flag events with columns ``flag, unit, time, event``: see
        :class:`noholdout_did.rollout_log.LogRequest`. Its unit is that of ``unit``, or else of
        ``cluster``; an empty one means every unit not held back. ``flag`` names the launch under
        study when there are several; check ``collisions`` looks whether the others fall on it.
    unit
        Column of the unit of a panel; leave out for repeated cross-sections.
    cluster
        Column of the groups whose rows move together. By default the unit. Naming it turns the
        small-sample correction on, as having fewer than 40 units does.
    weights
        Column of sampling weights.
    denominator
        Column over which the outcome is a ratio, such as tasks completed over tasks: means become
        ratios of sums, their errors by the delta method, and waves count by their denominators.
        For ``group-time`` and ``two-by-two``.
    covariates, adjust
        Columns to hold equal between waves and controls (text becomes indicators): doubly robust
        (``dr``), by ``regression`` or by weighting (``ipw``). On a balanced panel their values in
        the base period count. On repeated cross-sections each period is adjusted by itself, which
        needs a wave's covariates to keep their distribution.
    composition
        Columns that the launch can't have changed (tier, country): check ``composition`` looks
        whether they moved with it. They aren't adjusted for.
    estimator
        ``group-time`` (Callaway and Sant'Anna 2021) or ``two-by-two``: the first wave against
        those not treated until the window ends, before against after; ``twfe``: two-way fixed
        effects, with what its coefficient is made of; ``imputation`` (Borusyak, Jaravel and Spiess
        2024) or ``two-stage`` (Gardner 2022): against what untreated rows predict, which leans on
        every period before the launch; ``sun-abraham`` (2021): against the never treated or the
        last wave; ``all``: group-time, with the others in table ``estimators``.
    control_group
        ``not-yet-treated``: waves until they are treated, and the never treated;
        ``never-treated``: the latter only.
    base_period
        Before the launch, compare with the period before (``varying``) or with the last clean
        period (``universal``). Effects after the launch don't depend on it.
    anticipation
        Number of periods before the launch in which people may already react.
    aggregate
        ``simple``, ``event``, ``group`` or ``calendar``; each is a different average.
    balance
        With ``aggregate="event"``: only waves seen this many periods after launch, up to there.
    sensitivity
        Add table ``sensitivity``: intervals that hold when trends are only nearly parallel
        (Rambachan and Roth 2023), for moves after the launch up to M times those before it, and
        for slopes that change by at most M a period.
    cell_mean
        Average duplicate (unit, time) rows into one, which turns user rows into a panel.
    inference, replicates
        ``analytic`` (t with cluster degrees of freedom) or ``bootstrap`` (the studentised
        multiplier bootstrap); ``randomization``: for waves drawn at random, p-value and interval
        from clusters redrawn over the waves, valid however few there are; these two take 999 draws
        by default. ``leave-out``, for ``imputation``: each cluster is compared with the others of
        its wave. Simultaneous bands come from the bootstrap in any case.
    missing, conf_level, margin, seed
        ``refuse`` or ``drop`` (counted); level of intervals and bands; the M of "not worse than
        -M", in outcome units; seed of the draws.
    jobs
        Processes; nothing here takes long enough to be split, and results don't depend on it.

    Returns
    -------
    DidEstimate
        Tables ``group_time``, ``event_study``, ``pre_tests``, ``trends`` and, for some
        aggregates, ``aggregate``.

    Raises
    ------
    DataError
        The data can't be read as asked.
    DesignError
        One period, nobody treated or untreated, or no effect with a comparison group.

    Notes
    -----
    Callaway and Sant'Anna (2021, Journal of Econometrics 225:200-230), equations 2.6 to 2.9 for
    the effects and section 3 for the averages; Sant'Anna and Zhao (2020, Journal of Econometrics
    219:101-122) for the adjustment.
    """
    check_columns(outcome=outcome, time=time)
    covariates, composition = column_names(covariates), column_names(composition)
    options = check_options(
        estimator=estimator,
        adjust=adjust,
        control_group=control_group,
        base_period=base_period,
        anticipation=anticipation,
        aggregate=aggregate,
        balance=balance,
        sensitivity=sensitivity,
        inference=inference,
        replicates=replicates,
        conf_level=conf_level,
        margin=margin,
        seed=seed,
    )
    if denominator is not None:
        _require_means(estimator, covariates, composition)
    if adjust != "dr" and not covariates:
        raise DataError(
            f"adjust={adjust!r} was asked without covariates.",
            "There is nothing to adjust for.",
            "Name --covariates, or leave --adjust out.",
        )
    log = _log_request(rollout_log, flag, treated_by, ramp_threshold, unlisted)
    means = estimator in ("group-time", "two-by-two")
    named = Columns(
        outcome=outcome,
        time=time,
        first_treated=first_treated,
        log=log,
        unit=unit,
        cluster=cluster,
        weights=weights,
        denominator=denominator,
        covariates=covariates,
        composition=composition,
        cell_mean=cell_mean,
        missing=missing,
        averages=means,
        by_unit=means and inference != "randomization",
    )
    rollout = read_rollout(data, named)
    both = sorted(set(composition) & set(covariates))
    if both:
        raise DataError(
            f"{both[0]!r} stands in composition and in covariates.",
            "The estimate is adjusted for a covariate, so its shift isn't a bias any more.",
            "Keep it in one of the two.",
        )
    if composition and estimator not in ("group-time", "all"):
        raise DataError(
            f"composition was given, but estimator {estimator!r} has no such check.",
            "An option that changes nothing would mislead.",
            "Use --estimator group-time, or leave --composition out.",
        )
    run = _estimator(estimator)
    shown = outcome if denominator is None else f"{outcome} / {denominator}"
    found = run(rollout, options, outcome=shown, named_cluster=cluster is not None)
    if denominator is not None:
        found = replace(found, estimand=f"{found.estimand}; a difference of ratios of sums")
    if log is None:
        return found
    from noholdout_did.collisions import with_log_checks

    return with_log_checks(found, rollout, options)


def _require_means(
    estimator: Estimator, covariates: Sequence[str] | None, composition: Sequence[str] | None
) -> None:
    """Refuse a ratio where the answer isn't built from means by wave and period."""
    if estimator in ("group-time", "two-by-two") and not covariates and not composition:
        return
    raise DataError(
        "A denominator was given together with "
        + (f"estimator {estimator!r}." if not (covariates or composition) else "other columns."),
        "A ratio of sums is there for means by wave and period only, without covariates or "
        "composition.",
        "Use --estimator group-time or two-by-two, or divide row by row yourself.",
    )


def _log_request(
    source: Any, flag: str | None, treated_by: TreatedBy, ramp_threshold: float, unlisted: Unlisted
) -> LogRequest | None:
    """The request for a log; without one its options would be ignored, so they are refused."""
    given: dict[str, tuple[Any, Any]] = {
        "flag": (flag, None),
        "treated_by": (treated_by, "intention-to-treat"),
        "ramp_threshold": (ramp_threshold, 0.0),
        "unlisted": (unlisted, "refuse"),
    }
    if source is not None:
        return LogRequest(source, flag, treated_by, float(ramp_threshold), unlisted)
    for name, (value, default) in given.items():
        if value != default:
            raise DataError(
                f"{name}={value!r} was given without a rollout log.",
                "It says how a log is read; an option that changes nothing would mislead.",
                f"Add --rollout-log, or leave --{name.replace('_', '-')} out.",
            )
    return None


def _estimator(name: Estimator) -> Callable[..., DidEstimate]:
    """The estimator of that name; each module loads on first use."""
    function = "side_by_side" if name == "all" else name.replace("-", "_")
    module = "imputation" if name == "two-stage" else function
    loaded = importlib.import_module(f"noholdout_did.estimators.{module}")
    found: Callable[..., DidEstimate] = getattr(loaded, function)
    return found
