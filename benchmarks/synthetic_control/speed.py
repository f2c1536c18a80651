"""What the fits cost: weights, every placebo, synthetic difference-in-differences, bootstrap.

    OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1 python benchmarks/synthetic_control/speed.py --runs 3

CPU seconds (medians over the runs after a warm-up, one BLAS thread), ours and the rivals' in turn
on the same panel in the same process. Rivals come with the extra ``peers`` and are left out where
they aren't installed. A rival's placebos are run once: they take seconds to minutes. SLSQP is
written plainly here.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from noholdout_synthetic_control.inference import bootstrap_uncertainty, donor_placebos
from noholdout_synthetic_control.kernels.fits import classic_problem, demeaned_problem
from noholdout_synthetic_control.kernels.noise import own_noise
from noholdout_synthetic_control.kernels.sdid import double_problem
from scipy.optimize import minimize

Work = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One piece of work, ours and the rivals', and how often each rival is run."""

    name: str
    ours: Work
    rivals: dict[str, Work]
    rival_runs: int | None = None


def panel(donors: int, periods: int, seed: int = 1) -> np.ndarray:
    """A factor panel of ``donors`` + 1 units."""
    rng = np.random.default_rng(seed)
    factors = np.cumsum(rng.normal(0, 0.3, (4, periods)), axis=1)
    return rng.normal(1, 1, (donors + 1, 4)) @ factors + rng.normal(0, 1, (donors + 1, periods))


def long_frame(outcomes: np.ndarray, n_pre: int) -> pd.DataFrame:
    """As the rivals want it: one row a cell, ``launched`` 0/1, ``ever`` for the treated unit."""
    units, periods = outcomes.shape
    frame = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(units), periods),
            "time": np.tile(np.arange(periods), units),
            "y": outcomes.ravel(),
        }
    )
    ever = frame["unit"] == 0
    return frame.assign(
        ever=ever.astype(int), launched=(ever & (frame["time"] >= n_pre)).astype(int)
    )


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


def mlsynth_weights(outcomes: np.ndarray, n_pre: int) -> object:
    """``mlsynth.VanillaSC``."""
    from mlsynth import VanillaSC

    config: Any = {
        "df": long_frame(outcomes, n_pre), "outcome": "y", "treat": "launched", "unitid": "unit",
        "time": "time", "display_graphs": False, "save": False,
    }  # fmt: skip
    return VanillaSC(config).fit()


def diff_diff_weights(outcomes: np.ndarray, n_pre: int, *, placebos: bool = False) -> object:
    """``diff_diff.SyntheticControl`` with equal importances of every period before."""
    from diff_diff import SyntheticControl

    periods = outcomes.shape[1]
    model = SyntheticControl(v_method="custom", custom_v=np.ones(n_pre))
    found = model.fit(
        long_frame(outcomes, n_pre), "y", "launched", "unit", "time",
        post_periods=list(range(n_pre, periods)), pre_period_outcomes="all",
    )  # fmt: skip
    return found.in_space_placebo() if placebos else found


def diff_diff_double(outcomes: np.ndarray, n_pre: int) -> object:
    """``diff_diff.SyntheticDiD`` with its placebo standard error."""
    from diff_diff import SyntheticDiD

    periods = outcomes.shape[1]
    return SyntheticDiD(variance_method="placebo", n_bootstrap=200, seed=1).fit(
        long_frame(outcomes, n_pre), "y", "ever", "unit", "time",
        post_periods=list(range(n_pre, periods)),
    )  # fmt: skip


def weights(outcomes: np.ndarray, n_pre: int) -> object:
    """Ours."""
    donors = np.arange(1, outcomes.shape[0])
    return classic_problem(outcomes, n_pre).fit(np.eye(outcomes.shape[0])[0], donors)


def every_placebo(outcomes: np.ndarray, n_pre: int) -> object:
    """Ours: each donor against the others."""
    return donor_placebos(classic_problem(outcomes, n_pre), np.arange(1, outcomes.shape[0]))


