"""The front function of threshold routing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from noholdout_shared.arguments import check_seed, column_names, resolve_replicates
from noholdout_shared.input import Missing

from noholdout_rdd.columns import Columns
from noholdout_rdd.estimators.local_polynomial import local_polynomial
from noholdout_rdd.estimators.options import Design, Options, fit_spec, is_fuzzy
from noholdout_rdd.inference import Inference
from noholdout_rdd.kernels.bandwidth import Selector
from noholdout_rdd.kernels.local import ClusterSums, Variance
from noholdout_rdd.kernels.side import Kernel
from noholdout_rdd.placement import MixedBin, TreatedSide
from noholdout_rdd.result import RddEstimate
from noholdout_rdd.threshold_data import read_threshold


def estimate(
    data: Any,
    *,
    outcome: str,
    running: str,
    cutoff: float,
    treated_side: TreatedSide = "above",
    treatment: str | None = None,
    denominator: str | None = None,
    design: Design | None = None,
    bandwidth: float | None = None,
    bias_bandwidth: float | None = None,
    selector: Selector = "mserd",
    kernel: Kernel = "triangular",
    degree: int = 1,
    variance: Variance | None = None,
    covariates: str | Sequence[str] | None = (),
    other_rules: str | Sequence[str] | None = (),
    costs: str | Sequence[str] | None = (),
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

    A local polynomial on each side, its bias corrected or bounded. Assumes that, but for the rule,
    the outcome would run on smoothly through the cutoff, and that nobody can set their own score
    precisely.

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
    denominator
        Column over which the outcome is a ratio, such as cost over completed tasks: the effect is
        the difference of two ratios of means at the cutoff, its error by the delta method.
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
    replicates
        Draws of a resampling inference: none here draws, so that giving it is an error.
    conf_level
        Level of the interval, between 0 and 1.
    missing
        ``refuse`` rows with missing values, or ``drop`` and count them.
    margin
        Also answer whether the effect is worse than minus this, in the outcome's units.
    seed, jobs
        What every method takes. No step here draws or is split, so they change nothing; they stand
        here so that one script can call every method alike.

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
        No rows on one side, a window with too few different scores, a treatment that doesn't
        jump, or a denominator without a positive mean at the cutoff.

    Notes
    -----
    Calonico, Cattaneo and Titiunik (2014, Econometrica 82:2295), theorems 1 and 3; see
    :func:`noholdout_rdd.estimators.local_polynomial.local_polynomial`.

    Examples
    --------
    >>> estimate("users.csv", outcome="task_completed", running="query_confidence",
    ...          cutoff=0.85, treated_side="below")  # doctest: +SKIP
    """
    resolve_replicates(replicates, inference, (), 0)
    check_seed(seed)
    columns = Columns(
        outcome=outcome,
        running=running,
        treatment=treatment,
        denominator=denominator,
        covariates=column_names(covariates),
        other_rules=column_names(other_rules),
        costs=column_names(costs),
        cluster=cluster,
        weights=weights,
    )
    options = Options(
        spec=fit_spec(kernel, degree, variance, cluster, cluster_sums),
        selector=selector,
        bandwidth=bandwidth,
        bias_bandwidth=bias_bandwidth,
        fuzzy=is_fuzzy(design, treatment, denominator),
        inference=inference,
        smoothness=smoothness,
        price=len(columns.costs) > 0 or step is not None,
        step=step,
        conf_level=conf_level,
        margin=margin,
    )
    rows = read_threshold(
        data,
        columns,
        cutoff=cutoff,
        treated_side=treated_side,
        donut=donut,
        mixed_bin=mixed_bin,
        missing=missing,
        may_sum=step is None,
    )
    return local_polynomial(rows, options)
