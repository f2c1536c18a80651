"""Several launches, each cohort against never-treated donors on its own start, and averages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from noholdout_synthetic_control.checks.evidence import counterfactual_level
from noholdout_synthetic_control.estimators.augmented import augmented_build
from noholdout_synthetic_control.estimators.classic import classic_build
from noholdout_synthetic_control.estimators.common import Build, Options, equal_weights
from noholdout_synthetic_control.estimators.demeaned import demeaned_build, resolve_block
from noholdout_synthetic_control.estimators.study import Analysis, Study, make_study
from noholdout_synthetic_control.estimators.synthetic_did import double_build
from noholdout_synthetic_control.inference.average import (
    Cohort,
    average_jackknife,
    average_placebo,
    averaged,
)
from noholdout_synthetic_control.inference.uncertainty import Uncertainty
from noholdout_synthetic_control.kernels.fits import Solver
from noholdout_synthetic_control.panel import Panel


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

    def level(self) -> float:
        """Mean size of the treated side after the launches, had it moved like its twins."""
        pairs = zip(self.studies, self.analyses, strict=True)
        levels = [counterfactual_level(study.panel, found.fit) for study, found in pairs]
        return float(self.shares @ levels)

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
        return measured(*self.since(event), design)

    def answer(self, design: str, allows: bool) -> tuple[float, Uncertainty]:
        """The average effect, with the allowance for what the cohorts' data hold against it."""
        effect, found = self.measure(design)
        if allows:
            found = found.allowing(allowance(self.analyses, self.shares), 0)
        return effect, found


def measured(
    cohorts: list[Cohort], chosen: list[np.ndarray], shares: np.ndarray, design: str
) -> tuple[float, Uncertainty]:
    """The average of what ``chosen`` picks of each cohort, and its uncertainty by that design."""
    error_of = average_jackknife if design == "jackknife" else average_placebo
    found = error_of(cohorts, chosen, shares).beyond_rounding(cohorts[0].outcomes)
    return averaged(cohorts, chosen, shares), found


def allowance(analyses: Sequence[Analysis], shares: np.ndarray) -> float:
    """What joins the average's standard error, in the outcome's units."""
    parts = np.array([analysis.signs.allowance for analysis in analyses])
    return float(np.sqrt(((shares * parts) ** 2).sum()))


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
