"""Which estimator to trust, where each breaks, and whether the verdict said so."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noholdout.benchmark.arena import Cell, cells
    from noholdout.benchmark.problems import Problem, problem_of
    from noholdout.benchmark.registry import Entry, entries, entry, estimator, installed, yours
    from noholdout.benchmark.run import benchmark, plan
    from noholdout.benchmark.scores import leaderboard

_WHERE = {
    "Cell": "arena",
    "cells": "arena",
    "leaderboard": "scores",
    "Problem": "problems",
    "problem_of": "problems",
    "Entry": "registry",
    "entries": "registry",
    "entry": "registry",
    "estimator": "registry",
    "installed": "registry",
    "yours": "registry",
    "benchmark": "run",
    "plan": "run",
}

__all__ = [
    "Cell",
    "cells",
    "leaderboard",
    "Problem",
    "problem_of",
    "Entry",
    "entries",
    "entry",
    "estimator",
    "installed",
    "yours",
    "benchmark",
    "plan",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(f"noholdout.benchmark.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'noholdout.benchmark' has no attribute {name!r}")
