"""One block of rows on one chip: statistics, densities, posteriors, assignments. Compiled with Numba, no BLAS, no threads of its own.

In reading order: `lanes` (the processor's vectors), `panel` (rows in hand), `expanded` and `centred` (the two forms of the sweep), `forms`
(which form, and the mixture made ready for it).
"""

from mixtura.kernels.forms import Answers, Gaussians, Plan

__all__ = ["Answers", "Gaussians", "Plan"]
