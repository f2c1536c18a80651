"""Run the five designs on one or many seeds, and count how often each interval held its truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noholdout_shared.errors import DataError
from noholdout_shared.parallel import run_parallel

from noholdout.compare.designs import DESIGNS

if TYPE_CHECKING:
    import pandas as pd
    from noholdout_data_generator import Dataset

DEFAULT_USERS = 50_000


@dataclass(frozen=True)
class Source:
    """Where a data set comes from: a seed, or a folder that ``noholdout generate`` wrote."""

    seed: int
    n_users: int = DEFAULT_USERS
    folder: str | None = None

    @staticmethod
    def of_folder(folder: str) -> Source:
        """The data set in ``folder``; its seed is the one that made it."""
        path = Path(folder) / "truth.json"
        if not path.is_file():
            raise DataError(
                f"There is no truth.json in {folder!r}.",
                "Without the truth there is nothing to compare with.",
                f"Make the data first: noholdout generate --out {folder}",
            )
        asked = json.loads(path.read_text("utf-8"))["asked"]
        return Source(seed=asked["seed"], n_users=asked["n_users"], folder=folder)


@dataclass(frozen=True)
class Row:
    """One method on one data set. Effects are shares (0.05 is five points)."""

    seed: int
    method: str
    estimand: str
    naive: float
    estimate: float
    conf_low: float
    conf_high: float
    truth: float
    covered: bool
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """The rows of all seeds and methods, seed by seed."""

    seeds: tuple[int, ...]
    rows: tuple[Row, ...]

    def of(self, method: str) -> list[Row]:
        """The rows of one method, in the order of the seeds."""
        return [row for row in self.rows if row.method == method]

    def held(self, method: str) -> int:
        """On how many seeds the method's interval held its truth."""
        return sum(row.covered for row in self.of(method))

    def to_dict(self) -> dict[str, Any]:
        """``{"seeds": […], "rows": […]}`` as plain JSON values."""
        from noholdout_shared.jsonable import jsonable

        return {"seeds": list(self.seeds), "rows": [jsonable(asdict(row)) for row in self.rows]}

    def to_frame(self) -> pd.DataFrame:
        """One row a seed and method."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])


def compare(sources: Sequence[Source], *, jobs: int = 1) -> Comparison:
    """Run every design on every data set.

    Parameters
    ----------
    sources
        The data sets.
    jobs
        Processes; the result doesn't depend on it.
    """
    work = [(source, method) for source in sources for method in DESIGNS]
    rows = run_parallel(_row, work, jobs=jobs, label="comparing")
    return Comparison(tuple(source.seed for source in sources), tuple(rows))


def _row(work: tuple[Source, str]) -> Row:
    source, method = work
    design, data = DESIGNS[method], load(source)
    found = design.run(data, source.seed)
    truth = design.truth(data, found)
    return Row(
        seed=source.seed,
        method=method,
        estimand=design.estimand,
        naive=design.naive(data, found),
        estimate=found.estimate,
        conf_low=found.conf_low,
        conf_high=found.conf_high,
        truth=truth,
        covered=bool(found.conf_low <= truth <= found.conf_high),
        verdict=found.verdict,
    )


@lru_cache(maxsize=1)  # the five methods of a seed come one after another
def load(source: Source) -> Dataset:
    """The data set: drawn, or read from its folder."""
    from noholdout_data_generator import Dataset, generate

    if source.folder is None:
        return generate(n_users=source.n_users, seed=source.seed)
    folder = Path(source.folder)
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    tables = (_table(folder, name) for name in ("users", "telemetry", "truth_users"))
    users, telemetry, truth_users = tables
    return Dataset(users=users, telemetry=telemetry, truth=truth, truth_users=truth_users)


def _table(folder: Path, name: str) -> pd.DataFrame:
    import pandas as pd

    for ending, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        if (folder / (name + ending)).is_file():
            return read(folder / (name + ending))
    raise DataError(
        f"There is no {name}.csv or {name}.parquet in {str(folder)!r}.",
        "",
        f"Make the data again: noholdout generate --out {folder}",
    )


def parse_seeds(text: str) -> list[int]:
    """Seeds from ``20`` (meaning 1 to 20) or ``3,5,8`` (these).

    Raises
    ------
    DataError
        Anything else, or a seed named twice.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts if part) or not any(parts):
        raise DataError(
            f"--seeds is {text!r}.", "", "Give a count (20 means seeds 1 to 20) or a list (3,5,8)."
        )
    if len(parts) == 1:
        count = int(parts[0])
        if count < 1:
            raise DataError("--seeds is 0.", "", "Give a count of 1 or more.")
        return list(range(1, count + 1))
    seeds = [int(part) for part in parts if part]
    if len(set(seeds)) < len(seeds):
        raise DataError(f"--seeds {text!r} names a seed twice.", "", "Name each once.")
    return seeds
