"""The frames that scripts and pictures rely on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from noholdout_shared.inference import critical_value

from noholdout_synthetic_control.estimators.study import Analysis, Build, Study
from noholdout_synthetic_control.inference import Placebos, Uncertainty, rmspe_ratio

if TYPE_CHECKING:
    from noholdout_synthetic_control.estimators.stack import Stack


def build_tables(
    study: Study,
    analysis: Analysis,
    dropped: np.ndarray,
    method: str,
    foils: Mapping[str, Build],
) -> dict[str, pd.DataFrame]:
    """The frames that scripts and pictures rely on."""
    panel, fit, placebos = study.panel, analysis.fit, analysis.placebos
    labels = panel.units[panel.donors]
    shown = labels[: len(placebos.fits)]
    periods = panel.times.size
    tables = {
        "weights": pd.DataFrame({"unit": labels, "weight": fit.weights}),
        "path": path_table(study, analysis),
        "placebos": placebo_table("unit", shown, placebos, panel.n_pre),
        "leave_one_out": pd.DataFrame({"unit": labels, "estimate": dropped}),
        "intervals": intervals_table(study, analysis),
        "estimators": estimators_table(study, analysis, method, foils),
        "placebo_gaps": pd.DataFrame(
            {
                "unit": np.repeat(shown, periods),
                "time": np.tile(panel.times, len(placebos.fits)),
                "gap": placebos.gaps.reshape(-1),
            }
        ),
    }
    if analysis.regions is not None and panel.groups is not None:
        assert panel.group_labels is not None  # both or neither
        names = panel.group_labels[np.unique(panel.groups[panel.donors])]
        tables["placebo_regions"] = placebo_table("region", names, analysis.regions, panel.n_pre)
    return tables


def path_table(study: Study, analysis: Analysis) -> pd.DataFrame:
    """Observed, synthetic and their gap by period, with the gap's pointwise interval."""
    panel, fit, found = study.panel, analysis.fit, analysis.uncertainty
    observed = panel.target @ panel.outcomes
    reach = np.full(panel.times.size, math.nan)
    if found.df > 0:
        reach = found.path_std_error * critical_value(study.conf_level, found.df)
    return pd.DataFrame(
        {
            "time": panel.times,
            "observed": observed,
            "synthetic": observed - fit.gap,
            "gap": fit.gap,
            "conf_low": fit.gap - reach,
            "conf_high": fit.gap + reach,
        }
    )


def placebo_table(name: str, labels: np.ndarray, placebos: Placebos, n_pre: int) -> pd.DataFrame:
    """Every placebo's effect and how its gap after the launch compares with before."""
    ratios = placebos.ratios(n_pre)
    return pd.DataFrame({name: labels, "gap": placebos.effects, "rmspe_ratio": ratios})


def intervals_table(study: Study, analysis: Analysis) -> pd.DataFrame:
    """The interval by the design's inference first, then by the others that can be computed."""
    effect = analysis.fit.effect
    rows = [{"inference": study.design, **study.row(effect, analysis.uncertainty)}]
    for name in ("placebo", "jackknife", "bootstrap"):
        if name != study.design:
            found = study.measure(analysis, name)
            rows.append({"inference": name, **study.row(effect, found)})
    return pd.DataFrame(rows)


def estimators_table(
    study: Study, analysis: Analysis, method: str, foils: Mapping[str, Build]
) -> pd.DataFrame:
    """The estimate beside the other estimators', all with the same inference."""
    rows = [{"estimator": method, **study.row(analysis.fit.effect, analysis.uncertainty)}]
    for name, build in foils.items():
        other = study.analyse(build, every_placebo=False)
        rows.append({"estimator": name, **study.row(other.fit.effect, other.uncertainty)})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Aligned:
    """Averages over cohorts in time since the launch, where every cohort is seen.

    Parameters
    ----------
    events
        Times since the launch, from ``-before`` on, shape ``(E,)``.
    observed, gap
        Of the treated side, shape ``(E,)``.
    placebo_gaps
        Of each donor, shape ``(J, E)``.
    """

    before: int
    events: np.ndarray
    observed: np.ndarray
    gap: np.ndarray
    placebo_gaps: np.ndarray


def align(stack: Stack) -> Aligned:
    """Cut every cohort's paths around its own launch and average them by its share."""
    panels, starts = [study.panel for study in stack.studies], stack.starts()
    before, after = min(starts), min(panels[0].times.size - start for start in starts)

    def average(paths: list[np.ndarray]) -> np.ndarray:
        cut = [p[..., s - before : s + after] for p, s in zip(paths, starts, strict=True)]
        return np.asarray(sum(share * path for share, path in zip(stack.shares, cut, strict=True)))

    return Aligned(
        before,
        np.arange(-before, after),
        average([panel.target @ panel.outcomes for panel in panels]),
        average([analysis.fit.gap for analysis in stack.analyses]),
        average([analysis.placebos.gaps for analysis in stack.analyses]),
    )


