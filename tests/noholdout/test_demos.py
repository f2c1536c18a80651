"""The demos as processes of their own, their notebooks, and how the command reports them."""

import importlib.util
import json
import os
import re
import time
from pathlib import Path
from types import ModuleType

import pytest
from noholdout_shared.errors import DataError
from processes import ROOT, run

from noholdout.demo import SCRIPTS, find_script, run_demos

pytestmark = pytest.mark.demo


@pytest.fixture(scope="module")
def build_notebooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "build_notebooks", ROOT / "tests/build_notebooks.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("method", SCRIPTS)
def test_a_demo_runs_alone(method: str, tmp_path: Path) -> None:
    line = ["python", str(ROOT / SCRIPTS[method]), "--n-users", "10000", "--out", str(tmp_path)]
    ran = run(line, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert max(len(text.rstrip()) for text in ran.stdout.splitlines()) <= 80
    assert re.search("true|truth", ran.stdout)
    assert list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("method", SCRIPTS)
def test_a_demo_reads_generated_files(method: str, tmp_path: Path) -> None:
    made = run(["noholdout", "generate", "--n-users", "10000", "--out", str(tmp_path / "d")])
    assert made.returncode == 0, made.stderr
    name = method.replace("_", "-")
    ran = run(["noholdout", "demo", name, "--data", str(tmp_path / "d")], tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"1 demo in \d+\.\d s$", ran.stdout.strip())


@pytest.mark.parametrize("method", SCRIPTS)
def test_a_demo_has_the_seven_steps(method: str) -> None:
    text = (ROOT / SCRIPTS[method]).read_text("utf-8")
    assert text.count("# %% [markdown]") >= 7
    assert "naive" in text.lower()
    assert "sys.path" not in text


@pytest.mark.parametrize("method", SCRIPTS)
def test_the_notebook_is_in_step_and_ran(method: str, build_notebooks: ModuleType) -> None:
    assert build_notebooks.faults(method) == []


def test_a_notebook_out_of_step_is_seen(
    build_notebooks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = json.loads(build_notebooks.notebook_of("did").read_text("utf-8"))
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    code[0]["source"] = ["1 + 1"]
    code[1]["execution_count"] = None
    changed = tmp_path / "did_demo.ipynb"
    changed.write_text(json.dumps(stored), "utf-8")
    monkeypatch.setattr(build_notebooks, "notebook_of", lambda _: changed)
    found = " ".join(build_notebooks.faults("did"))
    assert "differs from its script" in found
    assert "never ran" in found


def test_a_failing_demo_fails_the_command_and_shows_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("import time; time.sleep(0.5); print('fine')")
    bad.write_text("print('before'); raise SystemExit(5)")
    monkeypatch.setattr("noholdout.demo.runner.REPOSITORY", tmp_path)
    monkeypatch.setitem(SCRIPTS, "did", "good.py")
    monkeypatch.setitem(SCRIPTS, "rdd", "bad.py")
    finished = list(run_demos(["did", "rdd"], []))
    assert [(f.method, f.exit_code) for f in finished] == [("did", 0), ("rdd", 5)]
    assert [f.output.strip() for f in finished] == ["fine", "before"]


def test_a_script_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noholdout.demo.runner.REPOSITORY", tmp_path)
    monkeypatch.setattr("noholdout.demo.runner.PACKAGE", tmp_path)
    with pytest.raises(DataError, match="isn't installed"):
        find_script("did")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("noholdout demo did --data none", "no truth.json"),
        ("noholdout demo did --data none --seed 3", "can't go with --data"),
    ],
)
def test_demo_arguments_that_cannot_work(line: str, message: str, tmp_path: Path) -> None:
    ran = run(line, tmp_path)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert ran.stdout == ""


@pytest.mark.slow
@pytest.mark.timed
def test_all_five_demos_take_less_than_thirty_seconds(tmp_path: Path) -> None:
    started = time.perf_counter()
    ran = run(["noholdout", "demo", "all", "--out", str(tmp_path)], tmp_path)
    seconds = time.perf_counter() - started
    assert ran.returncode == 0, ran.stderr
    assert seconds < 30, f"{seconds:.1f} s on {os.cpu_count()} cores"
