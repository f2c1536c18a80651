"""A richer specification of the same models, to see whether the answer leans on the form."""

from __future__ import annotations

import numpy as np

MOST_ADDED = 60
ROWS_A_COLUMN = 10  # of the smaller arm, for each column of the richer design


def richer_design(design: np.ndarray, smallest_arm: int) -> np.ndarray | None:
    """The design with squares and pairwise products added, standardised; shape ``(n, k + m)``.

    Squares come first; products are left out when both don't fit. ``None`` when nothing can be
    added for the number of rows in the smaller arm. The design's first column is the constant.
    """
    room = min(MOST_ADDED, smallest_arm // ROWS_A_COLUMN - design.shape[1])
    columns = design[:, 1:]
    k = columns.shape[1]
    squares = [columns[:, j] ** 2 for j in range(k) if np.unique(columns[:500, j]).size > 2]
    products = [columns[:, i] * columns[:, j] for i in range(k) for j in range(i + 1, k)]
    chosen = squares + products if len(squares) + len(products) <= room else squares
    if not chosen or len(chosen) > room:
        return None
    added = np.column_stack(chosen)
    # What the columns at hand explain carries nothing new, and rounding would take it for news.
    gram = design.T @ design
    added = added - design @ np.linalg.lstsq(gram, design.T @ added, rcond=None)[0]
    spread = added.std(axis=0)
    keep = _independent(added, spread > 1e-6)
    if not keep:
        return None
    return np.column_stack([design, added[:, keep] / spread[keep]])


def _independent(added: np.ndarray, candidates: np.ndarray) -> list[int]:
    gram = added.T @ added
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    correlation = gram / np.outer(scale, scale)
    kept: list[int] = []
    for j in np.flatnonzero(candidates):
        if kept:
            block = correlation[np.ix_(kept, kept)]
            cross = correlation[kept, j]
            if 1 - cross @ np.linalg.solve(block, cross) < 1e-6:
                continue
        kept.append(int(j))
    return kept
