"""The learners by the name that the command line gives them."""

from __future__ import annotations

from typing import Any, Literal, get_args

from noholdout_shared.input import check_choice

Learner = Literal["t", "x"]
LEARNERS: tuple[str, ...] = get_args(Learner)


def make_learner(learner: str, model: Any, seed: int) -> Any:
    """An unfitted learner of that name."""
    check_choice("learner", learner, LEARNERS)
    if learner == "t":
        from noholdout_uplift.estimators.t_learner import TLearner

        return TLearner(model=model, random_state=seed)
    from noholdout_uplift.estimators.x_learner import XLearner

    return XLearner(model=model, random_state=seed)
