"""Rows for a picture, of which there may be more than memory holds: a sample to draw, and sums over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura import checking
from mixtura.moments import Array
from mixtura.plots.shown import Shown
from mixtura.randomness import generator_of
from mixtura.sources import Block, Source

MOST_BINS = 80
LARGEST_MARK = 6.0  # times the area of the mean one, for a row of large weight
QUANTILES = (0.001, 0.999)
BEYOND = 0.3  # of the width between these: rows further out may lie beyond the axes


class Drawn(NamedTuple):
    """Rows to draw (n, D), their component (n,), how large each mark is beside the others (n,), and what is said of the choice."""

    rows: Array
    component: NDArray[np.int64]
    areas: Array
    note: str


def drawn(seen: Shown, points: int, random_state: Any) -> Drawn:
    """At most so many rows, drawn at random; marks are as large as rows weigh, and a row of weight 0 is none.

    Raises DataError for rows that are not finite.
    """
    checking.whole("points", points, 1, 5000)
    source = seen.source
    assert source is not None
    total = source.profile.rows
    sample = source.sample(points, generator_of(random_state))
    answers = [part["component"] for part in seen.mixture.records(sample, "component", gaussians=seen.gaussians)]
    rows, component = np.asarray(sample.X, dtype=float), np.concatenate(answers)
    areas = np.ones(len(rows))
    if sample.weights is not None:
        kept = sample.weights > 0
        rows, component, weights = rows[kept], component[kept], sample.weights[kept]
        areas = np.minimum(weights / weights.mean() if len(weights) else weights, LARGEST_MARK)
    note = f"{total:,} row{'s' * (total != 1)}" if sample.n_rows >= source.n_rows else f"{len(rows):,} of {total:,} rows drawn as points, at random"
    return Drawn(rows, component, areas, note)


def views(source: Source, rows: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """From where to where each column is drawn: all that lies near most rows, and what is to be seen of the mixture, from `low` to `high` (D,)."""
    profile = source.profile
    first, last = np.quantile(rows, QUANTILES, axis=0) if len(rows) else (profile.minimum, profile.maximum)
    margin = BEYOND * (last - first)
    low = np.minimum(low, np.maximum(profile.minimum, first - margin))
    high = np.maximum(high, np.minimum(profile.maximum, last + margin))
    return low, high


def n_bins(rows: float) -> int:
    """Rice's rule: 2 n^(1/3), within reason."""
    return int(np.clip(np.ceil(2 * rows ** (1 / 3)), 8, MOST_BINS))


@dataclass(frozen=True, eq=False)
class Binned:
    """The weight of rows in equal bins from `low` to `high` (d,) of columns (d,): (d, bins)."""

    columns: tuple[int, ...]
    low: Array
    high: Array
    bins: int

    def __call__(self, block: Block) -> Array:
        """Those of the block."""
        ranges = zip(self.columns, self.low, self.high, strict=True)
        return np.array([np.histogram(block.rows[:, j], self.bins, (low, high), weights=block.weights)[0] for j, low, high in ranges], dtype=float)


def histogram(source: Source, columns: list[int], low: Array, high: Array) -> tuple[Array, Array, str]:
    """Edges (d, bins + 1) and densities (d, bins) of all rows, from one pass, and how many lie beyond the edges, where some do."""
    bins = n_bins(source.profile.rows)
    weights = source.reduce(Binned(tuple(columns), low, high, bins))
    total = source.profile.weight
    edges = np.linspace(low, high, bins + 1, axis=1)
    outside = 1 - float(weights.sum(axis=1).min()) / total
    note = f"{'< 0.1' if outside < 1e-3 else f'{100 * outside:.1f}'} % of rows lie beyond the axes" if outside > 1e-9 else ""
    return edges, weights / total / np.diff(edges, axis=1), note
