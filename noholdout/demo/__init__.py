"""Run the five demo scripts, two at a time, and show what they print in order."""

from noholdout.demo.runner import SCRIPTS, Finished, find_script, run_demos

__all__ = ["SCRIPTS", "Finished", "find_script", "run_demos"]
