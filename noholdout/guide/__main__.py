"""``python -m noholdout.guide``: print the diagram, or put it into the README."""

from __future__ import annotations

import argparse
from pathlib import Path

from noholdout.guide.diagram import mermaid, replace_block
from noholdout.guide.tree import load_tree


def main() -> None:
    """Print the Mermaid text (``--diagram``) or write it between a file's markers (``--write``)."""
    parser = argparse.ArgumentParser(prog="python -m noholdout.guide", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--diagram", action="store_true", help="print the diagram")
    what.add_argument("--write", metavar="FILE", type=Path, help="renew the diagram in this file")
    asked = parser.parse_args()
    if asked.diagram:
        print(mermaid(load_tree()))
    else:
        text = asked.write.read_text("utf-8")
        asked.write.write_text(replace_block(text, load_tree()), "utf-8")


if __name__ == "__main__":
    main()
