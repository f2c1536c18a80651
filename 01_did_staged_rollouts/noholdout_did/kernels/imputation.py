"""Effects against what untreated rows predict for treated ones, from sums by block and period.

Borusyak, Jaravel and Spiess (2024, Review of Economic Studies 91:3253-3285), theorems 1 to 3 and
proposition 9 (pre-trends), appendix A.9 (leave-out); Gardner (2022, two-stage difference in
differences), section 3. An average of effects weighs all rows of a wave and period alike, so that
its value and its influences follow from sums, and memory doesn't grow with the number of averages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from noholdout_did.kernels.two_way import TwoWay, two_way

Residuals = Literal["cell", "leave-out", "overall"]


@dataclass(frozen=True)
class Blocks:
    """Rows that share a group (which gets an effect), a cluster and a wave. B blocks.

    Parameters
    ----------
    of_row
        Each row's block, shape ``(n,)``.
    group, cluster, wave
        Of each block, shape ``(B,)``.
    """

    of_row: np.ndarray
    group: np.ndarray
    cluster: np.ndarray
    wave: np.ndarray

    def by_wave(self, values: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """``values`` ``(B, T)`` times the wave's coefficients, ``(C, T, K)``: ``(B, K)``."""
        out = np.empty((len(values), coefficients.shape[2]))
        for wave, coefficient in enumerate(coefficients):
            mine = self.wave == wave
            out[mine] = values[mine] @ coefficient
        return out

    def sums_by_wave(self, values: np.ndarray, n_waves: int) -> np.ndarray:
        """Sums of ``(B, T)`` over the blocks of each wave, ``(C, T)``."""
        return np.stack([values[self.wave == wave].sum(axis=0) for wave in range(n_waves)])


@dataclass(frozen=True)
class Imputed:
    """Sums by block and period. B blocks, T periods, C waves.

    Parameters
    ----------
    fit
        Group and period effects of the untreated rows.
    residual, clean_weight
        Untreated rows: weighted residuals, and weights, ``(B, T)``.
    effect, weight
        Treated rows with a prediction: weighted effects, and weights, ``(B, T)``.
    size, total
        Sums of ``weight`` and ``effect`` by wave, ``(C, T)``.
    row_effect, used
        Each row less its prediction, and which rows are treated with one, shape ``(n,)``.
    """

    blocks: Blocks
    fit: TwoWay
    residual: np.ndarray
    clean_weight: np.ndarray
    effect: np.ndarray
    weight: np.ndarray
    size: np.ndarray
    total: np.ndarray
    row_effect: np.ndarray
    used: np.ndarray


def impute(
    y: np.ndarray,
    period: np.ndarray,
    weight: np.ndarray,
    clean: np.ndarray,
    treated: np.ndarray,
    blocks: Blocks,
    n_waves: int,
    n_periods: int,
) -> Imputed:
    """Fit the rows in ``clean``, and collect what those in ``treated`` add where it's predicted."""
    group = blocks.group[blocks.of_row]
    n_groups = int(blocks.group.max()) + 1
    fit = two_way(group[clean], period[clean], weight[clean], n_groups, n_periods)
    group_effect, period_effect = fit.fit(y[clean])
    effect = y - group_effect[group]
    effect -= period_effect[period]
    seen = (fit.group_weight > 0)[group] & (fit.cell_weight.sum(axis=0) > 0)[period]
    used = treated & seen & (weight > 0)
    cell = blocks.of_row * n_periods + period
    size = len(blocks.group) * n_periods

    def table(chosen: np.ndarray, values: np.ndarray) -> np.ndarray:
        where = np.flatnonzero(chosen)
        summed = np.bincount(cell[where], weights=values[where], minlength=size)
        return summed.reshape(-1, n_periods)

    w_effect = weight * effect
    effects, weights = table(used, w_effect), table(used, weight)
    return Imputed(
        blocks=blocks,
        fit=fit,
        residual=table(clean, w_effect),
        clean_weight=table(clean, weight),
        effect=effects,
        weight=weights,
        size=blocks.sums_by_wave(weights, n_waves),
        total=blocks.sums_by_wave(effects, n_waves),
        row_effect=effect,
        used=used,
    )


@dataclass(frozen=True)
class Averages:
    """K averages of effects: values ``(K,)``, and influences by block, ``(B, K)``."""

    value: np.ndarray
    psi: np.ndarray


def averages(found: Imputed, coefficient: np.ndarray, residuals: Residuals) -> Averages:
    """Averages in which a treated row counts by its weight times ``coefficient`` ``(C, T, K)``.

    ``residuals`` of treated rows are taken from the mean effect of their wave and period (equation
    8), from that mean without the row's own cluster (appendix A.9), or from the average itself
    (Gardner).
    """
    blocks = found.blocks
    value, group_part, period_part = _solved(found, coefficient)
    psi = -found.residual @ period_part
    psi -= found.residual.sum(axis=1)[:, None] * group_part[blocks.group]
    if residuals == "overall":
        psi += blocks.by_wave(found.effect, coefficient)
        psi -= blocks.by_wave(found.weight, coefficient) * value
    else:
        left = found.effect - found.weight * _cell_means(found, residuals == "leave-out")
        psi += blocks.by_wave(left, coefficient)
    return Averages(value, psi)


