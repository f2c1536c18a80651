"""Which regression model a learner stands on."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from noholdout_shared.errors import DataError

MODELS = ("boosting", "linear")
TREES, LEARNING_RATE, LEAVES = 30, 0.15, 4
LEAVES_OF = 50  # a leaf holds at least one row of so many


@lru_cache(maxsize=1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()  # looks at the loaded libraries once, which takes milliseconds


def one_thread() -> AbstractContextManager[Any]:
    """A context in which scikit-learn's and BLAS's threads are one.

    Many small fits on many threads wait for each other: on a busy machine that costs several
    times the work itself. It also makes sums, and so results, the same on every machine.
    """
    return _controller().limit(limits=1)


def make_model(model: Any, n_rows: int, seed: int) -> Any:
    """A fresh scikit-learn regressor.

    Parameters
    ----------
    model
        ``boosting`` (30 trees of 4 leaves), ``linear`` (least squares), or any scikit-learn
        regressor, of which an unfitted copy is taken.
    n_rows
        Rows that it will be trained on: trees keep at least 2% of them in a leaf, 20 or more.
    seed
        Its ``random_state``, where it has one that is not set.
    """
    if isinstance(model, str):
        return _named_model(model, n_rows, seed)
    if not (hasattr(model, "fit") and hasattr(model, "predict") and hasattr(model, "get_params")):
        raise DataError(
            f"model is a {type(model).__name__}, which isn't a scikit-learn regressor.",
            "A learner needs fit, predict and get_params.",
            f"Use {', '.join(map(repr, MODELS))}, or an unfitted scikit-learn regressor.",
        )
    from sklearn.base import clone, is_classifier

    if is_classifier(model):
        raise DataError(
            f"model is a classifier ({type(model).__name__}); its predictions are labels.",
            "An effect is a difference of means, also when the outcome is 0/1.",
            "Use the regressor of the same family.",
        )
    fresh = clone(model)
    if "random_state" in fresh.get_params() and fresh.get_params()["random_state"] is None:
        fresh.set_params(random_state=seed)
    return fresh


def _named_model(model: str, n_rows: int, seed: int) -> Any:
    if model == "boosting":
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(
            max_iter=TREES,
            learning_rate=LEARNING_RATE,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=max(20, n_rows // LEAVES_OF),
            early_stopping=False,
            random_state=seed,
        )
    if model == "linear":
        from noholdout_uplift.estimators.linear import Linear

        return Linear()
    raise DataError(
        f"model is {model!r}, which isn't a choice here.", "", f"Use one of: {', '.join(MODELS)}."
    )
