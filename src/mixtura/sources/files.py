"""Files of rows: numeric columns read out of them, one line of a table a format. `writing` writes them.

    .csv .tsv .txt (also .gz, .bz2, .zst)    _read_text
    .parquet .pq                             _read_parquet
    .feather .arrow .ipc                     _read_arrow
    .npy                                     _read_npy

Files are read whole. pyarrow, which knows the formats, is imported when a file is opened.
"""

from __future__ import annotations

import math
import struct
import tokenize
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError, FileError, MixturaWarning
from mixtura.forms import short
from mixtura.sources import tables, text
from mixtura.sources.formats import TEXT, bare, of_suffix
from mixtura.sources.formats import as_file_error as as_file_error
from mixtura.sources.writing import WRITERS as WRITERS
from mixtura.sources.writing import write as write
from mixtura.sources.writing import writer_of as writer_of

UNNAMED = ("", "__index_level_0__")  # row numbers that a data frame left behind: a column only where it is asked for
NUMPY = b"\x93NUMPY"  # how a .npy file opens
PEEK = 1_000  # cells that tell whether a column of text is one of numbers with a few mistakes


class Table(NamedTuple):
    """Numeric columns of a file: their names, rows (N, D) of float64 or float32, and the columns that were not taken.

    Where columns were chosen by name, `skipped` is empty: nobody asked for the others.
    """

    columns: tuple[str, ...]
    rows: NDArray[Any]
    skipped: tuple[str, ...]


def read(path: str | Path, columns: Sequence[str] | None = None) -> Table:
    r"""The chosen columns of a file, or all numeric ones, as one array.

    The suffix says the format; a text file may have any delimiter, a byte-order mark, quotes, decimal commas and compression. Whole
    numbers become float64, true and false 1 and 0, missing values NaN; a table of nothing but float32 stays so. A .npy file has the
    columns x0, x1, ...

    Raises FileError where the file cannot be read, DataError where it has no rows, an unknown column or text in a chosen one. Warns
    (MixturaWarning) where a column is left out for a few cells of text among numbers, and where the header looks like data.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp(), "people.csv")
    >>> _ = place.write_text("name;height\nAda;1.65\nAlan;1.78\n")
    >>> read(place)
    Table(columns=('height',), rows=array([[1.65],
           [1.78]]), skipped=('name',))
    """
    path = Path(path)
    reader = require_readable(path)
    with as_file_error(lambda: f"cannot read {path}"):
        return reader(path, columns)


def require_readable(path: Path) -> Callable[[Path, Sequence[str] | None], Table]:
    """What reads a file of this suffix. Raises FileError for an unknown one, and where there is no such file or nothing in it."""
    reader = of_suffix(bare(path), READERS, f"cannot read {path}")
    _require_file(path)
    return reader


def shape(path: Path) -> tuple[int, int]:
    """How many rows and columns of any kind a Parquet or Arrow file has."""
    import pyarrow
    from pyarrow import dataset, parquet

    with as_file_error(lambda: f"cannot read {path}"):
        if path.suffix.lower() in (".parquet", ".pq"):
            metadata = parquet.read_metadata(path)
            return metadata.num_rows, len(metadata.schema.to_arrow_schema())
        with pyarrow.memory_map(str(path)) as file:
            if is_stream(file):  # which says only at its end how long it is
                stream = pyarrow.ipc.open_stream(file)
                return sum(len(batch) for batch in stream), len(stream.schema)
        made = dataset.dataset(path, format="ipc")
        return made.count_rows(), len(made.schema)


def place(path: Path, row: int) -> str:
    """Where a row of a file lies: file, and of a Parquet file the row group."""
    group = ""
    if path.suffix.lower() in (".parquet", ".pq"):
        from pyarrow import parquet

        metadata = parquet.read_metadata(path)
        ends = np.cumsum([metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)])
        group = f", row group {int(np.searchsorted(ends, row, side='right'))}"
    return f"row {row} of {path}{group}"


def _read_text(path: Path, columns: Sequence[str] | None) -> Table:
    table = _parsed(path, text.layout(path))
    table = table.rename_columns([cleaned(name) for name in table.column_names])
    if all(tables.is_number(name) for name in table.column_names):
        warnings.warn(
            f"the first line of {path} holds only numbers and was taken for names; try adding a line of names", MixturaWarning, stacklevel=4
        )
    return _table(path, table.schema, table.num_rows, table.select, columns)


def cleaned(name: str) -> str:
    """A column's name as a text file's header means it: blanks after a comma keep quotes from being read as such."""
    return name.strip().removeprefix('"').removesuffix('"')


def _parsed(path: Path, layout: text.Layout) -> Any:
    import pyarrow
    from pyarrow import csv

    def attempt(threads: bool) -> Any:
        return csv.read_csv(
            text.squeezed(path) if layout.delimiter == " " else path,
            read_options=csv.ReadOptions(use_threads=threads, encoding=layout.encoding),
            parse_options=csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=layout.quoted),
            convert_options=csv.ConvertOptions(decimal_point=layout.decimal_point, strings_can_be_null=True),
        )

    try:
        return attempt(threads=True)
    except pyarrow.ArrowInvalid:
        return attempt(threads=False)  # fails again, and only now says in which row


def _read_parquet(path: Path, columns: Sequence[str] | None) -> Table:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        return _table(path, file.schema_arrow, file.metadata.num_rows, lambda names: file.read(columns=names), columns)


