"""Plain difference-in-differences on the same panel: the foil."""

from __future__ import annotations

from typing import Any, Unpack

from noholdout_synthetic_control.estimators.common import (
    Asked,
    assemble,
    equal_weights,
    read_launch,
)
from noholdout_synthetic_control.result import SyntheticControlEstimate


def did(data: Any, **asked: Unpack[Asked]) -> SyntheticControlEstimate:
    """What would equal weights on every donor have said?

    The treated side's change less the donors' mean change. Needs parallel movements of the
    treated side and the average donor; where these differ, weights repair what this can't.
    With a jackknife it is Welch's comparison of two mean changes.

    Parameters
    ----------
    data, asked
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    launch = read_launch(data, asked)
    settings = {"block": launch.panel.default_block()}
    return assemble(launch, "did", equal_weights, settings, {})
