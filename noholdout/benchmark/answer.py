"""What an estimator may answer: an Estimate, or a mapping of a few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError
from noholdout_shared.estimate import Estimate
from noholdout_shared.inference import interval

KEYS = ("estimate", "std_error", "conf_low", "conf_high", "p_value", "verdict", "checks", "top")
VERDICTS = ("sound", "caution", "do-not-use")


@dataclass(frozen=True)
class Answer:
    """One estimator's answer to one problem; ``nan`` or ``None`` is "it doesn't say"."""

    estimate: float
    std_error: float = math.nan
    conf_low: float = math.nan
    conf_high: float = math.nan
    p_value: float = math.nan
    verdict: str | None = None
    checks: Mapping[str, str] = field(default_factory=dict)
    top: np.ndarray | None = None


def answer_of(found: Any, conf_level: float, n_rows: int) -> Answer:
    """Read an estimator's return value.

    Parameters
    ----------
    found
        An ``Estimate``, or a mapping with ``estimate`` and any of ``std_error``, ``conf_low``
        with ``conf_high``, ``p_value``, ``verdict``, ``checks`` (name to status) and ``top``
        (uplift: how much of each row belongs to the chosen users). A standard error without an
        interval stands for the normal one.

    Raises
    ------
    DataError
        Anything else.
    """
    if isinstance(found, Estimate):
        scores = getattr(found, "scores", None)
        return Answer(
            estimate=found.estimate,
            std_error=found.std_error,
            conf_low=found.conf_low,
            conf_high=found.conf_high,
            p_value=found.p_value,
            verdict=found.verdict,
            checks={check.name: check.status for check in found.checks},
            top=None if scores is None else scores["top"].to_numpy(dtype=float),
        )
    if not isinstance(found, Mapping):
        raise DataError(
            f"The estimator returned {type(found).__name__!r}.",
            "It must return an Estimate or a mapping.",
            "Return at least {'estimate': number}.",
        )
    unknown = [key for key in found if key not in KEYS]
    if unknown or "estimate" not in found:
        raise DataError(
            f"The estimator's answer has the keys {', '.join(map(repr, found))}.",
            "",
            f"It needs 'estimate' and may have: {', '.join(KEYS[1:])}.",
        )
    numbers = {key: float(found.get(key, math.nan)) for key in KEYS[:5]}
    if math.isnan(numbers["conf_low"]) and not math.isnan(numbers["std_error"]):
        bounds = interval(numbers["estimate"], numbers["std_error"], conf_level)
        numbers |= {"conf_low": bounds.conf_low, "conf_high": bounds.conf_high}
        if math.isnan(numbers["p_value"]):
            numbers["p_value"] = bounds.p_value
    verdict = found.get("verdict")
    if verdict is not None and verdict not in VERDICTS:
        raise DataError(f"The verdict is {verdict!r}.", "", f"Use one of: {', '.join(VERDICTS)}.")
    return Answer(
        **numbers,
        verdict=verdict,
        checks=dict(found.get("checks", {})),
        top=_top(found.get("top"), n_rows),
    )


def _top(top: Any, n_rows: int) -> np.ndarray | None:
    if top is None:
        return None
    weights = np.asarray(top, dtype=float)
    if weights.shape != (n_rows,) or not weights.sum() > 0 or (weights < 0).any():
        raise DataError(
            f"'top' has the shape {weights.shape} and the sum {weights.sum():g}.",
            "It says of each row how much of it was chosen.",
            f"Return {n_rows} numbers from 0 to 1, not all 0.",
        )
    return weights
