"""Local polynomial regression discontinuity with robust bias-corrected inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing, check_choice, check_level

from noholdout_rdd.checks import placebo_cutoffs, run_checks, sweep
from noholdout_rdd.inference import (
    Effect,
    Inference,
    choose_bandwidths,
    effect_interval,
    fit_effect,
    fit_honest,
    nearest_scores,
    refuse_sparse,
    variants,
)
from noholdout_rdd.kernels.bandwidth import SELECTORS, Selector
from noholdout_rdd.kernels.honest import HonestJump
from noholdout_rdd.kernels.local import KERNELS, Kernel, SparseWindow, Spec, Variance
from noholdout_rdd.plot import picture_tables
from noholdout_rdd.result import RddEstimate
from noholdout_rdd.threshold_data import (
    Columns,
    MixedBin,
    ThresholdData,
    TreatedSide,
    read_threshold,
)

Design = Literal["sharp", "fuzzy"]
VARIANCES = ("nearest-neighbour", "hc0", "hc1", "hc2", "hc3")
HIGHEST_DEGREE = 4


def local_polynomial(
    data: Any,
    *,
    outcome: str,
    running: str,
    cutoff: float,
    treated_side: TreatedSide = "above",
    treatment: str | None = None,
    design: Design | None = None,
    bandwidth: float | None = None,
    bias_bandwidth: float | None = None,
    selector: Selector = "mserd",
    kernel: Kernel = "triangular",
    degree: int = 1,
    variance: Variance | None = None,
    covariates: Sequence[str] = (),
    other_rules: Sequence[str] = (),
    cluster: str | None = None,
    weights: str | None = None,
    donut: float | None = None,
    mixed_bin: MixedBin = "keep",
    inference: Inference = "robust",
    smoothness: float | None = None,
    conf_level: float = 0.95,
    missing: Missing = "refuse",
    margin: float | None = None,
) -> RddEstimate:
    """What does the rule that switches at the cutoff change for users right at it?

    A polynomial of ``degree`` is fitted on each side, rows weighted by ``kernel`` within the
    bandwidth h; the leading bias of their difference is estimated with one degree more within b
    and taken out; the robust standard error counts that estimate's noise.

    Assumes that, but for the rule, the outcome would run on smoothly through the cutoff, and that
    nobody can set their own score precisely.

    Parameters
    ----------
    data
        One row a user: a frame, a path or a connection URL.
    outcome, running
        Columns of the outcome and of the score that the rule looks at.
    cutoff
        Where the rule switches; rows at the cutoff belong to the side above.
    treated_side
        The side that the rule treats.
    treatment
        Column of the treatment received (0/1).
    design
        ``sharp``: the effect of crossing the cutoff. ``fuzzy``: that effect over the jump in
        ``treatment``, the effect on those who follow the rule. Left out: fuzzy when ``treatment``
        is given, else sharp.
    bandwidth, bias_bandwidth
        h and b in units of the score; chosen by ``selector`` when left out; b is h when only h is
        given.
    selector
        MSE-optimal (``mse``) or coverage-error-optimal (``cer``), for the difference of the sides
        (``rd``), for each side (``two``), for their sum (``sum``), the smaller of rd and sum
        (``comb1``) or the median of all three (``comb2``).
    kernel, degree
        Weights within the bandwidth, and degree of the polynomial (1 to 4).
    variance
        Residuals for the standard error: three nearest neighbours (default), or HC0 to HC3. With
        ``cluster`` they are plain residuals summed within clusters and this must be left out.
    covariates
        Columns that the treatment can't have changed, partialled out with one slope on both
        sides.
    other_rules
        Columns of other treatments that must not jump at the cutoff (check ``second_rule``).
    cluster, weights
        Columns of groups whose rows move together, and of sampling weights.
    donut
        Leave out rows within this distance of the cutoff.
    mixed_bin
        ``drop`` leaves out the one score at the cutoff that mixes both arms because scores were
        rounded after the decision (without ``treatment``: the rows exactly at the cutoff).
    inference
        Which estimate and interval to report: ``robust`` (bias-corrected), ``conventional``, or
        ``honest`` (local linear at its own bandwidth, the interval widened by the largest bias
        that ``smoothness`` allows).
    smoothness
        Bound on the second derivative of the outcome in the score on each side, for ``honest``;
        by rule of thumb when left out.
    conf_level, missing, margin
        As everywhere.

    Returns
    -------
    RddEstimate
        Treated minus not treated, with tables ``bandwidths``, ``variants``, ``sweep``,
        ``placebo_cutoffs``, ``binned_means`` and ``fits``.

    Raises
    ------
    DataError
        The data can't be read as asked.
    DesignError
        No rows on one side, a window with too few different scores, or a treatment that doesn't
        jump.

    Notes
    -----
    Calonico, Cattaneo and Titiunik (2014, Econometrica 82:2295), theorems 1 and 3; covariates:
    Calonico, Cattaneo, Farrell and Titiunik (2019, REStat 101:442), equation 2.
    """
    spec = _spec(kernel, degree, variance, cluster)
    check_level(conf_level)
    check_choice("selector", selector, SELECTORS)
    check_choice("inference", inference, ("robust", "conventional", "honest"))
    fuzzy = _is_fuzzy(design, treatment)
    _check_positive(bandwidth=bandwidth, bias_bandwidth=bias_bandwidth, smoothness=smoothness)
    columns = Columns(
        outcome, running, treatment, tuple(covariates), tuple(other_rules), cluster, weights
    )
    rows = read_threshold(
        data,
        columns,
        cutoff=cutoff,
        treated_side=treated_side,
        donut=donut,
        mixed_bin=mixed_bin,
        missing=missing,
    )
    settings: dict[str, Any] = {
        "running": running,
        "design": "fuzzy" if fuzzy else "sharp",
        "kernel": kernel,
        "degree": degree,
        "variance": spec.variance if cluster is None else "cluster",
    }
    try:
        effect, chosen = _effect(rows, spec, selector, bandwidth, bias_bandwidth, fuzzy=fuzzy)
        return assemble(
            rows,
            effect,
            fit_honest(effect, spec, smoothness),
            spec,
            {**settings, "selector": chosen},
            fuzzy=fuzzy,
            inference=inference,
            conf_level=conf_level,
            margin=margin,
        )
    except SparseWindow as problem:
        raise refuse_sparse(rows, problem) from problem


def _effect(
    rows: ThresholdData,
    spec: Spec,
    selector: Selector,
    bandwidth: float | None,
    bias_bandwidth: float | None,
    *,
    fuzzy: bool,
) -> tuple[Effect, str]:
    """The effect, and how its bandwidths were chosen."""
    if bandwidth is not None:
        width = bandwidth if bias_bandwidth is None else bias_bandwidth
        return fit_effect(rows, (bandwidth,) * 2, (width,) * 2, spec, fuzzy=fuzzy), "given"
    h, b, words = _chosen(rows, spec, selector, fuzzy=fuzzy)
    if bias_bandwidth is not None:
        b = (bias_bandwidth, bias_bandwidth)
    return fit_effect(rows, h, b, spec, fuzzy=fuzzy), words


def _chosen(
    rows: ThresholdData, spec: Spec, selector: Selector, *, fuzzy: bool
) -> tuple[tuple[float, float], tuple[float, float], str]:
    """Bandwidths by the selector or, where too few scores carry it, the nearest scores'."""
    try:
        found = choose_bandwidths(rows, spec, selector, fuzzy=fuzzy)
        fit_effect(rows, found.h, found.b, spec, fuzzy=fuzzy)
        return found.h, found.b, selector
    except SparseWindow:
        width = nearest_scores(rows, spec.degree + 2)
        words = f"the nearest {spec.degree + 2} scores: too few for {selector}"
        return (width, width), (width, width), words


