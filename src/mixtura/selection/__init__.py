"""Choosing components and family: `criteria`, `candidate`s, the `grid` that fits them, the `search` around it, `choosing` what it is asked for, the
`selection` that it gives. `figures` is what a selection looks like as text; its picture is drawn by `plots`.
"""

from mixtura.selection.candidate import Candidate
from mixtura.selection.choosing import select
from mixtura.selection.grid import Progress
from mixtura.selection.selection import Selection

__all__ = ["Candidate", "Progress", "Selection", "select"]
