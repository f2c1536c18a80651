"""The learners by the name that the command line gives them."""

from __future__ import annotations

import importlib
from typing import Any, Literal, get_args

from noholdout_shared.arguments import check_choice

Learner = Literal["s", "t", "x", "r", "dr", "class"]
LearnerOrAll = Literal["s", "t", "x", "r", "dr", "class", "all"]
LEARNERS: tuple[str, ...] = get_args(Learner)

LEARNER_NAMES = {
    "s": "S-learner",
    "t": "T-learner",
    "x": "X-learner",
    "r": "R-learner",
    "dr": "DR-learner",
    "class": "class transformation",
}
_CLASSES = {
    "s": ("s_learner", "SLearner"),
    "t": ("t_learner", "TLearner"),
    "x": ("x_learner", "XLearner"),
    "r": ("r_learner", "RLearner"),
    "dr": ("dr_learner", "DRLearner"),
    "class": ("class_transformation", "ClassTransformation"),
}


def make_learner(learner: str, model: Any, seed: int) -> Any:
    """An unfitted learner of that name."""
    check_choice("learner", learner, LEARNERS)
    module, name = _CLASSES[learner]
    kind = getattr(importlib.import_module(f"noholdout_uplift.estimators.{module}"), name)
    return kind(model=model, random_state=seed)
