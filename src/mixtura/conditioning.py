"""Some columns of Gaussians: without the others, or with the others known. For columns x = (a, b), of means mu_a and mu_b:

    marginal       a         N(mu_a, Sigma_aa)
    conditional    b | a     N(mu_b + B (a - mu_a), Sigma_bb - B Sigma_ab)        B = Sigma_ba Sigma_aa^-1

Both have a family of their own: what components share in all columns they often, and not always, share in some.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import ParameterError
from mixtura.factors import Factors, inner_precisions, packed, projections
from mixtura.families import FAMILIES, Family
from mixtura.moments import DIAGONAL, MATRIX, NORM, Array
from mixtura.triangular import factors

Columns = NDArray[np.intp]
# A part of proportional matrices is proportional; but parts of one shape may differ in volume, and those of one orientation have several
CLOSED = frozenset({"EII", "VII", "EEI", "VEI", "VVI", "EEE", "VEE", "VVV"})


class Conditional(NamedTuple):
    """Of columns b given columns a: covariances in the family's shape, and the slopes B (K, b, a), with a leading axis of 1 where they are shared."""

    covariances: Array
    family: Family
    slopes: Array


def family_of_part(family: Family, d: int) -> Family:
    """The family that d columns of a mixture of this one are of.

    >>> [family_of_part(FAMILIES[code], 2).code for code in ("VEE", "EVI", "EEV")]
    ['VEE', 'VVI', 'VVV']
    """
    if isinstance(family.moment, Factors):
        return family if family.n_factors < d else FAMILIES["full"]
    if family.code in CLOSED:
        return family
    return FAMILIES["spherical" if family.moment is NORM else "diag" if family.moment is DIAGONAL else "full"]


def marginal(family: Family, covariances: Array, columns: Columns) -> tuple[Array, Family]:
    """The covariances of these columns alone, and their family. Of factors no D x D matrix is made."""
    if family.moment is NORM:
        kept = covariances
    elif family.moment is MATRIX:
        kept = covariances[..., columns[:, None], columns]
    else:
        kept = covariances[..., columns] if family.moment is DIAGONAL else covariances[..., columns, :]
    return _as_part(family, kept, len(columns))


def conditional(family: Family, covariances: Array, known: Columns, rest: Columns) -> Conditional:
    """The columns `rest` given the columns `known`."""
    if isinstance(family.moment, Factors):
        return _conditional_of_factors(family, covariances, known, rest)
    if family.moment is not MATRIX:  # no column tells of another
        return Conditional(*marginal(family, covariances, rest), np.zeros((1, len(rest), len(known))))
    a, order = len(known), np.concatenate([known, rest])
    try:
        L: Array = factors(covariances[..., order[:, None], order])
    except np.linalg.LinAlgError:
        raise ParameterError(
            "a covariance is singular but for rounding: got columns of which some follow from others, expected columns that differ; "
            "try mixture.marginal without one of them"
        ) from None
    left = L[..., a:, a:]  # left left' is Sigma_bb - B Sigma_ab, without a difference that cancels
    slopes = np.asarray(np.linalg.solve(L[..., :a, :a].swapaxes(-1, -2), L[..., a:, :a].swapaxes(-1, -2)), dtype=float).swapaxes(-1, -2)
    return Conditional(*_as_part(family, left @ left.swapaxes(-1, -2), len(rest)), slopes[None] if family.pooled else slopes)


def _conditional_of_factors(family: Family, covariances: Array, known: Columns, rest: Columns) -> Conditional:
    """Sigma = A A' + Psi: what is known tells of the factors, f ~ N(beta (a - mu_a), M^-1), and these of the rest."""
    seen, loadings = covariances[:, known], covariances[:, rest, :-1]
    left = np.linalg.cholesky(np.linalg.inv(inner_precisions(seen)))
    kept = packed(loadings @ left, covariances[:, rest, -1])
    return Conditional(*_as_part(family, kept, len(rest)), loadings @ projections(seen))


def _as_part(family: Family, kept: Array, d: int) -> tuple[Array, Family]:
    """Covariances of d columns in the shape of their family, which differs where there are no fewer factors than columns."""
    part = family_of_part(family, d)
    return (kept if bool(part.n_factors) == bool(family.n_factors) else family.moment.matrices(kept, d)), part
