"""Standard errors, degrees of freedom, joint tests and simultaneous bands from influences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from noholdout_did.kernels.group_time import Linear
from noholdout_did.kernels.moments import Moments

# Without a named cluster column, the small-sample correction is made below this many units.
CORRECT_BELOW = 40


@dataclass(frozen=True)
class Errors:
    """How errors are computed.

    Parameters
    ----------
    corrected
        Whether each cohort's sum of squares is multiplied by G_c / (G_c - 1) and the degrees of
        freedom are Welch and Satterthwaite's. Otherwise the large-sample formula of the source,
        with G - 1.
    leave_out
        Whether residuals leave their own cluster out already, so that only the degrees of freedom
        are corrected.
    """

    corrected: bool
    leave_out: bool = False

    def factors(self, sizes: np.ndarray) -> np.ndarray:
        """Multiplier of each part's sum of squares, shape ``(parts,)``."""
        if not self.corrected or self.leave_out:
            return np.ones(len(sizes))
        return np.where(sizes > 1, sizes / np.maximum(sizes - 1, 1), 1.0)


def psi_by_part(data: Moments, parameters: Linear) -> list[np.ndarray]:
    """Clusters' influences, one ``(G_c, K)`` array a part; needs the features."""
    assert data.features is not None
    parts = [f @ parameters.maps[c] for c, f in enumerate(data.features)]
    if data.nested:
        return parts
    whole = np.zeros((data.n_clusters, parameters.value.size))
    for part, members in zip(parts, data.members, strict=True):
        whole[members] += part
    return [whole]


def part_sizes(data: Moments) -> np.ndarray:
    return data.part_sizes if data.nested else np.array([data.n_clusters])


def covariance_parts(data: Moments, parameters: Linear, errors: Errors) -> np.ndarray:
    """Covariance of the parameters, one matrix a part, shape ``(parts, K, K)``."""
    factors = errors.factors(part_sizes(data))
    if not data.nested:
        whole = psi_by_part(data, parameters)[0]
        return factors[0] * (whole.T @ whole)[None]
    maps = parameters.maps
    return np.stack([f * maps[c].T @ data.gram[c] @ maps[c] for c, f in enumerate(factors)])


def variance_parts(data: Moments, parameters: Linear, errors: Errors) -> np.ndarray:
    """The diagonals of :func:`covariance_parts`, shape ``(parts, K)``."""
    factors = errors.factors(part_sizes(data))
    if not data.nested:
        whole = psi_by_part(data, parameters)[0]
        return factors[0] * (whole**2).sum(axis=0)[None]
    maps = parameters.maps
    return np.stack(
        [f * (maps[c] * (data.gram[c] @ maps[c])).sum(axis=0) for c, f in enumerate(factors)]
    )


