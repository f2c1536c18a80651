"""Progress on stderr for work that takes more than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 2.0  # seconds without a bar


def track(items: Iterable[T], label: str, *, total: int | None = None) -> Iterator[T]:
    """Yield the items; once two seconds have passed, show a bar with the time left on stderr.

    Without a ``label`` nothing is shown.
    """
    if not label:
        yield from items
        return
    if total is None and isinstance(items, Sequence):
        total = len(items)
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    # On a terminal, text printed meanwhile goes above the bar; redirected text stays where it is.
    redirect = sys.stdout.isatty()
    bar = Progress(
        *columns,
        console=Console(stderr=True, force_jupyter=False),
        transient=True,
        redirect_stdout=redirect,
    )
    task = bar.add_task(label, total=total)
    shown = False
    try:
        for item in items:
            if not shown and time.monotonic() - started > PATIENCE:
                bar.start()
                shown = True
            yield item
            bar.advance(task)
    finally:
        if shown:
            bar.stop()
