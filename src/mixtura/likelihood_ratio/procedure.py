"""`likelihood_ratio_test`: one test of K against K + 1 components, or one after the other until K components are enough."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, overload

import numpy as np

from mixtura import checking
from mixtura.blas import one_thread
from mixtura.errors import ConvergenceWarning, DataError, InterruptionWarning, ParameterError, SpuriousWarning
from mixtura.families import Family, family_of
from mixtura.likelihood_ratio.comparison import Comparison, compare
from mixtura.likelihood_ratio.replicates import BootstrapProgress, Experiment, Replicate, Workers
from mixtura.likelihood_ratio.results import LikelihoodRatioTest, SequentialTest
from mixtura.likelihood_ratio.search import Search
from mixtura.progress import OfTest, shown
from mixtura.randomness import generator_of
from mixtura.regularisation import regularisation_of
from mixtura.sources import ArraySource, Source
from mixtura.sources import open as open_source

Tell = Callable[[BootstrapProgress], object]


@overload
def likelihood_ratio_test(
    data: Any,
    n_components: int,
    family: str | Family = "full",
    *,
    n_bootstrap: int = 999,
    alpha: float = 0.05,
    reg_covar: str | float = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
    on_progress: Tell | None = None,
    progress: bool = False,
) -> LikelihoodRatioTest: ...


@overload
def likelihood_ratio_test(
    data: Any,
    n_components: Iterable[int] = range(1, 10),
    family: str | Family = "full",
    *,
    n_bootstrap: int = 999,
    alpha: float = 0.05,
    reg_covar: str | float = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
    on_progress: Tell | None = None,
    progress: bool = False,
) -> SequentialTest: ...


def likelihood_ratio_test(
    data: Any,
    n_components: int | Iterable[int] = range(1, 10),
    family: str | Family = "full",
    *,
    n_bootstrap: int = 999,
    alpha: float = 0.05,
    reg_covar: str | float = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
    on_progress: Tell | None = None,
    progress: bool = False,
) -> LikelihoodRatioTest | SequentialTest:
    """Tests K components against K + 1 by the parametric bootstrap of the likelihood ratio.

        LRTS = 2 (loglik_{K+1} - loglik_K)        p = (1 + #{b: LRTS*_b >= LRTS}) / (B + 1)

    The LRTS*_b are the statistics of B = `n_bootstrap` replicates: as many rows as the data have, (N, D), drawn from the mixture of K components
    that was fitted to the data (McLachlan 1987, Applied Statistics 36, 318-324; McLachlan & Peel 2000, Finite Mixture Models, chapter 6). No
    chi-squared distribution will do: under the null the parameters of one component more are not identified.

    A whole number of `n_components` is K: one LikelihoodRatioTest. Successive numbers are tested in turn, each against one more, up to the
    first whose p-value exceeds `alpha` (Scrucca, Fop, Murphy & Raftery 2016, The R Journal 8, 289-317, section on the bootstrap): one
    SequentialTest, whose `components` is that number. Later tests are made only where earlier ones reject, so the whole procedure takes too
    many components with probability `alpha` at most, about.

    Data and replicates are fitted by the same search, with the same effort: many beginnings for K; for K + 1 as many, and the K with each
    component split; then for K the K + 1 with two components merged. A replicate is not told the mixture that it was drawn from, as the data
    are not. `tol`, in nats per row, bounds what each fit has left to gain. Only regular maxima are looked for, at which each component holds D + 1
    rows and is nowhere flatter than a millionth of the data's variance: likelihoods of free covariances have no others that mean anything. A
    replicate for which none is found keeps its best maximum, counts as it is, and is counted (`n_irregular`). The same rule is used for the data,
    where SpuriousWarning tells of it if the test rejects. Columns in other units change no p-value,
    as far as the family is one to which they change nothing. Rows are taken as float64.

    `random_state` is anything that numpy.random.default_rng takes. Each replicate has a seed of its own, which depends on it, K and the number of
    the replicate: the bits are the same for any `n_jobs` (processes; None is one for each processor of this process's share), and a test alone
    gives the same as in a sequence. `on_progress` is called with a BootstrapProgress after each replicate. `progress` shows the same: a bar for
    each test on a terminal (stderr) and in a notebook, plain lines elsewhere. An interrupt (KeyboardInterrupt) gives back what is done, with one
    InterruptionWarning, and p-values of the replicates that are done, which are valid ones; where none is done, it is raised.

    There is no sample_weight: a weight says how often a row counts, and replicates have rows that count once.

    Raises DataError for fewer than (K + 1)(D + 1) rows, or K + 1 distinct ones, for columns that hold one value, for weighted rows and for rows
    that are not in memory; ParameterError for arguments that make no sense, among them an `n_bootstrap` with which no p-value could be as small
    as `alpha`. Warns ConvergenceWarning where a fit to the data used up `max_iter`.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([[-2.0], [2.0]], 100, axis=0)
    >>> tests = mixtura.likelihood_ratio_test(X, [1, 2, 3], "tied", n_bootstrap=19, random_state=0, progress=True)
    >>> tests.components, len(tests), tests[0].p_value
    (2, 2, 0.05)
    """
    checking.whole("n_bootstrap", n_bootstrap, 1, 999)
    checking.number("alpha", alpha, "a number between 0 and 1", lambda alpha: 0 < alpha < 1, 0.05)
    if 1 / (n_bootstrap + 1) > alpha:
        least = int(np.ceil(1 / alpha)) - 1
        raise ParameterError(
            f"n_bootstrap is too small for alpha: got {n_bootstrap} and {alpha}, expected at least {least} replicates, or no p-value could be "
            f"as small as alpha; try {max(999, least)}"
        )
    checking.number("tol", tol, "a number >= 0 in nats per row", lambda tol: tol >= 0, 1e-6)
    checking.whole("max_iter", max_iter, 1, 1000)
    counts = _counts(n_components)
    source = _precise(open_source(data, n_jobs=n_jobs))
    search = Search(family_of(family), regularisation_of(reg_covar), tol, max_iter)
    _check(source, counts[0])
    enough = [K for K in counts if source.n_rows >= _rows_needed(K, source.D)]
    entropy = generator_of(random_state).integers(2**32, size=4).tolist()
    with one_thread(), shown(progress, OfTest(), source, on_progress) as tell, Workers(n_jobs) as workers:
        series = _Series(source, search, n_bootstrap, alpha, entropy, workers, tell)
        tests, interrupted = series.run(enough)
    for test in tests:
        _warn(test)
    if interrupted:
        done = {one.components: len(one.replicates) for one in tests}
        warnings.warn(_interruption(counts, done, n_bootstrap), InterruptionWarning, stacklevel=2)
    return tests[0] if isinstance(n_components, int | np.integer) else SequentialTest(tuple(tests), interrupted)


class _Series:
    """Tests one after the other, with what they share."""

    def __init__(
        self, source: Source, search: Search, n_bootstrap: int, alpha: float, entropy: list[int], workers: Workers, on_progress: Tell | None
    ):
        self.source, self.search, self.n_bootstrap, self.alpha = source, search, n_bootstrap, alpha
        self.entropy, self.workers, self.on_progress = entropy, workers, on_progress

    def run(self, counts: list[int]) -> tuple[list[LikelihoodRatioTest], bool]:
        """Up to the first test that does not reject, and whether an interrupt came before; raises it where no replicate was done."""
        tests: list[LikelihoodRatioTest] = []
        for K in counts:
            done: list[Replicate] = []
            found: Comparison | None = None
            try:
                found = self._compare(K)
                self._replicate(found, done)
            except KeyboardInterrupt:
                if not tests and not done:
                    raise
                self.workers.end(at_once=True)
            if found is not None and done:
                tests.append(self._test(found, done))
            if len(done) < self.n_bootstrap:
                return tests, True
            if not tests[-1].rejected:
                break
        return tests, False

    def _seed(self, K: int, which: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.entropy, spawn_key=(K, which))

    def _compare(self, K: int) -> Comparison:
        return compare(self.search, self.source, K, np.random.default_rng(self._seed(K, 0)))

    def _replicate(self, found: Comparison, done: list[Replicate]) -> None:
        """Adds each replicate to those done when it is."""
        null = found.null.mixture
        experiment = Experiment(null, self.source.n_rows, self.search, self._seed(null.K, 1))
        for one in self.workers.replicates(experiment, self.n_bootstrap):
            done.append(one)
            if self.on_progress is not None:
                self.on_progress(BootstrapProgress(null.K, len(done), self.n_bootstrap, found.statistic))

    def _test(self, found: Comparison, done: list[Replicate]) -> LikelihoodRatioTest:
        _, statistics, regular = zip(*sorted(done), strict=True)
        replicates, flags = np.array(statistics), np.array(regular)
        replicates.flags.writeable = flags.flags.writeable = False
        K = found.null.mixture.K
        return LikelihoodRatioTest(K, found.null, found.alternative, found.statistic, replicates, flags, self.n_bootstrap, self.alpha)


def _precise(source: Source) -> Source:
    """The rows in float64: of float32 ones sums are too coarse for the difference of two. Weights of 1 are none.

    Raises DataError where rows are not in memory.
    """
    if not isinstance(source, ArraySource):
        raise DataError(
            f"rows that are not in memory cannot be tested: got {source.origin}, expected rows in memory, where each replicate has as many too; "
            "try mixtura.open(..., in_memory=True) (in the shell --in-memory), or fewer rows"
        )
    weights = None if source.weights is None or (source.weights == 1).all() else source.weights
    return ArraySource(np.asarray(source.X, dtype=np.float64), weights, source.columns, source.n_jobs)


def _counts(n_components: int | Iterable[int]) -> list[int]:
    """The numbers of components to test, ascending."""
    given = [n_components] if isinstance(n_components, int | np.integer) else list(n_components) if isinstance(n_components, Iterable) else []
    counts = sorted(set(given))
    if (
        not counts
        or any(isinstance(K, bool) or not isinstance(K, int | np.integer) or K < 1 for K in counts)
        or counts[-1] - counts[0] >= len(counts)
    ):
        raise ParameterError(
            f"n_components is not usable: got {checking.short(n_components)}, expected an integer >= 1 or successive ones, which are tested "
            "in turn; try range(1, 10)"
        )
    return [int(K) for K in counts]


def _rows_needed(K: int, D: int) -> int:
    """Rows for a regular maximum of K + 1 components."""
    return (K + 1) * (D + 1)


def _check(source: Source, K: int) -> None:
    """Raises DataError where replicates would not be like the data."""
    profile, needed = source.profile, _rows_needed(K, source.D)
    if profile.rows != source.n_rows or profile.weight != source.n_rows:
        raise DataError(
            "rows with weights cannot be tested: got a source with weights, expected rows that count once each, as those of replicates do; "
            "try rows repeated as often as they count"
        )
    if source.n_rows < needed:
        raise DataError(
            f"too few rows: got {source.n_rows} rows, expected at least {needed} for {K + 1} components of {source.D + 1} rows each, which "
            f"a test of {K} fits; try fewer components"
        )
    for name in (name for name, constant in zip(source.columns, profile.constant, strict=True) if constant):
        raise DataError(f"column {name!r} holds one value: got no variance, expected some, which replicates could have; try leaving it out")


def _interruption(counts: list[int], done: dict[int, int], n_bootstrap: int) -> str:
    """What an interrupt came before."""
    for K, number in done.items():
        if number < n_bootstrap:
            return f"interrupted at {K} against {K + 1} components: {number} of {n_bootstrap} replicates are done; the p-value is theirs"
    K = counts[len(done)]
    return f"interrupted before a replicate of {K} against {K + 1} components was done; the tests before it stand"


def _warn(test: LikelihoodRatioTest) -> None:
    """Tells where the statistic of the data is less than it seems."""
    names = f"{test.components} against {test.components + 1} components"
    if test.rejected and not test.data_regular:
        warnings.warn(
            f"no regular maximum of {test.components + 1} components was found: what rejects in the test of {names} is a few rows that make a "
            "component of their own; try a simpler family, or rows without them",
            SpuriousWarning,
            stacklevel=3,
        )
    if not (test.null.converged and test.alternative.converged):
        warnings.warn(f"max_iter came before convergence in the test of {names}; try a larger max_iter", ConvergenceWarning, stacklevel=3)
