"""What starts are made of: factors, partitions, EM in lockstep and exchanges, each against the plain way to the same."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from cases import overlapping, some_mixture

import mixtura
from mixtura.exchange import exchanges, improve
from mixtura.families import Family, family_of
from mixtura.lockstep import Lockstep
from mixtura.regularisation import Floor
from mixtura.scouting import SCOUTED, SUBSAMPLE, Scout, one_hot
from mixtura.starting import partition
from mixtura.triangular import inverse_factors, positive_definite


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (2, 3, 5), (2, 40)])
def test_inverse_factors(shape: tuple[int, ...]) -> None:
    root = np.random.default_rng(0).normal(size=(*shape, shape[-1]))
    matrices = root @ root.swapaxes(-1, -2) + 0.1 * np.eye(shape[-1])
    matrices.flags.writeable = False
    U = inverse_factors(matrices)
    np.testing.assert_array_equal(U, np.tril(U))
    np.testing.assert_allclose(U @ matrices @ U.swapaxes(-1, -2), np.broadcast_to(np.eye(shape[-1]), U.shape), atol=1e-10)
    assert positive_definite(matrices).all()


@pytest.mark.parametrize("wrong", [[[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]], [[np.inf, 0.0], [0.0, 1.0]]])
def test_matrices_that_have_no_factor(wrong: list[list[float]]) -> None:
    matrices = np.stack([np.eye(2), np.array(wrong)])
    assert positive_definite(matrices).tolist() == [True, False]
    with pytest.raises(np.linalg.LinAlgError):
        inverse_factors(matrices)


def _scout(X: np.ndarray, seed: int = 0) -> Scout:
    return Scout.of(mixtura.open(X), np.random.default_rng(seed))


def test_partitions_have_no_empty_part() -> None:
    X = np.round(overlapping(60, 2, 3, seed=0))
    scout = _scout(X)
    labels = scout.labellings(7, 20, np.random.default_rng(1))
    assert labels.shape == (22, len(scout.rows))
    assert all(set(one) == set(range(7)) for one in labels.tolist())


def test_the_tree_is_cut_as_scipy_cuts_it() -> None:
    from scipy.cluster.hierarchy import fcluster, ward

    scout = _scout(overlapping(80, 3, 4, seed=2))
    for K in (1, 2, 5, 80):
        ours, theirs = scout.labellings(K, 1, np.random.default_rng(0))[0], fcluster(ward(scout.standardised), K, "maxclust")
        assert len(set(zip(ours.tolist(), theirs.tolist(), strict=True))) == K == len(set(ours.tolist()))


def test_a_scout_looks_at_no_more_rows_than_it_says() -> None:
    scout = _scout(np.random.default_rng(0).normal(size=(SUBSAMPLE + 1, 1)))
    assert (scout.subsample.n_rows, scout.source.n_rows, len(scout.rows)) == (SUBSAMPLE, SCOUTED, SCOUTED)


def test_lockstep_goes_where_the_loop_goes(family: Family) -> None:
    """Three steps from two partitions: the statistics differ only in how they are summed."""
    X = overlapping(150, 3, 3, seed=3)
    scout = _scout(X)
    labels = scout.labellings(3, 1, np.random.default_rng(0))
    standing = Lockstep(scout.rows, scout.weights, family, Floor(), scout.reference(family.moment)).run(one_hot(labels, 3), 3)
    for k, one in enumerate(labels):
        step = next(islice(mixtura.iterate(X, partition(scout, one, 3, family, Floor())), 2, None))
        assert standing.log_likelihoods[k] == pytest.approx(step.log_likelihood, abs=1e-9)
        np.testing.assert_allclose(standing.responsibilities[k].T, step.mixture.posterior(scout.rows), atol=1e-7)
    assert not standing.collapsed.any()


def test_collapsed_candidates_rank_last() -> None:
    """Three rows on a line: the part that holds only them has no extent across it."""
    X = np.vstack([np.random.default_rng(0).normal(size=(60, 2)), [[6.0, 6.0], [6.5, 6.5], [7.0, 7.0]]])
    scout = _scout(X)
    far = (scout.rows[:, 0] > 5).astype(int)
    labels = np.stack([far, (scout.rows[:, 1] > np.median(scout.rows[:, 1])).astype(int)])
    full = family_of("full")
    standing = Lockstep(scout.rows, scout.weights, full, Floor(), scout.reference(full.moment)).run(one_hot(labels, 2), 1)
    assert standing.collapsed.tolist() == [True, False]
    assert standing.best(1).log_likelihoods[0] == standing.log_likelihoods[1] < standing.log_likelihoods[0]
    alone = next(mixtura.iterate(X, partition(scout, far, 2, full, Floor())))  # held at the same floor
    assert standing.log_likelihoods[0] == pytest.approx(alone.log_likelihood, abs=1e-6)


def test_large_data_begin_where_little_is_left_to_gain() -> None:
    X = overlapping(30_000, 3, 4, seed=3)
    start = mixtura.start(X, 4, random_state=0)
    assert start.score(X) > mixtura.fit(X, start, tol=1e-7).log_likelihood - 3e-3


def _corners() -> tuple[np.ndarray, mixtura.Mixture]:
    """Four far corners, and a mixture that halves one and takes two as one: EM stays there."""
    rng = np.random.default_rng(0)
    corners = np.array([[0.0, 0.0], [0.0, 20.0], [20.0, 0.0], [20.0, 20.0]])
    X = np.repeat(corners, 100, axis=0) + rng.normal(size=(400, 2))
    covariances = np.array([np.eye(2), np.eye(2), np.eye(2), [[1.0, 0.0], [0.0, 101.0]]])
    return X, mixtura.Mixture([1 / 8, 1 / 8, 1 / 4, 1 / 2], [[0.0, -0.5], [0.0, 0.5], [0.0, 20.0], [20.0, 10.0]], covariances)


def test_an_exchange_goes_where_em_cannot() -> None:
    X, wrong = _corners()
    stuck = mixtura.fit(X, wrong).log_likelihood
    best = max(exchanges(wrong, _scout(X)), key=lambda one: one.gain)
    assert (best.pair, best.split) == ((0, 1), 3) and best.gain > 0
    moved = mixtura.fit(X, improve(wrong, _scout(X), Floor()))
    assert moved.log_likelihood > stuck + 0.5
    np.testing.assert_allclose(np.sort(moved.mixture.weights), 0.25, atol=0.01)


def test_exchanges_are_for_every_family(family: Family) -> None:
    X = overlapping(300, 2, 5, seed=4)
    mixture = mixtura.fit(X, mixtura.start(X, 5, family, random_state=0), max_steps=3).mixture
    improved = improve(mixture, _scout(X), Floor())
    assert improved.family is family and improved.score(X) >= mixture.score(X) - 1e-9


def test_no_exchange_among_three() -> None:
    assert exchanges(some_mixture(family_of("full"), 3, 2), _scout(overlapping(50, 2, 3, seed=0))) == []


def test_a_start_on_many_rows_is_near_the_optimum() -> None:
    """Sixteen well separated components: from most single draws of k-means++ EM ends elsewhere, 0.1 nats per row or more below."""
    truth = some_mixture(family_of("full"), 16, 4, seed=5, spread=8.0)
    X, _ = truth.sample(60_000, 0)
    for seed in range(3):
        assert mixtura.start(X, 16, random_state=seed).score(X) > truth.score(X) - 0.01
