"""A script of test_blas.py: calls of every kind, and the time that BLAS's own threads took meanwhile. Prints "slept" where that is none."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.linalg

TASKS = Path("/proc/self/task")
BIG = np.random.default_rng(0).normal(size=(600, 600))


def blas_threads() -> list[str]:
    """All threads but this one, before Mixtura has any: those of NumPy's BLAS and of SciPy's, woken once."""
    BIG @ BIG
    scipy.linalg.lu_factor(BIG)
    if not TASKS.is_dir():
        return []
    return [one for one in os.listdir(TASKS) if int(one) != os.getpid() and (TASKS / one / "schedstat").exists()]


def spent(threads: list[str]) -> list[int]:
    """The nanoseconds that each thread ran, once all of them sleep."""
    before: list[int] = []
    while True:
        now = [int((TASKS / one / "schedstat").read_text().split()[0]) for one in threads]
        if now == before:
            return now
        before = now
        time.sleep(0.05)


def calls() -> dict[str, Callable[[], object]]:
    """By name, what must wake none of them: with so many columns that each did."""
    import mixtura

    rng, D = np.random.default_rng(0), 100
    X = np.r_[rng.normal(size=(300, D)), rng.normal(size=(300, D)) + 2] * np.linspace(0.5, 2, D)
    model = mixtura.GaussianMixture(2, random_state=0, max_iter=2).fit(X)
    few, mixture = X[:, :40], model.mixture_
    start = mixtura.start(few, 2, random_state=0)

    def fit(columns: np.ndarray = X, **parameters: object) -> None:
        mixtura.GaussianMixture(2, random_state=0, max_iter=4, **parameters).fit(columns)  # type: ignore[arg-type]

    def steps() -> None:
        for step in mixtura.iterate(X, mixture):
            if step.number == 2:
                break

    def report() -> None:
        selection = mixtura.select(few, [1, 2], ["tied", "evv"], random_state=0)
        with tempfile.TemporaryDirectory() as folder:
            mixtura.report.write(selection, few, f"{folder}/report.html")

    return {
        **{family: lambda family=family: fit(covariance_type=family) for family in ("tied", "vee", "eev", "vev", "evv", "factor:5", "ppca:3")},
        **{family: lambda family=family: fit(few, covariance_type=family) for family in ("eve", "vve")},
        **{rule: lambda rule=rule: fit(rule=rule) for rule in ("em", "map", "lbfgs", "gradient", "natural", "online")},
        "bayesian": lambda: mixtura.BayesianGaussianMixture(n_components=3, random_state=0, max_iter=4).fit(X),
        "collapsed": lambda: mixtura.GaussianMixture(5, random_state=0, max_iter=2).fit(X[:200]),
        "partial_fit": lambda: mixtura.GaussianMixture(2, rule="online", random_state=0).partial_fit(X).partial_fit(X),
        "predict": lambda: (model.predict(X), model.predict_proba(X), model.score_samples(X), model.bic(X), model.sample(100)),
        "mixture": lambda: (mixture.score(X), mixture.classification(X), mixture.marginal(range(60)), mixture.condition(range(60), X[0, :60])),
        "textbook loop": lambda: (list(mixtura.gradients(mixture, statistics := mixtura.sweep(mixture, X))), update(mixture, statistics)),
        "adapt": lambda: mixtura.adapt(mixture, X),
        "start": lambda: mixtura.start(X, 3, random_state=0),
        "iterate": steps,
        "fit": lambda: mixtura.fit(few, start, max_steps=4),
        "select and report": report,
        "test": lambda: mixtura.likelihood_ratio_test(few, 1, "tied", n_bootstrap=1, alpha=0.5, max_iter=3, random_state=0, n_jobs=1),
    }


def update(mixture: object, statistics: object) -> None:
    """One turn of the loop by hand."""
    import mixtura

    rule = mixtura.rules.EM()
    rule.update(mixture, statistics, rule.initial(mixture))  # type: ignore[arg-type]


def main() -> None:
    """Raises AssertionError with the name of the call that woke one."""
    warnings.simplefilter("ignore")
    threads = blas_threads()
    before = spent(threads)
    BIG @ BIG
    if spent(threads) == before:
        print("skipped: BLAS has no threads of its own here that tell what they spend")
        return
    for name, call in calls().items():
        before = spent(threads)
        call()
        assert spent(threads) == before, f"{name} woke a thread of BLAS"
    BIG @ BIG
    assert spent(threads) != before, "the threads were not given back"
    print("slept")


if __name__ == "__main__":
    main()
