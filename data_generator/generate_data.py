"""Make the synthetic product's files: ``python data_generator/generate_data.py --out data/``.

The same flags and the same bytes as ``noholdout generate``.
"""

from __future__ import annotations

from noholdout.cli import main

if __name__ == "__main__":
    import sys

    sys.argv.insert(1, "generate")
    main()
