"""``python -m noholdout`` is the command line."""

from noholdout.cli import main

main()
