"""Randomised data whose effects are known, and slow second implementations."""

from __future__ import annotations

import numpy as np
import pandas as pd

ARGUMENTS = {"outcome": "y", "treatment": "w", "features": ["tier", "conf"]}


def randomised(n: int, seed: int, spread: float = 0.3) -> tuple[pd.DataFrame, np.ndarray]:
    """A 0/1 outcome and each row's effect, ``0.05 + spread * (conf - 0.5)``, less for heavy."""
    rng = np.random.default_rng(seed)
    tier = rng.choice(["heavy", "light", "medium"], n)
    conf = rng.random(n).round(3)
    effect = 0.05 + spread * (conf - 0.5) - spread / 3 * (tier == "heavy") + spread / 9
    treated = rng.integers(0, 2, n)
    base = 0.4 + 0.1 * (tier == "light") + 0.1 * conf
    y = (rng.random(n) < base + treated * effect).astype(int)
    return pd.DataFrame({"y": y, "w": treated, "tier": tier, "conf": conf}), effect


def slow_metrics(score: np.ndarray, gamma: np.ndarray) -> dict[str, float]:
    """ATE, AUTOC, Qini and AUUC from their definitions; ties get their group's mean effect."""
    n = len(score)
    smooth = np.array([gamma[score == s].mean() for s in score])
    order = sorted(range(n), key=lambda i: -score[i])
    ate = gamma.mean()
    toc, gain = [], []
    for i in range(1, n + 1):
        chosen = [smooth[j] for j in order[:i]]
        toc.append(sum(chosen) / i - ate)
        gain.append(sum(chosen) / n)
    return {
        "ate": float(ate),
        "autoc": float(np.mean(toc)),
        "qini": float(np.mean([(i + 1) / n * toc[i] for i in range(n)])),
        "auuc": float(np.mean(gain)),
    }


def weighted_metrics(score: np.ndarray, gamma: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(ate, autoc, qini, auuc) of untied rows as functions of the rows' weights."""
    order = np.argsort(-score)
    w, g = weight[order], gamma[order]
    cumulated, sums, total = np.cumsum(w), np.cumsum(w * g), w.sum()
    ate = sums[-1] / total
    toc = sums / cumulated - ate
    return np.array(
        [
            ate,
            w @ toc / total,
            w @ (cumulated * toc) / total**2,
            w @ sums / total**2,
        ]
    )
