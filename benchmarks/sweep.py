"""One full-covariance sweep against the project's own prototypes, case by case, in one process.

    python -m benchmarks.sweep [--threads 2] [--repeats 7]

Both sides alternate, so that a busy moment of a shared machine hits both; the figure is the median of the ratios of neighbours, the
times are the best of all repeats. A ratio above 1 means that Mixtura is the faster one. The sweep is the public one, from rows in the
caller's coordinates to `Statistics`; the prototypes' time is that of their bare loops.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import threadpoolctl

import mixtura
from benchmarks import prototype

CASES = (
    (1_000_000, 2, 8),
    (500_000, 4, 16),
    (300_000, 8, 32),
    (100_000, 16, 64),
    (50_000, 32, 64),
    (20_000, 64, 32),
    (20_000, 64, 4),
    (10_000, 128, 8),
    (4_000, 256, 4),
)


def prototypes(X: np.ndarray, K: int, pool: ThreadPoolExecutor, threads: int) -> dict[str, Callable[[], object]]:
    """The three forms of the prototype on the same rows, each ready to run."""
    d = X.shape[1]
    F = 1 + d + d * (d + 1) // 2
    rng = np.random.default_rng(0)
    H = rng.normal(size=(K, F)) * 0.01
    parts = np.array_split(X, threads)
    padded = -(-d // 4) * 4
    means = np.zeros((K, padded))
    means[:, :d] = X[:K]
    U = np.zeros((K, padded, padded))
    U[:, range(d), range(d)] = 1.0

    def expanded(form: Callable[..., float], B: int) -> Callable[[], object]:
        return lambda: list(pool.map(lambda x: form(x, H, np.zeros((K, F)), B), parts))

    def triangular() -> object:
        def run(x: np.ndarray) -> float:
            return prototype.triangular(x, means, U, np.zeros(K), np.zeros(K), np.zeros((K, padded)), np.zeros((K, padded, padded)), 192)

        return list(pool.map(run, parts))

    forms = {"tiled": expanded(prototype.tiled, 256 if d <= 32 else 64), "blas": expanded(prototype.expanded_blas, 128), "triangular": triangular}
    return forms


def ours(X: np.ndarray, K: int, threads: int) -> Callable[[], object]:
    """Mixtura's sweep at a mixture as conditioned as the prototypes'."""
    mixture = mixtura.Mixture(np.full(K, 1 / K), X[:K], np.repeat(np.eye(X.shape[1])[None], K, axis=0))
    source = mixtura.open(X, n_jobs=threads)
    return lambda: mixtura.sweep(mixture, source)


def timed(call: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    """Prints a row per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cases", type=str, default="", help="numbers of the cases to run, as 0,3; all by default")
    options = parser.parse_args()
    chosen = [CASES[int(number)] for number in options.cases.split(",")] if options.cases else CASES
    pool = ThreadPoolExecutor(options.threads)
    print(f"{'N':>9} {'D':>4} {'K':>3}  {'mixtura':>9}  {'best prototype':>22}   ratio   (ns per row x component, {options.threads} threads)")
    with threadpoolctl.threadpool_limits(1):
        for N, d, K in chosen:
            X = np.random.default_rng(0).normal(size=(N, d))
            forms, sweep = prototypes(X, K, pool, options.threads), ours(X, K, options.threads)
            warm = {name: min(timed(form), timed(form)) for name, form in forms.items()}
            best = min(warm, key=warm.__getitem__)
            sweep()
            pairs = [(timed(forms[best]), timed(sweep)) for _ in range(options.repeats)]
            theirs, mine = (min(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            unit = 1e9 / (N * K)
            print(f"{N:>9} {d:>4} {K:>3}  {mine * unit:>9.2f}  {theirs * unit:>9.2f} ({best:<10})   {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
