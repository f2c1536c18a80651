"""Local polynomial regression discontinuity with robust bias-corrected inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from noholdout_shared.input import Missing, check_choice, check_level

from noholdout_rdd.estimators.assemble import assemble, with_price
from noholdout_rdd.estimators.options import Design, check_positive, fit_spec, is_fuzzy
from noholdout_rdd.inference import (
    Effect,
    Inference,
    choose_bandwidths,
    fit_effect,
    fit_honest,
    nearest_scores,
    refuse_sparse,
)
from noholdout_rdd.kernels.bandwidth import SELECTORS, Selector
from noholdout_rdd.kernels.local import ClusterSums, Kernel, SparseWindow, Spec, Variance
from noholdout_rdd.result import RddEstimate
from noholdout_rdd.threshold_data import (
    Columns,
    MixedBin,
    ThresholdData,
    TreatedSide,
    read_threshold,
)


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
    costs: Sequence[str] = (),
    step: float | None = None,
    cluster: str | None = None,
    cluster_sums: ClusterSums = "apart",
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
    costs, step
        Price the threshold: what moving the cutoff by ``step`` (0.01 for scores between 0 and 1)
        and its multiples would change in the outcome and in these columns (dollars, seconds) per
        1,000 users, in the table ``price``. Either of the two asks for it.
    cluster, weights
        Columns of groups whose rows move together, and of sampling weights.
    cluster_sums
        ``apart``: within clusters on each side, as the reference implementation; ``joint``: over
        both sides, right when clusters lie on both (their common shocks cancel in the jump).
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
    spec = fit_spec(kernel, degree, variance, cluster, cluster_sums)
    check_level(conf_level)
    check_choice("selector", selector, SELECTORS)
    check_choice("inference", inference, ("robust", "conventional", "honest"))
    fuzzy = is_fuzzy(design, treatment)
    check_positive(bandwidth=bandwidth, bias_bandwidth=bias_bandwidth, smoothness=smoothness)
    check_positive(step=step)
    columns = Columns(
        outcome=outcome,
        running=running,
        treatment=treatment,
        covariates=tuple(covariates),
        other_rules=tuple(other_rules),
        costs=tuple(costs),
        cluster=cluster,
        weights=weights,
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
        result = assemble(
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
        if not costs and step is None:
            return result
        return with_price(result, rows, effect, spec, step, smoothness)
    except SparseWindow as problem:
        raise refuse_sparse(cutoff, problem) from problem


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
