"""EM compiled as a whole, for few rows: its M-steps, its steps and its climbs against the loop's; the trees it starts from; cells side by side."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from itertools import islice

import numpy as np
import pytest
from cases import overlapping, some_mixture
from numba import njit
from test_families import expected, maximised, scatters

import mixtura
from mixtura.exchange import twice
from mixtura.families import ALL, Family, family_of
from mixtura.few import Few, Start
from mixtura.hierarchy import agglomerate
from mixtura.kernels.maximise import CODES, maximiser
from mixtura.moments import MATRIX
from mixtura.regularisation import Floor, Regularisation, Ridge
from mixtura.rules import EM, Squarem
from mixtura.rules.maximising import split
from mixtura.scouting import Scout, one_hot, sums
from mixtura.selection.candidate import is_regular
from mixtura.selection.climbing import TRIED, Around, Found, climber_of
from mixtura.selection.order import run_in_order
from mixtura.sources import ArraySource


def few(X: np.ndarray, weights: np.ndarray | None = None, regularisation: Floor | Ridge = Floor()) -> Few:  # noqa: B008
    source = ArraySource(X, weights)
    return Few(source, Scout.of(source, np.random.default_rng(0)).reference(MATRIX), regularisation)


@njit
def called(part, code, n, W, S, known):  # type: ignore[no-untyped-def]
    part(code, n, W, S, known)


def alone(start: Start) -> Start:
    return Start(*(array[None] for array in start))


def test_the_codes_are_those_of_the_families() -> None:
    assert tuple(family.code for family in ALL) == CODES


@pytest.mark.parametrize(("K", "D"), [(1, 1), (3, 2), (4, 5), (6, 3)])
def test_compiled_m_steps_are_the_families_own(family: Family, K: int, D: int) -> None:
    """Turned until they are still; from none, and from covariances of another problem, where common axes may come to rest elsewhere."""
    code = CODES.index(family.code)
    for known in (False, True):
        scatter, counts = scatters(K, D, seed=K + D)
        S = family.matrices(some_mixture(family, K, D).covariances, K, D).copy()
        kept, worth = scatter.copy(), expected(ALL[-1], S, scatter, counts)
        called(maximiser(code).compiled, code, counts, kept, S, known)
        turns = family.code in ("EVE", "VVE")
        for _ in range(60 if turns else 1):
            called(maximiser(code).compiled, code, counts, kept, S, True)
        np.testing.assert_array_equal(kept, scatter)
        theirs = family.matrices(maximised(family, scatter, counts), K, D)
        reached, best = expected(ALL[-1], S, scatter, counts), expected(ALL[-1], theirs, scatter, counts)
        assert worth < reached <= best + 1e-9 * counts.sum()
        if not (turns and known):
            assert reached == pytest.approx(best, abs=1e-9 * counts.sum())
        if not turns:
            np.testing.assert_allclose(S, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("regularisation", [Floor(), Ridge(0.05)], ids=["floor", "ridge"])
@pytest.mark.parametrize(("K", "D", "n"), [(1, 1, 30), (3, 2, 700), (5, 3, 90)])
def test_compiled_steps_are_the_loops(family: Family, K: int, D: int, n: int, weighted: bool, regularisation: Regularisation) -> None:
    X = overlapping(n, D, 3, seed=4)
    weights = np.random.default_rng(1).uniform(0.2, 3.0, n) if weighted else None
    scale = X.std(axis=0)
    mixture = some_mixture(family, K, D, seed=3)
    begin = mixtura.Mixture(mixture.weights, X.mean(axis=0) + 0.3 * scale * mixture.means, mixture.covariances * scale.mean() ** 2, family)
    search = few(X, weights, regularisation)
    first = Start.of(EM(regularisation).update(begin, mixtura.sweep(begin, X, weights), EM().initial(begin)).mixture)
    at = search.run(family, search.begin(alone(first)), 3)
    start = search.mixture(search.run(family, search.begin(alone(first)), 1), 0, family)
    steps = list(islice(mixtura.iterate(X, start, EM(regularisation), sample_weight=weights), 3))
    found = search.mixture(at, 0, family)
    # common axes are turned less far in a step; they arrive all the same, which the next test sees
    exact = family.code not in ("EVE", "VVE")
    assert search.log_likelihoods(at)[0] == pytest.approx(steps[-1].log_likelihood, abs=1e-9 if exact else 1e-3)
    if exact:
        np.testing.assert_allclose(found.weights, steps[-1].mixture.weights, rtol=1e-7)
        np.testing.assert_allclose(found.means, steps[-1].mixture.means, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found.covariances, steps[-1].mixture.covariances, rtol=1e-7, atol=1e-9 * scale.max() ** 2)


@pytest.mark.parametrize("seed", range(4))
def test_compiled_climbs_arrive_where_the_loop_does(family: Family, seed: int) -> None:
    X = overlapping(220, 2 + seed % 2, 3, seed=seed)
    begin = mixtura.start(X, 2 + seed % 3, family, random_state=seed)
    search = few(X)
    at = search.run(family, search.begin(alone(Start.of(begin))), 2000, tol=1e-9)
    loop = mixtura.fit(X, begin, Squarem(EM(), tol=1e-9), tol=1e-9, max_steps=2000)
    assert at.converged[0] and loop.converged and not at.collapsed[0]
    assert search.log_likelihoods(at)[0] == pytest.approx(loop.log_likelihood, abs=1e-6)
    found = search.mixture(at, 0, family)
    assert found.score(X) == pytest.approx(search.log_likelihoods(at)[0], abs=1e-9)
    mixtura.Mixture(found.weights, found.means, found.covariances, family)  # a member: it would be refused
    assert mixtura.fit(X, found, EM(), tol=1e-9).log_likelihood == pytest.approx(found.score(X), abs=1e-6)


def test_a_climb_ends_when_its_steps_are_done() -> None:
    X = overlapping(200, 2, 4, seed=1)
    search, begin = few(X), mixtura.start(X, 4, "full", random_state=0)
    at = search.run(begin.family, search.begin(alone(Start.of(begin))), 5, tol=0.0)
    assert not at.converged[0] and at.steps[0] == 5
    assert (np.diff(at.trace[0, :5]) > 0).all()


@pytest.mark.smoke
def test_starts_do_not_touch_each_other(family: Family) -> None:
    X = overlapping(150, 2, 3, seed=6)
    search = few(X)
    starts = Start.together([Start.of(mixtura.start(X, 3, family, random_state=seed)) for seed in range(4)])
    together = search.run(family, search.begin(starts), 6)
    for m in range(4):
        one = search.run(family, search.begin(Start(*(array[m : m + 1] for array in starts))), 6)
        assert one.log_likelihoods[0] == together.log_likelihoods[m]
        np.testing.assert_array_equal(one.covariances[0], together.covariances[m])


def test_a_start_that_collapses_says_so_and_stays_where_it_was() -> None:
    X = np.concatenate([overlapping(60, 2, 2, seed=0), np.full((5, 2), 40.0)])
    search = few(X)
    labels = np.repeat([0, 1], [60, 5])[None]
    at = search.run(ALL[-1], search.begin(Start.of_partitions(X, np.ones(65), labels, 2)), 50, tol=1e-6)
    assert at.collapsed[0] and not at.converged[0] and at.log_likelihoods[0] == -np.inf
    slowly = Start(*(array.copy() for array in Start.of_partitions(X, np.ones(65), labels, 2)))
    slowly.scatter[0, 1] += 500 * np.eye(2)
    at = search.run(ALL[-1], search.begin(slowly), 50, tol=1e-6)
    assert at.collapsed[0] and at.steps[0] >= 1
    assert search.log_likelihoods(at)[0] == pytest.approx(search.mixture(at, 0, ALL[-1]).score(X), abs=1e-9)


def test_a_regular_maximum_is_found_where_most_starts_collapse() -> None:
    """Two groups, and a few rows each of which is there twice: as components of their own they are likelier than anything."""
    X = np.concatenate([overlapping(40, 1, 1, seed=0), 6.0 + overlapping(40, 1, 1, seed=1)])
    X = np.concatenate([X, np.repeat(X[::10], 2, axis=0)])
    source = ArraySource(X)
    scout = Scout.of(source, np.random.default_rng(0))
    climber = climber_of(scout, source, Squarem(EM(), tol=1e-6), Floor(), 1e-6, 1000)
    family, regular = family_of("full"), mixtura.start(X, 2, "full", random_state=0)
    spikes = [mixtura.Mixture([0.96, 0.04], [[3.0], x], [[[10.0]], [[1e-4]]]) for x in X[::10]]
    around = Around(2, None, [Found(mixtura.fit(X, one, EM(), max_steps=0), mixtura.sweep(one, X)) for one in [*spikes, regular]])
    found = climber.best(family, around, -np.inf)
    assert is_regular(found.fit.best, len(X)) and found.fit.converged
    assert found.fit.log_likelihood == pytest.approx(mixtura.fit(X, regular).log_likelihood, abs=1e-6)


def test_components_are_born_where_the_places_are(family: Family) -> None:
    """A quarter of the component that is there, which keeps its place and its shape; the others as they were."""
    mixture = some_mixture(family, 3, 2)
    places = mixture.sample(5, random_state=0)[0]
    starts, parent = Start.born(mixture, places), mixture.assign(places)
    assert starts.means.shape == (5, 4, 2)
    np.testing.assert_allclose(starts.counts.sum(axis=1), 1)
    for m, k in enumerate(parent):
        np.testing.assert_array_equal(starts.means[m], np.vstack([mixture.means, places[m]]))
        np.testing.assert_allclose(starts.counts[m, 3], mixture.weights[k] / 4)
        np.testing.assert_allclose(starts.counts[m, k], mixture.weights[k] * 3 / 4)
        np.testing.assert_allclose(starts.scatter[m, 3] / starts.counts[m, 3], mixture.matrices[k] / 4)
        np.testing.assert_allclose(starts.scatter[m, k] / starts.counts[m, k], mixture.matrices[k])


def test_one_more_component_is_one_split_side_by_side_or_within(family: Family) -> None:
    """Side by side the two have the mean of the one, as EM's own split has it; within, where volumes vary, its mean and twice and half its volume."""
    mixture = some_mixture(family, 3, 2)
    beside, *within = Start.grown(mixture)
    assert len(within) == (family.code[0] == "V")
    for k in range(3):
        twins = split(twice(mixture, k), into=3, heaviest=k)
        np.testing.assert_allclose(beside.counts[k], twice(mixture, k).weights)
        # the two may have changed places
        np.testing.assert_allclose(np.sort(beside.means[k][[k, 3]], axis=0), np.sort(twins.means[[k, 3]], axis=0))
        np.testing.assert_allclose(beside.scatter[k] / beside.counts[k][:, None, None], twins.matrices)
        for start in within:
            np.testing.assert_allclose(start.means[k], np.vstack([mixture.means, mixture.means[k]]))
            volumes = start.scatter[k][[k, 3]] / start.counts[k][[k, 3]][:, None, None]
            np.testing.assert_allclose(volumes, mixture.matrices[k] * np.array([0.5, 2.0])[:, None, None])


