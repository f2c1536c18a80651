"""Where results lie: one Parquet file a batch, named by a hash of all that it depends on."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noholdout import __version__
from noholdout.benchmark.arena import Cell
from noholdout.benchmark.registry import Entry

if TYPE_CHECKING:
    import pandas as pd

BATCH = 50
PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "statsmodels")

# Column name to DuckDB type: written out, so that a batch without any verdict has the same schema.
SCHEMA = {
    "design": "VARCHAR",
    "estimator": "VARCHAR",
    "kind": "VARCHAR",
    "estimand": "VARCHAR",
    "scenario": "VARCHAR",
    "severity": "DOUBLE",
    "n_users": "BIGINT",
    "seed": "BIGINT",
    "estimate": "DOUBLE",
    "std_error": "DOUBLE",
    "conf_low": "DOUBLE",
    "conf_high": "DOUBLE",
    "p_value": "DOUBLE",
    "truth": "DOUBLE",
    "verdict": "VARCHAR",
    "checks": "VARCHAR",  # JSON: name to status
    "refused": "VARCHAR",  # the message of a DesignError or ConvergenceError
    "failed": "VARCHAR",  # the message of any other error
    "seconds": "DOUBLE",
}


@dataclass(frozen=True)
class Batch:
    """The runs of one estimator in one cell over consecutive seeds: what one file holds."""

    entry: Entry
    cell: Cell
    seeds: tuple[int, ...]

    @property
    def file_name(self) -> str:
        """Readable, and different for anything that the numbers depend on."""
        depends = {
            "entry": self.entry.settings(),
            "cell": asdict(self.cell),
            "seeds": self.seeds,
            "schema": SCHEMA,
            "code": fingerprint(self.entry),
            "versions": versions(),
        }
        text = json.dumps(depends, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        plain = "".join(c if c.isalnum() else "-" for c in self.entry.name)
        return f"{plain}__{self.cell.scenario}__{self.seeds[0]:06d}__{digest}.parquet"


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that the numbers come from."""
    return {"python": platform.python_version(), "noholdout": __version__} | {
        name: version(name) for name in PACKAGES
    }


def fingerprint(entry: Entry) -> str:
    """A hash of the source of all that the estimator's numbers come from.

    Results of older code are never mixed with results of newer code.
    """
    packages = {"noholdout_shared", "noholdout_data_generator"}
    module, _, _ = entry.call.rpartition(":")
    if module.endswith(".py"):
        own = hashlib.sha256(Path(module).read_bytes()).hexdigest()
    else:
        packages.add(module if module.startswith("noholdout.") else module.split(".")[0])
        own = ""
    return ":".join([own, *(_source_hash(package) for package in sorted(packages))])


@lru_cache(maxsize=64)
def _source_hash(package: str) -> str:
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        local = Path(*package.split("."))
        places: Iterable[Path] = [local.with_suffix(".py"), *sorted(local.rglob("*.py"))]
        files = [place for place in places if place.is_file()]
    elif spec.submodule_search_locations:
        files = sorted(
            file for place in spec.submodule_search_locations for file in Path(place).rglob("*.py")
        )
    else:
        files = [Path(spec.origin)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def write_batch(folder: Path, batch: Batch, rows: Sequence[dict[str, Any]]) -> Path:
    """Write a batch, whole or not at all: a file of its final name is always complete."""
    import duckdb

    path = folder / batch.file_name
    unfinished = path.with_suffix(f".unfinished-{os.getpid()}")
    columns = ", ".join(f'"{name}" {kind}' for name, kind in SCHEMA.items())
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE runs ({columns})")
        connection.executemany(
            f"INSERT INTO runs VALUES ({', '.join('?' * len(SCHEMA))})",
            [[row[name] for name in SCHEMA] for row in rows],
        )
        target = str(unfinished).replace("'", "''")
        connection.execute(f"COPY runs TO '{target}' (FORMAT parquet)")
    unfinished.replace(path)
    return path


def read_batches(folder: Path, batches: Sequence[Batch]) -> pd.DataFrame:
    """All runs of the batches, in their order and by seed."""
    import duckdb

    names = [str(folder / batch.file_name) for batch in batches]
    with duckdb.connect() as connection:
        return connection.read_parquet(names).order("design, kind, estimator, seed").df()
