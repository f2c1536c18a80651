"""From an effect to the result: interval, tables, checks and words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from noholdout_rdd.checks import placebo_cutoffs, run_checks, sweep
from noholdout_rdd.estimators.options import Options
from noholdout_rdd.inference import (
    Effect,
    Inference,
    effect_interval,
    fit_effect,
    variants,
)
from noholdout_rdd.kernels.honest import HonestJump
from noholdout_rdd.kernels.local import SparseWindow, Spec
from noholdout_rdd.plot import picture_tables
from noholdout_rdd.result import RddEstimate
from noholdout_rdd.threshold_data import ThresholdData
from noholdout_rdd.threshold_price import default_step, price_threshold, reach_check


def assemble(
    rows: ThresholdData,
    effect: Effect,
    honest: HonestJump | None,
    options: Options,
    chosen: str,
) -> RddEstimate:
    """Interval, tables and checks around an effect whose bandwidths were ``chosen`` so."""
    spec, fuzzy, inference = options.spec, options.fuzzy, options.inference
    conf_level = options.conf_level
    if inference == "honest" and honest is None:
        raise SparseWindow(max(effect.h), min(effect.rows_h), 2)
    found = effect_interval(effect, honest, inference, conf_level)
    n_treated, n_control = _arms(rows, fuzzy=fuzzy)
    placebos = placebo_cutoffs(rows, spec, conf_level)
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
        settings=_settings(rows, honest, options, chosen),
        checks=run_checks(
            rows,
            effect,
            spec,
            fuzzy=fuzzy,
            placebos=placebos,
            honest=honest,
            conf_level=conf_level,
            shown=found,
            selector=options.selector if chosen == options.selector else None,
        ),
        tables={
            "bandwidths": _bandwidth_table(effect),
            "variants": variants(effect, honest, conf_level),
            "sweep": sweep(rows, effect, spec, conf_level, fuzzy=fuzzy),
            "placebo_cutoffs": placebos,
            **picture_tables(rows, effect, spec, conf_level),
        },
        df=effect.df,
        proportion=rows.proportion,
        margin=options.margin,
        bias_bound=honest.bias if inference == "honest" and honest is not None else 0.0,
    )


def _settings(
    rows: ThresholdData, honest: HonestJump | None, options: Options, chosen: str
) -> dict[str, Any]:
    spec = options.spec
    settings = {
        **rows.settings,
        "running": rows.running,
        "design": "fuzzy" if options.fuzzy else "sharp",
        "kernel": spec.kernel,
        "degree": spec.degree,
        "variance": spec.variance if rows.n_clusters is None else "cluster",
        "selector": chosen,
    }
    return settings if honest is None else settings | {"smoothness": honest.smoothness}


def _arms(rows: ThresholdData, *, fuzzy: bool) -> tuple[int, int]:
    if fuzzy and rows.treatment is not None:
        shares = zip(rows.sides, rows.treatment, strict=True)
        treated = round(sum(float(side.each(side.n) @ share) for side, share in shares))
    else:
        treated = rows.sides[rows.treated_index].rows
    return treated, rows.n_obs - treated


def _fit_words(spec: Spec, *, fuzzy: bool) -> str:
    words = {1: "linear", 2: "quadratic", 3: "cubic", 4: "quartic"}
    return f"{'fuzzy ' if fuzzy else ''}local {words[spec.degree]}"


def _estimand(rows: ThresholdData, *, fuzzy: bool) -> str:
    at = f"at {rows.running} = {rows.cutoff:g}"
    if fuzzy:
        return f"effect of {rows.treatment_column} {at}, on those who follow the rule"
    side = "at or above" if rows.sign > 0 else "below"
    below = "" if rows.denominator is None else f", outcome / {rows.denominator_column}"
    return f"effect {at} of being {side} it{below}"


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
        error = _cluster_words(rows, spec)
    if rows.denominator is not None:
        error += ", delta method"
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


def _cluster_words(rows: ThresholdData, spec: Spec) -> str:
    words = f"{rows.n_clusters:,} clusters"
    if spec.cluster_sums == "joint":
        return f"{words} over both sides"
    left, right = (side.clusters for side in rows.sides)
    both = np.intersect1d(left, right).size if left is not None and right is not None else 0
    if both == 0:
        return words
    return f"{words}, {both:,} of them on both sides but summed apart: see --cluster-sums joint"


def _bandwidth_table(effect: Effect) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "side": ["below", "above"],
            "h": effect.h,
            "b": effect.b,
            "n_effective": effect.rows_h,
            "n_bias": effect.rows_b,
        }
    )


def with_price(
    result: RddEstimate, rows: ThresholdData, effect: Effect, options: Options
) -> RddEstimate:
    """The estimate with the table ``price`` and the check ``price_reach``."""
    width = default_step(rows) if options.step is None else options.step
    # A move changes the rule, so its price is the rule's (sharp) effect even when it is overridden.
    sharp = fit_effect(rows, effect.h, effect.b, options.spec, fuzzy=False)
    price = price_threshold(
        rows,
        sharp,
        options.spec,
        costs=rows.costs,
        step=width,
        smoothness=options.smoothness,
        conf_level=options.conf_level,
    )
    return replace(
        result,
        tables={**result.tables, "price": price.table},
        checks=(*result.checks, reach_check(rows, price, width, tuple(rows.costs))),
        settings={**result.settings, "step": width, "price_reach": price.reach},
    )
