"""Read files and database tables: DuckDB for files, Ibis (an extra) for connection URLs."""

from __future__ import annotations

import difflib
import glob
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from noholdout_shared.errors import DataError

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
CSV_ENDINGS = tuple(
    f"{text}{packed}" for text in (".csv", ".tsv", ".txt") for packed in ("", *COMPRESSED)
)
PARQUET_ENDINGS = (".parquet", ".pq")
DUCKDB_ENDINGS = (".duckdb", ".ddb")
SECRET = r"(?i)([?&][\w.-]*(?:password|passwd|pwd|passphrase|token|secret|key)=)[^&#\s'\"]*"


def require_columns(wanted: Sequence[str], available: Sequence[Any]) -> None:
    """Raise a DataError that names each unknown column and the nearest names."""
    unknown = [column for column in wanted if column not in set(available)]
    if not unknown:
        return
    names = [str(column) for column in available]
    near = {column: nearest for column in unknown if (nearest := _nearest(str(column), names))}
    if len(unknown) == 1:
        meant = " or ".join(map(repr, *near.values())) if near else ""
    else:
        meant = ", ".join(f"{' or '.join(map(repr, few))} for {c!r}" for c, few in near.items())
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    raise DataError(
        f"The data has no column {', '.join(repr(c) for c in unknown)}.",
        f"Did you mean {meant}?" if meant else "",
        f"Its columns are: {shown}.",
    )


def _nearest(name: str, names: Sequence[str]) -> list[str]:
    """The names that come nearest; one that differs by upper and lower case only comes first."""
    same = [known for known in names if known.lower() == name.lower()]
    return same or difflib.get_close_matches(name, names, n=3, cutoff=0.5)


def is_location(data: Any) -> bool:
    """Whether ``data`` names a file or a database table rather than being one."""
    return isinstance(data, (str, os.PathLike))


def read_location(location: str | os.PathLike[str], wanted: list[str]) -> pd.DataFrame:
    """The wanted columns of a file (csv, csv.gz, parquet, a glob) or of a table behind a ``#``."""
    with opened(location) as table:
        require_columns(wanted, list(table.columns))
        if "://" in str(location):
            frame: pd.DataFrame = table.select(wanted).to_pandas()
            return frame
        return table.project(", ".join(map(quoted, wanted))).df()


def opened(location: str | os.PathLike[str]) -> AbstractContextManager[Any]:
    """A DuckDB relation (files, ``FILE.duckdb#table``) or an Ibis table (``URL#table``), unread."""
    text = str(location)
    if not text:
        raise DataError("The path is empty.", "", "Name a file, a folder or a table.")
    if "://" in text:
        return _table(text)
    path, _, table = text.partition("#")
    if _ends(path, DUCKDB_ENDINGS):
        return _duckdb_table(path, table)
    return _relation(_files_in(text))


def _files_in(path: str) -> str:
    """A folder as the glob of the Parquet files in it, also in folders of partitions."""
    if Path(path).is_dir() and any(Path(path).rglob("*.parquet")):
        return str(Path(glob.escape(path)) / "**" / "*.parquet")
    return path