def averages_by_row(
    found: Imputed,
    coefficient: np.ndarray,
    residuals: Residuals,
    period: np.ndarray,
    weight: np.ndarray,
    clean: np.ndarray,
) -> Averages:
    """The same with each row a cluster of its own; blocks are then waves. ``psi`` is ``(n, K)``."""
    wave = found.blocks.of_row
    value, group_part, period_part = _solved(found, coefficient)
    own = np.where(clean | found.used, weight * found.row_effect, 0.0)
    untreated = -(group_part[:, None, :] + period_part[None, :, :])
    psi = np.where(clean, own, 0.0)[:, None] * untreated[wave, period]
    mine = np.where(found.used, weight, 0.0)
    after = coefficient[wave, period]
    if residuals == "overall":
        return Averages(
            value, psi + after * (np.where(found.used, own, 0.0)[:, None] - np.outer(mine, value))
        )
    total, size = found.total[wave, period], found.size[wave, period]
    if residuals == "leave-out":
        total, size = total - own, size - mine
    means = np.full(len(mine), np.nan)
    np.divide(total, size, out=means, where=size > 1e-12 * found.size[wave, period])
    left = np.where(found.used, own - mine * means, 0.0)
    return Averages(value, psi + left[:, None] * after)


def _solved(found: Imputed, coefficient: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values ``(K,)``, and how untreated rows enter by group ``(U, K)`` and period ``(T, K)``."""
    blocks = found.blocks
    by_group = _to_groups(blocks.by_wave(found.weight, coefficient), blocks.group, found.fit)
    by_period = np.einsum("ct,ctk->tk", found.size, coefficient)
    value = np.einsum("ct,ctk->k", found.total, coefficient)
    return value, *found.fit.solve(by_group, by_period)


def _to_groups(values: np.ndarray, group: np.ndarray, fit: TwoWay) -> np.ndarray:
    """Sums over the blocks of each group, ``(U, K)``."""
    n_groups = len(fit.group_weight)
    if len(group) == n_groups and (group == np.arange(n_groups)).all():
        return values
    columns = [np.bincount(group, weights=v, minlength=n_groups) for v in values.T]
    return np.column_stack(columns)


def _cell_means(found: Imputed, leave_out: bool) -> np.ndarray:
    """Mean effect of each block's wave and period, shape ``(B, T)``; ``nan`` where none is left."""
    blocks = found.blocks
    total, size = found.total[blocks.wave], found.size[blocks.wave]
    if leave_out:
        pairs = blocks.cluster * (int(blocks.wave.max()) + 1) + blocks.wave
        _, pair = np.unique(pairs, return_inverse=True)
        for own, out in ((found.effect, total), (found.weight, size)):
            summed = np.zeros((int(pair.max()) + 1, own.shape[1]))
            np.add.at(summed, pair, own)
            out -= summed[pair]
        # What rounding leaves of an empty remainder isn't a weight.
        size[size < 1e-12 * found.size[blocks.wave]] = 0.0
    means = np.full_like(total, np.nan)
    np.divide(total, size, out=means, where=size > 0)
    return np.where(found.weight > 0, means, 0.0)


def pre_trend_leads(found: Imputed, leads: np.ndarray) -> Averages | None:
    """Coefficients of lead indicators among the untreated rows (proposition 9).

    Parameters
    ----------
    leads
        0/1 by wave, period and lead, shape ``(C, T, K)``; other untreated rows are the reference.

    Returns
    -------
    ``None`` when the leads aren't identified beside group and period effects.
    """
    blocks, fit = found.blocks, found.fit
    n_waves = len(leads)
    by_group = _to_groups(blocks.by_wave(found.clean_weight, leads), blocks.group, fit)
    clean_size = blocks.sums_by_wave(found.clean_weight, n_waves)
    raw = np.einsum("ct,ctk,ctl->kl", clean_size, leads, leads)
    group_part, period_part = fit.solve(by_group, np.einsum("ct,ctk->tk", clean_size, leads))
    fitted = by_group.T @ group_part
    fitted += np.einsum("ct,ctk,tl->kl", clean_size, leads, period_part)
    gram = raw - (fitted + fitted.T) / 2
    scale = np.sqrt(np.diag(raw))
    if np.linalg.eigvalsh(gram / np.outer(scale, scale))[0] < 1e-9:
        return None
    bread = np.linalg.inv(gram)
    residual_by_wave = blocks.sums_by_wave(found.residual, n_waves)
    value = bread @ np.einsum("ct,ctk->k", residual_by_wave, leads)
    # Residuals of the fit with leads, by block and period.
    along = (leads - period_part) @ value
    left = found.residual - found.clean_weight * along[blocks.wave]
    left += found.clean_weight * (group_part @ value)[blocks.group][:, None]
    score = blocks.by_wave(left, leads - period_part)
    score -= left.sum(axis=1)[:, None] * group_part[blocks.group]
    return Averages(value, score @ bread)
