"""One block of rows on one chip: statistics, densities, posteriors, assignments. Compiled with Numba, no BLAS, no threads of its own.

In reading order: `lanes` (the processor's vectors), `panel` (rows in hand), `expanded` and `centred` (the two forms of the sweep), `projected`
(that of factor analysers), `passes` (how a form is run), `forms` (which form, and the mixture made ready for it), `analysers` (the same for
factor analysers).
"""

from mixtura.kernels.analysers import Analysers
from mixtura.kernels.forms import Gaussians, Plan
from mixtura.kernels.passes import Answers, countable

AnyGaussians = Gaussians | Analysers  # what rows are weighed with

__all__ = ["Analysers", "Answers", "AnyGaussians", "Gaussians", "Plan", "countable"]
