"""Where rows live, and how to sum or map over them. `open` picks the source for whatever it is given."""

from mixtura.sources.arrays import ArraySource
from mixtura.sources.opening import open
from mixtura.sources.source import Passed, Question, Source
from mixtura.sources.tasks import Asked, AskedAtOnce, Block, Classified, Scored, Swept

__all__ = ["ArraySource", "Asked", "AskedAtOnce", "Block", "Classified", "Passed", "Question", "Scored", "Source", "Swept", "open"]
