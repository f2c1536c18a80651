"""The default estimator with every other one beside it."""

from __future__ import annotations

from typing import Any, Unpack

from noholdout_synthetic_control.estimators.augmented import augmented_build
from noholdout_synthetic_control.estimators.classic import classic_build
from noholdout_synthetic_control.estimators.common import (
    DID,
    Asked,
    assemble,
    read_launch,
)
from noholdout_synthetic_control.estimators.demeaned import demeaned_build, resolve_block
from noholdout_synthetic_control.estimators.synthetic_did import double_build
from noholdout_synthetic_control.result import SyntheticControlEstimate


def every(
    data: Any, *, block: int | None = None, **asked: Unpack[Asked]
) -> SyntheticControlEstimate:
    """The default estimate; table ``estimators`` holds all of them on the same panel.

    Parameters
    ----------
    block
        Of the demeaned and the augmented fit.
    data, asked
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    launch = read_launch(data, asked)
    length = resolve_block(launch.panel, block, minimum=3)
    solver = launch.solver
    others = {
        "classic": classic_build(solver),
        "synthetic-did": double_build(solver),
        "augmented": augmented_build(length, solver),
        **DID,
    }
    build = demeaned_build(length, solver)
    return assemble(launch, "demeaned", build, {"block": length}, others)
