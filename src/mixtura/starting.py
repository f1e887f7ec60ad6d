"""The first mixture: quick guesses on a few rows, short EM runs together, exchanges of components, and the best goes on.

Converged k-means is wasted time (its optimum is not the mixture's); one Lloyd step after k-means++ is enough. Small data add a Ward
tree, whose cuts serve every K. Everything random comes from one generator.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura.blas import with_one_thread
from mixtura.checking import MOST, short, word
from mixtura.errors import DataError, ParameterError
from mixtura.exchange import improve, promise
from mixtura.families import Family, family_of
from mixtura.fitting import Step, climb, iterate
from mixtura.lockstep import Lockstep
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.randomness import generator_of
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules import EM
from mixtura.rules.maximising import maximise
from mixtura.scouting import SUBSAMPLE, Labels, Scout, analysers, one_hot, sums
from mixtura.sources import Source
from mixtura.sources import open as open_source
from mixtura.sources.posteriors import Shares

FEW, MANY = 4, 32  # k-means++ draws: of many rows, and of so few that more cost next to nothing
CHEAP = 300_000  # entries of the tables of candidates and features up to which rows are few
TOGETHER = ((4, 12), (6, 1))  # steps that many candidates run together, and how many of them go on
SHORT_RUNS = ((3, 3), (6, 1))  # the same of a few candidates, one by one
NESTED = 20  # steps on the subsample at most: one pass over a million rows
NEAR = 1e-3  # nats per row still to gain on the subsample: what its optimum differs by from that of all rows, or less


@with_one_thread
def start(
    data: Any,
    n_components: int,
    family: str | Family = "full",
    *,
    random_state: Any = None,
    regularisation: Regularisation | None = None,
    sample_weight: ArrayLike | str | None = None,
    labels: ArrayLike | None = None,
) -> Mixture:
    """A first mixture for `iterate` and `fit`: the best of several short EM runs on at most 50,000 rows.

    `random_state` is anything that numpy.random.default_rng takes.

    Where `labels` are given there are no runs: the mixture is the M-step of a partition that somebody knows, as mclust's z and MATLAB's Start are.
    They are the component of each row (N,), 0 to K - 1 for K = `n_components`, or posteriors (N, K). A row whose label is -1, or whose posteriors
    are all -1, is unknown: it takes no part in this M-step, nor in the weights, and the fit from there then counts it like any other.

    Raises DataError where there are fewer distinct rows than components; for labels and posteriors that are no such, or leave a component no rows.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> mixtura.start(X, 3, "diag", random_state=0)
    Mixture(3 components, 2 columns, family='diag')
    >>> mixtura.start([[0.0], [2.0], [10.0], [14.0], [9.0]], 2, labels=[0, 0, 1, 1, -1]).means.ravel()
    array([ 1., 12.])
    """
    source = open_source(data, weight=sample_weight)
    check_components(source, n_components)
    generator = generator_of(random_state)
    if labels is not None:
        return from_labels(source, labels, n_components, family_of(family), regularisation or Floor(), generator)
    scout = Scout.of(source, generator)
    return best_start(scout, n_components, family_of(family), regularisation or Floor(), generator)


@with_one_thread
def best_start(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    """The best of the candidates after short EM runs and exchanges, on the scout's rows; then EM on the subsample, where that is larger."""
    check_distinct(len(scout.rows), K)
    tried = candidates(scout, labellings(scout, K, generator), K, family, regularisation)
    best = improve(tried[0] if len(tried) == 1 else short_runs(tried, scout.source, regularisation), scout, regularisation)
    if scout.subsample is scout.source or K == 1:
        return best
    return climb(scout.subsample, best, EM(regularisation), tol=NEAR, max_steps=NESTED).mixture


def labellings(scout: Scout, K: int, generator: np.random.Generator) -> Labels:
    """Hard partitions to choose from: many where rows are few."""
    N, D = scout.rows.shape
    cheap = CHEAP // (N * K) if N * D**2 <= CHEAP else 0
    return scout.labellings(K, max(FEW, min(MANY, cheap)), generator)


def candidates(scout: Scout, labels: Labels, K: int, family: Family, regularisation: Regularisation) -> list[Mixture]:
    """A mixture of each hard partition; where rows are few, the best one of all after some steps together, which factors do not know."""
    if len(labels) <= FEW + 2 or family.n_factors:
        return [partition(scout, one, K, family, regularisation) for one in labels[: FEW + 2]]
    together = Lockstep(scout.rows, scout.weights, family, regularisation, scout.reference(family.moment))
    responsibilities = one_hot(labels, K)
    for steps, kept in TOGETHER:
        responsibilities = together.run(responsibilities, steps).best(kept).responsibilities
    return [from_responsibilities(scout.rows, one.T * scout.weights[:, None], family, regularisation, together.reference) for one in responsibilities]


def short_runs(
    begun: list[Mixture],
    source: Source,
    regularisation: Regularisation,
    worth: Callable[[Step], tuple[bool, float]] = promise,
) -> Mixture:
    """A few EM steps from each candidate, some more from the best of them; the most promising in the end.

    `worth` is what they are ranked by.
    """
    runs = [iterate(source, one, EM(regularisation)) for one in begun]
    for steps, kept in SHORT_RUNS:
        last = [(next(islice(run, steps - 1, None)), run) for run in runs]
        last = sorted(last, key=lambda pair: worth(pair[0]), reverse=True)[:kept]
        runs = [run for _, run in last]
    return last[0][0].mixture


