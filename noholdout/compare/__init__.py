"""All five methods against the truth of the synthetic product: naive, estimate, interval, truth."""

from noholdout.compare.designs import DESIGNS, Design
from noholdout.compare.study import Comparison, Row, Source, compare

__all__ = ["DESIGNS", "Comparison", "Design", "Row", "Source", "compare"]
