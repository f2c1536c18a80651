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
# Above this many users the Parquet rows are staged on disk instead of in memory.
IN_MEMORY_USERS = 1_000_000
STAGING_MEMORY = "1GB"


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
    with open_writer(folder, n_users) as writer:
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
    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.tables: set[str] = set()

    def add(self, table: str, piece: pd.DataFrame) -> None:
        # Text as plain objects: DuckDB reads them whatever pandas' own text type is.
        text = dict.fromkeys(piece.select_dtypes(["object", "string"]).columns, object)
        self.connection.register("piece", piece.astype(text))
        if table in self.tables:
            self.connection.execute(f"INSERT INTO {table} SELECT * FROM piece")
        else:
            self.tables.add(table)
            self.connection.execute(f"CREATE TABLE {table} AS SELECT * FROM piece")
        self.connection.unregister("piece")


@contextmanager
def _csv_writer(folder: Path, n_users: int) -> Iterator[Writer]:
    yield _Csv(folder)


@contextmanager
def _parquet_writer(folder: Path, n_users: int) -> Iterator[Writer]:
    import duckdb

    with tempfile.TemporaryDirectory(dir=folder, prefix=".staging-") as staging:
        place = ":memory:" if n_users <= IN_MEMORY_USERS else str(Path(staging) / "rows.duckdb")
        # One thread keeps the order of rows, and so the bytes.
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "memory_limit": STAGING_MEMORY,
        }
        with duckdb.connect(place, config=settings) as connection:
            writer = _Parquet(connection)
            yield writer
            for table in sorted(writer.tables):
                path = str(folder / f"{table}.parquet").replace("'", "''")
                connection.execute(f"COPY {table} TO '{path}' (FORMAT parquet)")