def assemble(
    rows: ThresholdData,
    effect: Effect,
    honest: HonestJump | None,
    spec: Spec,
    settings: dict[str, Any],
    *,
    fuzzy: bool,
    inference: Inference,
    conf_level: float,
    margin: float | None,
) -> RddEstimate:
    """Interval, tables and checks around an effect."""
    if inference == "honest" and honest is None:
        raise SparseWindow(max(effect.h), min(effect.pair.n_h), 2)
    found = effect_interval(effect, honest, inference, conf_level)
    if honest is not None:
        settings = {**settings, "smoothness": honest.smoothness}
    n_treated, n_control = _arms(rows, fuzzy=fuzzy)
    placebos = placebo_cutoffs(rows, spec, conf_level)
    tables = {
        "bandwidths": _bandwidth_table(effect),
        "variants": variants(effect, honest, conf_level),
        "sweep": sweep(rows, effect, spec, conf_level, fuzzy=fuzzy),
        "placebo_cutoffs": placebos,
        **picture_tables(rows, effect, spec, conf_level),
    }
    return RddEstimate(
        method=f"Regression discontinuity: {_fit_words(spec, fuzzy=fuzzy)}, {inference}",
        estimand=_estimand(rows, fuzzy=fuzzy),
        estimate=_value(effect, honest, inference),
        std_error=found.std_error,
        conf_low=found.conf_low,
        conf_high=found.conf_high,
        conf_level=conf_level,
        p_value=found.p_value,
        inference=_inference_words(rows, effect, honest, spec, inference),
        outcome=rows.outcome,
        n_obs=rows.n_obs,
        n_treated=n_treated,
        n_control=n_control,
        n_clusters=rows.n_clusters,
        settings={**rows.settings, **settings},
        checks=run_checks(
            rows,
            effect,
            spec,
            fuzzy=fuzzy,
            placebos=placebos,
            honest=honest,
            conf_level=conf_level,
        ),
        tables=tables,
        proportion=rows.proportion,
        margin=margin,
    )


