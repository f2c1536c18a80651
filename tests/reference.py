"""Where the real data sets with published results lie, if they are there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def reference_folder() -> Path:
    """The folder of reference data; NOHOLDOUT_REFERENCE_DATA names another."""
    return Path(os.environ.get("NOHOLDOUT_REFERENCE_DATA", ROOT.parent / "shared/reference_data"))


def reference_file(name: str) -> Path:
    """A reference data file, or a skip that says it is absent."""
    path = reference_folder() / name
    if not path.exists():
        pytest.skip(f"reference data {name} is absent (set NOHOLDOUT_REFERENCE_DATA)")
    return path


def expected(data_set: str) -> dict[str, dict[str, Any]]:
    """The published or re-run numbers of a data set: check name to value and tolerance."""
    return json.loads(reference_file("expected.json").read_text())[data_set]["checks"]
