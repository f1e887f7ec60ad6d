"""K components and K + 1, fitted to the same rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixtura.exchange import merged, twice
from mixtura.fitting import Fit
from mixtura.likelihood_ratio.search import Search, regular
from mixtura.sources import Source


class Comparison(NamedTuple):
    """Both fits, the statistic 2 (loglik_{K+1} - loglik_K) in nats, and whether the maximum of K + 1 components is a regular one."""

    null: Fit
    alternative: Fit
    statistic: float
    regular: bool


def compare(search: Search, source: Source, K: int, generator: np.random.Generator) -> Comparison:
    """Fits 1, 2, .. K + 1 components, which begin also at those before with one more; then K once more from the K + 1 with two merged.

    The larger never ends below the smaller.
    """
    climber = search.among(source, generator)
    null = search.likeliest(climber, 1, None, generator)
    for more in range(2, K + 1):
        null = search.likeliest(climber, more, null.mixture, generator)
    alternative = search.likeliest(climber, K + 1, null.mixture, generator)
    if K > 1:
        reference = climber.scout.reference(search.family.moment)
        (joined,) = merged(alternative.mixture, search.regularisation, reference, most=1)
        null = search.best([null, search.climb(climber, joined)])
    if alternative.log_likelihood < null.log_likelihood:
        alternative = search.climb(climber, twice(null.mixture))
    statistic = 2 * source.profile.weight * (alternative.log_likelihood - null.log_likelihood)
    return Comparison(null, alternative, statistic, regular(alternative))
