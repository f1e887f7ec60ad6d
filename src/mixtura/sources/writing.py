"""Files written batch by batch: each format once, one class a format, one line of a table a suffix.

    .csv .tsv .txt (also .gz, .bz2, .zst)    TextFile
    .parquet .pq                             ParquetFile
    .feather .arrow .ipc                     ArrowFile
    .npy                                     NumpyFile

Batches are gathered into pieces whose length depends on the columns alone: the same rows give the same bytes, however they came. A file is
written beside its path and renamed at the end, so that it is whole or not there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from mixtura.errors import FileError
from mixtura.sources.formats import COMPRESSED, TEXT, as_file_error, bare, of_suffix
from mixtura.storage import replacing

Named = Mapping[str, Any]  # arrays of NumPy or pyarrow
PIECE = 2**24  # bytes that are gathered before they are written: those of a row group
FEW, MANY = 2**10, 2**20  # rows of a piece
UNSIZED = 512  # bits of a cell of text, for the length of a piece
ARROW_ROWS = 2**16  # rows of a record batch of an Arrow file


@contextmanager
def writing(path: str | Path) -> Iterator[Callable[[Named], None]]:
    """Something to call with each batch of named columns (n,), in order; all batches have the same columns, of the same kinds.

    The file appears under its name when the block ends. Whatever is raised in it, nothing is left and what was there before stays.
    A .npy file keeps no names: it holds the columns side by side as one array.

    Raises FileError where the suffix is unknown or the file cannot be written.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp(), "rows.csv")
    >>> with writing(place) as add:
    ...     add({"x": np.array([1.5, 2.0])})
    ...     add({"x": np.array([3.0])})
    >>> print(place.read_text().strip())
    "x"
    1.5
    2
    3
    """
    path, kind = Path(path), writer_of(path)

    def failing() -> AbstractContextManager[None]:
        return as_file_error(lambda: f"cannot write {path}", "a file that can be written; try another output")

    with replacing(path) as place:
        with failing():
            file = kind(place, bare(path).suffix.lower())
        gathered = Gathered(file)

        def add(columns: Named) -> None:
            with failing():
                gathered.add(_table(columns))

        try:
            yield add
            with failing():
                gathered.end()
        except BaseException:
            with suppress(OSError, ValueError):  # what went wrong is told already, and the file goes
                file.close()
            raise


def write(path: str | Path, columns: Named) -> None:
    """Writes named columns (N,) in the format that the suffix says; the file is whole or not there.

    A .npy file keeps no names: it holds the columns side by side as one array.

    Raises FileError where the suffix is unknown or the file cannot be written.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp(), "rows.csv")
    >>> write(place, {"x": np.array([1.5, 2.0]), "component": np.array([0, 1])})
    >>> print(place.read_text().strip())
    "x","component"
    1.5,0
    2,1
    """
    with writing(path) as add:
        add(columns)


def writer_of(path: str | Path) -> type[File]:
    """What writes a file of this suffix. Raises FileError for an unknown one, which is better told before the work than after."""
    path = Path(path)
    beneath = bare(path)
    if beneath != path and beneath.suffix.lower() not in TEXT:
        raise FileError(f"cannot write {path}: got {path.suffix!r} after {beneath.suffix!r}, expected it after {', '.join(TEXT)}; try without it")
    return of_suffix(beneath, WRITERS, f"cannot write {path}")


class File(ABC):
    """A file under way at `place`, which is told its columns by the first piece; `suffix` is that of its format."""

    def __init__(self, place: Path, suffix: str):
        import pyarrow

        compression = place.suffix.lower() in COMPRESSED
        self.suffix = suffix
        self.sink = pyarrow.output_stream(str(place), compression="detect" if compression else None)

    @abstractmethod
    def write(self, piece: Any) -> None:
        """Goes on with a table, whose columns are each of one chunk."""

    @abstractmethod
    def end(self) -> None:
        """What comes after the last piece."""

    def close(self) -> None:
        """Nothing more is written."""
        self.sink.close()


class TextFile(File):
    """Comma-separated for .csv, with tabs for the others; a header of names."""

    writer: Any = None

    def write(self, piece: Any) -> None:
        """Lines of text."""
        from pyarrow import csv

        if self.writer is None:
            self.writer = csv.CSVWriter(self.sink, piece.schema, write_options=csv.WriteOptions(delimiter="," if self.suffix == ".csv" else "\t"))
        self.writer.write_table(piece)

    def end(self) -> None:
        """The text ends."""
        self.writer.close()


class ParquetFile(File):
    """One row group a piece."""

    writer: Any = None

    def write(self, piece: Any) -> None:
        """A row group."""
        from pyarrow import parquet

        if self.writer is None:
            self.writer = parquet.ParquetWriter(self.sink, piece.schema)
        self.writer.write_table(piece, row_group_size=max(1, len(piece)))

    def end(self) -> None:
        """The footer, which says where the row groups are."""
        self.writer.close()

    def close(self) -> None:
        """A writer that is left open would write its footer whenever it is collected."""
        if self.writer is not None:
            self.writer.is_open = False
        super().close()


class ArrowFile(File):
    """Feather's file of record batches, compressed where this build of pyarrow can."""

    writer: Any = None

    def write(self, piece: Any) -> None:
        """Record batches."""
        import pyarrow
        from pyarrow import ipc

        if self.writer is None:
            codec = "lz4" if pyarrow.Codec.is_available("lz4") else None
            self.writer = ipc.new_file(self.sink, piece.schema, options=ipc.IpcWriteOptions(compression=codec))
        self.writer.write_table(piece, max_chunksize=ARROW_ROWS)

    def end(self) -> None:
        """The footer."""
        self.writer.close()


