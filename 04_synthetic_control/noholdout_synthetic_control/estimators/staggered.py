"""Several launches: each cohort against never-treated donors on its own start, then averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Unpack, get_args

import numpy as np
from noholdout_shared.arguments import check_choice
from noholdout_shared.errors import DataError

from noholdout_synthetic_control.checks import staggered_checks
from noholdout_synthetic_control.estimators.augmented import augmented_build
from noholdout_synthetic_control.estimators.classic import classic_build
from noholdout_synthetic_control.estimators.common import (
    TITLES,
    Build,
    Options,
    allowed,
    equal_weights,
    gather,
    resolution,
)
from noholdout_synthetic_control.estimators.demeaned import demeaned_build, resolve_block
from noholdout_synthetic_control.estimators.options import settled_options
from noholdout_synthetic_control.estimators.study import Analysis, Study, make_study
from noholdout_synthetic_control.estimators.synthetic_did import double_build
from noholdout_synthetic_control.estimators.tables import align, staggered_tables
from noholdout_synthetic_control.inference import leave_one_out, rank_p, rmspe_ratio
from noholdout_synthetic_control.inference.average import (
    Cohort,
    average_jackknife,
    average_placebo,
    averaged,
)
from noholdout_synthetic_control.inference.uncertainty import Uncertainty
from noholdout_synthetic_control.kernels.fits import Solver
from noholdout_synthetic_control.panel import Panel, read_cohorts
from noholdout_synthetic_control.result import SyntheticControlEstimate
from noholdout_synthetic_control.timing import shown

StaggeredEstimator = Literal["demeaned", "classic", "synthetic-did", "augmented", "did"]
ALLOWED_INFERENCE = ("by-design", "placebo", "jackknife")


@dataclass(frozen=True)
class Stack:
    """Every cohort's study and analysis, in order of their launches.

    Parameters
    ----------
    shares
        Each cohort's number of units over all treated units, shape ``(C,)``.
    """

    studies: tuple[Study, ...]
    analyses: tuple[Analysis, ...]
    shares: np.ndarray

    @property
    def cohorts(self) -> list[Cohort]:
        """What the inference of averages needs."""
        return [
            Cohort(
                study.panel.outcomes,
                study.noise,
                np.flatnonzero(study.panel.treated),
                study.panel.donors,
                analysis.fit,
                analysis.placebos,
            )
            for study, analysis in zip(self.studies, self.analyses, strict=True)
        ]

    def starts(self) -> list[int]:
        """Position of each launch."""
        return [study.panel.n_pre for study in self.studies]

    def since(self, event: int | None) -> tuple[list[Cohort], list[np.ndarray], np.ndarray]:
        """The cohorts seen at that event time (``None``: all), what to average, and the shares."""
        periods = self.studies[0].panel.times.size
        members, chosen = [], []
        for index, start in enumerate(self.starts()):
            weight = np.zeros(periods)
            if event is None:
                weight[start:] = 1 / (periods - start)
            elif 0 <= start + event < periods:
                weight[start + event] = 1.0
            else:
                continue
            members.append(index)
            chosen.append(weight)
        shares = self.shares[members]
        cohorts = self.cohorts
        return [cohorts[k] for k in members], chosen, shares / shares.sum()

    def measure(self, design: str, event: int | None = None) -> tuple[float, Uncertainty]:
        """The average effect (at an event time) and its uncertainty by that design."""
        cohorts, chosen, shares = self.since(event)
        found = average_jackknife if design == "jackknife" else average_placebo
        return averaged(cohorts, chosen, shares), found(cohorts, chosen, shares)


def staggered(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    first_treated: str,
    estimator: StaggeredEstimator = "demeaned",
    block: int | None = None,
    **options: Unpack[Options],
) -> SyntheticControlEstimate:
    """What did a launch change that reached units at different times?

    Each cohort (the units that got it in the same period) is compared with its own mix of the
    never-treated units, fitted to the time before its own start. Effects are aligned in time since
    the start; a cohort's effect is the mean from its start to the end, and the answer their mean
    weighted by the number of units, so that every treated unit counts the same. Units treated
    later never serve as donors. Ben-Michael, Feller and Rothstein (2022, JRSSB 84(2), section 3)
    call it separate synthetic controls.

    Parameters
    ----------
    first_treated
        Column of each unit's first treated period; empty, infinite, 0 before the first period or
        after the last one: never treated.
    estimator
        The twin's fit.
    data, outcome, unit, time, block, options
        As in :func:`noholdout_synthetic_control.estimate`; no ``cluster``, and ``inference`` is
        ``by-design``, ``placebo`` or ``jackknife``.
    """
    full: Options = settled_options(options)
    _refuse(estimator, full)
    panels = read_cohorts(
        data,
        outcome=outcome,
        unit=unit,
        time=time,
        first_treated=first_treated,
        weights=full["weights"],
        cell_mean=full["cell_mean"],
        missing=full["missing"],
    )
    builds, blocks = builders(panels, estimator, block, full["solver"])
    stack = stacked(panels, builds, full, estimator)
    design = design_of(panels, full["inference"], estimator)
    effect, found = stack.measure(design)
    if full["inference"] == "by-design":
        parts = [a.signs.allowance for a in stack.analyses]
        found = found.allowing(float(np.sqrt(((stack.shares * parts) ** 2).sum())), 0)
    foil = stacked(panels, [equal_weights] * len(panels), full, "did")
    return _assemble(stack, foil, design, effect, found, builds, blocks, outcome, estimator, full)


def _refuse(estimator: str, options: Options) -> None:
    if options["cluster"] is not None or options["inference"] not in ALLOWED_INFERENCE:
        raise DataError(
            f"first_treated was given with cluster={options['cluster']!r} and "
            f"inference={options['inference']!r}.",
            "With launches at different times placebos of single units or a jackknife answer.",
            f"Leave cluster out, and use inference {', '.join(ALLOWED_INFERENCE)}.",
        )
    for name in ("negative_controls", "in_time_placebos"):
        if options[name]:
            raise DataError(
                f"{name} was given with first_treated.",
                "It is answered for one launch at a time.",
                "Ask for one cohort with treated and start, or leave it out.",
            )
    check_choice("estimator", estimator, get_args(StaggeredEstimator))


def builders(
    panels: Sequence[Panel], estimator: str, block: int | None, solver: Solver
) -> tuple[list[Build], list[int]]:
    """Each cohort's fit: blocks follow its own history."""
    if estimator in ("demeaned", "augmented"):
        make: Callable[[int, Solver], Build] = (
            demeaned_build if estimator == "demeaned" else augmented_build
        )
        least = 2 if estimator == "demeaned" else 3
        blocks = [resolve_block(panel, block, least) for panel in panels]
        return [make(length, solver) for length in blocks], blocks
    plain = {
        "classic": classic_build(solver),
        "synthetic-did": double_build(solver),
        "did": equal_weights,
    }[estimator]
    blocks = [p.default_block() if estimator == "did" else 1 for p in panels]
    return [plain] * len(panels), blocks


