"""What a mixture says of its rows, in numbers and in words; no pictures, no pages.

distinctive   in which columns a component differs from the rest     survey     one pass: overlap, certainty, the least likely rows
evidence      how sure the number of components is                    wording    numbers and sentences as people write them
"""

from mixtura.explaining.distinctive import Distinctive, distinctive
from mixtura.explaining.evidence import Evidence, evidence
from mixtura.explaining.rows import Rows
from mixtura.explaining.survey import Survey, least_likely, overlap, rare, survey
from mixtura.explaining.wording import apart

__all__ = ["Distinctive", "Evidence", "Rows", "Survey", "apart", "distinctive", "evidence", "least_likely", "overlap", "rare", "survey"]