def quoted(name: str) -> str:
    """A column's or table's name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def sample_location(
    location: str | os.PathLike[str], limit: int, seed: int = 0
) -> tuple[pd.DataFrame, int]:
    """All columns of at most ``limit`` rows (a random sample of more), and the number of rows."""
    if "://" in str(location):
        with _table(str(location)) as table:
            n_rows = int(table.count().execute())
            if n_rows <= limit:
                return table.to_pandas(), n_rows
            return drawn_by_server(table, limit / n_rows, seed)[0], n_rows
    with opened(location) as relation:
        n_rows = int(relation.count("*").fetchone()[0])
        if n_rows <= limit:
            return relation.df(), n_rows
        some = relation.query(
            "rows", f"from rows using sample reservoir({limit} rows) repeatable ({seed})"
        )
        return some.df(), n_rows


def drawn_by_server(table: Any, share: float, seed: int) -> tuple[pd.DataFrame, bool]:
    """Each row of an Ibis table with that chance, and whether the seed was taken."""
    from ibis.common.exceptions import UnsupportedOperationError

    try:
        return table.sample(share, seed=seed).to_pandas(), True
    except UnsupportedOperationError:  # PostgreSQL, for one, draws anew each time
        return table.sample(share).to_pandas(), False


@contextmanager
def _relation(path: str) -> Iterator[Any]:
    """The files as a DuckDB relation; what goes wrong within is a DataError."""
    import duckdb

    _require_files(path)
    # A fresh connection: DuckDB's module-level one is global state. What doesn't fit into memory
    # goes to the temporary folder, not to the working one.
    with duckdb.connect(config={"temp_directory": _spill_folder()}) as connection:
        try:
            if _ends(path, PARQUET_ENDINGS):
                # Below ** a folder such as region=eu holds a column of the table.
                yield connection.read_parquet(path, hive_partitioning="**" in path)
            else:
                yield _read_csv(path, connection)
        except duckdb.Error as error:
            text = " ".join(str(error).split())
            if "not utf-8 encoded" in text.lower():
                raise DataError(
                    f"{path!r} isn't written in UTF-8.",
                    "Its letters could be read in several ways.",
                    "Save it as UTF-8 (in spreadsheets: 'CSV UTF-8').",
                ) from error
            raise DataError(
                f"{path!r} can't be read: {str(error).strip().splitlines()[0]}",
                "",
                "Open the file and check that it is a CSV with a header row, or Parquet.",
            ) from error


def _ends(path: str | Path, endings: tuple[str, ...]) -> bool:
    """Whether the path has one of the endings, in whatever case: spreadsheets write ``.CSV``."""
    return str(path).lower().endswith(endings)


def _read_csv(path: str, connection: Any) -> Any:
    """The relation; of columns that share a name each gets a number, so that none is meant by it.

    DuckDB calls the second ``y`` of a header ``y_1``, and ``y`` would be the first in silence.
    """
    # It knows compression by endings in small letters only.
    packed = COMPRESSED.get(Path(path).suffix.lower(), "auto")
    # Types are decided by all rows: a sample of them misses a late text value.
    relation = connection.read_csv(path, sample_size=-1, compression=packed)
    names = list(relation.columns)
    if not any(re.fullmatch(r"_\d+", n.removeprefix(m)) for n in names for m in names if m != n):
        return relation
    lines = connection.read_csv(path, header=False, all_varchar=True, compression=packed)
    written = lines.limit(1).fetchone()
    if written is None or len(written) != len(names) or len(set(written)) == len(names):
        return relation
    seen: dict[str, int] = {}
    shown = []
    for name, label in zip(names, written, strict=True):
        seen[label] = seen.get(label, 0) + 1
        twice = written.count(label) > 1
        told = f"{label} ({seen[label]} of {written.count(label)})" if twice else name
        shown.append(f"{quoted(name)} AS {quoted(told)}")
    return relation.project(", ".join(shown))


@contextmanager
def _duckdb_table(path: str, name: str) -> Iterator[Any]:
    """A table of a DuckDB file."""
    import duckdb

    _require_files(path)
    if not name:
        raise _no_table(path, f"{path}#table")
    place = path.replace("'", "''")
    table = ".".join(map(quoted, name.rsplit(".", 1)))
    try:
        # Attached and not opened: a sample needs a view, which a read-only file has no room for.
        with duckdb.connect(config={"temp_directory": _spill_folder()}) as connection:
            connection.execute(f"ATTACH '{place}' AS file (READ_ONLY)")
            yield connection.sql(f"FROM file.{table}")
    except duckdb.Error as error:
        raise DataError(
            f"Table {name!r} of {path!r} can't be read: {str(error).strip().splitlines()[0]}",
            "",
            "Check the table's name, and that no other program holds the file.",
        ) from error


def _spill_folder() -> str:
    return os.path.join(tempfile.gettempdir(), "noholdout-duckdb")


def _no_table(shown: str, form: str) -> DataError:
    return DataError(
        f"{shown!r} names no table.", "", f"Add it behind a #: {form} (or #schema.table)."
    )


def _require_files(path: str) -> None:
    found = glob.glob(path, recursive=True) if glob.has_magic(path) else [path]
    files = [Path(p) for p in found]
    if not files or not files[0].exists():
        folder = Path(path).parent
        listed = sorted(p.name for p in folder.iterdir())[:8] if folder.is_dir() else []
        raise DataError(
            f"There is no file {path!r}.",
            f"The folder {str(folder)!r} holds: {', '.join(listed)}." if listed else "",
            "Check the path; 'noholdout generate' makes example data in data/.",
        )
    for file in files:
        if file.is_dir():
            raise DataError(
                f"{str(file)!r} is a folder.",
                "",
                "Name a file, a folder of Parquet files, or a glob such as folder/*.csv.",
            )
        if not _ends(file, CSV_ENDINGS + PARQUET_ENDINGS + DUCKDB_ENDINGS):
            raise DataError(
                f"{str(file)!r} has an ending that isn't known.",
                "",
                f"Known endings: {', '.join(CSV_ENDINGS + PARQUET_ENDINGS + DUCKDB_ENDINGS)}.",
            )
        if file.stat().st_size == 0:
            raise DataError(f"{str(file)!r} is empty (0 bytes).", "", "Write the file again.")


@contextmanager
def _table(url: str) -> Iterator[Any]:
    """The table behind ``URL#table``; what goes wrong within is a DataError."""
    try:
        import ibis
    except ImportError as error:
        raise DataError(
            "Reading from a connection URL needs Ibis, which isn't installed.",
            "",
            "Type: pip install 'noholdout[engines]'",
        ) from error
    address, _, table_name = url.partition("#")
    shown = without_passwords(address)
    if not table_name:
        raise _no_table(shown, "URL#table")
    schema, _, name = table_name.rpartition(".")
    try:
        connection = ibis.connect(address)
    except ImportError as error:  # Ibis finds the engine's own driver absent
        raise _no_driver(address, error) from error
    except Exception as error:  # each engine's driver raises its own type
        raise DataError(
            f"No connection to {shown!r}: {error}", "", "Check the address and the driver."
        ) from error
    try:
        yield connection.table(name, database=schema or None)
    except DataError:
        raise
    except Exception as error:  # as above
        raise DataError(
            f"Table {table_name!r} can't be read: {str(error).strip().splitlines()[0]}",
            "",
            "Check the table's name, and what the engine says.",
        ) from error
    finally:
        connection.disconnect()


def _no_driver(address: str, error: ImportError) -> DataError:
    scheme = address.partition("://")[0]
    extra = {"postgresql": "postgres"}.get(scheme, scheme)
    return DataError(
        f"Reading from {scheme}:// needs a driver that isn't installed "
        f"({str(error).splitlines()[0]}).",
        "",
        f"Type: pip install 'ibis-framework[{extra}]>=12,<13'",
    )


def without_passwords(text: str) -> str:
    """The text with the passwords of its connection URLs blotted out, also those of a query."""
    text = re.sub(r"(://[^:/@\s]*):[^/?#\s]*@", r"\1:***@", text)
    return re.sub(SECRET, r"\1***", text)