def stacked(
    panels: Sequence[Panel], builds: Sequence[Build], options: Options, estimator: str
) -> Stack:
    """Fit every cohort and all its placebos."""
    settled: Options = {**options, "inference": "by-design"}
    studies = tuple(make_study(p, settled, jackknife=estimator != "synthetic-did") for p in panels)
    analyses = tuple(study.analyse(b) for study, b in zip(studies, builds, strict=True))
    sizes = np.array([float(panel.treated.sum()) for panel in panels])
    return Stack(studies, analyses, sizes / sizes.sum())


def design_of(panels: Sequence[Panel], inference: str, estimator: str) -> str:
    """A jackknife when treated units are as many as donors and no cohort is a single unit."""
    if inference != "by-design":
        return inference
    sizes = [int(panel.treated.sum()) for panel in panels]
    many = sum(sizes) >= max(panels[0].donors.size, 2) and min(sizes) > 1
    return "jackknife" if many and estimator != "synthetic-did" else "placebo"


def _assemble(
    stack: Stack,
    foil: Stack,
    design: str,
    effect: float,
    found: Uncertainty,
    builds: Sequence[Build],
    blocks: Sequence[int],
    outcome: str,
    estimator: str,
    options: Options,
) -> SyntheticControlEstimate:
    panels = [study.panel for study in stack.studies]
    level = options["conf_level"]
    low, high, p_value = found.bounds(effect, level)
    dropped = [
        leave_one_out(a.problem, a.fit, p.target, p.donors)
        for a, p in zip(stack.analyses, panels, strict=True)
    ]
    evidences = [
        gather(*parts, estimator != "classic")
        for parts in zip(stack.studies, stack.analyses, dropped, blocks, builds, strict=True)
    ]
    overall = replace(evidences[-1], uncertainty=found, conf_low=low, conf_high=high)
    aligned = align(stack)
    tables = staggered_tables(stack, foil, design, found, dropped, estimator, aligned)
    ratio = float(rmspe_ratio(aligned.gap, aligned.before))
    ratios = rmspe_ratio(aligned.placebo_gaps, aligned.before)
    placebo_effects = tables["placebos"]["gap"].to_numpy()
    smallest = 1 / (1 + len(ratios))
    first = panels[0]
    treated_cells = sum(int(p.treated.sum()) * (p.times.size - p.n_pre) for p in panels)
    units = sum(int(p.treated.sum()) for p in panels)
    n_obs = (units + first.donors.size) * first.times.size
    starts = [shown(panel.settings["launch"]) for panel in panels]
    sizes = [int(panel.treated.sum()) for panel in panels]
    return SyntheticControlEstimate(
        method=f"Synthetic control: {TITLES[estimator]}, {len(panels)} "
        + ("launches" if len(panels) > 1 else "launch"),
        estimand=f"mean effect on {units} treated units, each from its own launch to the end",
        estimate=effect,
        std_error=found.std_error,
        conf_low=low,
        conf_high=high,
        conf_level=level,
        p_value=p_value,
        inference=found.label
        + allowed(found, [a.signs for a in stack.analyses], first.proportion)
        + resolution(smallest, level),
        outcome=outcome,
        n_obs=n_obs,
        n_treated=treated_cells,
        n_control=n_obs - treated_cells,
        n_clusters=units + first.donors.size,
        settings={
            **first.settings,
            "launch": 0,
            "launches": dict(zip(starts, sizes, strict=True)),
            "cohort_weights": "number of units",
            "block": max(blocks),
            "estimator": estimator,
            "solver": options["solver"],
            "seed": options["seed"],
            "treated_units": units,
            "donors": first.donors.size,
            "pre_periods": aligned.before,
            "post_periods": first.times.size - max(stack.starts()),
            "allowance": found.allowance,
            "rmspe_ratio": ratio,
            "placebo_p_gap": rank_p(abs(effect), np.abs(placebo_effects)),
            "placebo_p_rmspe": rank_p(ratio, ratios),
            "smallest_placebo_p": smallest,
        },
        checks=staggered_checks(evidences, stack.shares, overall),
        tables=tables,
        df=found.df,
        proportion=first.proportion,
        margin=options["margin"],
    )
