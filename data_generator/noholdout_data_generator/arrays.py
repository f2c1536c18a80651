"""Helpers on arrays: where values fall among sorted starts, and columns of a few texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def last_start(starts: np.ndarray, values: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """Index of the last of ascending ``starts`` that is at most each value, shape ``(n,)``.

    What ``searchsorted(starts, values, "right") - 1`` finds, but walking up from ``lowest``, which
    is that index or a little less: faster where it is nearly known.
    """
    ends = np.append(starts[1:], np.inf)
    place = lowest
    while (beyond := values >= ends[place]).any():
        place = place + beyond
    return place


def texts(labels: np.ndarray, codes: np.ndarray) -> Any:
    """The column ``labels[codes]``, made from its few different texts."""
    return pd.Series(labels).array.take(codes)
