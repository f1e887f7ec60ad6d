"""The rows that all sides work on: drawn from a mixture of K Gaussians, each with a covariance of its own.

Means are 2 z with z standard normal; component k's rows are mean + s (I + G / (2 sqrt d)) z with G standard normal and s uniform in
[0.7, 1.3], so that correlations are moderate and variances differ; weights are equal. The start is K random rows as means with unit
covariances (`wide`: the data's) and equal weights.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

SEED = 20_260
CHUNK = 500_000  # rows drawn at a time, so that drawing needs little beside the rows
FAITHFUL = Path(__file__).resolve().parent.parent / "examples" / "old_faithful.csv"


def rows(N: int, d: int, K: int, dtype: str = "float64", seed: int = SEED) -> np.ndarray:
    """N rows of d columns from the mixture of K that belongs to (d, K, seed), in random order."""
    rng = np.random.default_rng([seed, d, K])
    means = 2 * rng.normal(size=(K, d))
    factors = (np.eye(d) + rng.normal(size=(K, d, d)) / (2 * np.sqrt(d))) * rng.uniform(0.7, 1.3, size=(K, 1, 1))
    X = np.empty((N, d), dtype)
    for first in range(0, N, CHUNK):
        part = X[first : first + CHUNK]
        component = rng.integers(K, size=len(part))
        noise = rng.normal(size=part.shape)
        for k in range(K):
            mine = component == k
            part[mine] = means[k] + noise[mine] @ factors[k].T
    return X


def start_means(X: np.ndarray, K: int) -> np.ndarray:
    """K rows, none twice, as float64."""
    return X[np.random.default_rng(SEED).choice(len(X), K, replace=False)].astype(float)


def unit_covariances(family: str, K: int, d: int) -> np.ndarray:
    """Identities, in the shape that Mixtura and scikit-learn give the family's covariances."""
    return {"full": np.tile(np.eye(d), (K, 1, 1)), "tied": np.eye(d), "diag": np.ones((K, d)), "spherical": np.ones(K)}[family]


def wide_covariances(X: np.ndarray, K: int) -> np.ndarray:
    """The covariance of all rows, for each of K components with covariances of their own: so wide that few of them win most rows."""
    return np.tile(np.cov(X.T), (K, 1, 1))


def old_faithful() -> np.ndarray:
    """Durations and waiting times of 272 eruptions (Azzalini and Bowman 1990)."""
    with FAITHFUL.open() as file:
        return np.array([[float(cell) for cell in line] for line in list(csv.reader(file))[1:]])


def standardised(name: str) -> np.ndarray:
    """iris, wine, or the first ten columns of breast cancer, every column of mean 0 and variance 1."""
    from sklearn import datasets

    X = {"iris": datasets.load_iris, "wine": datasets.load_wine, "breast cancer": datasets.load_breast_cancer}[name]().data
    X = X[:, :10] if name == "breast cancer" else X
    return np.asarray((X - X.mean(axis=0)) / X.std(axis=0))
