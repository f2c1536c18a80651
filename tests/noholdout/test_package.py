"""The wheel holds what it needs and nothing else, and works in an empty environment."""

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from processes import ROOT, run

PACKAGES = (
    "noholdout",
    "noholdout_shared",
    "noholdout_data_generator",
    "noholdout_did",
    "noholdout_propensity",
    "noholdout_rdd",
    "noholdout_synthetic_control",
    "noholdout_uplift",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    ran = run([*line, str(ROOT)], folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_package_and_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for package in PACKAGES:
        assert f"{package}/__init__.py" in names
        assert f"{package}/py.typed" in names
    for data in (
        "noholdout/guide/tree.toml",
        "noholdout/report/templates/report.html",
        "noholdout_shared/templates/estimate.html",
        "noholdout/demo/scripts/did_demo.py",
        "noholdout/demo/scripts/uplift_demo.py",
    ):
        assert data in names, data
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert not [name for name in names if name.endswith((".ipynb", ".csv", ".pyc"))]


def test_requirements_are_the_runtime_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (ROOT / "requirements.txt").read_text("utf-8").split()
    assert lines == [*project["dependencies"], "-e", ".[engines]"]


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    inside = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([inside / "python", "-m", "pip", "install", "-q", str(wheel)], check=True)
    for line, said in (
        (["--help"], "Usage: noholdout"),
        (["generate", "--n-users", "5000", "--out", str(tmp_path / "data")], "users.csv"),
        (["guide", "--rollout", "waves"], "Difference-in-differences"),
        (["demo", "did", "--n-users", "5000"], "1 demo in"),
    ):
        ran = run([str(inside / "noholdout"), *line], tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert said in ran.stdout
