"""What a test gives: the statistic beside those of its replicates, and the p-value that they make; or one test after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.families import Family
from mixtura.fitting import Fit
from mixtura.likelihood_ratio.search import regular
from mixtura.mixture import Mixture
from mixtura.moments import Array


@dataclass(frozen=True, eq=False, repr=False)
class LikelihoodRatioTest:
    """K components against K + 1: `components` is K, `null` and `alternative` are both fits, `statistic` is 2 (loglik_{K+1} - loglik_K) in nats.

    `replicates` (B,) are the statistics of the replicates that are done, in their order, and `regular` (B,) says whether each has a regular
    maximum of K + 1 components; one that has none counts as it is. `n_bootstrap` is how many replicates were asked for, `alpha` the level.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> test = mixtura.likelihood_ratio_test(X, 1, "tied", n_bootstrap=19, random_state=0, n_jobs=1)
    >>> test.p_value, test.rejected, len(test.replicates)
    (0.05, True, 19)
    """

    components: int
    null: Fit
    alternative: Fit
    statistic: float
    replicates: Array
    regular: NDArray[np.bool_]
    n_bootstrap: int
    alpha: float

    @property
    def p_value(self) -> float:
        """(1 + number of replicates whose statistic is at least that of the data) / (B + 1), B being the replicates done."""
        return float((1 + (self.replicates >= self.statistic).sum()) / (1 + len(self.replicates)))

    @property
    def rejected(self) -> bool:
        """Whether K components are too few: p-value <= alpha."""
        return self.p_value <= self.alpha

    @property
    def interrupted(self) -> bool:
        """Whether an interrupt left fewer replicates than were asked for."""
        return len(self.replicates) < self.n_bootstrap

    @property
    def n_irregular(self) -> int:
        """How many replicates have no regular maximum of K + 1 components."""
        return int((~self.regular).sum())

    @property
    def family(self) -> Family:
        """The covariance family of both mixtures."""
        return self.null.mixture.family

    @property
    def data_regular(self) -> bool:
        """Whether the data have a regular maximum of K + 1 components."""
        return regular(self.alternative)

    def to_dict(self) -> dict[str, Any]:
        """All figures in types that JSON knows; log-likelihoods are sums over rows, in nats."""
        rows = self.null.best.statistics.weight
        return {
            "components": self.components,
            "alternative": self.components + 1,
            "family": self.family.name,
            "code": self.family.code,
            "statistic": self.statistic,
            "p_value": self.p_value,
            "alpha": self.alpha,
            "rejected": self.rejected,
            "log_likelihoods": [one.log_likelihood * rows for one in (self.null, self.alternative)],
            "n_parameters": [one.mixture.n_parameters for one in (self.null, self.alternative)],
            "regular": self.data_regular,
            "n_bootstrap": self.n_bootstrap,
            "n_done": len(self.replicates),
            "n_irregular": self.n_irregular,
            "interrupted": self.interrupted,
            "replicates": self.replicates.tolist(),
        }

    def __repr__(self) -> str:
        done = f"{len(self.replicates)} of {self.n_bootstrap}" if self.interrupted else str(self.n_bootstrap)
        what = f"{self.components} against {self.components + 1} components, family={self.family.name!r}"
        return f"LikelihoodRatioTest({what}: LRTS {self.statistic:.4f}, p-value {self.p_value:.4g}, {done} replicates)"


@dataclass(frozen=True, eq=False, repr=False)
class SequentialTest:
    """Tests of K = K_1, K_1 + 1, ... components, each against one more, up to the first that does not reject. They are iterated over and indexed.

    `settled` says whether that one was reached; else all that were asked for, or that the rows allow, rejected, or an interrupt came
    (`interrupted`), and `components` is only a lower bound.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> tests = mixtura.likelihood_ratio_test(X, range(1, 4), "tied", n_bootstrap=19, random_state=0, n_jobs=1)
    >>> tests.components, tests.settled, len(tests)
    (2, True, 2)
    """

    tests: tuple[LikelihoodRatioTest, ...]
    interrupted: bool

    @property
    def components(self) -> int:
        """The smallest K not rejected; one more than the last K where all are."""
        last = self.tests[-1]
        return last.components + last.rejected

    @property
    def settled(self) -> bool:
        """Whether the last test did not reject, on all its replicates."""
        return not self.interrupted and not self.tests[-1].rejected

    @property
    def mixture(self) -> Mixture:
        """The mixture of so many components."""
        last = self.tests[-1]
        return (last.alternative if last.rejected else last.null).mixture

    @property
    def p_values(self) -> Array:
        """One a test."""
        return np.array([one.p_value for one in self.tests])

    @property
    def statistics(self) -> Array:
        """2 (loglik_{K+1} - loglik_K) in nats, one a test."""
        return np.array([one.statistic for one in self.tests])

    def to_dict(self) -> dict[str, Any]:
        """What was chosen and every test (LikelihoodRatioTest.to_dict), in types that JSON knows."""
        return {
            "components": self.components,
            "settled": self.settled,
            "interrupted": self.interrupted,
            "family": self.mixture.family.name,
            "code": self.mixture.family.code,
            "alpha": self.tests[-1].alpha,
            "tests": [one.to_dict() for one in self.tests],
        }

    def __iter__(self) -> Iterator[LikelihoodRatioTest]:
        return iter(self.tests)

    def __len__(self) -> int:
        return len(self.tests)

    def __getitem__(self, index: int) -> LikelihoodRatioTest:
        return self.tests[index]

    def __repr__(self) -> str:
        bound = "" if self.settled else ("interrupted at " if self.interrupted else "at least ")
        values = ", ".join(f"{one.components} against {one.components + 1}: p {one.p_value:.4g}" for one in self.tests)
        return f"SequentialTest({bound}{self.components} components, family={self.mixture.family.name!r}; {values})"
