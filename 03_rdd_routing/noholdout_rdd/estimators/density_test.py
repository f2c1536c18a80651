"""The density test as a function of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from noholdout_shared.arguments import check_choice, check_columns
from noholdout_shared.input import Missing, numeric, read_rows

from noholdout_rdd.estimators.options import HIGHEST_DEGREE, check_positive
from noholdout_rdd.inference import refuse_sparse
from noholdout_rdd.kernels.density import DensityJump, DensityVariance, Fit, density_jump
from noholdout_rdd.kernels.local import KERNELS, SparseWindow
from noholdout_rdd.kernels.side import Kernel, Side
from noholdout_rdd.placement import as_stored, check_cutoff, check_reach, check_sides


def density_test(
    data: Any,
    *,
    running: str,
    cutoff: float,
    fit: Fit = "unrestricted",
    variance: DensityVariance = "jackknife",
    degree: int = 2,
    kernel: Kernel = "triangular",
    bandwidth: float | None = None,
    missing: Missing = "refuse",
) -> DensityJump:
    """Do more scores lie just on one side of the cutoff than on the other?

    Assumes that, without gaming, the density of the scores runs on smoothly through the cutoff.

    Parameters
    ----------
    data
        One row a user: a frame, a path or a connection URL.
    running, cutoff
        Column of the score, and where the rule switches.
    fit
        ``unrestricted``: a polynomial on each side. ``restricted``: one for both sides whose slope
        alone (the density) may jump: more power, if the density's derivatives don't jump too.
    variance
        ``jackknife``, or ``plug-in`` of the large-sample formula.
    degree, kernel
        Of the polynomial that the bandwidths are chosen for, and weights within them; the test
        uses one degree more.
    bandwidth
        On both sides; chosen when left out.
    missing
        ``refuse`` rows without a score, or ``drop`` them.

    Returns
    -------
    DensityJump
        Densities left and right, with ``difference``, ``std_error``, ``statistic``, ``p_value``.

    Raises
    ------
    DataError
        The data can't be read as asked.
    DesignError
        Too few rows, or too few different scores, on a side of the cutoff.

    Notes
    -----
    Cattaneo, Jansson and Ma (2020, JASA 115:1449), sections 3.1 to 3.3.
    """
    check_choice("fit", fit, ("unrestricted", "restricted"))
    check_choice("variance", variance, ("jackknife", "plug-in"))
    check_choice("kernel", kernel, tuple(KERNELS))
    check_choice("degree", degree, tuple(range(1, HIGHEST_DEGREE + 1)))
    check_positive(bandwidth=bandwidth)
    check_columns(running=running)
    check_cutoff(cutoff)
    frame = read_rows(data, [running], missing=missing).frame
    score = np.sort(numeric(frame, running, "Running"))
    cutoff = as_stored(cutoff, frame[running])
    check_sides(score, cutoff, running)
    k = int(np.searchsorted(score, cutoff))
    left, right = cutoff - score[:k][::-1], score[k:] - cutoff
    check_reach([left, right], running)
    sides = (Side(left, left[None]), Side(right, right[None]))
    widths = None if bandwidth is None else (bandwidth, bandwidth)
    try:
        return density_jump(
            sides, degree=degree, kernel=kernel, bandwidths=widths, fit=fit, variance=variance
        )
    except SparseWindow as problem:
        raise refuse_sparse(cutoff, problem) from problem
