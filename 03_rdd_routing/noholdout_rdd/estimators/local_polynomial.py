"""Local polynomial regression discontinuity with robust bias-corrected inference."""

from __future__ import annotations

import numpy as np
from noholdout_shared.errors import DesignError

from noholdout_rdd.estimators.assemble import assemble, with_price
from noholdout_rdd.estimators.options import Options
from noholdout_rdd.inference import (
    Effect,
    choose_bandwidths,
    fit_effect,
    fit_honest,
    nearest_scores,
    refuse_sparse,
    require_clusters_near,
)
from noholdout_rdd.kernels.local import OneCluster, SparseWindow
from noholdout_rdd.ratio import linearised_ratio, pilot_ratio
from noholdout_rdd.result import RddEstimate
from noholdout_rdd.threshold_data import ThresholdData

Widths = tuple[float, float]

NO_NOISE = 1e-10  # standard error over the outcome's range, below which it is rounding


def local_polynomial(rows: ThresholdData, options: Options) -> RddEstimate:
    """What does the rule that switches at the cutoff change for users right at it?

    A polynomial is fitted on each side, rows weighted by a kernel within the bandwidth h; the
    leading bias of their difference is estimated with one degree more within b and taken out; the
    robust standard error counts that estimate's noise.

    Assumes that, but for the rule, the outcome would run on smoothly through the cutoff, and that
    nobody can set their own score precisely.

    Parameters
    ----------
    rows
        As :func:`noholdout_rdd.threshold_data.read_threshold` reads them.
    options
        Bandwidths, kernel and inference.

    Returns
    -------
    RddEstimate
        Treated minus not treated.

    Raises
    ------
    DesignError
        A window with too few different scores, a treatment that doesn't jump, a denominator
        without a positive mean at the cutoff.

    Notes
    -----
    Calonico, Cattaneo and Titiunik (2014, Econometrica 82:2295), theorems 1 and 3; covariates:
    Calonico, Cattaneo, Farrell and Titiunik (2019, REStat 101:442), equation 2.
    """
    try:
        rows, effect, chosen = _effect(rows, options)
        require_clusters_near(effect)
        _require_noise(rows, effect)
        honest = fit_honest(effect, options.spec, options.smoothness)
        result = assemble(rows, effect, honest, options, chosen)
        return with_price(result, rows, effect, options) if options.price else result
    except SparseWindow as problem:
        raise refuse_sparse(rows.cutoff, problem) from problem


def _require_noise(rows: ThresholdData, effect: Effect) -> None:
    """Raise a DesignError where the outcome has no scatter around the fit at the cutoff."""
    values = np.concatenate([side.values[0] for side in effect.sides])
    if effect.robust_error > NO_NOISE * np.ptp(values):
        return
    near = sum(effect.rows_b)
    raise DesignError(
        f"Among the {near:,} rows nearest to the cutoff {rows.cutoff:g} {rows.outcome!r} has no "
        "scatter around the fit: it is the same in all of them, or another column explains it "
        "exactly.",
        "Without scatter there is no standard error, and no interval.",
        "Check the outcome's column, leave out a covariate made from it, or widen --bandwidth.",
    )


def _effect(rows: ThresholdData, options: Options) -> tuple[ThresholdData, Effect, str]:
    """The rows (a ratio linearised), the effect, and how its bandwidths were chosen."""
    given = options.bandwidth
    if given is not None:
        width = given if options.bias_bandwidth is None else options.bias_bandwidth
        return *_fit(rows, (given, given), (width, width), options), "given"
    fitted, effect, words = _chosen(rows, options)
    bias = options.bias_bandwidth
    if bias is None:
        return fitted, effect, words
    return *_fit(rows, effect.h, (bias, bias), options), words


def _fit(
    rows: ThresholdData, h: Widths, b: Widths, options: Options
) -> tuple[ThresholdData, Effect]:
    if rows.denominator is not None:
        rows = linearised_ratio(rows, h, options.spec)
    return rows, fit_effect(rows, h, b, options.spec, fuzzy=options.fuzzy)


def _chosen(rows: ThresholdData, options: Options) -> tuple[ThresholdData, Effect, str]:
    """At the selector's bandwidths or, where too few scores carry it, the nearest scores'."""
    spec, selector = options.spec, options.selector
    try:
        pilot = rows if rows.denominator is None else pilot_ratio(rows, spec, selector)
        found = choose_bandwidths(pilot, spec, selector, fuzzy=options.fuzzy)
        return *_fit(rows, found.h, found.b, options), selector
    except OneCluster:
        raise
    except SparseWindow:
        width = nearest_scores(rows, spec.degree + 2)
        words = f"the nearest {spec.degree + 2} scores: too few for {selector}"
        return *_fit(rows, (width, width), (width, width), options), words