def std_errors(data: Moments, parameters: Linear, errors: Errors) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors and degrees of freedom, each of shape ``(K,)``; zero variance is ``nan``."""
    parts = np.maximum(variance_parts(data, parameters, errors), 0.0)
    variance = parts.sum(axis=0)
    scale = float(np.nanmax(data.mean**2, initial=0.0))
    # Below this, a "variance" is what rounding left of an exact zero.
    se = np.where(variance > max(1e-26 * scale, 1e-300), np.sqrt(variance), np.nan)
    df = np.full(len(variance), float(data.n_clusters - 1))
    if errors.corrected:
        sizes = np.maximum(part_sizes(data) - 1, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = parts / variance  # squares of variances overflow where outcomes are large
            welch = 1 / (shares**2 / sizes[:, None]).sum(axis=0)
        df = np.clip(np.nan_to_num(welch, nan=1.0), 1.0, df)
    return se, df


@dataclass(frozen=True)
class JointTest:
    """``statistic`` is F with ``df_num`` and ``df_den`` degrees of freedom."""

    statistic: float
    p_value: float
    df_num: int
    df_den: float


def joint_test(data: Moments, parameters: Linear, errors: Errors) -> JointTest:
    """F test that all parameters are zero, with cluster degrees of freedom.

    Hotelling's T squared with the covariance of the parts added up; the degrees of freedom are
    Krishnamoorthy and Yu's (2004, Statistics and Probability Letters 66, equation 8), which for
    one parameter are Welch and Satterthwaite's. Directions without variance are left out.
    """
    parts = covariance_parts(data, parameters, errors)
    total = parts.sum(axis=0)
    values, vectors = np.linalg.eigh(total)
    keep = values > 1e-10 * max(values.max(initial=0.0), 1e-300)
    if not keep.any():
        return JointTest(np.nan, np.nan, 0, np.nan)
    whiten = vectors[:, keep] / np.sqrt(values[keep])
    k = int(keep.sum())
    wald = float(((parameters.value @ whiten) ** 2).sum())
    nu = float(data.n_clusters - 1)
    if errors.corrected:
        sizes = np.maximum(part_sizes(data) - 1, 1)
        spread = 0.0
        for part, size in zip(parts, sizes, strict=True):
            scaled = whiten.T @ part @ whiten
            spread += (np.trace(scaled @ scaled) + np.trace(scaled) ** 2) / size
        nu = min(nu, (k + k**2) / spread) if spread > 0 else nu
    df_den = nu - k + 1
    if df_den <= 0:
        return JointTest(np.nan, np.nan, k, np.nan)
    statistic = wald * df_den / (nu * k)
    return JointTest(statistic, float(special.fdtrc(k, df_den, statistic)), k, df_den)


def all_leads_wald(data: Moments, parameters: Linear) -> JointTest:
    """The usual chi-square Wald test, for parity only: with few clusters it rejects too often."""
    total = covariance_parts(data, parameters, Errors(corrected=False)).sum(axis=0)
    rank = int(np.linalg.matrix_rank(total, hermitian=True))
    if rank < len(total):
        return JointTest(np.nan, np.nan, len(total), np.inf)
    wald = float(parameters.value @ np.linalg.solve(total, parameters.value))
    return JointTest(wald, float(special.chdtrc(len(total), wald)), len(total), np.inf)


# Rademacher signs take few different values with few clusters; Webb's six points take more.
WEBB_BELOW = 20
WEBB = np.sqrt(np.array([0.5, 1.0, 1.5]))


def studentised_draws(
    data: Moments, parameters: Linear, errors: Errors, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """t statistics of the multiplier bootstrap, standard error recomputed in each draw.

    Returns
    -------
    Shape ``(draws, K)``. With more clusters than are kept, multipliers are Gaussian: their
    weighted sums are exactly normal given the data, so these are drawn instead, and the standard
    error, by then constant, isn't recomputed.
    """
    if data.features is None:
        total = covariance_parts(data, parameters, errors).sum(axis=0)
        values, vectors = np.linalg.eigh(total)
        # The symmetric root doesn't depend on the signs of the eigenvectors.
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = root / np.sqrt(np.diag(total))[:, None]
        return rng.standard_normal((draws, len(total))) @ scaled.T
    error = np.zeros((draws, parameters.value.size))
    variance = np.zeros_like(error)
    factors = errors.factors(part_sizes(data))
    for factor, psi in zip(factors, psi_by_part(data, parameters), strict=True):
        w, w_squared = _multipliers(len(psi), data.n_clusters, draws, rng)
        summed = w @ psi
        squares = (psi**2).sum(axis=0) if w_squared is None else w_squared @ psi**2
        error += summed
        variance += factor * np.maximum(squares - summed**2 / len(psi), 0.0)
    floor = 1e-20 * (variance.max(axis=0, initial=0.0) + 1e-300)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(
            variance > floor, error / np.sqrt(variance), np.where(error != 0, np.inf, 0.0)
        )


def _multipliers(
    count: int, n_clusters: int, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """Multipliers of mean 0 and variance 1, and their squares unless these are all 1."""
    signs = 1.0 - 2.0 * rng.integers(0, 2, size=(draws, count))
    if n_clusters >= WEBB_BELOW:
        return signs, None
    sizes = WEBB[rng.integers(0, 3, size=(draws, count))]
    return signs * sizes, sizes**2


def sup_t(draws: np.ndarray, conf_level: float) -> float:
    """The critical value that holds for all parameters at once; ``nan`` when it's infinite."""
    usable = ~np.isnan(draws).any(axis=0)
    if not usable.any():
        return float("nan")
    largest = np.abs(draws[:, usable]).max(axis=1)
    critical = float(np.quantile(largest, conf_level, method="higher"))
    return critical if np.isfinite(critical) else float("nan")
