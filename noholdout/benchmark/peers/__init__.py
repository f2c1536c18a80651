"""Other packages in the same arena: one small adapter each, installed with the extra ``peers``.

An adapter translates the problem into the package's call and reads its answer, no more: the
package's own defaults decide the rest, except where they don't fit the design (said in the
adapter). Nothing is caught: a package that fails is shown as failed, with its message.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep a package's prints and warnings off the user's terminal."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
