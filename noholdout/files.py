"""Files that the front door writes: pictures, and the folder that must exist for any of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from noholdout_shared.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from noholdout_shared.estimate import Estimate


def require_folder(path: str | Path) -> None:
    """Raise a DataError when the folder of an output file doesn't exist."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise DataError(
            f"{str(path)!r} can't be written: there is no folder {str(folder)!r}.",
            "",
            "Make it first.",
        )


def picture(estimate: Estimate, kind: str) -> bytes:
    """The estimate's own picture as ``png``, ``svg`` or ``pdf``."""
    from noholdout_shared.style import house_style

    with house_style():
        figure = estimate.plot().get_figure(root=True)
        assert figure is not None  # axes that were just drawn belong to a figure
        return figure_bytes(figure, kind)


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as a file's bytes; the figure is closed."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    try:
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    except ValueError as error:
        raise DataError(
            f"No picture can be written as {kind!r}: {error}", "", "End the name in .png or .svg."
        ) from error
    finally:
        plt.close(figure)
    return buffer.getvalue()


def write_picture(content: bytes, path: str) -> None:
    """Write a picture's bytes; a file that can't be written is a DataError."""
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise DataError(
            f"{path!r} can't be written: {error.strerror}.", "", "Name another file."
        ) from error


def picture_kind(path: str) -> str:
    """The picture's format from its file name; checked before any work is done."""
    require_folder(path)
    kind = Path(path).suffix.lower().lstrip(".")
    known = ("png", "svg", "pdf", "jpg", "jpeg", "webp")
    if kind not in known:
        raise DataError(
            f"{path!r} doesn't end in a picture's format.", "", f"Known: {', '.join(known)}."
        )
    return kind
