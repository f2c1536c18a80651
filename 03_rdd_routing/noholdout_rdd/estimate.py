"""The front function of threshold routing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from noholdout_shared.input import Missing, resolve_replicates

from noholdout_rdd.estimators.local_polynomial import local_polynomial
from noholdout_rdd.estimators.options import Design
from noholdout_rdd.inference import Inference
from noholdout_rdd.kernels.bandwidth import Selector
from noholdout_rdd.kernels.local import ClusterSums, Kernel, Variance
from noholdout_rdd.result import RddEstimate
from noholdout_rdd.threshold_data import MixedBin, TreatedSide


def estimate(
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
    replicates: int | None = None,
    conf_level: float = 0.95,
    missing: Missing = "refuse",
    margin: float | None = None,
    seed: int = 0,
    jobs: int = 1,
) -> RddEstimate:
    """What does the treatment change for users right at the cutoff?

    The arguments are those of
    :func:`noholdout_rdd.estimators.local_polynomial.local_polynomial`, and what every method
    takes: ``replicates`` (an error here, as no inference draws), ``seed`` and ``jobs`` (nothing
    random or parallel happens, so they change nothing).

    Examples
    --------
    >>> estimate("users.csv", outcome="task_completed", running="query_confidence",
    ...          cutoff=0.85, treated_side="below")  # doctest: +SKIP
    """
    resolve_replicates(replicates, inference, (), 0)
    return local_polynomial(
        data,
        outcome=outcome,
        running=running,
        cutoff=cutoff,
        treated_side=treated_side,
        treatment=treatment,
        design=design,
        bandwidth=bandwidth,
        bias_bandwidth=bias_bandwidth,
        selector=selector,
        kernel=kernel,
        degree=degree,
        variance=variance,
        covariates=covariates,
        other_rules=other_rules,
        costs=costs,
        step=step,
        cluster=cluster,
        cluster_sums=cluster_sums,
        weights=weights,
        donut=donut,
        mixed_bin=mixed_bin,
        inference=inference,
        smoothness=smoothness,
        conf_level=conf_level,
        missing=missing,
        margin=margin,
    )
