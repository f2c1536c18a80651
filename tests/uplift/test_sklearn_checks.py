"""scikit-learn's own estimator checks, with a treatment that alternates by row."""

from typing import Any, Self

import numpy as np
import pytest
from noholdout_uplift import (
    ClassTransformation,
    DRLearner,
    RLearner,
    SLearner,
    TLearner,
    XLearner,
)
from sklearn.utils.estimator_checks import parametrize_with_checks


class _Alternating:
    """The checks call ``fit(X, y)``; a learner needs a treatment too."""

    def fit(self, X: Any, y: Any, treatment: Any = None, **options: Any) -> Self:
        if treatment is None:
            treatment = np.arange(len(y) if hasattr(y, "__len__") else 0) % 2
        return super().fit(X, y, treatment, **options)  # type: ignore[misc]


class AlternatingS(_Alternating, SLearner):
    pass


class AlternatingT(_Alternating, TLearner):
    pass


class AlternatingX(_Alternating, XLearner):
    pass


class AlternatingR(_Alternating, RLearner):
    pass


class AlternatingDR(_Alternating, DRLearner):
    pass


class AlternatingClass(_Alternating, ClassTransformation):
    pass


ALL = (AlternatingS, AlternatingT, AlternatingX, AlternatingR, AlternatingDR, AlternatingClass)


def not_applying(_: Any) -> dict[str, str]:
    return {"check_fit2d_1sample": "one row can't hold two arms: a DataError says so"}


@parametrize_with_checks(
    [kind(model="linear") for kind in ALL], expected_failed_checks=not_applying
)
def test_estimator_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", ALL)
def test_parameters_are_stored_as_given(kind: Any) -> None:
    learner = kind(model="linear", random_state=3)
    assert learner.get_params() == {"model": "linear", "random_state": 3}