def test_what_is_below_the_floor_has_collapsed_though_it_has_a_volume() -> None:
    """A group of a hundred-thousandth of the data's deviation, which would be a mixture to float64, and is one above a lower floor."""
    far = 40.0 + 1e-4 * np.random.default_rng(0).normal(size=(20, 2))
    X = np.concatenate([overlapping(60, 2, 2, seed=0), far])
    starts = Start.of_partitions(X, np.ones(80), np.repeat([0, 1], [60, 20])[None], 2)
    for floor, collapsed in ((Floor(), True), (Floor(1e-14), False)):
        search = few(X, regularisation=floor)
        assert search.run(ALL[-1], search.begin(starts), 3).collapsed[0] == collapsed


def test_partitions_are_summed_as_anything_else() -> None:
    X, rng = overlapping(50, 3, 2, seed=2), np.random.default_rng(0)
    labels, weights = np.stack([rng.permutation(np.arange(50) % 4) for _ in range(3)]), rng.uniform(0.5, 2.0, 50)
    starts = Start.of_partitions(X, weights, labels, 4)
    for m, one in enumerate(labels):
        statistics = sums(X, one_hot(one, 4).T * weights[:, None], MATRIX, pooled=False)
        for ours, theirs in zip(starts, (statistics.counts, statistics.means, statistics.scatter), strict=True):
            np.testing.assert_allclose(ours[m], theirs, rtol=1e-9, atol=1e-9)


