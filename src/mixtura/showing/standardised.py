"""Components beside the whole they belong to, column by column, without units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixtura.blas import with_one_thread
from mixtura.mixture import Mixture
from mixtura.moments import Array


class Standardised(NamedTuple):
    """Means (K, D) and deviations (K, D) of components, in deviations of the whole from its mean; these are `centre` and `scale`, both (D,)."""

    means: Array
    deviations: Array
    centre: Array
    scale: Array


@with_one_thread
def standardised(mixture: Mixture) -> Standardised:
    """Each component as seen from the whole: (mu_k - m) / s and sigma_k / s.

    m = sum_k pi_k mu_k and s^2 = sum_k pi_k (sigma_k^2 + (mu_k - m)^2) are mean and variance of the mixture.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[3.0]], [[3.0]]])
    >>> standardised(mixture).means.tolist(), standardised(mixture).scale.tolist()
    ([[-0.5], [0.5]], [2.0])
    """
    weights, means, variances = mixture.weights, mixture.means, mixture.variances
    centre = weights @ means
    away = means - centre
    scale = np.sqrt(weights @ (variances + away**2))
    return Standardised(away / scale, np.sqrt(variances) / scale, centre, scale)
