"""Files: the same seed gives the same bytes, and they hold what memory does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from noholdout_data_generator import generate, write
from noholdout_data_generator import write as write_function
from noholdout_shared.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_same_seed_same_bytes(tmp_path: Path, format: Any) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, n_users=3_000, seed=seed, format=format)
    a, b, c = (digests(tmp_path / name) for name in "abc")
    assert sorted(a) == sorted(
        ["truth.json", *(f"{t}.{format}" for t in ("telemetry", "truth_users", "users"))]
    )
    assert a == b
    assert all(a[name] != c[name] for name in a)


def test_parts_put_together_hold_the_same_rows(tmp_path: Path, monkeypatch: Any) -> None:
    import importlib

    module = importlib.import_module("noholdout_data_generator.write")
    write(tmp_path / "one", n_users=140_000, seed=4, format="parquet")
    monkeypatch.setattr(module, "PART_BLOCKS", 1)
    write(tmp_path / "three", n_users=140_000, seed=4, format="parquet")
    for name in ("users", "truth_users"):
        one, three = (pd.read_parquet(tmp_path / f / f"{name}.parquet") for f in ("one", "three"))
        pd.testing.assert_frame_equal(one, three)
    assert sorted(digests(tmp_path / "three")) == sorted(digests(tmp_path / "one"))


def test_more_users_leave_the_first_ones_as_they_are() -> None:
    # Rows are drawn in blocks with seeds of their own: where the table ends can't matter.
    few, many = generate(n_users=5_000, seed=9), generate(n_users=70_000, seed=9)
    pd.testing.assert_frame_equal(few.users, many.users.iloc[:5_000])


@pytest.mark.parametrize("format", ["csv", "parquet"])
@pytest.mark.parametrize("n_users", [2_000, 140_000])
def test_files_hold_what_generate_returns(tmp_path: Path, format: Any, n_users: int) -> None:
    # 140,000 users are three blocks, written one by one.
    write(tmp_path, n_users=n_users, seed=6, format=format, launch="one-region")
    data = generate(n_users=n_users, seed=6, launch="one-region")
    read = pd.read_csv if format == "csv" else pd.read_parquet
    for name in ("users", "telemetry", "truth_users"):
        stored = read(tmp_path / f"{name}.{format}")
        pd.testing.assert_frame_equal(stored, getattr(data, name), check_dtype=False, rtol=1e-12)
    assert json.loads((tmp_path / "truth.json").read_text()) == data.truth


def test_bad_requests_write_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't be made"):
        write_function(tmp_path / "file", n_users=500)
    with pytest.raises(DataError, match="no format 'xlsx'"):
        write_function(tmp_path / "out", n_users=500, format="xlsx")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="n_users is 3"):
        write_function(tmp_path / "out", n_users=3)
    with pytest.raises(DataError, match="seed"):
        write_function(tmp_path / "out", n_users=500, seed=-4)
    with pytest.raises(DataError, match="no scenario"):
        write_function(tmp_path / "out", n_users=500, scenario="nonsense")
    assert not (tmp_path / "out").exists()


@pytest.mark.demo
def test_both_doors_write_the_same_bytes(tmp_path: Path) -> None:
    flags = ["--n-users", "1000", "--seed", "8", "--launch", "everyone"]
    doors = {
        "script": [sys.executable, str(ROOT / "data_generator" / "generate_data.py")],
        "command": [sys.executable, "-m", "noholdout", "generate"],
    }
    for name, door in doors.items():
        command = [*door, *flags, "--out", str(tmp_path / name)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "80"}
        )
        assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "script") == digests(tmp_path / "command")


@pytest.mark.demo
def test_a_bad_request_ends_with_code_two(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "noholdout", "generate", "--n-users", "3"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("DataError: n_users is 3.")
