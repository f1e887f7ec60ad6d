"""The tree of starts: the mergers of the plain algorithm, bit by bit, at N^2 costs whatever the rows."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from mixtura import hierarchy
from mixtura.hierarchy import agglomerate


def _normal(rng: np.random.Generator, N: int, D: int) -> np.ndarray:
    return rng.normal(size=(N, D))


def _outlier(rng: np.random.Generator, N: int, D: int) -> np.ndarray:
    return np.r_[rng.normal(size=(N - 1, D)), np.full((1, D), 1e6)]


def _on_a_line(rng: np.random.Generator, N: int, D: int) -> np.ndarray:
    return np.arange(float(N))[:, None] + 1e-3 * rng.normal(size=(N, D))


def _lattice(rng: np.random.Generator, N: int, D: int) -> np.ndarray:
    """Rows at whole numbers, whose costs are equal to the bit in many pairs."""
    return np.c_[np.arange(float(N)), rng.integers(0, 3, size=(N, D - 1))]


def _geometric(rng: np.random.Generator, N: int, D: int) -> np.ndarray:
    return 1.3 ** np.arange(N)[:, None] * (1 + 1e-9 * rng.normal(size=(N, D)))


def _far_halves(rng: np.random.Generator, N: int, D: int) -> np.ndarray:
    return rng.normal(size=(N, D)) + 1e5 * (np.arange(N) < N // 2)[:, None]


ROWS = (_normal, _outlier, _on_a_line, _lattice, _geometric, _far_halves)


def _plain(rows: np.ndarray, weights: np.ndarray, prior: np.ndarray) -> list[tuple[int, int]]:
    """All pairs looked through for each merger."""
    N, D = rows.shape
    n, means, W, scratch = weights.copy(), rows.copy(), np.zeros((N, D, D)), np.empty((D, D))

    def value(i: int, j: int) -> float:
        return float(hierarchy._merged(i, j, n, means, W, prior, scratch))

    def cost(pair: tuple[int, int]) -> float:
        return value(*pair) - own[pair[0]] - own[pair[1]]

    own, label, mergers = [value(i, i) for i in range(N)], list(range(N)), []
    costs = {pair: cost(pair) for pair in combinations(range(N), 2)}
    for m in range(N - 1):
        i, j = min(costs, key=lambda pair: (costs[pair], pair))
        mergers.append((label[i], label[j]))
        own[i], label[i] = value(i, j), N + m
        share, apart = n[j] / (n[i] + n[j]), means[j] - means[i]
        W[i] += W[j] + n[i] * share * apart[:, None] * apart
        means[i] += share * apart
        n[i] += n[j]
        costs = {pair: costs[pair] if i not in pair else cost(pair) for pair in costs if j not in pair}
    return mergers


@pytest.mark.parametrize("rows", ROWS, ids=lambda rows: rows.__name__)
@pytest.mark.parametrize(("N", "D", "weighted"), [(2, 1, False), (33, 1, True), (70, 2, False), (60, 4, True), (40, 10, False)])
def test_the_tree_is_that_of_the_plain_algorithm(rows: Any, N: int, D: int, weighted: bool) -> None:
    rng = np.random.default_rng(N)
    X = rows(rng, N, D)
    weights = rng.integers(1, 4, N).astype(float) if weighted else np.ones(N)
    prior = (np.atleast_2d(np.cov(X.T)) + 1e-9 * X.var() * np.eye(D)) / N ** (2 / D)
    assert agglomerate(X, weights, prior).tolist() == [list(pair) for pair in _plain(X, weights, prior)]


@pytest.mark.parametrize("rows", ROWS, ids=lambda rows: rows.__name__)
def test_no_rows_make_the_tree_take_more_than_their_square(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs that are computed, and bounds that a search found not to be kept."""
    N, D = 80, 1
    merged, computed, kept, vain = hierarchy._merged, 0, hierarchy._search.py_func, 0

    def counted(*arguments: Any) -> float:
        nonlocal computed
        computed += 1
        return float(merged(*arguments))

    class Bounds(np.ndarray):
        """Counts what is written to the leaves."""

        def __setitem__(self, place: Any, value: Any) -> None:
            nonlocal vain
            vain += isinstance(place, tuple) and place[1] >= self.shape[1] // 2
            super().__setitem__(place, value)

    def searched(i: int, label: Any, costs: Any, bounds: Any, *rest: Any) -> None:
        nonlocal vain
        kept(i, label, costs, bounds.view(Bounds), *rest)
        vain -= 1  # the last one kept its word

    monkeypatch.setattr(hierarchy, "_merged", counted)
    monkeypatch.setattr(hierarchy, "_search", searched)
    monkeypatch.setattr(hierarchy, "_begin", hierarchy._begin.py_func)
    monkeypatch.setattr(hierarchy, "_agglomerate", hierarchy._agglomerate.py_func)
    X = rows(np.random.default_rng(0), N, D)
    agglomerate(X, np.ones(N), np.atleast_2d(np.cov(X.T)) / N**2)
    assert computed <= N**2 + N
    assert vain <= N**2


def test_costs_that_are_no_numbers_still_make_a_tree() -> None:
    tree = agglomerate(np.arange(6.0)[:, None], np.ones(6), np.array([[-1.0]]))
    assert sorted(tree.ravel().tolist()) == list(range(10))
