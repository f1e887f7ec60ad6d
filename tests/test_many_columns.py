"""Families with common parts at tens and hundreds of columns: other ways to the same maxima, each within a budget, and EM still climbs."""

from __future__ import annotations

import numpy as np
import pytest
from test_families import expected, maximised, member, scatters

import mixtura
from mixtura.families import common_axes, family_of, proportional
from mixtura.regularisation import RELATIVE_FLOOR
from mixtura.rules import EM

SHARING = ["vee", "eve", "vve", "eev", "vev", "evv"]
AXES = ["eve", "vve"]


def near_a_member(code: str, K: int, D: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scatters (K, D, D) and counts (K,) of which the family is nearly true."""
    family, (noise, counts) = family_of(code), scatters(K, D, seed)
    return family.matrices(member(family, K, D, seed), K, D) * counts[:, None, None] + 1e-3 * noise, counts


@pytest.mark.parametrize("code", AXES)
@pytest.mark.parametrize("D", [3, 25, 40])
def test_roots_and_matrices_turn_to_the_same_axes(code: str, D: int) -> None:
    scatter, counts = near_a_member(code, 3, D, 0)
    found = []
    for turned in (common_axes._turned, common_axes._turned_roots):
        axes, diagonals = turned(np.eye(D), scatter, counts, code == "eve", 40)
        np.testing.assert_allclose(axes.T @ axes, np.eye(D), atol=1e-12)
        np.testing.assert_allclose(np.diagonal(axes.T @ scatter @ axes, axis1=1, axis2=2), diagonals, rtol=1e-9)
        found.append(np.log(diagonals).sum())
    assert found[0] == pytest.approx(found[1], rel=1e-7)


@pytest.mark.parametrize("code", AXES)
def test_no_sweep_over_the_planes_lowers_the_likelihood(code: str) -> None:
    family, (scatter, counts) = family_of(code), scatters(3, 40)
    values = []
    for sweeps in range(6):
        axes, diagonals = common_axes._turned_roots(np.eye(40), scatter, counts, code == "eve", sweeps)
        values.append(expected(family, family.constraint._settled(axes, diagonals, counts)[0], scatter, counts))  # type: ignore[union-attr]
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize("code", SHARING)
@pytest.mark.parametrize("budget", [None, 0])
def test_a_known_way_is_no_worse_and_members_stay(code: str, budget: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if budget is not None:
        monkeypatch.setattr(common_axes, "BUDGET", budget)
        monkeypatch.setattr(proportional, "BUDGET", budget)
        monkeypatch.setattr(proportional, "MANY", 2)
    family, K, D = family_of(code), 3, 30
    scatter, counts = scatters(K, D)
    previous = member(family, K, D, 1)
    assert expected(family, maximised(family, scatter, counts, previous), scatter, counts) >= expected(family, previous, scatter, counts)
    np.testing.assert_allclose(maximised(family, previous * counts[:, None, None], counts, previous), previous, atol=1e-8 * np.abs(previous).max())


@pytest.mark.parametrize("code", ["vee", "eve", "vve"])
def test_many_problems_at_once_are_each_alone(code: str) -> None:
    family, problems = family_of(code), [scatters(2, 30, seed) for seed in range(3)]
    scatter, counts = (np.stack(parts) for parts in zip(*problems, strict=True))
    scatter[1, 0] *= np.arange(30)[:, None] > 3
    scatter[1, 0] *= np.arange(30) > 3  # one that is singular
    together = family.maximise(scatter, counts, 30)
    for one, W, n in zip(together, scatter, counts, strict=True):
        np.testing.assert_array_equal(one, family.maximise(W, n, 30))


def test_lapack_finds_the_proportions_that_the_kernel_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    scatter, counts = scatters(4, 40)
    found = proportional.PROPORTIONAL.maximise(scatter, counts, None)
    monkeypatch.setattr(proportional, "MANY", 40)
    np.testing.assert_allclose(proportional.PROPORTIONAL.maximise(scatter, counts, None), found, rtol=1e-9, atol=1e-9)
    scatter[:, 0] = scatter[:, :, 0] = 0.0  # no volume
    assert np.isnan(proportional.PROPORTIONAL.maximise(scatter, counts, None)).any()


@pytest.mark.parametrize("code", ["vee", "eve", "vve"])
def test_em_climbs_with_the_least_budget(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (common_axes, proportional):
        monkeypatch.setattr(module, "BUDGET", 0)
    monkeypatch.setattr(proportional, "MANY", 2)
    monkeypatch.setattr(proportional, "LEAST", 1)
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(150, 26)), rng.normal(size=(150, 26)) @ rng.normal(size=(26, 26)) / 4 + 1]
    run = mixtura.fit(X, mixtura.start(X, 2, code, random_state=0), EM(), max_steps=30)
    assert (np.diff(run.log_likelihoods) > -1e-9).all()


@pytest.mark.parametrize("code", SHARING)
def test_fewer_rows_than_columns_are_held_above_the_floor(code: str) -> None:
    family, D = family_of(code), 40
    rows = np.random.default_rng(0).normal(size=(2, 25, D)) * np.linspace(0.5, 2.0, D)
    centred = rows - rows.mean(axis=1, keepdims=True)
    scatter, counts = centred.swapaxes(1, 2) @ centred, np.full(2, 25.0)
    reference = scatter.sum(axis=0) / 50
    roots, previous = np.linalg.inv(np.linalg.cholesky(reference)), None
    for _ in range(3):
        previous, low = family.maximise_above(scatter, counts, D, reference, RELATIVE_FLOOR, previous=previous)
        assert low.any() or code == "vee"
        assert (np.linalg.eigvalsh(roots @ previous @ roots.T) >= RELATIVE_FLOOR * (1 - 1e-6)).all()
        np.testing.assert_allclose(family.project(previous, counts, D), previous, rtol=0, atol=1e-5 * np.abs(previous).max())


@pytest.mark.parametrize("code", AXES)
def test_no_maximum_takes_more_than_its_budget(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many columns: one beginning, and no more planes than the budget has, but all of them once."""
    K, D, turned = 2, 100, []
    monkeypatch.setattr(common_axes, "BUDGET", 5 * K * D**3)
    monkeypatch.setattr(common_axes, "_turn_roots_each", lambda roots, counts, axes, volumes, sweeps: turned.append(sweeps))
    scatter, counts = scatters(K, D)
    family = family_of(code)
    family.maximise(scatter, counts, D)
    family.maximise(scatter, counts, D, np.broadcast_to(np.eye(D), scatter.shape))
    monkeypatch.setattr(common_axes, "BUDGET", 0)
    family.maximise(scatter, counts, D)
    assert turned == [5, 5, 1]
