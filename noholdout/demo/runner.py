"""The demo scripts as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from noholdout_shared.errors import DataError

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parents[1]

SCRIPTS = {
    "did": "01_did_staged_rollouts/did_demo.py",
    "propensity": "02_propensity_opt_in/propensity_demo.py",
    "rdd": "03_rdd_routing/rdd_demo.py",
    "synthetic_control": "04_synthetic_control/synthetic_control_demo.py",
    "uplift": "05_uplift/uplift_demo.py",
}


@dataclass(frozen=True)
class Finished:
    """A demo that has run: all that it printed, in order, and how it ended."""

    method: str
    output: str
    exit_code: int
    seconds: float


def find_script(method: str) -> Path:
    """The demo's script: in the repository, or as shipped in the installed package."""
    for place in (REPOSITORY / SCRIPTS[method], PACKAGE / "scripts" / Path(SCRIPTS[method]).name):
        if place.is_file():
            return place
    raise DataError(
        f"The demo script {SCRIPTS[method]!r} isn't installed.",
        "",
        "Install noholdout again, or run the demo from a clone of the repository.",
    )


def run_demos(
    methods: Sequence[str], arguments: Sequence[str], *, jobs: int = 2
) -> Iterator[Finished]:
    """Run the demos, ``jobs`` at a time, and yield them in the order asked.

    Parameters
    ----------
    methods
        Keys of ``SCRIPTS``.
    arguments
        Passed to every script.
    """
    scripts = {method: find_script(method) for method in methods}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting = [
            pool.submit(_run, method, script, list(arguments)) for method, script in scripts.items()
        ]
        try:
            for finished in waiting:
                yield finished.result()
        finally:
            for left in waiting:
                left.cancel()


def _run(method: str, script: Path, arguments: list[str]) -> Finished:
    environment = dict(os.environ, PYTHONUNBUFFERED="1", PYTHONIOENCODING="utf-8")
    environment.setdefault("MPLBACKEND", "Agg")
    environment.setdefault("COLUMNS", "80")
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[threads] = "1"
    started = time.perf_counter()
    run = subprocess.run(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        env=environment,
    )
    return Finished(method, run.stdout, run.returncode, time.perf_counter() - started)