def _cheapest(X: np.ndarray, prior: np.ndarray) -> list[tuple[int, int]]:
    """The same tree the slow way: all pairs of all clusters each time, in plain NumPy."""

    def value(rows: list[int]) -> float:
        centred = X[rows] - X[rows].mean(axis=0)
        return len(rows) * float(np.linalg.slogdet((centred.T @ centred + prior) / (len(rows) + 1))[1])

    clusters, mergers = {i: [i] for i in range(len(X))}, []
    for m in range(len(X) - 1):
        pairs = itertools.combinations(clusters, 2)
        i, j = min(pairs, key=lambda pair: value(clusters[pair[0]] + clusters[pair[1]]) - value(clusters[pair[0]]) - value(clusters[pair[1]]))
        clusters[len(X) + m] = clusters.pop(i) + clusters.pop(j)
        mergers.append((i, j))
    return mergers


@pytest.mark.parametrize("D", [1, 2, 3])
def test_the_tree_merges_what_costs_least(D: int) -> None:
    X = overlapping(24, D, 3, seed=D)
    prior = np.atleast_2d(np.cov(X.T)) / 24 ** (2 / D)
    assert [set(pair) for pair in agglomerate(X, np.ones(24), prior).tolist()] == [set(pair) for pair in _cheapest(X, prior)]


