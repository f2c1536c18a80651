"""noholdout: what an AI launch changed when nobody could run an A/B test.

``from noholdout import did, propensity, rdd, synthetic_control, uplift`` gives the five methods,
each with one front function ``estimate(data, *, …) -> Estimate``. Names load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from noholdout_shared.errors import ConvergenceError, DataError, DesignError

if TYPE_CHECKING:
    import noholdout_did as did
    import noholdout_propensity as propensity
    import noholdout_rdd as rdd
    import noholdout_synthetic_control as synthetic_control
    import noholdout_uplift as uplift
    from noholdout_shared.checks import Check
    from noholdout_shared.estimate import Estimate

__version__ = "0.1.0"

METHODS = ("did", "propensity", "rdd", "synthetic_control", "uplift")
_LAZY = {"Estimate": "noholdout_shared.estimate", "Check": "noholdout_shared.checks"}

__all__ = [
    "did",
    "propensity",
    "rdd",
    "synthetic_control",
    "uplift",
    "Estimate",
    "Check",
    "DataError",
    "DesignError",
    "ConvergenceError",
]


def __getattr__(name: str) -> Any:
    if name in METHODS:
        return importlib.import_module(f"noholdout_{name}")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'noholdout' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
