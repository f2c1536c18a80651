"""The front function of method 04."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from noholdout_shared.arguments import check_choice, check_columns, check_whole, column_names
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing

from noholdout_synthetic_control.estimators.augmented import augmented
from noholdout_synthetic_control.estimators.classic import classic
from noholdout_synthetic_control.estimators.demeaned import demeaned
from noholdout_synthetic_control.estimators.did import did
from noholdout_synthetic_control.estimators.every import every
from noholdout_synthetic_control.estimators.interrupted import interrupted
from noholdout_synthetic_control.estimators.options import DEFAULTS, InferenceName
from noholdout_synthetic_control.estimators.staggered import StaggeredEstimator, staggered
from noholdout_synthetic_control.estimators.synthetic_did import synthetic_did
from noholdout_synthetic_control.kernels.fits import Solver
from noholdout_synthetic_control.metrics import several, wanted_metrics
from noholdout_synthetic_control.ratios import Metric
from noholdout_synthetic_control.result import SyntheticControlEstimate

EstimatorName = Literal[
    "demeaned", "classic", "synthetic-did", "augmented", "did", "all", "interrupted-time-series"
]
ESTIMATORS = get_args(EstimatorName)

# What may be asked of some estimators only, and what stands for "not asked".
OPTIONAL = {
    "solver": "exact",
    "block": None,
    "predictors": None,
    "importance": None,
    "covariates": None,
    "cluster": None,
    "inference": "by-design",
    "replicates": None,
    "negative_controls": None,
    "in_time_placebos": None,
}
LAUNCH = ("unit", "time", "treated", "start")
OPTIONS = tuple(DEFAULTS)
BLOCKS = (*LAUNCH, "block", *OPTIONS)
READING = ("weights", "cell_mean", "missing", "conf_level", "margin")
# Each function, and the arguments that it takes beside the outcome.
CALLS: dict[str, tuple[Callable[..., SyntheticControlEstimate], tuple[str, ...]]] = {
    "demeaned": (demeaned, BLOCKS),
    "augmented": (augmented, BLOCKS),
    "all": (every, BLOCKS),
    "classic": (classic, (*LAUNCH, "predictors", "importance", *OPTIONS)),
    "synthetic-did": (synthetic_did, (*LAUNCH, *OPTIONS)),
    "did": (did, (*LAUNCH, *OPTIONS)),
    "interrupted-time-series": (interrupted, (*LAUNCH, "covariates", *READING)),
    "staggered": (staggered, ("unit", "time", "first_treated", "estimator", "block", *OPTIONS)),
}


def estimate(
    data: Any,
    *,
    outcome: str | Sequence[str],
    unit: str,
    time: str,
    treated: Sequence[Any] | None = None,
    start: Any = None,
    first_treated: str | None = None,
    denominator: str | None = None,
    estimator: EstimatorName = "demeaned",
    solver: Solver = "exact",
    block: int | None = None,
    predictors: Sequence[str] | None = None,
    importance: str | Sequence[float] | None = None,
    covariates: Sequence[str] | None = None,
    cluster: str | None = None,
    weights: str | None = None,
    negative_controls: Sequence[str] | None = None,
    cell_mean: bool = False,
    in_time_placebos: int | None = None,
    inference: InferenceName = "by-design",
    replicates: int | None = None,
    missing: Missing = "refuse",
    conf_level: float = 0.95,
    margin: float | None = None,
    seed: int = 0,
    jobs: int = 1,
) -> SyntheticControlEstimate:
    """A launch reached these units at that time: what did it change?

    Donors that the launch didn't reach are weighted so that together they moved like the treated
    side before the launch; after it they show what would have happened. Assumes that the donors
    weren't touched, that nothing else hit the treated side alone, and that who moved together
    before would have gone on to.

    Parameters
    ----------
    data
        One row a unit and period: a frame, an Ibis table, a path or a connection URL.
    outcome
        Column of numbers; effects are in its units. Several are answered in one run, the first as
        the headline, with bands that hold for all of them together
        (:class:`noholdout_synthetic_control.metrics.MetricsEstimate`); ``cost_usd/tasks`` spells a
        ratio of sums unless a column has that name.
    unit, time
        Columns of the unit and of the period (numbers or dates).
    treated
        The units that got the launch, as they stand in ``unit``.
    start
        The first treated period, as it stands in ``time``.
    first_treated
        In place of ``treated`` and ``start`` when units got the launch at different times: column
        of each unit's first treated period, empty for never. Each cohort gets a twin of its own
        from the never-treated units (:func:`noholdout_synthetic_control.staggered`).
    denominator
        Column by which a single outcome is divided: the sum of one over the sum of the other.
    estimator
        ``demeaned`` (default), ``classic`` (no intercept), ``synthetic-did``, ``augmented`` (ridge
        correction), ``did`` (equal weights), ``all`` (the default, with the others in the table
        ``estimators``), or ``interrupted-time-series`` when no donor is left: the treated path
        alone, its verdict never better than ``caution``.
    solver
        ``exact`` (an active set) or ``slsqp`` (scipy's; slower, same weights to about 1e-6).
    block
        Periods that the demeaned and the augmented fit average over; by default a week of daily
        data.
    predictors, importance
        Of the classic estimator: what to match instead of every outcome (``column``,
        ``column@1975``, ``column@1980..1988``), and ``search`` (default), ``regression`` or one
        number each.
    covariates
        Control series of the interrupted time series, which the launch can't have changed.
    cluster
        Column of regions, when one whole region got the launch: placebo regions then give the
        interval.
    weights
        Column of the number of tasks (or users) behind each row: what a share's noise is.
    negative_controls
        Columns that the launch can't have moved (the number of tasks, of users): each is estimated
        by the same design, and a clear move says that the ruler moved.
    cell_mean
        Average rows of the same unit and period (user rows into a panel).
    in_time_placebos
        How many fake launches before the real one to answer like it (table and picture).
    inference
        ``by-design`` (default): placebo regions with ``cluster``, a jackknife over units when the
        treated are as many as the donors or more, every donor's placebo otherwise; or one of
        ``placebo``, ``placebo-regions``, ``jackknife`` by name, without the allowance that the
        default makes for a trend before the launch or donors that jumped. On request
        ``conformal`` (block shifts, by inversion), ``jackknife-plus`` (over blocks of time),
        ``bootstrap`` (over donors) and ``user-bootstrap`` (over user rows, with ``cell_mean``); the
        last two cover far too little.
    replicates
        Draws of a bootstrap (500), when one was asked.
    missing
        ``refuse``, or ``drop``: rows with missing values, then periods that a treated unit lacks,
        then the donors or periods with the largest share of gaps until none is left, all counted.
    conf_level, margin, seed, jobs
        Level of the interval; the margin of "not worse than -margin"; seed of the bootstrap;
        processes (nothing here is slow enough to need several).

    Returns
    -------
    SyntheticControlEstimate
        The effect with its interval, checks, verdict, and the tables that its pictures draw.

    Raises
    ------
    DataError
        The data can't be read as asked.
    DesignError
        No donor is left, or nothing lies before or after the launch.
    """
    arguments = {k: v for k, v in locals().items() if k not in ("data", "outcome", "denominator")}
    check_columns(unit=unit, time=time)
    if cluster is not None:
        check_columns(cluster=cluster)
    for name in ("predictors", "covariates", "negative_controls"):
        arguments[name] = list(column_names(arguments[name])) or None
    for name in ("block", "in_time_placebos", "jobs"):
        check_whole(name, arguments[name])
    check_choice("estimator", estimator, ESTIMATORS)
    if jobs < 1:
        raise DataError(f"jobs is {jobs}.", "", "Use 1 or more.")
    require_one_launch(treated, start, first_treated)
    metrics = wanted_metrics(data, outcome, denominator)
    if first_treated is not None:
        refuse_in_stages(estimator, metrics, arguments)
    if len(metrics) > 1 or metrics[0].denominator is not None:
        return several(data, metrics, estimate, arguments)
    function, takes = CALLS["staggered" if first_treated is not None else estimator]
    refuse_unused(estimator, arguments, takes)
    return function(data, outcome=metrics[0].name, **{name: arguments[name] for name in takes})


def require_one_launch(treated: Any, start: Any, first_treated: str | None) -> None:
    """Raise a DataError unless the launch is given in exactly one of the two ways."""
    if first_treated is not None and treated is None and start is None:
        return
    if first_treated is None and treated is not None and start is not None:
        return
    given = {"treated": treated, "start": start, "first_treated": first_treated}
    named = [name for name, value in given.items() if value is not None]
    raise DataError(
        f"The launch is given by {' and '.join(named) or 'nothing'}.",
        "Who got it and when must be said in one way.",
        "Give treated and start (one launch), or first_treated (a column: several launches).",
    )


def refuse_in_stages(
    estimator: str, metrics: Sequence[Metric], arguments: Mapping[str, Any]
) -> None:
    """Raise a DataError for what doesn't work with launches at different times."""
    ratios = [metric.name for metric in metrics if metric.denominator is not None]
    if ratios:
        raise DataError(
            f"first_treated was given with the ratio {ratios[0]!r}.",
            "A ratio is a sum over a sum before and after the launch, and each cohort has another.",
            "Divide beforehand and name the column: each period then counts the same.",
        )
    if estimator not in get_args(StaggeredEstimator):
        raise DataError(
            f"estimator {estimator!r} was asked with first_treated.",
            "",
            f"Use one of: {', '.join(get_args(StaggeredEstimator))}.",
        )
    if arguments["block"] is not None and "block" not in CALLS[estimator][1]:
        refuse_unused(estimator, arguments, CALLS[estimator][1])


def refuse_unused(estimator: str, arguments: Mapping[str, Any], takes: Sequence[str]) -> None:
    """Raise a DataError for an option that the estimator has no use for."""
    for name, default in OPTIONAL.items():
        if name not in takes and arguments[name] not in (default, [], ()):
            users = [other for other in ESTIMATORS if name in CALLS[other][1]]
            raise DataError(
                f"{name} was given, but estimator {estimator!r} has no use for it.",
                "An option that changes nothing would mislead.",
                f"Leave it out, or use estimator {' or '.join(map(repr, users))}.",
            )
