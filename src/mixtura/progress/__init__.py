"""How far a search, a fit or a test has come, for who asked to see it: bars on a terminal and in a notebook, plain lines elsewhere.

accounts   what is said of a search, a fit, a test      bars       as bars that rich draws; `lines`: as plain lines
pace       how fast a pass over rows goes               display    which of them it is, and that its failure is not the fit's
"""

from mixtura.progress.accounts import OfFit, OfSearch, OfTest
from mixtura.progress.display import passes, shown

__all__ = ["OfFit", "OfSearch", "OfTest", "passes", "shown"]
