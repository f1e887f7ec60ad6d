"""One EM iteration of Mixtura, oneDAL and scikit-learn from the same start, each as a turn that returns seconds per iteration.

- Mixtura: the time of `steps` steps of `mixtura.iterate` over an opened source, after two that are not counted; a step is a sweep over all
  rows and EM's update.
- oneDAL (daal4py's `em_gmm`): the time of 2 + m iterations minus that of 2, over the iterations that it says it ran, so that its
  set-up does not count. It is asked for no convergence but stops where nothing changes any more. "full" and "diag" are all it has. float32
  rows are computed as float (`fptype`). Where it fails in more iterations, as it does once a component has fewer rows than columns, that of 2
  minus that of 1.
- scikit-learn: one call of `_e_step` and one of `_m_step`, the two lines of its loop, on an object whose parameters are set to
  the start. The difference of two fits would say the same at three times the cost. It computes in the dtype of the rows.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

import mixtura
from benchmarks.machine import cores
from benchmarks.measuring import Turn, timed

try:
    import daal4py
except ImportError:
    daal4py = None

BEFORE = 2  # iterations that are run and not counted
TRIES = 3  # a difference of two short times can be lost in a busy moment
NEVER = 1e-300  # oneDAL's threshold for convergence


def prepare() -> None:
    """Gives oneDAL the cores that all sides have."""
    if daal4py is not None:
        daal4py.daalinit(cores())


class MixturaSteps:
    """Seconds per step, and the statistics at the last one."""

    def __init__(self, X: np.ndarray, family: str, means: np.ndarray, covariances: np.ndarray, steps: int, n_jobs: int | None = None):
        self.source = mixtura.open(X, n_jobs=n_jobs)
        self.start = mixtura.Mixture(np.full(len(means), 1 / len(means)), means, covariances, family)
        self.steps = steps
        self.statistics: mixtura.Statistics | None = None

    def __call__(self) -> float:
        turns = mixtura.iterate(self.source, self.start)
        for _ in range(1 + BEFORE):
            step = next(turns)
        begun = time.perf_counter()
        for _ in range(self.steps):
            step = next(turns)
        seconds = time.perf_counter() - begun
        self.statistics = step.statistics
        return seconds / self.steps


def same_bits(a: MixturaSteps, b: MixturaSteps) -> bool:
    """Whether both ended with the same statistics, bit by bit."""
    if a.statistics is None or b.statistics is None:
        return False
    pairs = [
        (getattr(a.statistics, name), getattr(b.statistics, name)) for name in ("log_likelihood", "weight", "counts", "pivots", "first", "second")
    ]
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs)


def onedal(X: np.ndarray, family: str, means: np.ndarray, covariances: np.ndarray, steps: int) -> Turn | None:
    """oneDAL's turn; None where it is not installed or has no such structure."""
    if daal4py is None or family not in ("full", "diag"):
        return None
    K, d = means.shape
    begun = covariances.astype(X.dtype).reshape(K, -1, d)

    def run(iterations: int) -> tuple[float, int]:
        algorithm = daal4py.em_gmm(
            nComponents=K,
            fptype="float" if X.dtype == np.float32 else "double",
            maxIterations=iterations,
            accuracyThreshold=NEVER,
            covarianceStorage="full" if family == "full" else "diagonal",
        )
        weights, start = np.full((1, K), 1 / K, X.dtype), means.astype(X.dtype)
        given = [one.copy() for one in begun]  # it works on those it is given
        seconds, result = timed(lambda: algorithm.compute(X, weights, start, given))
        return seconds, int(np.asarray(result.nIterations).item())

    most = [BEFORE + steps]

    def pair() -> tuple[tuple[float, int], tuple[float, int]]:
        if most[0] > BEFORE:
            try:
                return run(BEFORE), run(most[0])
            except RuntimeError:
                most[0] = BEFORE
        return run(BEFORE - 1), run(BEFORE)

    def turn() -> float:
        for _ in range(TRIES):
            (short, n_short), (long, n_long) = pair()
            if n_long > n_short and long > short:
                return (long - short) / (n_long - n_short)
        raise RuntimeError(f"oneDAL has no time per iteration: {n_short} took {short:.2g} s, {n_long} took {long:.2g} s")

    return turn


def scikit_learn(X: np.ndarray, family: str, means: np.ndarray, covariances: np.ndarray) -> Turn:
    """scikit-learn's turn."""
    K = len(means)
    model: Any = GaussianMixture(K, covariance_type=family)
    weights, start, given = np.full(K, 1 / K, X.dtype), means.astype(X.dtype), covariances.astype(X.dtype)
    precisions = _compute_precision_cholesky(given, family)

    def iteration() -> None:
        _, log_resp = model._e_step(X)
        model._m_step(X, log_resp)

    def turn() -> float:
        model.weights_, model.means_, model.covariances_, model.precisions_cholesky_ = weights, start, given, precisions
        return timed(iteration)[0]

    return turn
