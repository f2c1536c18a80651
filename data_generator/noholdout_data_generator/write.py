"""Write a data set's files, in flat memory however many users it has."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.progress import track

from noholdout_data_generator.generate import assemble_truth, check_request, stream_users
from noholdout_data_generator.scenarios import choose
from noholdout_data_generator.telemetry import Launch, draw_telemetry
from noholdout_data_generator.truth import UserTruth, telemetry_truth
from noholdout_data_generator.users import BLOCK

Format = Literal["csv", "parquet"]
# Parquet is written in parts of so many blocks (half a million rows), then put together.
PART_BLOCKS = 8
MEMORY = "1GB"


class Writer(Protocol):
    """Takes a table piece by piece."""

    def add(self, table: str, piece: pd.DataFrame) -> None:
        """Append rows to a table."""


def write(
    out: str | Path,
    *,
    n_users: int = 50_000,
    seed: int = 42,
    scenario: str = "clean",
    severity: float = 1.0,
    launch: Launch = "pinned",
    format: Format = "csv",
    progress: bool = False,
) -> list[Path]:
    """Draw one synthetic product straight into files: what ``noholdout generate`` does.

    Parameters
    ----------
    out
        The folder; it is made if need be.
    n_users, seed, scenario, severity, launch
        As in ``generate()``, with the same rows.
    format
        ``csv`` or ``parquet``, of the three tables; the truth is JSON.
    progress
        Show a bar on stderr once two seconds have passed.

    Returns
    -------
    list of Path
        The four files.
    """
    if format not in get_args(Format):
        raise DataError(f"There is no format {format!r}.", "", "Known formats: csv, parquet.")
    check_request(n_users, seed, launch)
    chosen = choose(scenario, severity)
    folder = _folder(out)
    panel = draw_telemetry(seed, launch, chosen.telemetry)
    sums = UserTruth()
    blocks = stream_users(n_users, seed, chosen, sums)
    label = "Drawing users" if progress else ""
    total = -(-n_users // BLOCK)
    open_writer = _csv_writer if format == "csv" else _parquet_writer
    with open_writer(folder) as writer:
        for users, own in track(blocks, label, total=total):
            writer.add("users", users)
            writer.add("truth_users", own)
        writer.add("telemetry", panel.frame)
    truth = assemble_truth(n_users, seed, chosen, launch, sums, telemetry_truth(panel))
    truth_file = folder / "truth.json"
    truth_file.write_text(json.dumps(truth, indent=2, allow_nan=False) + "\n")
    tables = [folder / f"{name}.{format}" for name in ("users", "telemetry", "truth_users")]
    return [*tables, truth_file]


def _folder(out: str | Path) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"The folder {str(folder)!r} can't be made: {error.strerror}.",
            "",
            "Name another with --out.",
        ) from error
    return folder


class _Csv:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: set[str] = set()

    def add(self, table: str, piece: pd.DataFrame) -> None:
        first = table not in self.started
        self.started.add(table)
        path = self.folder / f"{table}.csv"
        with path.open("w" if first else "a", encoding="utf-8", newline="") as handle:
            piece.to_csv(handle, index=False, header=first, lineterminator="\n")


class _Parquet:
    def __init__(self, connection: Any, parts: Path) -> None:
        self.connection = connection
        self.parts = parts
        self.waiting: dict[str, list[pd.DataFrame]] = {}
        self.written: dict[str, int] = {}

    def add(self, table: str, piece: pd.DataFrame) -> None:
        waiting = self.waiting.setdefault(table, [])
        waiting.append(piece)
        if len(waiting) == PART_BLOCKS:
            self.flush(table)

    def flush(self, table: str) -> None:
        """Write what waits as one more part."""
        if not self.waiting[table]:
            return
        rows = pd.concat(self.waiting[table], ignore_index=True)
        self.waiting[table].clear()
        # DuckDB reads a few different texts many times faster as categories than as objects.
        texts = rows.select_dtypes(["object", "string"]).columns
        rows = rows.astype(dict.fromkeys(texts, "category"))
        plain = ", ".join(f"{name}::VARCHAR AS {name}" for name in texts)
        self.connection.register("piece", rows)
        part = self.written.get(table, 0)
        self.written[table] = part + 1
        self._copy(
            f"SELECT * {f'REPLACE ({plain})' if plain else ''} FROM piece",
            self.parts / f"{table}_{part:06d}.parquet",
        )
        self.connection.unregister("piece")

    def finish(self, folder: Path) -> None:
        """Put each table's parts together."""
        for table in self.waiting:
            self.flush(table)
            parts = sorted(self.parts.glob(f"{table}_*.parquet"))
            whole = folder / f"{table}.parquet"
            if len(parts) == 1:
                parts[0].replace(whole)
                continue
            names = ", ".join(_quoted(part) for part in parts)
            self._copy(f"SELECT * FROM read_parquet([{names}])", whole)
            for part in parts:
                part.unlink()

    def _copy(self, query: str, path: Path) -> None:
        self.connection.execute(f"COPY ({query}) TO {_quoted(path)} (FORMAT parquet)")


def _quoted(path: Path) -> str:
    text = str(path).replace("'", "''")
    return f"'{text}'"


@contextmanager
def _csv_writer(folder: Path) -> Iterator[Writer]:
    yield _Csv(folder)


@contextmanager
def _parquet_writer(folder: Path) -> Iterator[Writer]:
    import duckdb

    # One thread keeps the order of rows, and so the bytes.
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "memory_limit": MEMORY,
    }
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".parts-") as parts,
        duckdb.connect(config=settings) as connection,
    ):
        writer = _Parquet(connection, Path(parts))
        yield writer
        writer.finish(folder)
