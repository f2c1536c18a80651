"""Which method fits a launch: a decision tree as data, walked by questions or by flags."""

from noholdout.guide.tree import Answer, Outcome, Question, Tree, load_tree
from noholdout.guide.walk import Path, Step, walk

__all__ = ["Answer", "Outcome", "Path", "Question", "Step", "Tree", "load_tree", "walk"]