def partition(scout: Scout, labels: Labels, K: int, family: Family, regularisation: Regularisation) -> Mixture:
    """The M-step of a hard partition of the scout's rows."""
    return from_responsibilities(scout.rows, one_hot(labels, K).T * scout.weights[:, None], family, regularisation)


def from_responsibilities(
    rows: Array, responsibilities: Array, family: Family, regularisation: Regularisation, reference: Array | None = None
) -> Mixture:
    """The M-step from given responsibilities (N, K), row weights multiplied in: the textbook's other way to begin.

    Of factors, whose M-step only goes on from others, the widest directions of each component's rows (Factors.first).
    """
    if family.n_factors:
        return analysers(rows, responsibilities, family, regularisation)
    return maximise(family, sums(rows, responsibilities, family.moment, family.pooled), regularisation, reference)[0]


def from_labels(source: Source, labels: ArrayLike, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    """The M-step of what is known of the rows: their components (N,), or posteriors (N, K), -1 where nothing is known.

    Of factors, the widest directions of at most 50,000 rows in all, as many of each component where there are more; its weight and mean are of all.

    Raises DataError for labels that do not fit, and where a component has no rows.
    """
    shares = Shares.of_labels(labels, source.n_rows, K)
    known = (
        shares.statistics(source, family.moment.reference, pooled=False)
        if family.n_factors
        else shares.statistics(source, family.moment, family.pooled)
    )
    if (empty := np.flatnonzero(known.counts <= 0)).size:
        raise DataError(
            f"a component has no rows: got none of positive weight for component {', '.join(map(str, empty))}, expected some for each of {K}; "
            f"try n_components={K - len(empty)} and labels from 0 to {K - len(empty) - 1}"
        )
    if not family.n_factors:
        return maximise(family, known, regularisation)[0]
    chosen = shares.dealt(SUBSAMPLE, generator)
    taken = source.take(chosen)
    weights = np.ones(len(chosen)) if taken.weights is None else taken.weights
    first = analysers(np.asarray(taken.X, dtype=float), shares.taken(chosen) * weights[:, None], family, regularisation)
    return Mixture(known.counts / known.counts.sum(), known.means, first.covariances, family)


def like(mixture: Mixture, family: Family, scout: Scout, regularisation: Regularisation) -> Mixture:
    """The mixture of this family for the posteriors of another on the scout's rows."""
    responsibilities = mixture.posterior(scout.rows) * scout.weights[:, None]
    return from_responsibilities(scout.rows, responsibilities, family, regularisation)


def _random(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    hazard = generator.uniform(size=(len(scout.rows), K))
    return from_responsibilities(scout.rows, hazard / hazard.sum(axis=1, keepdims=True) * scout.weights[:, None], family, regularisation)


def _random_rows(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    chosen = generator.choice(len(scout.rows), size=K, replace=False, p=scout.weights / scout.weights.sum())
    return _around(scout, scout.rows[chosen], family, regularisation)


def _seeded(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    return _around(scout, scout.rows[scout.seeds(K, 1, generator)[0]], family, regularisation)


def _k_means(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    seed = int(generator.integers(2**31))
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # of rows so near each other that some parts stay empty: `check_distinct` has counted them
        labels = KMeans(K, n_init=1, random_state=seed).fit(scout.rows, sample_weight=scout.weights).labels_
    return partition(scout, labels, K, family, regularisation)


def _around(scout: Scout, means: Array, family: Family, regularisation: Regularisation) -> Mixture:
    """Equal components about given means, each with the covariance of all rows: single rows have none of their own."""
    covariances, K = from_responsibilities(scout.rows, scout.weights[:, None], family, regularisation).covariances, len(means)
    return Mixture(np.full(K, 1 / K), means, covariances if family.pooled else np.repeat(covariances, K, axis=0), family)


Start = Callable[[Scout, int, Family, Regularisation, np.random.Generator], Mixture]
STARTS: dict[str, Start] = {
    "auto": best_start,
    "kmeans": _k_means,
    "k-means++": _seeded,
    "random": _random,
    "random_from_data": _random_rows,
}


def start_of(name: str) -> Start:
    """The way to start that `init_params` names. Raises ParameterError for an unknown name."""
    word("init_params", name, STARTS, "auto")
    return STARTS[name]


def check_components(source: Source, n_components: int) -> None:
    """Raises ParameterError unless n_components >= 1, DataError where there are fewer rows than components."""
    if isinstance(n_components, bool) or not isinstance(n_components, int | np.integer) or not 1 <= n_components <= MOST:
        raise ParameterError(f"n_components is not usable: got {short(n_components)}, expected an integer >= 1; try 1")
    if source.profile.rows < n_components:
        raise DataError(
            f"too few rows: got {source.profile.rows} rows for {n_components} components, expected at least as many rows as components; "
            "try fewer components"
        )


def check_distinct(n_distinct: int, K: int) -> None:
    """Raises DataError where there are fewer distinct rows than components."""
    if n_distinct < K:
        raise DataError(f"too few distinct rows: got {n_distinct} for {K} components, expected at least {K}; try fewer components")
