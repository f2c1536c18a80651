"""The default estimator with every other one beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from noholdout_synthetic_control.estimators.augmented import augmented_build
from noholdout_synthetic_control.estimators.classic import classic_build
from noholdout_synthetic_control.estimators.common import (
    Launch,
    Options,
    assemble,
    equal_weights,
    make_study,
    read_launch,
)
from noholdout_synthetic_control.estimators.demeaned import demeaned_build, resolve_block
from noholdout_synthetic_control.estimators.synthetic_did import double_build
from noholdout_synthetic_control.result import SyntheticControlEstimate


def every(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    treated: Sequence[Any],
    start: Any,
    block: int | None = None,
    **options: Unpack[Options],
) -> SyntheticControlEstimate:
    """The default estimate; table ``estimators`` holds all of them on the same panel.

    Parameters
    ----------
    block
        Of the demeaned and the augmented fit.
    data, outcome, unit, time, treated, start, options
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    launch = Launch(outcome, unit, time, treated, start)
    panel = read_launch(data, launch, options)
    length = resolve_block(panel, block, minimum=3)
    solver = options.get("solver", "exact")
    others = {
        "classic": classic_build(solver),
        "synthetic-did": double_build(solver),
        "augmented": augmented_build(length, solver),
        "did": equal_weights,
    }
    return assemble(
        make_study(panel, options),
        launch,
        options,
        "demeaned",
        demeaned_build(length, solver),
        {"block": length},
        others,
    )
