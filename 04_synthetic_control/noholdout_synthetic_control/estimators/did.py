"""Plain difference-in-differences on the same panel: the foil."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from noholdout_synthetic_control.estimators.common import (
    Launch,
    Options,
    assemble,
    equal_weights,
    make_study,
    read_launch,
)
from noholdout_synthetic_control.result import SyntheticControlEstimate


def did(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    treated: Sequence[Any],
    start: Any,
    **options: Unpack[Options],
) -> SyntheticControlEstimate:
    """What would equal weights on every donor have said?

    The treated side's change less the donors' mean change. Needs parallel movements of the
    treated side and the average donor; where these differ, weights repair what this can't.
    With a jackknife it is Welch's comparison of two mean changes.

    Parameters
    ----------
    data, outcome, unit, time, treated, start, options
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    launch = Launch(outcome, unit, time, treated, start)
    panel = read_launch(data, launch, options)
    settings = {"block": panel.default_block()}
    return assemble(make_study(panel, options), launch, options, "did", equal_weights, settings, {})
