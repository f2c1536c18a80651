"""What the fits cost: weights, every placebo, synthetic difference-in-differences, bootstrap.

    OMP_NUM_THREADS=1 python benchmarks/synthetic_control/speed.py

Medians of five runs after a warm-up, in process, alternating with SLSQP written plainly on the
same panel (weights only; its placebos take minutes). ``rival_seconds`` are the figures of the
project's speed list, measured on another machine: compare them with care.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from noholdout_synthetic_control.inference import bootstrap_uncertainty, donor_placebos
from noholdout_synthetic_control.kernels.fits import classic_problem, demeaned_problem
from noholdout_synthetic_control.kernels.noise import own_noise
from noholdout_synthetic_control.kernels.sdid import double_problem
from scipy.optimize import minimize


def panel(donors: int, periods: int, seed: int = 1) -> np.ndarray:
    """A factor panel of ``donors`` + 1 units."""
    rng = np.random.default_rng(seed)
    factors = np.cumsum(rng.normal(0, 0.3, (4, periods)), axis=1)
    return rng.normal(1, 1, (donors + 1, 4)) @ factors + rng.normal(0, 1, (donors + 1, periods))


def plain_slsqp(outcomes: np.ndarray, n_pre: int) -> np.ndarray:
    """Outcome-only weights as a textbook writes them."""
    own, others = outcomes[0, :n_pre], outcomes[1:, :n_pre]
    count = others.shape[0]
    return minimize(
        lambda w: float(((own - w @ others) ** 2).sum()),
        np.full(count, 1 / count),
        jac=lambda w: -2 * others @ (own - w @ others),
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"maxiter": 1000},
    ).x


def cases() -> list[tuple[str, Callable[[], object], float]]:
    """Name, work, and the fastest rival's seconds in the project's list."""
    small, large, weekly = panel(25, 30), panel(200, 200), panel(49, 120)
    noise = own_noise(weekly, 90, None, False)

    def weights(outcomes: np.ndarray, n_pre: int) -> object:
        donors = np.arange(1, outcomes.shape[0])
        return classic_problem(outcomes, n_pre).fit(np.eye(outcomes.shape[0])[0], donors)

    def placebos(outcomes: np.ndarray, n_pre: int) -> object:
        return donor_placebos(classic_problem(outcomes, n_pre), np.arange(1, outcomes.shape[0]))

    def doubled(outcomes: np.ndarray, n_pre: int) -> object:
        return donor_placebos(double_problem(outcomes, n_pre), np.arange(1, outcomes.shape[0]))

    def bootstrap() -> object:
        problem = demeaned_problem(weekly, 90, noise, 7)
        target, donors = np.eye(50)[0], np.arange(1, 50)
        fit = problem.fit(target, donors)
        return bootstrap_uncertainty(problem, fit, target, donors, 500, 1, 0.95)

    return [
        ("25 donors, 20 + 10 periods: weights", lambda: weights(small, 20), 0.0035),
        ("25 donors, 20 + 10 periods: all placebos", lambda: placebos(small, 20), 0.029),
        ("200 donors, 150 + 50 periods: weights", lambda: weights(large, 150), 0.041),
        ("200 donors, 150 + 50 periods: all placebos", lambda: placebos(large, 150), 13.4),
        ("synthetic DiD there, 200 placebo refits", lambda: doubled(large, 150), 12.4),
        ("500 bootstrap refits, 49 donors, 90 + 30 days", bootstrap, float("nan")),
        ("plain SLSQP: 25 donors, weights", lambda: plain_slsqp(small, 20), 0.053),
        ("plain SLSQP: 200 donors, weights", lambda: plain_slsqp(large, 150), 0.44),
    ]


def main() -> None:
    """Time every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", default=None)
    args = parser.parse_args()
    taken: dict[str, list[float]] = {}
    everything = cases()
    for run in range(args.runs + 1):
        for name, work, _ in everything:
            started = time.perf_counter()
            work()
            if run:  # the first round warms up
                taken.setdefault(name, []).append(time.perf_counter() - started)
    table = pd.DataFrame(
        [
            {"work": name, "seconds": float(np.median(taken[name])), "rival_seconds": rival}
            for name, _, rival in everything
        ]
    )
    table["rival_over_ours"] = table["rival_seconds"] / table["seconds"]
    default = Path(__file__).parents[1] / "results" / "synthetic_control_speed.csv"
    table.round(5).to_csv(args.out or default, index=False)
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