def _read_arrow(path: Path, columns: Sequence[str] | None) -> Table:
    import pyarrow
    from pyarrow import feather

    with pyarrow.memory_map(str(path)) as file:
        table = pyarrow.ipc.open_stream(file).read_all() if is_stream(file) else feather.read_table(file)
        return _table(path, table.schema, table.num_rows, table.select, columns)


def is_stream(file: Any) -> bool:
    """Whether this is an Arrow stream, which opens with no name as a file does."""
    opening = file.read(4)
    file.seek(0)
    return bool(opening == b"\xff\xff\xff\xff")


def _read_npy(path: Path, columns: Sequence[str] | None) -> Table:
    rows = mapped(path)
    names = [f"x{j}" for j in range(rows.shape[1])]
    chosen = tables.choose(names, columns or names)
    if columns is not None:
        rows = rows[:, [names.index(name) for name in chosen]]
    kept = rows.dtype in (np.float32, np.float64) and rows.dtype.isnative
    return Table(chosen, rows if kept else rows.astype(np.float64), ())


def mapped(path: Path) -> NDArray[Any]:
    """The table of numbers in a .npy file, mapped into memory. Raises FileError where it holds no array, DataError where that is no table."""
    with as_file_error(lambda: f"cannot read {path}"):
        with path.open("rb") as file:
            if file.read(len(NUMPY)) != NUMPY:
                raise FileError(f"cannot read {path}: got no NumPy array, expected one; try numpy.save")
            file.seek(0)
            shape, dtype = _npy_header(file)
            room = path.stat().st_size - file.tell()
        if not dtype.hasobject and (min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > room):
            raise FileError(f"cannot read {path}: got {room:,} bytes for shape {short(shape)} of {dtype}, expected a whole array; try another file")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
        raise DataError(f"{path} is not a table of numbers: got shape {array.shape} of {array.dtype}, expected (rows, columns); try converting it")
    rows: NDArray[Any] = array[:, None] if array.ndim == 1 else array
    _require_rows(path, len(rows), [f"x{j}" for j in range(rows.shape[1])])
    return rows


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of a .npy file. Raises ValueError for a header that is none, whatever NumPy makes of it."""
    try:
        version = np.lib.format.read_magic(file)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if reader is None:
            raise ValueError(f"got version {version} of the format, expected 1.0 or 2.0")
        with warnings.catch_warnings(action="ignore"):  # of a header that Python 2 wrote, of which numpy.load warns
            shape, _, dtype = reader(file)
        if not all(type(one) is int for one in shape):
            raise ValueError(f"shape is not valid: {shape}")
        return shape, dtype
    except (TypeError, SyntaxError, OverflowError, MemoryError, RecursionError, KeyError, AttributeError, struct.error, tokenize.TokenError) as error:
        raise ValueError(f"its header is damaged: {error}") from None


def _table(path: Path, schema: Any, n_rows: int, load: Callable[[list[str]], Any], columns: Sequence[str] | None) -> Table:
    """The columns are chosen by the schema alone, so that `load` need not read the others."""
    import narwhals as nw
    import pyarrow

    _require_rows(path, n_rows, schema.names)
    if twice := [name for name in dict.fromkeys(schema.names) if name not in UNNAMED and schema.names.count(name) > 1]:
        raise DataError(f"column {twice[0]!r} is there twice: got {tables.listing(schema.names)}, expected different names; try renaming one")
    known = [name for name in schema.names if name not in UNNAMED or name in (columns or ())]
    empty = pyarrow.Table.from_batches([], schema=schema)  # schema.empty_table() would import pandas
    kinds = nw.from_native(empty.select(known)).schema
    names = tables.choose(known, columns) if columns is not None else tables.numeric(kinds)

    def frame(names: Sequence[str]) -> Any:
        return nw.from_native(load(list(names)), eager_only=True)

    skipped = [name for name in schema.names if name not in names] if columns is None else []
    for name in skipped:
        if kinds.get(name) == nw.String:
            _warn_of_stray_text(name, frame([name])[name])
    return Table(names, tables.to_rows(frame(names), names), tuple(skipped))


def _warn_of_stray_text(name: str, column: Any) -> None:
    """A column of numbers in which a few cells are text should not be left out without a word."""
    cells = [cell for cell in column.head(PEEK) if cell is not None]
    if 2 * sum(map(tables.is_number, cells)) > len(cells) and (found := tables.first_text(column)):
        row, cell = found
        warnings.warn(
            f"column {name!r} was left out: got {cell!r} in row {row} among numbers, expected numbers only; try correcting that cell",
            MixturaWarning,
            stacklevel=5,
        )


READERS: dict[str, Callable[[Path, Sequence[str] | None], Table]] = {
    **dict.fromkeys(TEXT, _read_text),
    **dict.fromkeys((".parquet", ".pq"), _read_parquet),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), _read_arrow),
    ".npy": _read_npy,
}


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise FileError(f"cannot read {path}: got a directory, expected a file; try a file inside it")
    if not path.exists():
        raise FileError(f"cannot read {path}: there is no such file; try another path")
    if path.stat().st_size == 0:
        raise FileError(f"cannot read {path}: got an empty file, expected a header and rows; try another file")


def _require_rows(path: Path, n_rows: int, names: Sequence[str]) -> None:
    if not n_rows:
        raise DataError(f"{path} has no rows: got only the columns {tables.listing(names)}, expected at least one row; try another file")
