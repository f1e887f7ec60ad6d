"""What the tests share: the reference data, rows and mixtures with nothing special about them, and the textbook's formulas as oracle."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import mixtura
from mixtura.explaining.surveying import survey
from mixtura.families import ALL, Family

FREE = tuple(family for family in ALL if family.constraint is None)  # one covariance for all, or each its own: these have coordinates
DATA = Path(__file__).parent / "data"


def reference(name: str) -> np.ndarray:
    """The rows of one of the reference data sets."""
    return np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1, ndmin=2)


def overlapping(n: int, D: int, K: int, seed: int, dtype: type = np.float64) -> np.ndarray:
    """Rows around K overlapping centres, with correlated columns of unequal units."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=2.0, size=(K, D))
    rows = centres[rng.integers(K, size=n)] + rng.normal(size=(n, D)) @ (np.eye(D) + 0.3 * rng.normal(size=(D, D)))
    return (rows * np.geomspace(0.1, 30.0, D)).astype(dtype)


def in_three_units(n: int) -> np.ndarray:
    """Rows of three columns of unequal units, in three heaps."""
    generator = np.random.default_rng(0)
    return generator.normal(size=(n, 3)) * [1, 5, 0.1] + generator.integers(0, 3, size=(n, 1)) * [4.0, 9.0, 0.5]


def halves(n: int) -> np.ndarray:
    """Weights 0, 1/2 and 1."""
    return np.random.default_rng(1).integers(0, 3, size=n) / 2


def assert_goes_on_from_half_a_log(source: Callable[[], Any], start: mixtura.Mixture, folder: Path) -> None:
    """A fit that is kept has the bits of one that is not, and so has one that goes on where half of the log was lost."""
    undisturbed = mixtura.fit(source(), start, tol=0.0, max_steps=6).log_likelihoods
    assert mixtura.fit(source(), start, tol=0.0, max_steps=6, checkpoint=folder).log_likelihoods == undisturbed
    log = folder / "sweeps.log"
    os.truncate(log, log.stat().st_size // 2)
    assert mixtura.fit(source(), start, tol=0.0, max_steps=6, checkpoint=folder).log_likelihoods == undisturbed


def assert_seen_as_the_array(source: mixtura.sources.Source, X: np.ndarray, weights: np.ndarray, folder: Path) -> None:
    """Pictures and the report count rows on a cluster as they count those of an array: the same sums, and the same rows stand out."""
    here = mixtura.open(X, source.columns, weights)
    mixture = mixtura.start(X[:40], 3, random_state=0)
    one, other = (survey(mixture, rows, least=5) for rows in (source, here))
    np.testing.assert_allclose(one.crossings, other.crossings, rtol=1e-9)
    np.testing.assert_allclose(one.least.values, other.least.values)
    drawn = [[mixtura.plots.pairs(mixture, rows, points=len(X)), mixtura.plots.uncertainty(mixture, rows, points=100)[:1]] for rows in (source, here)]
    for axes, same in zip(*drawn, strict=True):  # histograms, whose bins reach as far as rows were drawn, and bars
        counted, expected = ([_corners(patch) for ax in np.ravel(some) for patch in ax.patches] for some in (axes, same))
        assert len(counted) == len(expected) > 0
        for one_patch, other_patch in zip(counted, expected, strict=True):
            np.testing.assert_allclose(one_patch, other_patch, rtol=1e-9, atol=1e-12)
    mixtura.plots.density(mixture, source, columns=[0, 1], points=100)
    mixtura.report.write(mixture, source, folder / "report.html")
    assert f"{np.count_nonzero(weights):,} rows" in (folder / "report.html").read_text()


def _corners(patch: Any) -> np.ndarray:
    """Of a bar or a histogram, in the units of its axes."""
    return np.asarray(patch.get_patch_transform().transform(patch.get_path().vertices))


def some_mixture(family: Family, K: int, D: int, seed: int = 0, centre: float = 0.0, spread: float = 2.0) -> mixtura.Mixture:
    """A mixture of any family with nothing special about it."""
    rng = np.random.default_rng(seed)
    factors = np.eye(D) + 0.3 * rng.normal(size=(K, D, D))
    matrices = factors @ factors.swapaxes(1, 2)
    kept = family.moment.keep(matrices[0] if family.pooled else matrices) / family.moment.divisor(D)
    means = centre + spread * rng.normal(size=(K, D))
    weights = rng.dirichlet(np.full(K, 5.0))
    return mixtura.Mixture(weights, means, family.project(kept, weights, D), family)


def textbook(mixture: mixtura.Mixture, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log p(x) and posterior by the formula, component by component, in plain NumPy: the oracle."""
    X = X.astype(float)
    logits = np.empty((len(X), mixture.K))
    for k in range(mixture.K):
        centred, covariance = X - mixture.means[k], mixture.matrices[k]
        squares = np.einsum("ni,ni->n", centred, np.linalg.solve(covariance, centred.T).T)
        logits[:, k] = np.log(mixture.weights[k]) - (squares + np.linalg.slogdet(covariance)[1] + mixture.D * np.log(2 * np.pi)) / 2
    top = logits.max(axis=1, keepdims=True)
    log_density = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    return log_density, np.exp(logits - log_density[:, None])
