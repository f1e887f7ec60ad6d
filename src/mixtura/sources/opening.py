"""`open`: the source for whatever holds rows.

array, list, memory-mapped array, .npy file      ArraySource     rows in memory, or where the system maps them
pandas, polars, Arrow table                      ArraySource     a copy; where that would be large, block by block
file whose rows take up to 128 MB                ArraySource     read once
larger files, several files, other filesystems   DatasetSource   read in every pass
function or iterable that gives arrays           IterableSource  asked anew for every pass
Dask array or data frame                         DaskSource      where the partitions are
Spark data frame                                 SparkSource     where the partitions are
"""

from __future__ import annotations

import glob
import importlib
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura.checking import short
from mixtura.errors import DataError, FileError, MissingLibraryError, ParameterError
from mixtura.sources import files, tables
from mixtura.sources.arrays import ArraySource
from mixtura.sources.datasets import DatasetSource, Files, format_of, states
from mixtura.sources.iterables import IterableSource
from mixtura.sources.lazy import ChosenColumns, LazyRows, TableRows
from mixtura.sources.source import Source

LITTLE = 2**27  # bytes of rows that are copied into memory unasked
TEXT = 3  # bytes of text that a byte of rows takes, about
PACKED = 4  # the same where the text is compressed
ELSEWHERE = {"dask": "DaskSource", "pyspark": "SparkSource"}  # libraries whose collections stay where they are


def open(
    data: Any,
    columns: Sequence[str] | None = None,
    weight: str | ArrayLike | None = None,
    *,
    in_memory: bool | None = None,
    n_jobs: int | None = None,
) -> Source:
    """A source of rows: an array, a table, files, arrays that a function gives, a collection of Dask or Spark; or a source itself.

    `data` may be a path, a pattern such as "rows/*.parquet", a folder of files, a list of paths, or the URL of a filesystem that pyarrow knows (s3://,
    gs://, hdfs://). `columns` chooses columns of a table or file (all numeric ones by default); for a collection of arrays it names them.
    `weight` counts rows more or less than once: numbers (N,), or the name of a column. Files whose rows take up to 128 MB are read into
    memory, larger ones in every pass; `in_memory` decides otherwise. The source says which, as `origin`.

    Opening once saves the pass that looks for NaN and the columns' ranges when the same rows are used several times.

    Raises DataError for rows that cannot be fitted, FileError for a file that cannot be read.

    >>> import numpy as np, mixtura
    >>> source = mixtura.open(np.arange(6.0).reshape(3, 2))
    >>> source.n_rows, source.columns
    (3, ('x0', 'x1'))
    """
    if columns is not None and (
        isinstance(columns, str | bytes) or not isinstance(columns, Iterable) or not all(isinstance(one, str) for one in columns)
    ):
        raise ParameterError(f"columns are not names: got {short(columns)}, expected a list of names; try columns=['name'], or None for all")
    if isinstance(data, Source):
        if columns is not None or weight is not None:
            raise ParameterError("the rows are open already: got columns or weights besides a source, expected neither; try mixtura.open(data, ...)")
        return data
    library = type(data).__module__.partition(".")[0]
    if library in ELSEWHERE:
        source: Source = _elsewhere(library)(data, columns, weight)
        return source
    if isinstance(data, str | os.PathLike) or (isinstance(data, list | tuple) and data and all(isinstance(one, str | os.PathLike) for one in data)):
        return _of_files(data, columns, weight, in_memory, n_jobs)
    if callable(data) or (isinstance(data, Iterable) and not hasattr(data, "__len__") and not hasattr(data, "__array__")):
        if weight is not None:
            raise ParameterError("arrays that come one by one have no weights: got weight, expected None; try rows in memory or in files")
        return IterableSource(data, columns, n_jobs)
    return _of_table(data, columns, weight, n_jobs)