def test_the_tree_does_not_ask_for_units() -> None:
    X, A = overlapping(80, 3, 3, seed=5), np.random.default_rng(1).normal(size=(3, 3))
    prior = np.cov(X.T) / 80 ** (2 / 3)
    np.testing.assert_array_equal(agglomerate(X, np.ones(80), prior), agglomerate(X @ A.T, np.ones(80), A @ prior @ A.T))


@pytest.mark.parametrize("threads", [1, 4])
def test_tasks_run_after_what_they_wait_for(threads: int) -> None:
    before = {n: [m for m in range(n) if n % (m + 2) == 0] for n in range(40)}
    done: list[int] = []
    lock = threading.Lock()

    def run(task: int) -> None:
        with lock:
            assert set(before[task]) <= set(done)
            done.append(task)

    run_in_order(before, run, threads)
    assert sorted(done) == list(range(40))


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_a_task_raises_is_raised_and_ends_the_rest(threads: int, error: type[BaseException]) -> None:
    ran: list[int] = []

    def run(task: int) -> None:
        ran.append(task)
        if task == 3:
            raise error

    with pytest.raises(error):
        run_in_order({n: [n - 1] if n else [] for n in range(10)}, run, threads)
    assert ran == [0, 1, 2, 3]


@pytest.mark.parametrize("n", [200, 3000])
def test_cells_side_by_side_have_the_same_bits(n: int) -> None:
    X = overlapping(n, 2, 3, seed=9)
    one, many = (mixtura.select(X, range(1, 5), "all", random_state=0, n_jobs=jobs) for jobs in (1, 4))
    assert [(c.components, c.family, c.bic, c.sweeps) for c in one.cells] == [(c.components, c.family, c.bic, c.sweeps) for c in many.cells]


def test_a_history_begins_where_the_short_runs_do_and_never_falls_in_them() -> None:
    """The candidate's path from its start on: the plain steps of EM that chose it, then the climb, to the log-likelihood that is told."""
    plain = sum(steps for steps, _ in TRIED)
    for one in mixtura.select(overlapping(300, 2, 3, seed=10), [2, 3, 4], ["full", "tied", "VEE"], random_state=0).cells:
        assert one.fit is not None and one.sweeps == len(one.history) - 1
        assert one.history[-1] == pytest.approx(one.log_likelihood / 300)
        assert one.sweeps >= plain and (np.diff(one.history[:plain]) > -1e-9).all()
        assert one.history[0] < one.history[-1] - 1e-4


def test_an_interrupt_of_the_tree_is_an_interrupt() -> None:
    """Python sees the signal when the kernel has ended, and must not take it for a fault of the kernel."""
    rows = overlapping(1200, 2, 3, seed=11)
    tree = agglomerate(rows, np.ones(1200), np.eye(2))
    threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            agglomerate(rows, np.ones(1200), np.eye(2))
    np.testing.assert_array_equal(agglomerate(rows, np.ones(1200), np.eye(2)), tree)
