"""Helpers on arrays: where values fall among sorted starts, and columns of a few texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def first_beyond(ends: np.ndarray, values: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """Index of the first of ascending ``ends`` that is above each value, shape ``(n,)``.

    What ``searchsorted(ends, values, "right")`` finds, but walking up from ``lowest``, which is
    that index or a little less: faster where it is nearly known. The last end is infinite.
    """
    place = lowest
    while (beyond := values >= ends[place]).any():
        place = place + beyond
    return place


def texts(labels: np.ndarray, codes: np.ndarray) -> Any:
    """The column ``labels[codes]``, made from its few different texts."""
    return pd.Series(labels).array.take(codes)
