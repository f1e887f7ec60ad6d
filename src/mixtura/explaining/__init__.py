"""What a mixture says of its rows, in numbers and in words; no pictures, no pages.

columns   in which of them a component differs from the rest     surveying   one pass: overlap, certainty, the least likely rows
choice    how sure the number of components is                    wording     numbers and sentences as people write them
rows      a few rows out of many
"""

from mixtura.explaining.choice import Evidence, evidence
from mixtura.explaining.columns import Distinctive, distinctive
from mixtura.explaining.rows import Rows
from mixtura.explaining.surveying import Survey, least_likely, overlap, rare, survey
from mixtura.explaining.wording import apart

__all__ = ["Distinctive", "Evidence", "Rows", "Survey", "apart", "distinctive", "evidence", "least_likely", "overlap", "rare", "survey"]
