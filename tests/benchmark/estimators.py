"""Estimators that the benchmark's tests run as a user's own."""

import os
import time
from pathlib import Path
from typing import Any

from noholdout_shared.errors import DesignError

from noholdout.benchmark.foils import treated_untreated


def opted_in(problem: Any) -> dict[str, float]:
    """A difference of means that notes its call and takes its time, if asked to."""
    log = os.environ.get("NOHOLDOUT_TEST_LOG")
    if log:
        with Path(log).open("a") as file:
            file.write(f"{problem.seed}\n")
        time.sleep(0.01)
    return treated_untreated(problem)


def breaks(problem: Any) -> dict[str, float]:
    """Fails on even seeds."""
    if problem.seed % 2 == 0:
        raise ZeroDivisionError("no rows\nleft")
    return {"estimate": 1.0}


def refuses(problem: Any) -> dict[str, float]:
    """Refuses always."""
    raise DesignError("No overlap.")
