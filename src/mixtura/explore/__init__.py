"""A local page on which a mixture is fitted while its user looks: `rows` fitted at once, an `exploration` of them without HTTP, where the `newest`
question wins, `answers` as the page reads them, `recipes` that fit the same elsewhere; `guard` and `app` are the server.
"""

from mixtura.explore.exploration import Exploration, Question
from mixtura.explore.newest import Superseded
from mixtura.explore.recipes import Place, Recipe

__all__ = ["Exploration", "Place", "Question", "Recipe", "Superseded"]
