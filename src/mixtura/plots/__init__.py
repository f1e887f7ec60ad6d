"""Pictures of a mixture, drawn by matplotlib (the extra `plot`), which is imported when the first one is drawn.

pairs        every two columns: rows, ellipses, and densities on the diagonal
density      a density in one or two columns, and the regions where it is highest
profile      means and spreads of components, column by column
uncertainty  how surely rows are told apart, and where they are not
selection    a criterion against the number of components
convergence  how far each step was from the optimum

Each takes `ax=` and returns axes. Components have one colour each; from the eighth on colours come again with another marker and another line.
Rows are whatever `mixtura.open` takes: so many that they would make a blot are drawn as a sample, or summed where they lie, and the picture says so.
"""

from mixtura.plots.climbs import convergence
from mixtura.plots.doubts import uncertainty
from mixtura.plots.grid import selection
from mixtura.plots.profiles import profile
from mixtura.plots.regions import density
from mixtura.plots.scatter import pairs

__all__ = ["convergence", "density", "pairs", "profile", "selection", "uncertainty"]