def _of_table(data: Any, columns: Sequence[str] | None, weight: str | ArrayLike | None, n_jobs: int | None) -> ArraySource:
    frame = tables.as_frame(data)
    if frame is None:
        if isinstance(weight, str):
            raise ParameterError(f"an array has no column of weights: got weight={short(weight)}, expected numbers; try an array of them")
        source = ArraySource(data, weight, columns, n_jobs)
        if isinstance(data, np.memmap):
            source.origin = f"array mapped from {data.filename}"
        return source
    if unnamed := [name for name in frame.columns if not isinstance(name, str)]:
        raise DataError(f"a column has no name: got {short(unnamed[0])}, expected text; try table.rename(columns=str), or table.to_numpy()")
    names = (
        tables.choose(frame.columns, columns)
        if columns is not None
        else tables.numeric(frame.schema, but=weight if isinstance(weight, str) else None)
    )
    if isinstance(weight, str):
        weight = tables.to_rows(frame, tables.choose(frame.columns, [weight]))[:, 0]
    rows = TableRows(frame, names)
    large = len(frame) * len(names) * rows.dtype.itemsize > LITTLE
    source = ArraySource(rows if large else np.asarray(rows), weight, names, n_jobs)
    source.origin = f"{frame.implementation} table"
    source.skipped = tuple(name for name in frame.columns if name not in names) if columns is None else ()
    return source


def _of_files(data: Any, columns: Sequence[str] | None, weight: str | ArrayLike | None, in_memory: bool | None, n_jobs: int | None) -> Source:
    filesystem, paths = located(data)
    if len(paths) == 1 and filesystem is None:
        path = Path(paths[0])
        files.require_readable(path)
        if path.suffix.lower() == ".npy":
            return _of_npy(path, columns, weight, n_jobs)
        small = path.stat().st_size <= _little(path)
        if in_memory or (in_memory is None and small and (format_of(str(path)) == "csv" or _rows_are_few(path, columns))):
            return _read(path, columns, weight, n_jobs)
    kinds = {format_of(path) for path in paths}
    kind = next(iter(kinds))
    if len(kinds) > 1 or kind is None:
        raise FileError(
            f"cannot read {tables.listing(paths)}: got {'several formats' if len(kinds) > 1 else 'an unknown suffix'}, expected files of one of "
            ".csv, .parquet, .feather, .arrow; try one format"
        )
    if weight is not None and not isinstance(weight, str):
        raise ParameterError(
            "weights for files that are read in passes are a column: got numbers, expected a name; try weight='name', or in_memory=True"
        )
    system, places = _filesystem(filesystem, paths)
    source = DatasetSource(Files(system, places, tuple(paths), kind, states(system, places)), columns, weight, n_jobs)
    few = source.known_rows() is not None and source.n_rows * source.D * source.dtype.itemsize <= LITTLE
    if in_memory or (in_memory is None and few):
        loaded = source.take(np.arange(source.n_rows))
        loaded.origin, loaded.skipped = source.origin.replace("read in every pass", "read into memory"), source.skipped
        loaded.where = source.place
        return loaded
    return source


def _read(path: Path, columns: Sequence[str] | None, weight: str | ArrayLike | None, n_jobs: int | None) -> ArraySource:
    wanted = columns
    if isinstance(weight, str) and columns is not None:
        wanted = [*columns, weight] if weight not in columns else columns
    names, array, skipped = files.read(path, wanted)
    numbers: Any = weight
    if isinstance(weight, str):
        numbers = array[:, names.index(tables.choose(names, [weight])[0])]
        names_kept = tuple(columns) if columns is not None else tuple(name for name in names if name != weight)
        array = np.ascontiguousarray(array[:, [names.index(name) for name in names_kept]])
        names = names_kept
    source = ArraySource(array, numbers, names, n_jobs)
    source.origin, source.skipped, source.where = f"{path}, read into memory", skipped, partial(files.place, path)
    return source


