"""Several metrics of one launch in one run: each with its own interval, all with joint bands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from noholdout_shared.arguments import column_names
from noholdout_shared.errors import DataError
from noholdout_shared.inference import critical_value
from noholdout_shared.input import read_rows
from noholdout_shared.parallel import run_parallel
from noholdout_shared.render import effect_text

from noholdout_synthetic_control.kernels.joint import (
    JointLevel,
    error_correlation,
    jackknife_moves,
    joint_level,
)
from noholdout_synthetic_control.panel import read_panel
from noholdout_synthetic_control.ratios import Metric, as_column, named, ratio_frame
from noholdout_synthetic_control.result import SyntheticControlEstimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Single = Callable[..., SyntheticControlEstimate]
MIN_FOR_CORRELATION = 8  # errors; with fewer, metrics count as unrelated, the widest bands


@dataclass(frozen=True, kw_only=True)
class MetricsEstimate(SyntheticControlEstimate):
    """The effect on the first metric named, with every metric beside it.

    Further ``tables``: ``metrics`` (metric, estimate, std_error, conf_low, conf_high, band_low,
    band_high, verdict, p_value, p_joint, df, proportion), ``metric_correlation`` (metric, other,
    correlation: of the estimates' errors), ``metric_paths`` (metric and the columns of ``path``),
    ``metric_weights`` (metric, unit, weight) and ``metric_checks`` (metric, check, status, p_value,
    message). Everything else, the verdict included, is the first metric's.
    """

    @property
    def further_rows(self) -> tuple[tuple[str, str], ...]:
        """Each metric with its joint band and its own verdict."""
        level = f"{100 * self.conf_level:g}% joint band"
        rows = []
        for row in self.tables["metrics"].to_dict("records"):
            effect, low, high = effect_with_band(row)
            rows.append((row["metric"], f"{effect}, {level} {low} to {high}; {row['verdict']}"))
        return tuple(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Every metric's path in a panel of its own; the first metric's on ``ax`` where given."""
        from noholdout_synthetic_control.plot import plot_metrics

        return super().plot(ax) if ax is not None else plot_metrics(self)


def effect_with_band(row: Mapping[Any, Any]) -> tuple[str, str, str]:
    """Effect and both ends of its joint band, of one row of the table ``metrics``, as text."""
    shares = bool(row["proportion"])
    texts = [effect_text(row[name], shares) for name in ("estimate", "band_low", "band_high")]
    return texts[0], texts[1].removesuffix(" points"), texts[2]


def wanted_metrics(
    data: Any, outcome: str | Sequence[str], denominator: str | None
) -> list[Metric]:
    """What was asked for: columns, and ratios spelled ``numerator/denominator``.

    Raises
    ------
    DataError
        None, one twice, or a denominator beside several outcomes.
    """
    names = list(column_names(outcome))
    if not names or len(set(names)) < len(names):
        raise DataError(
            "No outcome was named." if not names else f"An outcome was named twice: {names}.",
            "",
            "Name each metric once.",
        )
    if denominator is not None and len(names) > 1:
        raise DataError(
            f"denominator {denominator!r} was given with {len(names)} outcomes.",
            "It isn't clear which of them it divides.",
            f"Spell the ratio in the list: {names[0]}/{denominator}.",
        )
    if denominator is not None:
        return [named(names[0], denominator)]
    return [
        as_column(metric) if metric.denominator and _has_column(data, name) else metric
        for name, metric in ((name, named(name)) for name in names)
    ]


def _has_column(data: Any, name: str) -> bool:
    try:
        read_rows(data, [name], missing="refuse", may_be_empty=[name])
    except DataError:
        return False
    return True


def several(
    data: Any, wanted: Sequence[Metric], single: Single, options: Mapping[str, Any]
) -> SyntheticControlEstimate:
    """One estimate a metric by ``single``, and the bands that hold for all of them together.

    Each metric has donor weights of its own: the first metric's answer is then the one that it
    gets alone, whatever is named beside it, and a cost that moves like no quality doesn't
    pull the weights of either. All metrics stand on the same rows.

    Parameters
    ----------
    data
        As in ``estimate``.
    wanted
        Of :func:`wanted_metrics`; one ratio alone is answered without bands.
    single
        Estimates one column; takes ``data``, ``outcome`` and ``options``.
    options
        The other arguments of ``estimate``.
    """
    refuse_unshared(wanted, options)
    columns = [column for metric in wanted for column in metric.columns]
    names = [options[name] for name in ("unit", "time", "weights", "cluster")]
    matched = [text.split("@")[0] for text in options["predictors"] or ()]
    launches = options["first_treated"]
    may_be_empty = matched + ([launches] if launches is not None else [])
    controls = list(options["negative_controls"] or ())
    rows = read_rows(
        data,
        [*columns, *names, launches, *matched, *controls],
        missing=options["missing"],
        may_be_empty=may_be_empty,
    )
    jobs = options["jobs"]
    work = [(single, rows.frame, metric, {**options, "jobs": 1}) for metric in wanted]
    found = run_parallel(_one_metric, work, jobs=jobs)
    results = [
        replace(r, settings={**r.settings, **rows.settings}) for r, _ in found
    ]  # rows dropped are counted over all metrics
    if len(wanted) == 1:
        return results[0]
    return together(wanted, results, [frame for _, frame in found], options)


def refuse_unshared(wanted: Sequence[Metric], options: Mapping[str, Any]) -> None:
    """Raise a DataError for what has no meaning for several metrics, or for a ratio."""
    if any(metric.denominator for metric in wanted) and options["predictors"]:
        raise DataError(
            "A ratio was asked together with predictors.",
            "Predictors are matched beside a column, not beside sums over sums.",
            "Leave predictors out, or add the ratio as a column.",
        )
    if len(wanted) == 1:
        return
    reason = ""
    if options["estimator"] == "interrupted-time-series":
        reason = "an interrupted time series has no donors whose errors show how metrics move"
    if options["inference"] == "bootstrap":
        reason = "bands from the donor bootstrap would cover even less than its intervals"
    if reason:
        raise DataError(
            f"{len(wanted)} outcomes were named, but {reason}.",
            "",
            f"Ask one outcome at a time; at conf_level {1 - 0.05 / len(wanted):.4g} all "
            f"{len(wanted)} intervals hold together with 95%.",
        )


def _one_metric(
    item: tuple[Single, pd.DataFrame, Metric, dict[str, Any]],
) -> tuple[SyntheticControlEstimate, pd.DataFrame]:
    """One metric's estimate, and the frame (with its column) that it stands on."""
    single, frame, metric, options = item
    if metric.denominator is None:
        return single(frame, outcome=metric.name, **options), frame
    shared = ("unit", "time", "treated", "start", "block", "weights", "cluster")
    asked = {name: options[name] for name in (*shared, "cell_mean", "missing")}
    table, settled, counts = ratio_frame(frame, metric, **asked)
    cells, controls = [options["unit"], options["time"]], options["negative_controls"]
    if controls:
        means = frame.groupby(cells, as_index=False)[list(controls)].mean()
        table = table.merge(means, on=cells, how="left")
    options = {**options, "weights": counts, "cell_mean": False}
    result = single(table, outcome=metric.name, **options)
    estimand = f"{result.estimand}, of each unit's sum over sum"
    return replace(result, estimand=estimand, settings={**settled, **result.settings}), table


def together(
    wanted: Sequence[Metric],
    results: Sequence[SyntheticControlEstimate],
    frames: Sequence[pd.DataFrame],
    options: Mapping[str, Any],
) -> MetricsEstimate:
    """The first metric's estimate with the joint bands and every metric's tables."""
    errors, source = error_draws(wanted, results, frames, options)
    correlation = error_correlation(errors)
    if errors.shape[0] < MIN_FOR_CORRELATION:
        source += f", too few to show how {len(wanted)} metrics move together: taken as unrelated"
        correlation = np.eye(len(wanted))
    conf_level = options["conf_level"]
    df = np.array([result.df if result.std_error > 0 else math.nan for result in results])
    known = np.flatnonzero(df > 0)
    joint = None
    if known.size:
        inner = correlation[np.ix_(known, known)]
        joint = joint_level(inner, df[known], conf_level, options["seed"])
    names = [metric.name for metric in wanted]
    headline = results[0]
    tables = {
        "metrics": metrics_table(names, results, joint),
        "metric_correlation": pd.DataFrame(
            {
                "metric": np.repeat(names, len(names)),
                "other": np.tile(names, len(names)),
                "correlation": correlation.ravel(),
            }
        ),
        **headline.tables,
        "metric_paths": stacked(names, [r.tables["path"] for r in results]),
        "metric_weights": stacked(names, [r.tables["weights"] for r in results]),
        "metric_checks": stacked(names, [checks_table(r) for r in results]),
    }
    settings = {
        **headline.settings,
        "metrics": names,
        "joint_bands": f"balanced max-t over {len(names)} metrics, correlation from {source}",
        "band_conf_level": math.nan if joint is None else joint.level,
    }
    shared = {name: getattr(headline, name) for name in headline.__dataclass_fields__}
    return MetricsEstimate(**shared | {"tables": tables, "settings": settings})


def error_draws(
    wanted: Sequence[Metric],
    results: Sequence[SyntheticControlEstimate],
    frames: Sequence[pd.DataFrame],
    options: Mapping[str, Any],
) -> tuple[np.ndarray, str]:
    """Errors from which the correlation is read, shape ``(n, m)``, and what they are.

    The same units' placebo effects, or jackknife moves, for every metric: as the design that made
    the intervals had it. Launches at different times: the donors' placebos, averaged over the
    launches as the effects are.
    """
    design = str(results[0].tables["intervals"]["inference"].iloc[0])
    if design == "jackknife" and options["first_treated"] is None:
        sides = [moves(m, r, f, options) for m, r, f in zip(wanted, results, frames, strict=True)]
        return np.column_stack(sides), "the units' jackknife moves"
    name = "placebo_regions" if design == "placebo-regions" else "placebos"
    gaps = np.column_stack([r.tables[name]["gap"].to_numpy() for r in results])
    return gaps, f"{gaps.shape[0]} {name.replace('_', ' ')}"


def moves(
    metric: Metric,
    result: SyntheticControlEstimate,
    frame: pd.DataFrame,
    options: Mapping[str, Any],
) -> np.ndarray:
    """Jackknife moves of one metric's estimate, treated units first, shape ``(N,)``."""
    ratio = metric.denominator is not None
    panel = read_panel(
        frame,
        outcome=metric.name,
        **{name: options[name] for name in ("unit", "time", "treated", "start", "missing")},
        weights=None if ratio else options["weights"],
        cell_mean=not ratio and options["cell_mean"],
    )
    changes = panel.outcomes[:, panel.n_pre :].mean(axis=1)
    changes = changes - panel.outcomes[:, : panel.n_pre].mean(axis=1)
    equal = np.full(int(panel.treated.sum()), 1 / panel.treated.sum())
    sides = (
        (changes[panel.treated], equal),
        (changes[panel.donors], result.tables["weights"]["weight"].to_numpy()),
    )
    return np.concatenate([jackknife_moves(c[:, None], w[:, None])[:, 0] for c, w in sides])


def metrics_table(
    names: Sequence[str],
    results: Sequence[SyntheticControlEstimate],
    joint: JointLevel | None,
) -> pd.DataFrame:
    """One row a metric: its own interval, its joint band, its own verdict."""
    rows = []
    for name, result in zip(names, results, strict=True):
        reach = p_joint = math.nan
        if joint is not None and result.std_error > 0:
            reach = critical_value(joint.level, result.df) * result.std_error
            p_joint = joint.joint_p(result.p_value)
        rows.append(
            {
                "metric": name,
                "estimate": result.estimate,
                "std_error": result.std_error,
                "conf_low": result.conf_low,
                "conf_high": result.conf_high,
                "band_low": result.estimate - reach,
                "band_high": result.estimate + reach,
                "verdict": result.verdict,
                "p_value": result.p_value,
                "p_joint": p_joint,
                "df": result.df,
                "proportion": result.proportion,
            }
        )
    return pd.DataFrame(rows)


def stacked(names: Sequence[str], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The metrics' tables below each other, the column ``metric`` first."""
    parts = [
        table.assign(metric=name)[["metric", *table.columns]]
        for name, table in zip(names, tables, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def checks_table(result: SyntheticControlEstimate) -> pd.DataFrame:
    """A result's checks as rows."""
    rows = [(c.name, c.status, c.p_value, c.message) for c in result.checks]
    return pd.DataFrame(rows, columns=["check", "status", "p_value", "message"])
