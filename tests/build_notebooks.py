"""Build and run the five notebooks from their demo scripts, or check that they are in step.

``python tests/build_notebooks.py`` builds all; names (``did rdd``) build some; ``--check`` builds
nothing and exits 1 when a notebook's cells differ from its script's, or ran into an error.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from noholdout.demo import SCRIPTS

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 400_000


def script_of(method: str) -> Path:
    """The demo script of a method."""
    return ROOT / SCRIPTS[method]


def notebook_of(method: str) -> Path:
    """The notebook beside the script."""
    return script_of(method).with_suffix(".ipynb")


def cells_of(script: Path) -> Any:
    """The script's percent cells as a notebook that hasn't run."""
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = f"cell-{number:02d}"  # random ids would change the file on each build
        cell.metadata = nbformat.from_dict({})
    return notebook


def build(method: str) -> Path:
    """Run the script's cells in order and write the notebook with their output."""
    from nbclient import NotebookClient

    notebook = cells_of(script_of(method))
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(script_of(method).parent)}},
    )
    client.extra_arguments = ["--log-level=ERROR"]
    client.execute()
    for cell in notebook.cells:  # progress appears on slow machines only
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    notebook.metadata.language_info = nbformat.from_dict({"name": "python"})
    nbformat.validate(notebook)
    path = notebook_of(method)
    nbformat.write(notebook, path)
    return path


def faults(method: str) -> list[str]:
    """Why the notebook isn't in step with its script; empty when it is."""
    path = notebook_of(method)
    if not path.is_file():
        return [f"{path.name} is missing"]
    ours, theirs = nbformat.read(path, as_version=4), cells_of(script_of(method))
    found = []
    if [(c.cell_type, c.source) for c in ours.cells] != [
        (c.cell_type, c.source) for c in theirs.cells
    ]:
        found.append(f"{path.name} differs from its script")
    for number, cell in enumerate(ours.cells, 1):
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None:
            found.append(f"{path.name}: cell {number} never ran")
        if any(output.output_type == "error" for output in cell.outputs):
            found.append(f"{path.name}: cell {number} ran into an error")
    if path.stat().st_size > MAX_BYTES:
        found.append(f"{path.name} has {path.stat().st_size:,} bytes, more than {MAX_BYTES:,}")
    return found


def main() -> None:
    """Build or check the notebooks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", help=f"of {', '.join(SCRIPTS)}; all when left out")
    parser.add_argument("--check", action="store_true", help="build nothing, only compare")
    asked = parser.parse_args()
    methods = asked.methods or list(SCRIPTS)
    if unknown := set(methods) - set(SCRIPTS):
        parser.error(f"no such demo: {', '.join(sorted(unknown))}")
    if asked.check:
        found = [fault for method in methods for fault in faults(method)]
        print("\n".join(found) if found else "Every notebook is in step with its script.")
        sys.exit(1 if found else 0)
    for method in methods:
        path = build(method)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
