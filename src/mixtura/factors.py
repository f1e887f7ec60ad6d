"""Factor analysers: covariances of many columns as a few directions and a noise, Sigma = A A' + Psi, which never become D x D matrices.

    A covariance is kept as (.., D, q + 1): q columns of loadings A, then the noise, the diagonal of Psi
    A second moment S is kept as (.., D, q + 1): S beta', then the diagonal of S, with beta a projection on q numbers

With M = I + A' Psi^-1 A and beta = M^-1 A' Psi^-1, beta (x - mu) is the mean of the q hidden factors given a row, and Sigma^-1 =
Psi^-1 - Psi^-1 A M^-1 A' Psi^-1 (Woodbury's identity). Given beta of the covariances so far, S beta' and the diagonal of S are all that the
M-step asks of a component's covariance S:

    A <- S beta' (I - beta A + beta S beta')^-1        Psi <- diag(S - A beta S)        isotropic: the mean of that diagonal

(Ghahramani & Hinton 1996, "The EM algorithm for mixtures of factor analyzers", CRG-TR-96-1, equations 4 to 6, with the mean updated first as in
Meng & van Dyk 1997 and McLachlan, Peel & Bean 2003; isotropic: Tipping & Bishop 1999, "Mixtures of probabilistic principal component
analysers", Neural Computation 11, 443-482, appendix C). It raises the likelihood of S, if not to the top at once as other families do.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from mixtura.blas import one_thread
from mixtura.errors import ParameterError
from mixtura.moments import DIAGONAL, MATRIX, NORM, Array, Moment

OVERSAMPLED, POWERS = 8, 6  # of the search for the widest directions (Halko, Martinsson & Tropp 2011, SIAM Review 53): a start needs no digits
FAINT = 0.01  # of the noise: the least that a first loading explains, because one of zero would stay zero
LEAST_NOISE = 0.01  # of a column's variance: what a first guess leaves to noise at least


class Factors(Moment):
    """q loadings and a noise, one for each column or, `isotropic`, one for all; `projections` beta (K, q, D) where it keeps second moments.

    >>> import numpy as np
    >>> Factors(1).matrices(np.array([[2.0, 0.5], [1.0, 0.25]]), 2)
    array([[4.5 , 2.  ],
           [2.  , 1.25]])
    """

    name = "factors"
    axes = 2

    def __init__(self, q: int, isotropic: bool = False, projections: Array | None = None):
        self.q, self.isotropic, self.projections = q, isotropic, projections

    def __reduce__(self) -> tuple[type[Factors], tuple[int, bool, Array | None]]:
        return Factors, (self.q, self.isotropic, self.projections)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Factors) or (self.q, self.isotropic) != (other.q, other.isotropic):
            return False
        if self.projections is None or other.projections is None:
            return self.projections is other.projections
        return np.array_equal(self.projections, other.projections)

    def __hash__(self) -> int:
        return hash((self.q, self.isotropic))

    @property
    def reference(self) -> Moment:
        """What is relative to the data is so column by column, or for all columns together."""
        return NORM if self.isotropic else DIAGONAL

    def reduce(self, second: Array) -> Array:
        """The squares alone: of each column, or their sum."""
        return np.asarray(second[..., -1].sum(axis=-1) if self.isotropic else second[..., -1])

    def shape(self, D: int) -> tuple[int, ...]:
        """Raises ParameterError where there are not fewer factors than columns."""
        self.check(D)
        return (D, self.q + 1)

    def check(self, D: int) -> None:
        """Raises ParameterError where there are not fewer factors than columns."""
        if self.q >= D:
            columns, few = (f"{D} columns", D // 2) if D > 1 else ("one column (n_features = 1)", "family 'spherical'")  # as scikit-learn has it
            raise ParameterError(f"too many factors: got {self.q} for {columns}, expected fewer factors than columns; try {few}")

    def product(self, a: Array, b: Array) -> Array:
        """What is kept of (ab' + ba') / 2 for each component's vectors (K, D)."""
        return np.concatenate([self._projected(a, b) / 2 + self._projected(b, a) / 2, (a * b)[..., None]], axis=-1)

    def _projected(self, a: Array, b: Array) -> Array:
        """a (beta b)' for each component."""
        return np.asarray(a[..., None] * np.einsum("kqd,kd->kq", self._beta, b)[..., None, :])

    @property
    def _beta(self) -> Array:
        if self.projections is None:
            self._refuse("second moments without the mixture that they are taken at")
        return self.projections

    def rescale(self, second: Array, scale: Array) -> Array:
        """The covariance or second moment of S x, S = diag(scale), with loadings or projections of the same factors."""
        return np.asarray(second * np.concatenate([np.repeat(scale[:, None], self.q, axis=1), scale[:, None] ** 2], axis=1))

    def rescaled(self, scale: Array) -> Moment:
        """The moment that keeps the same of S x, S = diag(scale)."""
        return Factors(self.q, self.isotropic, None if self.projections is None else self.projections / scale)

    def keep(self, matrices: Array) -> Array:
        """S beta' and the diagonal of second moments S (K, D, D)."""
        projected = np.einsum("kij,kqj->kiq", matrices, self._beta)
        return np.concatenate([projected, np.diagonal(matrices, axis1=-2, axis2=-1)[..., None]], axis=-1)

    @property
    def kept(self) -> str:
        """The projections on its factors."""
        return f"the projections on {self.q} factor{'s' * (self.q != 1)} of one mixture"

    def narrowed(self, second: Array, to: Moment) -> Array | None:
        """The same, where `to` has as many factors of the same kind."""
        return second if isinstance(to, Factors) and (to.q, to.isotropic) == (self.q, self.isotropic) else None

    def divisor(self, D: int) -> int:
        """1."""
        return 1

    def rows_of_dof(self, dof: float, D: int) -> float:
        """Raises ParameterError: no prior is conjugate."""
        self._refuse("a prior")

    def log_determinants(self, whiteners: Array) -> Array:
        """log det U of whiteners (K, D, D)."""
        return MATRIX.log_determinants(whiteners)

    def trace_of_product(self, whiteners: Array, second: Array) -> Array:
        """Raises ParameterError: what is kept of second moments does not tell."""
        self._refuse("traces of parts of second moments")

    def n_parameters(self, D: int) -> int:
        """q D less the q (q - 1) / 2 of a rotation, which changes nothing, and the noise; no more than a whole matrix has."""
        noise = 1 if self.isotropic else D
        return min(D * self.q - self.q * (self.q - 1) // 2 + noise, D * (D + 1) // 2)

    def matrices(self, covariances: Array, D: int) -> Array:
        """A A' + Psi."""
        A, noise = covariances[..., :-1], covariances[..., -1]
        return np.asarray(A @ A.swapaxes(-1, -2) + noise[..., None] * np.eye(D))

    def variances(self, covariances: Array, D: int) -> Array:
        """Their diagonal, without them."""
        return np.asarray((covariances[..., :-1] ** 2).sum(axis=-1) + covariances[..., -1])

    def whiteners(self, covariances: Array, D: int) -> Array:
        """Those of the D x D matrices, for who asks for these: a sweep does not."""
        return MATRIX.whiteners(self.matrices(covariances, D), D)

    def check_covariances(self, covariances: Array) -> None:
        """Raises LinAlgError where a noise is not positive, ParameterError where it should be one for all columns and is not."""
        noise = covariances[..., -1]
        if not (noise > 0).all():
            raise np.linalg.LinAlgError("a noise is not positive")
        if self.isotropic and not (noise == noise[..., :1]).all():
            raise ParameterError("the noise is not that of family ppca: got columns that differ, expected one for all; try family 'factor'")

    def widest(self, covariance: Array, D: int) -> Array:
        """The widest loading, as wide as the noise makes it."""
        with one_thread():
            direction, width, _ = np.linalg.svd(covariance[:, :-1], full_matrices=False)
        first = direction[:, 0]
        return np.asarray(first * np.sqrt(width[0] ** 2 + (first**2 * covariance[:, -1]).sum()))

    def draw(self, covariances: Array, component: NDArray[np.int64], D: int, generator: np.random.Generator) -> Array:
        """A z + noise, with q numbers z of each row drawn first."""
        hidden, noise = generator.standard_normal((len(component), self.q)), generator.standard_normal((len(component), D))
        for k, one in enumerate(covariances):
            mine = component == k
            noise[mine] = noise[mine] * np.sqrt(one[:, -1]) + hidden[mine] @ one[:, :-1].T
        return noise

    def maximise(self, scatter: Array, rows: Array, D: int, previous: Array | None = None) -> Array:
        """One step of EM from the `previous` covariances, whose beta the scatter was projected by."""
        if previous is None:
            self._refuse("a maximum in closed form")
        A, beta = previous[..., :-1], projections(previous)
        S = scatter / rows[..., None, None]
        projected, squares = S[..., :-1], S[..., -1]
        inner = np.eye(self.q) - np.einsum("...qd,...dp->...qp", beta, A) + np.einsum("...qd,...dp->...qp", beta, projected)
        loadings = np.einsum("...dq,...qp->...dp", projected, np.linalg.inv(inner))
        return packed(loadings, self._levelled(squares - (loadings * projected).sum(axis=-1)))

    def _levelled(self, noise: Array) -> Array:
        return np.broadcast_to(noise.mean(axis=-1, keepdims=True), noise.shape) if self.isotropic else noise

    def as_scatter(self, covariances: Array, rows: Array, D: int) -> Array:
        """The scatter of such rows: beta Sigma is A'."""
        kept: Array = np.concatenate([covariances[..., :-1], self.variances(covariances, D)[..., None]], axis=-1)
        return kept * rows[..., None, None]

    def first(self, rows: Array, responsibilities: Array, reference: Array) -> Array:
        """Covariances (K, D, q + 1) to begin with: the widest directions of each component's rows, found without a D x D matrix.

        Of columns that are standardised first where each has a noise of its own. What the others have on average counts as noise
        (Tipping & Bishop 1999, equations 9 and 10). `reference` is the data's covariance: that of a component without any.
        """
        D = rows.shape[1]
        result = np.empty((responsibilities.shape[1], *self.shape(D)))
        with one_thread():
            for k, column in enumerate(responsibilities.T):
                held = column > 0
                shares = column[held] / max(column.sum(), np.finfo(float).tiny)
                result[k] = self._first(rows[held], shares, np.broadcast_to(reference, D))
        return result

    def _first(self, rows: Array, shares: Array, reference: Array) -> Array:
        centred = rows - shares @ rows
        variances = self._levelled(shares @ centred**2)
        scale = np.sqrt(np.where(variances > 0, variances, reference))
        centred *= np.sqrt(shares)[:, None] / scale
        loadings = self._widest(centred) * scale[:, None]
        noise = self._levelled(variances - (loadings**2).sum(axis=1))
        return packed(loadings, np.maximum(noise, LEAST_NOISE * variances))

    def _widest(self, roots: Array) -> Array:
        """The loadings (D, q) of rows that are centred, standardised, and roots of shares: C'C is their covariance."""
        D = roots.shape[1]
        total, width = float((roots**2).sum()), min(self.q + OVERSAMPLED, D)
        basis = np.linalg.qr(np.random.default_rng(0).standard_normal((D, width)))[0]  # the same every time
        for _ in range(POWERS):
            basis = np.linalg.qr(roots.T @ (roots @ basis))[0]
        _, wide, turned = np.linalg.svd(roots @ basis, full_matrices=False)
        values = np.zeros(self.q)
        values[: len(wide)] = wide[: self.q] ** 2
        directions = basis[:, : self.q].copy()
        directions[:, : len(turned)] = (basis @ turned.T)[:, : self.q]
        noise = max(total - values.sum(), 0.0) / (D - self.q)
        return np.asarray(directions * np.sqrt(np.maximum(values - noise, FAINT * max(noise, total / D * LEAST_NOISE))))

    def merged(self, one: Array, other: Array, share: float, apart: Array) -> Array:
        """One covariance for two components, the other's share and the means apart: the widest directions of (1 - s) Sigma + s Sigma' +
        s (1 - s) apart apart', as seen from its noise; what the others explain becomes noise.
        """
        noise = (1 - share) * one[:, -1] + share * other[:, -1]
        parts = [np.sqrt(1 - share) * one[:, :-1], np.sqrt(share) * other[:, :-1], np.sqrt(share * (1 - share)) * apart[:, None]]
        roots = np.concatenate(parts, axis=1)
        turned, wide, _ = np.linalg.svd(roots / np.sqrt(noise)[:, None], full_matrices=False)
        loadings = turned[:, : self.q] * wide[: self.q] * np.sqrt(noise)[:, None]
        rest = (roots**2).sum(axis=1) - (loadings**2).sum(axis=1)
        return packed(loadings, self._levelled(noise + np.maximum(rest, 0.0)))

    def floor(self, covariances: Array, reference: Array, relative: float) -> tuple[Array, NDArray[np.bool_]]:
        """The noise clipped at `relative` times the reference's variances: given the loadings, that is its maximum."""
        least = np.broadcast_to(relative * reference, covariances.shape[-2])
        low = covariances[..., -1] < least
        if low.any():
            covariances = packed(covariances[..., :-1], np.maximum(covariances[..., -1], least))
        return covariances, np.asarray(low.any(axis=-1))

    def add_to_diagonal(self, covariances: Array, value: float) -> Array:
        """More noise."""
        return packed(covariances[..., :-1], covariances[..., -1] + value)

    def gradient(self, covariances: Array, scatter: Array, D: int) -> Array:
        """Raises ParameterError: it has none by what is kept."""
        self._refuse("gradients by its covariances")

    def to_coordinates(self, covariances: Array) -> Array:
        """The loadings as they are, and half the logarithm of the noise."""
        return packed(covariances[..., :-1], np.log(covariances[..., -1]) / 2)

    def from_coordinates(self, coordinates: Array) -> Array:
        """The covariances at these coordinates, wherever they are; of different noises where there is one, the mean of their logarithms."""
        return packed(coordinates[..., :-1], np.exp(2 * self._levelled(coordinates[..., -1])))

    def pullback(self, covariances: Array, gradient: Array) -> Array:
        """Raises ParameterError, as `gradient`."""
        self._refuse("gradients by its covariances")

    def _refuse(self, what: str) -> NoReturn:
        family = "ppca" if self.isotropic else "factor"
        raise ParameterError(
            f"family {family}:{self.q} has no {what}: expected a family that keeps its second moments whole; try 'full' or rule 'em'"
        )


def packed(loadings: Array, noise: Array) -> Array:
    """Loadings (.., D, q) and noise (.., D) side by side (.., D, q + 1)."""
    return np.concatenate([loadings, noise[..., None]], axis=-1)


def projections(covariances: Array) -> Array:
    """beta = M^-1 A' Psi^-1 (.., q, D) of covariances (.., D, q + 1)."""
    loaded = covariances[..., :-1] / covariances[..., -1:]
    return np.asarray(np.einsum("...pq,...dq->...pd", np.linalg.inv(inner_precisions(covariances)), loaded))


def log_determinants(covariances: Array) -> Array:
    """log|Sigma| = log|Psi| + log|M| of covariances (.., D, q + 1)."""
    return np.asarray(np.linalg.slogdet(inner_precisions(covariances))[1] + np.log(covariances[..., -1]).sum(axis=-1))


def inner_precisions(covariances: Array) -> Array:
    """M = I + A' Psi^-1 A (.., q, q), the precision of the factors given a row."""
    A = covariances[..., :-1]
    M = np.eye(A.shape[-1]) + np.einsum("...dp,...dq->...pq", A, A / covariances[..., -1:])
    return np.asarray((M + M.swapaxes(-1, -2)) / 2)
