"""Choosing components and family: `candidate`s, the `grid` that fits them, the `selection` that ranks them."""

from mixtura.selection.candidate import Candidate
from mixtura.selection.grid import Progress
from mixtura.selection.selection import Selection, select

__all__ = ["Candidate", "Progress", "Selection", "select"]
