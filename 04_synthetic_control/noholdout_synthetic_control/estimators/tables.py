"""The frames that scripts and pictures rely on."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from noholdout_shared.inference import critical_value

from noholdout_synthetic_control.estimators.study import Analysis, Build, Study
from noholdout_synthetic_control.inference import Placebos


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
