"""What needs a server, Spark or a browser: skipped, unless NOHOLDOUT_ENGINES=required."""

import glob
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from method_cases import Case, case

REQUIRED = os.environ.get("NOHOLDOUT_ENGINES") == "required"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if REQUIRED:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"{item.path.name}: make test-engines runs it"))


@pytest.fixture(scope="session")
def opt_in() -> Case:
    """The small opt-in case that every engine must answer like a data frame."""
    return case("propensity")


@pytest.fixture(scope="session")
def users(opt_in: Case) -> pd.DataFrame:
    """The users table of that case."""
    return opt_in.frame


def postgres_program(name: str) -> str:
    """A PostgreSQL server program, which distributions keep off the path."""
    found = shutil.which(name) or next(
        iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None
    )
    if found is None:
        pytest.fail(f"{name} isn't installed: apt-get install postgresql")
    return found


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server of our own, on a free port, gone after the tests."""
    # Not in pytest's own folder: another pytest that starts takes other users' rights to that.
    folder = Path(tempfile.mkdtemp(prefix="noholdout-postgres-"))
    as_server: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_server = ["runuser", "-u", "postgres", "--"]
        folder.chmod(0o755)
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    log = folder / "log"
    quiet = {"check": True, "cwd": folder, "stdout": subprocess.DEVNULL}
    init = [postgres_program("initdb"), "-D", str(data), "-U", "tester", "-A", "trust"]
    subprocess.run([*as_server, *init], **quiet)  # type: ignore[call-overload]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
    control = [*as_server, postgres_program("pg_ctl"), "-D", str(data), "-w", "-l", str(log)]
    subprocess.run([*control, "-o", options, "start"], **quiet)  # type: ignore[call-overload]
    try:
        yield f"postgres://tester@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "fast", "stop"], **quiet)  # type: ignore[call-overload]
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").appName("noholdout")
    session = (
        builder.config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "1")
        .getOrCreate()
    )
    yield session
    session.stop()