def _arms(rows: ThresholdData, *, fuzzy: bool) -> tuple[int, int]:
    if fuzzy and rows.treatment is not None:
        treated = int(sum(received.sum() for received in rows.treatment))
    else:
        treated = rows.sides[rows.treated_index].n
    return treated, rows.n_obs - treated


def _fit_words(spec: Spec, *, fuzzy: bool) -> str:
    words = {1: "linear", 2: "quadratic", 3: "cubic", 4: "quartic"}
    return f"{'fuzzy ' if fuzzy else ''}local {words[spec.degree]}"


def _estimand(rows: ThresholdData, *, fuzzy: bool) -> str:
    at = f"at {rows.running} = {rows.cutoff:g}"
    if fuzzy:
        return f"effect of {rows.treatment_column} {at}, on those who follow the rule"
    side = "at or above" if rows.sign > 0 else "below"
    return f"effect {at} of being {side} it"


def _value(effect: Effect, honest: HonestJump | None, inference: Inference) -> float:
    if inference == "honest" and honest is not None:
        return effect.honest(honest)
    return effect.conventional if inference == "conventional" else effect.corrected


def _inference_words(
    rows: ThresholdData,
    effect: Effect,
    honest: HonestJump | None,
    spec: Spec,
    inference: Inference,
) -> str:
    error: str = spec.variance
    if error == "nearest-neighbour":
        error = "3 nearest neighbours"
    if rows.n_clusters is not None:
        error = f"{rows.n_clusters:,} clusters, each side's sums apart"
    if inference == "honest" and honest is not None:
        return (
            f"bias-aware: widened by a bias of at most {honest.bias:.3g}, if the curve's second "
            f"derivative stays within {honest.smoothness:.3g} ({error}); {spec.kernel} kernel, "
            f"bandwidth {honest.bandwidth:.4g}"
        )
    kind = {
        "robust": "bias-corrected, robust error",
        "conventional": "conventional, which leaves the fit's bias in and covers too little",
    }[inference]
    width = f"{effect.h[0]:.4g}"
    if effect.h[0] != effect.h[1]:
        width = f"{effect.h[0]:.4g} below, {effect.h[1]:.4g} above"
    return f"{kind} ({error}); {spec.kernel} kernel, bandwidth {width}"


def _bandwidth_table(effect: Effect) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "side": ["below", "above"],
            "h": effect.h,
            "b": effect.b,
            "n_effective": effect.pair.n_h,
            "n_bias": effect.pair.n_b,
        }
    )


def _spec(kernel: Kernel, degree: int, variance: Variance | None, cluster: str | None) -> Spec:
    check_choice("kernel", kernel, tuple(KERNELS))
    check_choice("degree", degree, tuple(range(1, HIGHEST_DEGREE + 1)))
    if variance is not None:
        check_choice("variance", variance, VARIANCES)
        if cluster is not None:
            raise DataError(
                f"variance={variance!r} was asked together with a cluster column.",
                "Clustered errors have residuals of their own.",
                "Leave one of the two out.",
            )
        return Spec(degree, kernel, variance)
    return Spec(degree, kernel, "nearest-neighbour" if cluster is None else "hc0")


def _is_fuzzy(design: Design | None, treatment: str | None) -> bool:
    if design is not None:
        check_choice("design", design, ("sharp", "fuzzy"))
    if design == "fuzzy" and treatment is None:
        raise DataError(
            "A fuzzy design was asked without a treatment column.",
            "It divides by the jump in the treatment received.",
            "Name the column with --treatment.",
        )
    return treatment is not None and design != "sharp"


def _check_positive(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not 0 < value < float("inf"):
            raise DataError(
                f"{name} is {value!r}.",
                "A bandwidth is a distance on the scale of the running variable, smoothness a "
                "bound on a second derivative.",
                "Give a positive number, or leave it out.",
            )
