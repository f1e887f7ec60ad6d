"""What every picture of a mixture is made of, whether matplotlib draws it or a browser; numbers and names of colours, no drawing.

colours     one for each component     outlines   ellipses that hold a share of a component     standardised   means and spreads, column by column
"""

from mixtura.showing.colours import COLOURS, colours
from mixtura.showing.outlines import outlines
from mixtura.showing.standardised import Standardised, standardised

__all__ = ["COLOURS", "Standardised", "colours", "outlines", "standardised"]
