"""One iteration of variational Bayes, Mixtura's and scikit-learn's from the same start: `python -m benchmarks.bayesian`.

- Mixtura: the time of some steps of `mixtura.iterate` with rules.Variational over an opened source, after two that are not counted.
- scikit-learn: one call of `_e_step`, one of `_m_step` and one of `_compute_lower_bound`, the three lines of its loop.

Both compute the bound at every iteration, and both take turns (see `measuring`).
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from sklearn.mixture import BayesianGaussianMixture

import mixtura
from benchmarks import data, machine
from benchmarks.measuring import Turn, alternate, ratio, tell, timed

FAMILIES = ("full", "tied", "diag", "spherical")
SHAPE = (100_000, 16, 32)  # N rows, d columns, K components
BEFORE, STEPS = 3, 10  # steps that are run and not counted, and those that are
ROUNDS = {"mixtura": 7, "scikit-learn": 3}


def ours(X: np.ndarray, start: mixtura.Mixture) -> Turn:
    """Seconds per step."""
    source = mixtura.open(X)

    def turn() -> float:
        steps = mixtura.iterate(source, start, mixtura.rules.Variational())
        for _ in range(BEFORE):
            next(steps)
        begun = time.perf_counter()
        for _ in range(STEPS):
            next(steps)
        return (time.perf_counter() - begun) / STEPS

    return turn


def theirs(X: np.ndarray, start: mixtura.Mixture) -> Turn:
    """Seconds per iteration, from the start's responsibilities."""
    model: Any = BayesianGaussianMixture(n_components=start.K, covariance_type=start.family.name)
    model._check_parameters(X)
    model._initialize(X, start.posterior(X))

    def iteration() -> None:
        log_prob_norm, log_resp = model._e_step(X)
        model._m_step(X, log_resp)
        model._compute_lower_bound(log_resp, log_prob_norm)

    return lambda: timed(iteration)[0]


def compare(family: str, N: int, d: int, K: int) -> str:
    """A line of the table."""
    X = data.rows(N, d, K)
    start = mixtura.Mixture(np.full(K, 1 / K), data.start_means(X, K), data.unit_covariances(family, K, d), family)
    timings = alternate({"mixtura": ours(X, start), "scikit-learn": theirs(X, start)}, ROUNDS)
    times = ratio(timings["scikit-learn"], timings["mixtura"])
    figures = "; ".join(f"{side} {1e3 * (timing.median or np.nan):.1f} ms" for side, timing in timings.items())
    return f"{family:9} {N} x {d}, K={K}, float64, per iteration: {figures}; {times:.1f} times faster"


def main() -> None:
    N, d, K = (int(word) for word in sys.argv[1:4]) if len(sys.argv) > 3 else SHAPE
    tell(f"{machine.cores()} cores")
    for family in FAMILIES:
        print(compare(family, N, d, K), flush=True)


if __name__ == "__main__":
    main()