class NumpyFile(File):
    """Columns side by side, of the dtype that holds all of them. NumPy's header has room for any number of rows, which is filled in at the end."""

    n_rows = 0
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any]

    def __init__(self, place: Path, suffix: str):
        super().__init__(place, suffix)
        self.place = place

    def write(self, piece: Any) -> None:
        """Rows, one after the other."""
        columns = [_plain(name, column) for name, column in zip(piece.column_names, piece.columns, strict=True)]
        if not self.shape:
            self.dtype, self.shape = np.result_type(*columns), (len(columns),)
            self.sink.write(self._header())
        self.sink.write(np.ascontiguousarray(np.column_stack(columns), self.dtype))
        self.n_rows += len(piece)

    def end(self) -> None:
        """The header again, now that the number of rows is known."""
        self.sink.close()
        with self.place.open("r+b") as file:
            file.write(self._header())

    def _header(self) -> bytes:
        from io import BytesIO

        header = BytesIO()
        facts = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.n_rows, *self.shape)}
        np.lib.format.write_array_header_1_0(header, facts)
        return header.getvalue()


class Gathered:
    """Batches that become pieces of one length, which depends on the columns alone, for a file."""

    def __init__(self, file: File):
        self.file = file
        self.waiting: list[Any] = []
        self.schema: Any = None
        self.length = 0
        self.held = 0

    def add(self, table: Any) -> None:
        """Goes on with a batch."""
        import pyarrow

        if self.schema is None:
            self.schema, self.length = table.schema, _piece_rows(table.schema)
        self.waiting.append(table.cast(self.schema))
        self.held += len(table)
        if self.held >= self.length:
            last = self.held // self.length * self.length
            whole = pyarrow.concat_tables(self.waiting)
            for first in range(0, last, self.length):
                self.file.write(whole.slice(first, self.length).combine_chunks())
            self.held -= last
            self.waiting = [whole.slice(last)]

    def end(self) -> None:
        """Writes what is left, a piece that may be shorter, and ends the file."""
        import pyarrow

        if self.schema is None:
            raise ValueError("no columns were given")
        self.file.write(pyarrow.concat_tables(self.waiting).combine_chunks())
        self.file.end()
        self.file.close()


WRITERS: dict[str, type[File]] = {
    **dict.fromkeys(TEXT, TextFile),
    **dict.fromkeys((".parquet", ".pq"), ParquetFile),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), ArrowFile),
    ".npy": NumpyFile,
}


def _table(columns: Named) -> Any:
    import pyarrow

    arrow = (pyarrow.Array, pyarrow.ChunkedArray)
    return pyarrow.table({name: column if isinstance(column, arrow) else np.ascontiguousarray(column) for name, column in columns.items()})


def _piece_rows(schema: Any) -> int:
    """How many rows a piece has."""
    bits = sum(_bits(kind) for kind in schema.types)
    return int(min(max(8 * PIECE // max(bits, 1), FEW), MANY))


def _bits(kind: Any) -> int:
    try:
        return int(kind.bit_width)
    except ValueError:
        return UNSIZED


def _plain(name: str, column: Any) -> Any:
    """A column as numbers of NumPy; nulls become NaN."""
    numbers = column.to_numpy()
    if numbers.dtype.kind not in "fiub":
        raise FileError(
            f"cannot write column {name!r} as numbers: got {column.type}, expected numbers, as in every column of a .npy file; try .parquet"
        )
    return numbers