def double_placebos(outcomes: np.ndarray, n_pre: int) -> object:
    """Ours: synthetic difference-in-differences for each donor."""
    return donor_placebos(double_problem(outcomes, n_pre), np.arange(1, outcomes.shape[0]))


def bootstrap() -> object:
    """Ours: 500 draws of donors on the telemetry's size, everything fitted anew."""
    weekly = panel(49, 120)
    problem = demeaned_problem(weekly, 90, own_noise(weekly, 90, None, False), 7)
    target, donors = np.eye(50)[0], np.arange(1, 50)
    fit = problem.fit(target, donors)
    return bootstrap_uncertainty(problem, fit, target, donors, 500, 1, 0.95)


def cases() -> list[Case]:
    """The project's speed list."""
    small, large = panel(25, 30), panel(200, 200)

    def on(work: Callable[..., object], outcomes: np.ndarray, n_pre: int, **more: Any) -> Work:
        return lambda: work(outcomes, n_pre, **more)

    def rivals(outcomes: np.ndarray, n_pre: int) -> dict[str, Work]:
        return {
            "mlsynth": on(mlsynth_weights, outcomes, n_pre),
            "diff-diff": on(diff_diff_weights, outcomes, n_pre),
            "plain SLSQP": on(plain_slsqp, outcomes, n_pre),
        }

    return [
        Case("25 donors, 20 + 10 periods: weights", on(weights, small, 20), rivals(small, 20)),
        Case(
            "25 donors, 20 + 10 periods: all placebos",
            on(every_placebo, small, 20),
            {"diff-diff": on(diff_diff_weights, small, 20, placebos=True)},
        ),
        # mlsynth's default takes minutes there.
        Case(
            "200 donors, 150 + 50 periods: weights",
            on(weights, large, 150),
            {name: work for name, work in rivals(large, 150).items() if name != "mlsynth"},
            rival_runs=1,
        ),
        Case(
            "200 donors, 150 + 50 periods: all placebos",
            on(every_placebo, large, 150),
            {"diff-diff": on(diff_diff_weights, large, 150, placebos=True)},
            rival_runs=1,
        ),
        Case(
            "synthetic DiD there, 200 placebo refits",
            on(double_placebos, large, 150),
            {"diff-diff": on(diff_diff_double, large, 150)},
            rival_runs=1,
        ),
        Case("500 bootstrap refits, 49 donors, 90 + 30 days", bootstrap, {}),
    ]


def seconds(work: Work) -> float:
    """CPU seconds of one run, its output thrown away."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        started = time.process_time()
        work()
        return time.process_time() - started


def installed(rival: str) -> bool:
    """Whether the rival can be run here."""
    module = {"mlsynth": "mlsynth", "diff-diff": "diff_diff"}.get(rival, "scipy")
    return importlib.util.find_spec(module) is not None


def main() -> None:
    """Time every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", default=None)
    args = parser.parse_args()
    rows = []
    for case in cases():
        works = {name: work for name, work in case.rivals.items() if installed(name)}
        taken: dict[str, list[float]] = {name: [] for name in ("ours", *works)}
        for run in range(args.runs + 1):
            for name, work in {"ours": case.ours, **works}.items():
                limit = args.runs if name == "ours" else case.rival_runs or args.runs
                if run == 0 and limit > 1:
                    seconds(work)  # the first round warms up
                elif 0 < run <= limit:
                    taken[name].append(seconds(work))
        own = float(np.median(taken["ours"]))
        for name, values in taken.items():
            found = float(np.median(values))
            rows.append(
                {"work": case.name, "who": name, "cpu_seconds": found, "over_ours": found / own}
            )
        print(pd.DataFrame(rows[-len(taken) :]).round(4).to_string(index=False), flush=True)
    default = Path(__file__).parents[1] / "results" / "synthetic_control_speed.csv"
    pd.DataFrame(rows).round(5).to_csv(args.out or default, index=False)


if __name__ == "__main__":
    main()
