"""What the data say about each design: tests of the columns, never of the outcome by treatment."""

from noholdout.guide.designs.design import Design
from noholdout.guide.designs.panel import Panel, find_panel

__all__ = ["Design", "Panel", "find_panel"]
