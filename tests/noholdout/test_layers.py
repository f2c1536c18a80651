"""Imports run downwards only: shared, then the generator and the methods, then the front door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
METHODS = {
    "noholdout_did": "01_did_staged_rollouts",
    "noholdout_propensity": "02_propensity_opt_in",
    "noholdout_rdd": "03_rdd_routing",
    "noholdout_synthetic_control": "04_synthetic_control",
    "noholdout_uplift": "05_uplift",
}
FOLDERS = {
    "noholdout_shared": "shared",
    "noholdout_data_generator": "data_generator",
    **METHODS,
    "noholdout": ".",
}
MAY_IMPORT = {
    "noholdout_shared": set(),
    "noholdout_data_generator": {"noholdout_shared"},
    **{method: {"noholdout_shared"} for method in METHODS},
    "noholdout": set(FOLDERS) - {"noholdout"},
}


def imported(text: str) -> Iterator[str]:
    """The top-level packages that a module imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            yield (node.module or "").split(".")[0]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "import_module"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value).split(".")[0]


@pytest.mark.parametrize("package", FOLDERS)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    modules = sorted((ROOT / FOLDERS[package] / package).rglob("*.py"))
    assert modules
    allowed = MAY_IMPORT[package] | {package}
    for module in modules:
        ours = {name for name in imported(module.read_text("utf-8")) if name in FOLDERS}
        assert ours <= allowed, f"{module.relative_to(ROOT)} imports {sorted(ours - allowed)}"


def test_a_forbidden_import_would_be_seen() -> None:
    text = "def f():\n    from noholdout_rdd.estimate import estimate\n"
    assert list(imported(text)) == ["noholdout_rdd"]
    assert list(imported("import importlib\nimportlib.import_module('noholdout_did.x')"))[1:] == [
        "noholdout_did"
    ]


@pytest.mark.parametrize(("package", "folder"), METHODS.items())
def test_numbered_folders_are_no_packages(package: str, folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()
    assert (ROOT / folder / package / "py.typed").is_file()


def test_no_module_changes_the_import_path() -> None:
    for package, folder in FOLDERS.items():
        for module in (ROOT / folder / package).rglob("*.py"):
            assert "sys.path" not in module.read_text("utf-8"), module
