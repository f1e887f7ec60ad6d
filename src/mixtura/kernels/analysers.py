"""Factor analysers made ready for the projected form, and what its sums amount to."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mixtura.blas import with_one_thread
from mixtura.factors import Factors, log_determinants, packed, projections
from mixtura.frame import Frame
from mixtura.kernels import projected
from mixtura.kernels.expanded import TILE
from mixtura.kernels.forms import Gaussians, Plan
from mixtura.kernels.panel import HIDDEN
from mixtura.kernels.passes import HALF_LOG_TWO_PI, SCRATCH, Form, Pass, whole_tiles, working
from mixtura.moments import Array, Moment
from mixtura.statistics import Statistics


class Analysers(NamedTuple):
    """A mixture of factor analysers as the kernels want it: log weights (K,), means (K, D), covariances (K, D, q + 1) of that moment."""

    log_weights: Array
    means: Array
    covariances: Array
    moment: Factors

    @with_one_thread
    def plan(self, frame: Frame, dtype: Any, sums: tuple[Moment, bool] | None = None, *, densities: bool = True) -> Pass:
        """The passes at it over rows of a dtype; with D x D matrices where other second moments are wanted than it learns from itself."""
        if sums is None or isinstance(sums[0], Factors):
            return FactorPlan(self, frame, dtype, sums)
        whiteners = self.moment.whiteners(self.covariances, self.means.shape[1])
        return Plan(Gaussians(self.log_weights, self.means, whiteners, False), frame, dtype, sums, densities=densities)

    def standardised(self, frame: Frame) -> Analysers:
        """The same mixture in the frame's coordinates."""
        covariances = self.moment.rescale(self.covariances, 1 / frame.scale)
        return Analysers(self.log_weights, (self.means - frame.centre) / frame.scale, covariances, self.moment)

    def farthest(self, limit: float) -> float:
        """A bound of the distance, in noises, between a mean and a row whose columns lie within the limit: factors make it no larger."""
        D, inverse = self.means.shape[1], 1 / np.sqrt(self.covariances[..., -1])
        loadings = np.abs(self.covariances[..., :-1] * inverse[..., None])
        return float(inverse.max() * (np.sqrt(D) * limit + np.linalg.norm(self.means, axis=1).max()) + D * loadings.max(initial=0.0) ** 2)

    @property
    def constants(self) -> Array:
        """log pi_k - D/2 log 2 pi - log|Sigma_k| / 2."""
        return np.asarray(self.log_weights - self.means.shape[1] * HALF_LOG_TWO_PI - log_determinants(self.covariances) / 2)


class FactorPlan(Pass):
    """The passes over rows at a mixture of factor analysers."""

    def __init__(self, analysers: Analysers, frame: Frame, dtype: Any, sums: tuple[Moment, bool] | None):
        kind, frame = working(analysers, frame, dtype)
        super().__init__(len(analysers.means), frame, kind, sums)
        self.local = analysers.standardised(frame)
        self.D, self.q = int(self.local.means.shape[1]), self.local.moment.q
        self.beta = projections(self.local.covariances)
        self.form = self._projected()

    def statistics(self, flat: Array) -> Statistics:
        """The statistics that summed blocks amount to, in the frame's coordinates; their moment tells what they were projected by."""
        moment = Factors(self.q, self.local.moment.isotropic, self.beta)
        return Statistics(moment, False, round(flat[2]), float(flat[1]), float(flat[0]), *self.form.read(self, self._tables(flat)))

    @property
    def wants_total(self) -> bool:
        """Never: nothing is the same for all mixtures."""
        return False

    def complete(self, statistics: Statistics, everything: Statistics | None) -> Statistics:
        """They are complete."""
        return statistics

    def _projected(self) -> Form:
        K, D, q, kind = self.K, self.D, self.q, self.dtype
        padded, factors = whole_tiles(D, TILE), whole_tiles(q, TILE)
        deviations = np.sqrt(self.local.covariances[..., -1])
        W, B = np.zeros((K, factors, D)), np.zeros((K, padded, q))
        W[:, :q] = self.beta * deviations[:, None, :]
        B[:, :D] = -self.local.covariances[..., :-1] / deviations[..., None]
        packed_W = W.reshape(K, factors // TILE, TILE, D).transpose(0, 1, 3, 2)
        packed_B = B.reshape(K, padded // TILE, TILE, q).transpose(0, 1, 3, 2)
        arrays = (self.local.means, 1 / deviations, packed_W, packed_B, self.local.constants)
        room = 2 * padded + factors + whole_tiles(K, TILE) + SCRATCH
        shapes = ((2 * K, padded + TILE), (K * padded, factors))
        arguments = (*(np.ascontiguousarray(array, dtype=kind) for array in arrays), HIDDEN[kind])
        return Form(projected.run, arguments, self._panel_rows(room), room, shapes, FactorPlan._read)

    def _read(self, tables: list[Array]) -> tuple[Array, Array, Array, Array]:
        """Counts, pivots, first and second moments, which the kernel sums in whitened columns."""
        K, D, q, (first, second) = self.K, self.D, self.q, tables
        padded = first.shape[1] - TILE
        means, inverse = (array.astype(float) for array in self.form.arguments[:2])
        products = second.reshape(K, padded, -1)[:, :D, :q] / inverse[..., None]
        return first[::2, padded].copy(), means, first[::2, :D] / inverse, packed(products, first[1::2, :D] / inverse**2)
