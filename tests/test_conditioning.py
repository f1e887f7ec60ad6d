"""A mixture in some of its columns: alone, and given the others. Laws of probability that hold for every family, and what is refused."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from cases import some_mixture
from scipy.stats import multivariate_normal

from mixtura import Mixture
from mixtura.errors import ParameterError
from mixtura.families import ALL, Family, factor, ppca

K, D = 3, 5


def any_mixture(family: Family, seed: int) -> Mixture:
    """One of K components in D columns; of factors too."""
    if not family.n_factors:
        return some_mixture(family, K, D, seed)
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0.5, 2, K if family.one_scale else (K, D))
    return Mixture.of_factors(rng.dirichlet(np.full(K, 5.0)), 2 * rng.normal(size=(K, D)), rng.normal(size=(K, D, family.n_factors)), noise)


FAMILIES = (*ALL, factor(1), factor(2), ppca(2))
KNOWN = ([0], [4, 1], [2, 0, 3], [1, 2, 3, 4])
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.name)


@every_family
@pytest.mark.parametrize("known", KNOWN, ids=str)
def test_the_joint_density_is_the_marginal_times_the_conditional(family: Family, known: list[int]) -> None:
    """log p(a, b) = log p(a) + log p(b | a), near the rows and far from them."""
    mixture = any_mixture(family, 3)
    rest = [j for j in range(D) if j not in known]
    marginal = mixture.marginal(known)
    for row in np.concatenate([mixture.sample(5, random_state=0)[0], np.full((1, D), 9.0)]):
        given = mixture.condition(known, row[known])
        parts = marginal.log_density(row[None, known]) + given.log_density(row[None, rest])
        np.testing.assert_allclose(parts, mixture.log_density(row[None]), rtol=1e-9)


@every_family
@pytest.mark.parametrize("columns", KNOWN, ids=str)
def test_a_marginal_is_made_of_parts_of_the_parameters(family: Family, columns: list[int]) -> None:
    mixture = any_mixture(family, 4)
    marginal = mixture.marginal(columns)
    np.testing.assert_array_equal(marginal.weights, mixture.weights)
    np.testing.assert_array_equal(marginal.means, mixture.means[:, columns])
    np.testing.assert_allclose(marginal.matrices, mixture.matrices[:, np.array(columns)[:, None], columns], rtol=1e-12, atol=1e-14)


@every_family
def test_columns_may_come_in_any_order_and_in_two_steps(family: Family) -> None:
    mixture = any_mixture(family, 5)
    row = mixture.sample(1, random_state=1)[0][0]
    for order in list(permutations(range(D)))[::29]:
        turned = mixture.marginal(order)
        assert turned.family == mixture.family or family.constraint is not None
        np.testing.assert_allclose(turned.log_density(row[None, order]), mixture.log_density(row[None]), rtol=1e-10)
    at_once, stepwise = mixture.condition([3, 0], row[[3, 0]]), mixture.condition([3], row[[3]]).condition([0], row[[0]])
    for name in ("weights", "means", "matrices"):
        np.testing.assert_allclose(getattr(stepwise, name), getattr(at_once, name), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    ("family", "d", "expected"),
    [(one, 3, one.name) for one in ALL if one.code in ("EII", "VII", "EEI", "VEI", "VVI", "EEE", "VEE", "VVV")]
    + [(one, 3, "diag") for one in ALL if one.code == "EVI"]
    + [(one, 3, "full") for one in ALL if one.code in ("EVE", "VVE", "EEV", "VEV", "EVV")]
    + [(factor(2), 3, "factor:2"), (factor(2), 2, "full"), (ppca(2), 3, "ppca:2"), (ppca(2), 1, "full")],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_parts_are_of_the_family_where_that_holds_of_parts(family: Family, d: int, expected: str) -> None:
    """The same for a marginal and a conditional."""
    mixture = any_mixture(family, 6)
    assert mixture.marginal(range(d)).family.name == expected
    assert mixture.condition(range(D - d), np.zeros(D - d)).family.name == expected


def test_one_gaussian_given_a_column_is_the_textbook_regression() -> None:
    covariance = np.array([[4.0, 1.2, -0.6], [1.2, 1.0, 0.1], [-0.6, 0.1, 2.0]])
    given = Mixture([1.0], [[1.0, 2.0, 3.0]], [covariance]).condition([0], [3.0])
    np.testing.assert_allclose(given.means[0], [2.0 + 1.2 / 4 * 2, 3.0 - 0.6 / 4 * 2])
    np.testing.assert_allclose(given.covariances[0], covariance[1:, 1:] - np.outer(covariance[1:, 0], covariance[0, 1:]) / 4)


def test_weights_go_by_the_density_of_what_is_known() -> None:
    mixture = some_mixture(FAMILIES[-4], K, D, seed=7)
    value = mixture.means[1, :2]
    densities = [multivariate_normal(m[:2], S[:2, :2]).pdf(value) for m, S in zip(mixture.means, mixture.matrices, strict=True)]
    expected = mixture.weights * densities
    np.testing.assert_allclose(mixture.condition([0, 1], value).weights, expected / expected.sum(), rtol=1e-10)


def test_a_column_that_is_nearly_known_from_the_others_keeps_its_digits() -> None:
    """x1 = x0 + noise of deviation 1e-6, in units of a million: the variance that is left is 1e-12 of the whole."""
    scale = 1e6
    covariance = scale**2 * np.array([[1.0, 1.0], [1.0, 1.0 + 1e-12]])
    given = Mixture([1.0], [[0.0, 0.0]], [covariance]).condition([0], [2 * scale])
    left = covariance[1, 1] - covariance[0, 1] ** 2 / covariance[0, 0]
    assert given.covariances[0, 0, 0] == pytest.approx(left, rel=1e-3)  # 1 - (1 - 1e-12) has four digits
    assert given.means[0, 0] == pytest.approx(2 * scale, rel=1e-12)


@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        ([], [], "columns are not usable"),
        ([5], [0.0], "columns are not usable"),
        ([-1], [0.0], "columns are not usable"),
        ([0, 0], [0.0, 0.0], "columns are not usable"),
        (["a"], [0.0], "columns are not usable"),
        ([0.5], [0.0], "columns are not usable"),
        (0, 0.0, "columns are not usable"),
        ([[0]], [0.0], "columns are not usable"),
        ([0], [0.0, 1.0], "values do not fit the columns"),
        ([0], 0.0, "values do not fit the columns"),
        ([0], [np.nan], "values are not finite"),
        ([0], ["x"], "values are not numbers"),
        ([0, 1, 2, 3, 4], np.zeros(5), "no column is left"),
    ],
)
def test_refuses(columns: object, values: object, message: str) -> None:
    mixture = some_mixture(FAMILIES[-4], K, D)
    with pytest.raises(ParameterError, match=message) as caught:
        mixture.condition(columns, values)  # type: ignore[arg-type]
    assert "expected" in str(caught.value) and "try" in str(caught.value)
    if message.startswith("columns"):
        with pytest.raises(ParameterError, match=message):
            mixture.marginal(columns)  # type: ignore[arg-type]
