"""Factor analysers for many columns, beside whole and diagonal covariances: `python -m benchmarks.factor`.

- Speed: one iteration of EM in 200 columns, per row and component, in turns with `full` and `diag`.
- Recovery: 2,000 rows of a mixture of low rank in 200 columns, and the mean log density of 2,000 other rows under each fit.
- Memory: `GaussianMixture(20, covariance_type="factor", n_factors=10)` on 20,000 rows in 784 columns, start and all, above the rows themselves.
"""

from __future__ import annotations

import warnings

import numpy as np

import mixtura
from benchmarks import machine
from benchmarks.measuring import Turn, alternate, memory_line, peak_of, timed
from mixtura.errors import MixturaWarning
from mixtura.rules import EM

SPEED = (8_000, 200, 10, (5, 10, 20))  # N rows, D columns, K components, numbers of factors
RECOVERY = (2_000, 200, 3, 5)  # N, D, K, q
MEMORY = (20_000, 784, 20, 10)
LIMIT_MB = 1_000.0
ROUNDS = 5


def planted(D: int, K: int, q: int, apart: float) -> mixtura.Mixture:
    """Equal weights, means of deviation `apart`, loadings of deviation 1, noise from 0.5 to 1.5."""
    rng = np.random.default_rng(0)
    return mixtura.Mixture.of_factors(
        np.full(K, 1 / K), apart * rng.normal(size=(K, D)), rng.normal(size=(K, D, q)), rng.uniform(0.5, 1.5, size=(K, D))
    )


def step(X: np.ndarray, start: mixtura.Mixture) -> Turn:
    """Seconds of one step of EM, sweep and update."""
    source = mixtura.open(X)

    def turn() -> float:
        steps = mixtura.iterate(source, start, EM())
        next(steps)
        return timed(lambda: next(steps))[0]

    return turn


def speed() -> None:
    N, D, K, several = SPEED
    truth = planted(D, K, several[0], 0.5)
    X = truth.sample(N, random_state=0)[0]
    sides = {f"factor:{q}": step(X, planted(D, K, q, 0.5)) for q in several}
    sides |= {"full": step(X, truth.to_family("full")), "diag": step(X, mixtura.Mixture(truth.weights, truth.means, truth.variances, "diag"))}
    print(f"Speed: a step of EM on {N} x {D}, K={K}, float64, ns per row and component")
    for name, timing in alternate(sides, dict.fromkeys(sides, ROUNDS)).items():
        print(f"    {name:10} {1e9 * (timing.median or np.nan) / (N * K):8.0f}")


def recovery() -> bool:
    N, D, K, q = RECOVERY
    truth = planted(D, K, q, 0.5)
    X, other = (truth.sample(N, random_state=seed)[0] for seed in (1, 2))
    print(f"Recovery: {N} x {D}, K={K}, {q} factors, nats per row on as many other rows (the planted mixture: {truth.score(other):.2f})")
    scores = {}
    for family in (f"factor:{q}", f"ppca:{q}", "diag", "tied", "full"):
        model = mixtura.GaussianMixture(K, covariance_type=family, random_state=0, max_iter=500)
        seconds, _ = timed(lambda model=model: model.fit(X))  # type: ignore[misc]
        scores[family] = model.score(other)
        print(f"    {family:10} {scores[family]:8.2f}   {model.mixture_.n_parameters:6} parameters, {model.n_iter_:3} steps, {seconds:5.1f} s")
    return scores[f"factor:{q}"] > max(scores["diag"], scores["full"])


def memory() -> bool:
    N, D, K, q = MEMORY
    truth = planted(D, K, q, 1.0)
    X = truth.sample(N, random_state=0)[0]
    model = mixtura.GaussianMixture(K, covariance_type="factor", n_factors=q, random_state=0)
    model.fit(X[:1_000, :50])  # compiled, and imported, before it counts
    (seconds, _), extra = peak_of(lambda: timed(lambda: model.fit(X)))
    print(f"Memory: {N} x {D}, K={K}, {q} factors; the rows are {X.nbytes / 1e6:.0f} MB, K matrices of D x D would be {K * D * D * 8 / 1e6:.0f} MB")
    print(f"    {extra or np.nan:.0f} MB above the rows at the peak, {seconds:.0f} s, {model.n_iter_} steps, {memory_line()}")
    print(f"    score {model.score(X):.2f}, the planted mixture's {truth.score(X):.2f}")
    return extra is not None and extra < LIMIT_MB


def main() -> None:
    for line in machine.lines(machine.describe(), machine.versions()):
        print(line)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixturaWarning)
        speed()
        recovered, fits = recovery(), memory()
    print(f"{'PASS' if recovered else 'FAIL'}  on other rows factor scores higher than diag and full")
    print(f"{'PASS' if fits else 'FAIL'}  less than {LIMIT_MB:.0f} MB of extra memory")


if __name__ == "__main__":
    main()
