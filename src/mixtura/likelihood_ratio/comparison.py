"""K components and K + 1, fitted to the same rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixtura.exchange import grown, merge, twice
from mixtura.fitting import Fit
from mixtura.likelihood_ratio.search import Search, regular
from mixtura.scouting import Scout
from mixtura.sources import Source


class Comparison(NamedTuple):
    """Both fits, the statistic 2 (loglik_{K+1} - loglik_K) in nats, and whether the maximum of K + 1 components is a regular one."""

    null: Fit
    alternative: Fit
    statistic: float
    regular: bool


def compare(search: Search, source: Source, K: int, generator: np.random.Generator) -> Comparison:
    """Fits K components, then K + 1, which begin also at the K with each component split; then K once more from the K + 1 with two merged.

    The larger never ends below the smaller.
    """
    scout = Scout.of(source, generator)
    null = search.likeliest(scout, source, K, [], generator)
    alternative = search.likeliest(scout, source, K + 1, grown(null.mixture), generator)
    if K > 1:
        reference = scout.reference(search.family.moment)
        null = search.best([null, search.climb(source, merge(alternative.mixture, search.regularisation, reference))])
    if alternative.log_likelihood < null.log_likelihood:
        alternative = search.climb(source, twice(null.mixture))
    statistic = 2 * source.profile.weight * (alternative.log_likelihood - null.log_likelihood)
    return Comparison(null, alternative, statistic, regular(alternative))