def staggered_tables(
    stack: Stack,
    foil: Stack,
    design: str,
    found: Uncertainty,
    dropped: Sequence[np.ndarray],
    method: str,
    aligned: Aligned,
) -> dict[str, pd.DataFrame]:
    """The frames of several launches; ``path`` and placebo gaps in time since the launch."""
    panel, shares, level = stack.studies[0].panel, stack.shares, stack.studies[0].conf_level
    labels = panel.units[panel.donors]
    shown_labels = labels[: len(aligned.placebo_gaps)]
    effects = sum(s * a.placebos.effects for s, a in zip(shares, stack.analyses, strict=True))
    weights = np.array([a.fit.weights for a in stack.analyses])
    launches = [study.panel.settings["launch"] for study in stack.studies]
    by_event = event_table(stack, design, found, level)
    band = by_event.set_index("event_time").loc[aligned.events]
    path = {
        "time": aligned.events,
        "observed": aligned.observed,
        "synthetic": aligned.observed - aligned.gap,
        "gap": aligned.gap,
        "conf_low": band["conf_low"].to_numpy(),
        "conf_high": band["conf_high"].to_numpy(),
    }
    by_cohort = {
        "start": np.repeat(launches, labels.size),
        "unit": np.tile(labels, len(launches)),
        "weight": weights.reshape(-1),
    }
    ratios = rmspe_ratio(aligned.placebo_gaps, aligned.before)
    placebo_gaps = {
        "unit": np.repeat(shown_labels, aligned.events.size),
        "time": np.tile(aligned.events, shown_labels.size),
        "gap": aligned.placebo_gaps.reshape(-1),
    }
    estimators = []
    for name, which in ((method, stack), ("did", foil)):
        effect, error = which.measure(design)
        estimators.append({"estimator": name, **error.row(effect, level)})
    return {
        "weights": pd.DataFrame({"unit": labels, "weight": shares @ weights}),
        "path": pd.DataFrame(path),
        "event_time": by_event,
        "cohorts": cohort_table(stack),
        "cohort_weights": pd.DataFrame(by_cohort),
        "placebos": pd.DataFrame({"unit": shown_labels, "gap": effects, "rmspe_ratio": ratios}),
        "placebo_gaps": pd.DataFrame(placebo_gaps),
        "leave_one_out": pd.DataFrame({"unit": labels, "estimate": shares @ np.array(dropped)}),
        "intervals": interval_rows(stack, design, found, level),
        "estimators": pd.DataFrame(estimators),
    }


def interval_rows(stack: Stack, design: str, found: Uncertainty, level: float) -> pd.DataFrame:
    """The interval by design first, then by the other inference."""
    effect, _ = stack.measure(design)
    rows = [{"inference": design, **found.row(effect, level)}]
    for name in ("placebo", "jackknife"):
        if name != design:
            effect, other = stack.measure(name)
            rows.append({"inference": name, **other.row(effect, level)})
    return pd.DataFrame(rows)


def event_table(stack: Stack, design: str, found: Uncertainty, level: float) -> pd.DataFrame:
    """The average gap at each time since the launch, over the cohorts seen then."""
    periods = stack.studies[0].panel.times.size
    starts = np.array(stack.starts())
    sizes = np.array([study.panel.treated.sum() for study in stack.studies])
    rows = []
    for event in range(-int(starts.max()), periods - int(starts.min())):
        effect, error = stack.measure(design, event)
        if event >= 0:
            error = error.allowing(found.allowance, 0)
        seen = (starts + event >= 0) & (starts + event < periods)
        row = error.row(effect, level)
        row.pop("df")
        rows.append(
            {
                "event_time": event,
                "cohorts": int(seen.sum()),
                "units": int(sizes[seen].sum()),
                **row,
            }
        )
    return pd.DataFrame(rows)


def cohort_table(stack: Stack) -> pd.DataFrame:
    """Each cohort's own effect, by its own design's inference, and its share of the average."""
    rows = []
    for study, analysis, share in zip(stack.studies, stack.analyses, stack.shares, strict=True):
        row = study.row(analysis.fit.effect, analysis.uncertainty)
        row.pop("df")
        launch = study.panel.settings["launch"]
        units = int(study.panel.treated.sum())
        rows.append({"start": launch, "units": units, "share": share, **row})
    return pd.DataFrame(rows)
