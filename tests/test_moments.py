"""The algebra of the three shapes of a covariance: floors hold, coordinates go there and back, derivatives are derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from cases import some_mixture
from scipy.linalg import eigh

from mixtura.families import Family
from mixtura.moments import MATRIX


def test_the_floor_holds_in_the_metric_of_the_data() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    reference = root @ root.T
    flat = reference - 0.999 * np.outer(root[:, 0], root[:, 0])
    flat = np.stack([flat - 0.0009 * np.outer(root[:, 0], root[:, 0]), reference])
    held, changed = MATRIX.floor(flat, reference, 1e-2)
    assert changed.tolist() == [True, False]
    values = eigh(held[0], reference, eigvals_only=True)
    np.testing.assert_allclose(values, [1e-2, 1.0, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(held[1], reference)


@pytest.mark.without(where=lambda family: family.moment is MATRIX)  # tested above
def test_vector_floors_hold(family: Family) -> None:
    covariances = np.array(some_mixture(family, 3, 2).covariances)
    held, changed = family.moment.floor(covariances * 1e-9, covariances, 1e-6)
    np.testing.assert_allclose(held, covariances * 1e-6)
    assert np.all(changed)


def test_coordinates_there_and_back_and_their_derivatives(family: Family) -> None:
    """Central differences with step 1e-6: error about 1e-12 of third derivatives and 1e-10 of rounding."""
    moment, h = family.moment, 1e-6
    covariances = some_mixture(family, 2, 3).covariances
    coordinates = moment.to_coordinates(covariances)
    np.testing.assert_allclose(moment.from_coordinates(coordinates), covariances, rtol=1e-12)
    rng = np.random.default_rng(1)
    gradient, direction = rng.normal(size=covariances.shape), rng.normal(size=covariances.shape)
    if moment is MATRIX:
        gradient, direction = gradient + gradient.swapaxes(-1, -2), np.tril(direction)
    change = (moment.from_coordinates(coordinates + h * direction) - moment.from_coordinates(coordinates - h * direction)) / (2 * h)
    assert (moment.pullback(covariances, gradient) * direction).sum() == pytest.approx((gradient * change).sum(), rel=1e-7)