def _of_npy(path: Path, columns: Sequence[str] | None, weight: str | ArrayLike | None, n_jobs: int | None) -> ArraySource:
    array = files.mapped(path)
    if isinstance(weight, str):
        raise ParameterError(f"{path} has no column of weights: got weight={short(weight)}, expected numbers; try an array of them, or Parquet")
    names = [f"x{j}" for j in range(array.shape[1])]
    chosen = tables.choose(names, columns if columns is not None else names)
    plain = columns is None and array.dtype in (np.float32, np.float64) and array.dtype.isnative
    rows: Any = array if plain else ChosenColumns(array, [names.index(name) for name in chosen])
    if isinstance(rows, LazyRows) and rows.shape[0] * rows.shape[1] * rows.dtype.itemsize <= LITTLE:
        rows = np.asarray(rows)
    source = ArraySource(rows, weight, None if columns is None else chosen, n_jobs)
    source.origin, source.where = f"array mapped from {path}", partial(files.place, path)
    return source


def located(data: Any) -> tuple[Any, list[str]]:
    """The filesystem, None for the local one, and the files, sorted within a pattern or folder."""
    if not isinstance(data, str | os.PathLike):
        every = [located(one) for one in data]
        return every[0][0], [path for _, paths in every for path in paths]
    path = os.fspath(data)
    if "://" in path:
        return _found_by_url(path)
    if os.path.isdir(path):
        found = sorted(str(one) for one in Path(path).rglob("*") if one.is_file() and format_of(one.name) and not one.name.startswith((".", "_")))
        return None, found or _nothing(path, "a folder without data files")
    if not os.path.exists(path) and glob.has_magic(path):
        found = sorted(one for one in glob.glob(path, recursive=True) if os.path.isfile(one))
        return None, found or _nothing(path, "a pattern that no file matches")
    return None, [path]


def _found_by_url(url: str) -> tuple[Any, list[str]]:
    from pyarrow import fs

    with files.as_file_error(lambda: f"cannot reach {url}"):
        base, magic = url, ""
        if glob.has_magic(url):
            base, magic = url.rsplit("/", 1)
        filesystem, path = fs.FileSystem.from_uri(base)
        info = filesystem.get_file_info(path)
        if info.type == fs.FileType.File:
            return filesystem, [path]
        entries = filesystem.get_file_info(fs.FileSelector(path, recursive=not magic, allow_not_found=True))
    from fnmatch import fnmatch

    found = sorted(
        one.path for one in entries if one.type == fs.FileType.File and format_of(one.path) and (not magic or fnmatch(one.base_name, magic))
    )
    return filesystem, found or _nothing(url, "no data files there")


def _nothing(path: str, what: str) -> list[str]:
    raise FileError(f"cannot read {path}: got {what}, expected files of one of .csv, .parquet, .feather, .arrow; try another path")


def _filesystem(filesystem: Any, paths: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    from pyarrow import fs

    if filesystem is not None:
        return filesystem, tuple(paths)
    return fs.LocalFileSystem(), tuple(os.path.abspath(path) for path in paths)


def _little(path: Path) -> int:
    """Bytes of a file whose rows may be few."""
    if format_of(path.name) != "csv":
        return LITTLE * 4  # other columns may take more than those of numbers
    return LITTLE * TEXT if path.suffix.lower() in (".csv", ".tsv", ".txt") else LITTLE * TEXT // PACKED


def _rows_are_few(path: Path, columns: Sequence[str] | None) -> bool:
    rows, width = files.shape(path)
    return rows * (width if columns is None else len(columns)) * 8 <= LITTLE


def _elsewhere(library: str) -> Any:
    name = {"dask": "dask", "pyspark": "spark"}[library]
    try:
        return getattr(importlib.import_module(f"mixtura.sources.{name}"), ELSEWHERE[library])
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("mixtura"):
            raise
        raise MissingLibraryError(
            f"{name} collections need a library: got no {error.name}, expected it installed; try pip install 'mixtura[{name}]'"
        ) from None
