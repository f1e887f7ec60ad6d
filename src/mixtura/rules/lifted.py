"""A chart that ends where covariances collapse: its factors are those of Sigma_k - least, so every Sigma_k lies above `least`.

    Sigma_k = least + L_k L_k'        dl/dL_k = 2 dl/dSigma_k L_k

Where the data pull a covariance down to the floor, L_k fades, and its gradient with it: the constrained maximum is approached along a smooth
function. Clipping would leave an optimiser with gradients that are not those of what it climbs. Far above the floor these are Chart's coordinates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.regularisation import Regularisation
from mixtura.rules.coordinates import Chart, Coordinates, covariance_gradients
from mixtura.rules.fixed import Fixed
from mixtura.statistics import Statistics

COLLAPSED = 1.01  # of `least`, in some direction: below it a covariance counts as held there
RAISED = 2.0  # of `least`: where a start that has collapsed begins, for at `least` itself no gradient would tell that it wants away
FADED = 1e-4  # of `least`: L L' need be no smaller, as float64 still has to find its factor; `least` is as much below the floor


class LiftedChart(NamedTuple):
    """Between mixtures and coordinates, with all covariances above `least`, which has the shape of one covariance."""

    chart: Chart
    least: Array

    @classmethod
    def of(cls, family: Family, statistics: Statistics, regularisation: Regularisation, fixed: Fixed) -> LiftedChart:
        """Standardised by the data; the floor is what the regularisation makes of a covariance of zero."""
        nothing = np.zeros((1, *family.moment.shape(statistics.pivots.shape[1])))
        floor = regularisation.apply(family, nothing, statistics.data_covariance)[0][0]
        return cls(Chart.of(statistics, fixed), np.asarray(floor / (1 + FADED)))

    def to_coordinates(self, mixture: Mixture) -> Coordinates:
        """Where the mixture is; its free covariances must be above `least`."""
        return self.chart.to_coordinates(Mixture.trusted(mixture.weights, mixture.means, self._above(mixture), mixture.family))

    def from_coordinates(self, coordinates: Coordinates, like: Mixture) -> Mixture:
        """The mixture at these coordinates, valid wherever they are finite; what is fixed is that of `like`.

        Raises ParameterError where numbers are so large that they leave float64.
        """
        moment = like.family.moment
        rest = self.chart.from_coordinates(coordinates._replace(factors=np.zeros_like(coordinates.factors)), like)
        covariances = self.least + moment.rescale(moment.from_coordinates(coordinates.factors), self.chart.scale)
        return Mixture(rest.weights, rest.means, self.chart.fixed.keep_covariances(covariances, like.covariances), like.family)

    def gradient(self, mixture: Mixture, statistics: Statistics) -> Coordinates:
        """The gradient of the mean log-likelihood by these coordinates; zero where they are fixed."""
        moment, scale = mixture.family.moment, self.chart.scale
        by_covariances = moment.rescale(covariance_gradients(mixture, statistics), scale)
        by_factors = moment.pullback(moment.rescale(self._above(mixture), 1 / scale), by_covariances)
        by_factors = self.chart.fixed.keep_covariances(by_factors, np.zeros_like(by_factors))
        return self.chart.gradient(mixture, statistics)._replace(factors=by_factors)

    def lowest(self, family: Family) -> Array:
        """The least that the factors of one component need be: minus infinity but for their logarithms."""
        moment = family.moment
        one = moment.to_coordinates(moment.add_to_diagonal(np.zeros_like(self.least), np.e**2))  # 1 in the logarithms, 0 elsewhere
        return np.where(one > 0, moment.to_coordinates(FADED * moment.rescale(self.least, 1 / self.chart.scale)), -np.inf)

    def collapsed(self, mixture: Mixture) -> NDArray[np.bool_]:
        """Which covariances are held at `least`; none that is fixed."""
        low = mixture.family.moment.floor(mixture.covariances, self.least, COLLAPSED)[1]
        mask = self.chart.fixed.covariances
        return np.asarray(low & ~np.array(mask[0] if mixture.family.pooled else mask)) if any(mask) else low

    def raised(self, mixture: Mixture) -> Mixture:
        """The mixture, with free covariances that have collapsed raised a little above `least`."""
        if not self.collapsed(mixture).any():
            return mixture
        covariances = mixture.family.moment.floor(mixture.covariances, self.least, RAISED)[0]
        covariances = self.chart.fixed.keep_covariances(covariances, mixture.covariances)
        return Mixture(mixture.weights, mixture.means, covariances, mixture.family)

    def _above(self, mixture: Mixture) -> Array:
        """Sigma - least; where Sigma is fixed, and may be anything, `least` in its place."""
        above = mixture.family.moment.floor(np.asarray(mixture.covariances - self.least), self.least, FADED / 2)[0]
        return self.chart.fixed.keep_covariances(above, np.broadcast_to(self.least, above.shape))
