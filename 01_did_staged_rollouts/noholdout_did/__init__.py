"""Staged rollouts: difference-in-differences for launches that reach people in waves."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Not lazy: the submodule of the same name would take the function's place on first use.
from noholdout_did.estimate import estimate

if TYPE_CHECKING:
    from noholdout_did.estimators.group_time import group_time
    from noholdout_did.estimators.imputation import imputation, two_stage
    from noholdout_did.estimators.side_by_side import side_by_side
    from noholdout_did.estimators.sun_abraham import sun_abraham
    from noholdout_did.estimators.twfe import twfe
    from noholdout_did.estimators.two_by_two import two_by_two
    from noholdout_did.result import DidEstimate

_LAZY = {
    "group_time": "noholdout_did.estimators.group_time",
    "two_by_two": "noholdout_did.estimators.two_by_two",
    "twfe": "noholdout_did.estimators.twfe",
    "imputation": "noholdout_did.estimators.imputation",
    "two_stage": "noholdout_did.estimators.imputation",
    "sun_abraham": "noholdout_did.estimators.sun_abraham",
    "side_by_side": "noholdout_did.estimators.side_by_side",
    "DidEstimate": "noholdout_did.result",
}

__all__ = [
    "estimate",
    "group_time",
    "two_by_two",
    "twfe",
    "imputation",
    "two_stage",
    "sun_abraham",
    "side_by_side",
    "DidEstimate",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'noholdout_did' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
