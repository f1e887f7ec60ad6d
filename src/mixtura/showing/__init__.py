"""What every picture of a mixture is made of, whether matplotlib draws it or a browser; numbers and names of colours, no drawing.

colours        one for each component                 outlines   ellipses that hold a share of a component
standardised   means and spreads, column by column    sight      how far down a picture of lines reaches
"""

from mixtura.showing.colours import COLOURS, colours
from mixtura.showing.outlines import outlines
from mixtura.showing.sight import in_sight
from mixtura.showing.standardised import Standardised, standardised

__all__ = ["COLOURS", "Standardised", "colours", "in_sight", "outlines", "standardised"]
