"""A family is a covariance structure: what it needs summed, how it maximises the likelihood, how many parameters are free.

    Sigma_k = lambda_k D_k A_k D_k'        volume lambda_k, shape A_k (diagonal, |A_k| = 1), orientation D_k

The three letters of a family's code say which of the three are equal (E) or variable (V), or that shape or orientation is the identity (I).
The M-step of every family takes the same weights and means (n_k/n and the components' mean rows); a family adds the covariances.
Celeux & Govaert (1995), Pattern Recognition 28, 781-793, derive them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mixtura.factors import Factors, packed
from mixtura.families.constraint import EQUAL, Constraint, across
from mixtura.moments import DIAGONAL, MATRIX, NORM, Array, Moment

COARSE = 4.0  # the factor between ridges that are tried: the same one should serve from step to step
BEYOND = 1e100  # times the covariance of all rows: a volume that left float64 on its way
RIDGES = 26  # at most: what the bound in `_above` needs where a component holds no more than 1e-12 of the rows


@dataclass(frozen=True)
class Family:
    """One covariance structure: `moment` is the part of each covariance that is free, `pooled` whether all components share it.

    `name` is ours and scikit-learn's, `code` is mclust's. Covariances have the shape (K, ...), or (...) where pooled, with ... the
    moment's: (D, D), (D,) or (), and (D, q + 1) for q factors (mixtura.factors). A `constraint` says what those that are not pooled have in
    common.

    >>> from mixtura.families import FAMILIES
    >>> FAMILIES["VVV"], FAMILIES["tied"].n_parameters(K=3, D=2)
    (Family(name='full', code='VVV'), 11)
    """

    name: str
    code: str
    moment: Moment = field(repr=False)
    pooled: bool = field(repr=False)
    constraint: Constraint | None = field(default=None, repr=False)

    @classmethod
    def of(cls, code: str, name: str | None = None, constraint: Constraint | None = None) -> Family:
        """The family of this code: spheres, axis-aligned ellipsoids or any, and one for all where no letter varies."""
        moment = NORM if code[1] == "I" else DIAGONAL if code[2] == "I" else MATRIX
        return cls(name or code.lower(), code, moment, "V" not in code, constraint)

    @property
    def n_factors(self) -> int:
        """q of factor analysers, whose covariances are loadings and noise; 0 for the families of the three letters."""
        return self.moment.q if isinstance(self.moment, Factors) else 0

    @property
    def lettered(self) -> bool:
        """Whether the three letters of the code say everything, as of the fourteen: not of factors, nor under a constraint from elsewhere."""
        return len(self.code) == 3 and set(self.code) <= set("IEV")

    @property
    def one_scale(self) -> bool:
        """Whether all columns are measured by one scale, as spheres and equal noises need."""
        return self.moment.reference is NORM or (self.constraint is not None and self.constraint.one_scale)

    @property
    def coupled(self) -> bool:
        """Whether components share any part of their covariances, so that none can be changed alone."""
        return self.pooled or self.constraint is not None

    @property
    def equivariance(self) -> Literal["linear", "scales", "similarities"]:
        """The maps of rows that carry a fit along: any linear one, a scale per column, or rotations and one scale for all; always any shift."""
        if self.moment.reference is DIAGONAL:
            return "scales"
        # a linear map mixes shape and orientation: it may where both are equal, or both free
        return "linear" if self.moment is MATRIX and self.lettered and self.code[1] == self.code[2] else "similarities"

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        """The shape of the array of covariances.

        >>> from mixtura.families import family_of
        >>> family_of("tied").shape(K=3, D=2), family_of("diag").shape(K=3, D=2)
        ((2, 2), (3, 2))
        """
        return self.moment.shape(D) if self.pooled else (K, *self.moment.shape(D))

    def n_covariance_parameters(self, K: int, D: int) -> int:
        """Free covariance parameters: those of volume (1), shape (D - 1) and orientation (D (D - 1) / 2), times K where they vary.

        Of q factors K times D q - q (q - 1) / 2 loadings, rotations being free, and the noise: D, or 1 for ppca.
        """
        if self.n_factors:
            return K * self.moment.n_parameters(D)
        if self.constraint is not None and not self.lettered:
            return self.constraint.n_parameters(K, D)
        of_one = {"I": 0, "E": 1, "V": K}
        return sum(of_one[letter] * size for letter, size in zip(self.code, (1, D - 1, D * (D - 1) // 2), strict=True))

    def n_parameters(self, K: int, D: int) -> int:
        """Free parameters: covariances, K D means, K - 1 weights.

        >>> from mixtura.families import family_of
        >>> family_of("diag").n_parameters(K=3, D=2)  # 6 variances, 6 means, 2 weights
        14
        """
        return self.n_covariance_parameters(K, D) + K * D + K - 1

    def maximise(self, scatter: Array, counts: Array, D: int, previous: Array | None = None) -> Array:
        """The covariances of greatest likelihood for scatter (.., K, ...), pooled (.., ...), and counts (.., K).

        In closed form scatter / n_k (pooled: scatter / n), per column for NORM. Constraints that have none begin at `previous` covariances, and
        factors go one step of EM from them.
        """
        if self.constraint is not None:
            return self.constraint.maximise(scatter, counts, previous)
        return self.moment.maximise(scatter, np.asarray(counts.sum(axis=-1) if self.pooled else counts), D, previous)

    def maximise_above(
        self, scatter: Array, counts: Array, D: int, reference: Array, relative: float, ridge: float = 0.0, previous: Array | None = None
    ) -> tuple[Array, NDArray[np.bool_]]:
        """The same with no eigenvalue below `relative` that of `reference`, a covariance of the moment's shape; and which were (.., K).

        `ridge`, in squared units, is first added to every variance. Without a constraint covariances are clipped (Moment.floor), which is the
        maximum. Under one, a clipped covariance would leave the family, so `reference` is added to all components' rows instead: see `_above`.
        """
        if self.constraint is None:
            covariances = self.maximise(scatter, counts, D, previous)
            return self.moment.floor(self.moment.add_to_diagonal(covariances, ridge) if ridge else covariances, reference, relative)
        if ridge:
            scatter = scatter + across(counts, scatter) * self.moment.keep(np.eye(D)) * ridge
        covariances = self.constraint.maximise(scatter, counts, previous)
        low = self._below(covariances, reference, relative)
        return (self._above(covariances, scatter, counts, reference, relative, previous) if low.any() else covariances), low

    def _above(self, covariances: Array, scatter: Array, counts: Array, reference: Array, relative: float, previous: Array | None) -> Array:
        """The maximiser for scatters W_k + n_k s R, of the least s = relative, 4 relative, ... for which no covariance is below relative R.

        It is in the family, as equivariant as the family is, and there always is one. At the maximum for scatters of at least n_k s R, a common
        scale being free, sum_k n_k tr(Sigma_k^-1 s R) <= n D, so that Sigma_k >= (n_k / n) (s / D) R. Only where units differ so much that axes
        at right angles are beyond float64 there is none: then one covariance for all, which is in every such family.
        """
        assert self.constraint is not None
        covariances, floor, find = covariances.copy(), relative, self.constraint.maximise
        variances = np.diagonal(reference) if reference.ndim == 2 else reference
        turned = self.equivariance == "similarities"
        hopeless = turned and variances.max() * np.finfo(float).eps > relative * variances.min()  # the rounding of one column hides another
        for _ in range(0 if hopeless else RIDGES):
            low = self._below(covariances, reference, relative).any(axis=-1)
            if not low.any():
                return covariances
            padded = scatter[low] + across(counts, scatter)[low] * (floor * (1 + 1e-9) * reference)
            known = None if previous is None or not np.isfinite(previous[low]).all() else previous[low]
            covariances[low] = find(padded, counts[low], known)
            floor, find, previous = floor * COARSE, self.constraint.again, covariances  # those of a smaller ridge are near
        low = self._below(covariances, reference, relative).any(axis=-1)
        shared = EQUAL.maximise(scatter[low], counts[low], None) + relative * (1 + 1e-9) * reference
        covariances[low] = shared if self.lettered else self.maximise(shared * across(counts[low], shared), counts[low], scatter.shape[-1])
        return covariances

    def _below(self, covariances: Array, reference: Array, relative: float) -> NDArray[np.bool_]:
        """Which covariances have an eigenvalue below `relative` that of the reference, or are no numbers, or beyond all that rows may have."""
        usable = np.asarray((np.abs(covariances) < BEYOND * np.abs(reference).max()).all(axis=tuple(range(-self.moment.axes, 0))))
        safe = np.where(across(usable, covariances), covariances, 0.0)
        return self.moment.below(safe, reference, relative)

    def project(self, covariances: Array, weights: Array, D: int) -> Array:
        """The covariances (K, ...) of this family nearest to any: of least sum_k weight_k KL(N(Sigma_k) | N(projected)). Members stay."""
        if self.constraint is None:
            return covariances
        weights = np.maximum(weights, np.finfo(float).eps)
        return self.maximise(covariances * across(weights, covariances), weights, D)

    def matrices(self, covariances: Array, K: int, D: int) -> Array:
        """All covariances as (K, D, D)."""
        return np.broadcast_to(self.moment.matrices(covariances, D), (K, D, D))

    def nests(self, other: Family) -> bool:
        """Whether every mixture of `other` is also one of this family: no letter of its code is freer. Spheres have any orientation.

        So is one of fewer factors, or of none: of spheres, or of axis-aligned ellipsoids where each column has its noise. What a constraint from
        elsewhere has in common with another family is not known: `full` nests it, and it nests itself.

        >>> from mixtura.families import family_of
        >>> family_of("full").nests(family_of("tied")), family_of("tied").nests(family_of("diag"))
        (True, False)
        """
        if self.n_factors or other.n_factors:
            return self._nests_factors(other)
        if not (self.lettered and other.lettered):
            return self.code == "VVV" or self == other
        return all("IEV".index(mine) >= "IEV".index(theirs) for mine, theirs in zip(self.code, other.code, strict=True))

    def _nests_factors(self, other: Family) -> bool:
        mine, theirs = self.moment, other.moment
        if not isinstance(mine, Factors):
            return self.code == "VVV"
        if isinstance(theirs, Factors):
            return mine.q >= theirs.q and (theirs.isotropic or not mine.isotropic)
        return theirs is NORM or (theirs is DIAGONAL and not mine.isotropic)

    def convert(self, covariances: Array, other: Family, K: int, D: int) -> Array:
        """Covariances of this family in the shape of `other`, which nests it; more factors have loadings of zero."""
        if other.n_factors:
            q, loadings = self.n_factors, np.zeros((K, D, other.n_factors))
            loadings[..., :q] = covariances[..., :q] if q else 0.0
            noise = covariances[..., -1] if q else np.broadcast_to(self.moment.variances(covariances, D), (K, D))
            return packed(loadings, noise)
        kept = other.moment.keep(self.moment.matrices(covariances, D)) / other.moment.divisor(D)
        return kept if self.pooled == other.pooled else np.broadcast_to(kept, other.shape(K, D)).copy()
