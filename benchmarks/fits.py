"""Whole fits beside scikit-learn's: how long they take and how good the mixtures are that they end at."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.mixture import GaussianMixture

import mixtura
from benchmarks import data
from benchmarks.measuring import Result, Turn, alternate, ratio, seconds_of, tell, timed

GRID = (range(1, 10), ("full", "tied", "diag", "spherical"))
TOLERANCE = 0.01  # nats per row that a default fit may lack
LOOSE = {"tol": 1e-7, "n_init": 10, "max_iter": 100_000}  # scikit-learn's reference: it ends because it converged


def iris(quick: bool) -> Result:
    """Default fits of iris with K = 3, by both, warm, a seed a round."""
    X = datasets.load_iris().data
    seeds = range(5 if quick else 10)
    rounds = len(seeds) * (2 if quick else 10)

    def turn(model: Callable[..., Any]) -> Turn:
        order = cycle(seeds)
        return lambda: timed(lambda: model(3, random_state=next(order)).fit(X))[0]

    turns = {"mixtura": turn(mixtura.GaussianMixture), "scikit-learn": turn(GaussianMixture)}
    timings = alternate(turns, dict.fromkeys(turns, rounds))
    ms = {name: timing.median * 1e3 for name, timing in timings.items() if timing.median}
    times = ratio(timings["scikit-learn"], timings["mixtura"])
    line = f"iris, K=3, default fit, warm: mixtura {ms['mixtura']:.2f} ms, scikit-learn {ms['scikit-learn']:.2f} ms, {times:.2f} times faster"
    return Result({"ms": ms, "ratio": times, "rounds": rounds, "seeds": len(seeds)}, [f"{line} (medians of {rounds}, {len(seeds)} seeds)"])


def faithful(quick: bool) -> Result:
    """Old Faithful, K = 1 to 9 in four families: `mixtura.select` beside a loop of scikit-learn's default fits. BIC has mclust's sign."""
    X = data.old_faithful()
    found: dict[str, tuple[float, str, int]] = {}

    def ours() -> None:
        best = mixtura.select(X, *GRID, random_state=0).ranking[0]
        found["mixtura"] = best.bic, best.family.name, best.components

    def theirs() -> None:
        models = [GaussianMixture(K, covariance_type=family, random_state=0).fit(X) for family in GRID[1] for K in GRID[0]]
        found["scikit-learn"] = max((-float(one.bic(X)), one.covariance_type, one.n_components) for one in models)

    turns = {"mixtura": seconds_of(ours), "scikit-learn": seconds_of(theirs)}
    timings = alternate(turns, dict.fromkeys(turns, 2 if quick else 5))
    seconds = {name: timing.median for name, timing in timings.items()}
    words = [f"{name} {seconds[name]:.2f} s, best BIC {bic:.2f} ({family}, {K})" for name, (bic, family, K) in found.items()]
    times = ratio(timings["scikit-learn"], timings["mixtura"])
    best = {name: {"bic": bic, "family": family, "components": K} for name, (bic, family, K) in found.items()}
    return Result({"seconds": seconds, "ratio": times, "best": best}, [f"Old Faithful, 36 models: {'; '.join(words)}; {times:.2f} times faster"])


def large(quick: bool) -> Result:
    """The default fit of 1M x 8 with K = 16 from the same seed, and the mean log-likelihood per row of both ends, by the same code."""
    N, d, K = 100_000 if quick else 1_000_000, 8, 16
    X = data.rows(N, d, K)
    models: dict[str, Any] = {}

    def fit(name: str, model: Callable[..., Any]) -> Callable[[], None]:
        return lambda: models.update({name: model(K, random_state=0).fit(X)})

    fit("mixtura", mixtura.GaussianMixture)()
    ours, theirs = [], []
    for turn in range(3):
        ours.append(timed(fit("mixtura", mixtura.GaussianMixture))[0])
        if turn == 0:
            tell(f"  mixtura's default fit took {ours[0]:.2f} s; now scikit-learn's")
            theirs.append(timed(fit("scikit-learn", GaussianMixture))[0])
    scores = {
        "mixtura": models["mixtura"].mixture_.score(X),
        "scikit-learn": mixtura.Mixture(*(getattr(models["scikit-learn"], name) for name in ("weights_", "means_", "covariances_"))).score(X),
    }
    seconds = {"mixtura": statistics.median(ours), "scikit-learn": theirs[0]}
    steps = {name: int(model.n_iter_) for name, model in models.items()}
    words = [f"{name} {seconds[name]:.2f} s, {steps[name]} steps, score {scores[name]:.5f}" for name in seconds]
    times = seconds["scikit-learn"] / seconds["mixtura"]
    figures = {"N": N, "d": d, "K": K, "seconds": seconds, "steps": steps, "scores": scores, "ratio": times}
    return Result(figures, [f"default fit of {N} x {d}, K={K}: {'; '.join(words)}; {times:.1f} times faster"])


def quality(quick: bool) -> Result:
    """The score of default fits less that of scikit-learn's best of 10 restarts, which is found once per data set and K, with seed 0."""
    seeds = range(3 if quick else 10)
    figures: dict[str, Any] = {}
    for name in ("iris", "wine", "breast cancer"):
        X = data.standardised(name)
        for K in (3, 10):
            reference = GaussianMixture(K, random_state=0, **LOOSE).fit(X).score(X)
            differences = [float(mixtura.GaussianMixture(K, random_state=seed).fit(X).score(X) - reference) for seed in seeds]
            figures[f"{name}, K={K}"] = {"reference": float(reference), "differences": differences, "median": float(np.median(differences))}
            tell(f"  {name}, K={K}: {np.median(differences):+.4f}")
    lines = ["default fits, standardised columns: score per row less that of scikit-learn's best of 10 restarts at tol=1e-7"]
    lines += [
        f"  {case:<20} {one['median']:+.4f} (median of {len(seeds)} seeds; {min(one['differences']):+.4f} to {max(one['differences']):+.4f}; "
        f"reference {one['reference']:.4f})"
        for case, one in figures.items()
    ]
    return Result(figures, lines)
