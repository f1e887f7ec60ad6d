"""Rows in memory (or memory-mapped): a NumPy array cut into equal blocks, worked on by threads.

The kernels release the interpreter lock, so plain threads run at full speed and nothing is copied but the blocks in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.checking import short
from mixtura.errors import DataError, ParameterError
from mixtura.sources.digests import digest
from mixtura.sources.lazy import LazyRows
from mixtura.sources.processors import asked, in_words, n_threads
from mixtura.sources.source import Source
from mixtura.sources.tasks import Block
from mixtura.sources.workers import map_in_order, sum_in_order

S = TypeVar("S")
ALONE = 2_048  # rows up to which there is one block: waking threads would cost more than they save
LEAST, MOST = 1_024, 65_536  # rows per block
NUMBERS, MOST_NUMBERS = 40_000, 2**21  # in a block: at least, that handing it out costs a few hundredths of the work; at most, 16 MB
SHOWN = 1_024  # rows by which a fingerprint tells arrays apart that have one profile: the same rows in another order, say
BLOCKS = 32  # enough to keep many threads busy, few enough that adding up their sums is nothing


class ArraySource(Source):
    """The rows of an array (N, D) of float64 or float32 (anything else becomes float64), with weights (N,) or None.

    `n_jobs` threads share the blocks: None takes every processor that this process may use, or its share of them (`processors`).

    Raises DataError for an array that is not two-dimensional, empty or not numeric, and for weights that are not N finite numbers >= 0.
    """

    where: Callable[[int], str] | None = None

    def __init__(self, X: ArrayLike | LazyRows, weights: ArrayLike | None = None, columns: Sequence[str] | None = None, n_jobs: int | None = None):
        self.X = X if isinstance(X, LazyRows) else as_rows(X)
        D = self.X.shape[1]
        self.named = columns is not None
        self.columns = tuple(f"x{j}" for j in range(D)) if columns is None else tuple(columns)
        if len(self.columns) != D:
            raise ParameterError(f"the names do not fit the columns: got {len(self.columns)} names, expected {D}; try columns=None")
        self.dtype = self.X.dtype
        self.weights = None if weights is None else as_weights(weights, self.n_rows)
        self.n_jobs = asked(n_jobs)

    @property
    def n_rows(self) -> int:
        """How many rows, those of weight zero among them."""
        return int(self.X.shape[0])

    @property
    def engine(self) -> str:
        """So many threads."""
        return in_words(n_threads(self.n_jobs))

    @property
    def fingerprint(self) -> str:
        """Shape, columns, and digests of the profile, in which every value counts, and of some rows with their weights."""
        some = np.unique(np.linspace(0, self.n_rows - 1, SHOWN).astype(np.intp))
        shown = digest(np.asarray(self.X[some]), None if self.weights is None else self.weights[some])
        profile = digest(self.profile)
        assert shown is not None and profile is not None
        kind = f"array of {self.X.shape} {self.dtype}{' with weights' * (self.weights is not None)}"
        return "\n".join([kind, f"columns {', '.join(self.columns)}", f"profile {profile.hex()}", f"rows {shown.hex()}"])

    def reduce(self, task: Callable[[Block], S]) -> S:
        """The sum of task(block) over all blocks, added in row order."""
        return sum_in_order(lambda bounds: task(self._block(*bounds)), self._bounds, self.n_jobs)

    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """task(block) for every block, in row order, after checking that its rows are finite."""
        checked = self.checked
        return map_in_order(lambda bounds: task(checked(self._block(*bounds))), self._bounds, self.n_jobs)

    def place(self, row: int) -> str:
        """Where a row lies, for a message: in the file that it was read from, where it was."""
        return f"row {row}" if self.where is None else self.where(row)

    def take(self, rows: NDArray[np.intp]) -> ArraySource:
        """The rows of these numbers; the source itself where these are all."""
        return self if len(rows) == self.n_rows else self._chosen(rows)

    def batches(self, rows: int, seed: Sequence[int]) -> Iterator[Source]:
        """All rows of positive weight once, shuffled by the seed, in equal mini-batches of at most so many; they share these rows' profile."""
        order = self._shuffled(seed)
        for chosen in np.array_split(order, -(-len(order) // rows)):
            batch = self._chosen(np.sort(chosen))
            batch.profile = self.profile
            yield batch

    def folds(self, count: int, seed: Sequence[int]) -> Iterator[tuple[Source, Source]]:
        """All rows of positive weight, shuffled by the seed and dealt into so many equal parts: of each part the other rows, and the part."""
        order = self._shuffled(seed)
        for held in np.array_split(order, count):
            yield self._chosen(np.setdiff1d(order, held, assume_unique=True)), self._chosen(np.sort(held))

    def _shuffled(self, seed: Sequence[int]) -> NDArray[np.intp]:
        order = np.arange(self.n_rows) if self.weights is None else np.flatnonzero(self.weights)
        np.random.default_rng(seed).shuffle(order)
        return order

    def _chosen(self, rows: NDArray[np.intp]) -> ArraySource:
        weights = None if self.weights is None else self.weights[rows]
        return ArraySource(self.X[rows], weights, self.columns if self.named else None, self.n_jobs)

    @property
    def _bounds(self) -> list[tuple[int, int]]:
        return list(pairwise(block_bounds(self.n_rows, self.D)))

    def _block(self, start: int, stop: int) -> Block:
        return Block(start, self.X[start:stop], None if self.weights is None else self.weights[start:stop])


def block_bounds(n_rows: int, D: int) -> list[int]:
    """Where the blocks start and end: one, or an even number of equal blocks, a function of the shape of the rows alone."""
    if n_rows <= ALONE:
        return [0, n_rows]
    least = max(LEAST, NUMBERS // D)
    count = max(min(-(-n_rows // least), BLOCKS), -(-n_rows // most_rows(D)))
    if count > 1:
        count += count % 2
    return [n_rows * i // count for i in range(count + 1)]


def most_rows(D: int) -> int:
    """Rows of a block at most: of blocks that are copies, several are held at once."""
    return max(LEAST, min(MOST, MOST_NUMBERS // D))


def as_rows(X: ArrayLike) -> NDArray[Any]:
    """An array (N, D) of float64 or float32, itself where it is one. Raises DataError for anything else."""
    array = as_array(X)
    if array.ndim == 1 and array.dtype.kind in "fiub":
        raise DataError(f"the data have one dimension: got shape {array.shape}, expected (rows, columns); try X[:, None] for one column")
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] == 0:
        raise DataError(f"the data are not a table: got shape {array.shape}, expected (rows, columns), neither zero; try X.reshape(n, -1)")
    if array.dtype in (np.float64, np.float32) and array.dtype.isnative:
        return array
    if has_times(array):
        raise DataError(f"the data are not numbers: got dtype {array.dtype} with dates or times, expected float64 or float32; try seconds")
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what float64 does not hold is infinite, and refused as that
            return array.astype(np.float64, casting="unsafe" if array.dtype.kind in "iubfO" else "same_kind")
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"the data are not numbers: got dtype {array.dtype} ({error}), expected float64 or float32; try X.astype(float)") from None


def has_times(array: NDArray[Any]) -> bool:
    """Whether an array holds dates or times, which NumPy would count as numbers, in days or nanoseconds."""
    return array.dtype.kind in "mM" or (array.dtype == object and any(isinstance(cell, np.datetime64 | np.timedelta64) for cell in array.flat))


def unmasked(X: Any) -> Any:
    """X itself, or where it is an array with masked numbers, NaN in their place."""
    if isinstance(X, np.ma.MaskedArray) and (mask := np.ma.getmaskarray(X)).any():
        return np.where(mask, np.nan, _numbers("the data", X.data))
    return X


def as_array(X: ArrayLike) -> NDArray[Any]:
    """X as an array. Raises DataError where it is none."""
    try:
        return np.asarray(unmasked(X))
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"the data are not a table: got {short(X)} ({error}), expected rows of equally many numbers; try numpy.asarray") from None


def _numbers(what: str, value: Any) -> NDArray[np.float64]:
    """The value as float64. Raises DataError where it is not numbers."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{what} are not numbers: got {short(value)} ({error}), expected numbers that float64 holds; try numpy.asarray(..., float)"
        ) from None


def as_weights(weights: ArrayLike, n_rows: int) -> NDArray[np.float64]:
    """Weights (N,) of rows. Raises DataError for anything but finite numbers >= 0, not all zero."""
    array = _numbers("weights", weights)
    if array.ndim == 0:
        array = np.full(n_rows, float(array))
    if array.shape != (n_rows,):
        raise DataError(f"sample_weight does not fit the data: got shape {array.shape}, expected ({n_rows},); try one weight per row")
    if not np.isfinite(array).all() or (array < 0).any():
        row = int(np.flatnonzero(~(np.isfinite(array) & (array >= 0)))[0])
        raise DataError(f"a weight is not usable: got {array[row]} in row {row}, expected a finite number >= 0; try removing the row")
    if not array.any():
        raise DataError("all weights are zero: got no row of positive weight, expected at least one; try sample_weight=None")
    return array
