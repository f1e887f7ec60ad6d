"""Files of rows that are read for every pass, through pyarrow's datasets: one file or many, local or wherever pyarrow's filesystems reach.

    Parquet, Arrow/Feather    the number of rows is known from the files; blocks and sums have the bits that an array of them would have
    CSV                       the first pass counts; columns are told by the first block of the first file

Files are looked at before and after every pass: one that changes between two is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError, FileError
from mixtura.properties import cached_property
from mixtura.sources import tables, text
from mixtura.sources.files import UNNAMED, as_file_error
from mixtura.sources.processors import n_threads
from mixtura.sources.streams import StreamSource

FORMATS = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), "ipc"),
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
}
BATCH = 65_536  # rows that pyarrow hands over at a time
FEW = 2  # threads that one can feed with decoded columns
AHEAD = 4  # batches that it reads ahead
READING = "cannot go on reading {}"
BUFFER = 2**18  # bytes of a column of a Parquet file that are read at a time
CSV_BLOCK = 2**22  # bytes of text parsed at a time


class Files(NamedTuple):
    """Files of one format in one filesystem, in order, as they were when they were opened; `names` are their paths as they were given."""

    filesystem: Any
    paths: tuple[str, ...]
    names: tuple[str, ...]
    format: str
    states: tuple[tuple[int, int | None], ...]  # size, and time of the last change in ns where the filesystem says

    @property
    def n_bytes(self) -> int:
        """What they take together."""
        return sum(size for size, _ in self.states)

    def require_unchanged(self) -> None:
        """Raises FileError where a file is not as it was."""
        for name, before, now in zip(self.names, self.states, states(self.filesystem, self.paths), strict=True):
            if before != now:
                raise FileError(
                    f"{name} changed between two passes: got {_state(now)}, expected {_state(before)} as when it was opened; "
                    "try again with files that nobody writes to"
                )


class DatasetSource(StreamSource):
    """The chosen columns of files, or all numeric ones, read batch by batch in every pass; `weight` names a column of row weights.

    Raises FileError where a file cannot be read, DataError for unknown columns, text in a chosen one, and files that do not agree.
    """

    order = "F"
    apart = False  # what a thread has just decoded lies in its cache

    def __init__(self, files: Files, columns: Sequence[str] | None, weight: str | None, n_jobs: int | None):
        super().__init__(n_jobs)
        self.files = files
        self.named = True
        self.weighted = weight is not None
        self.weight = weight
        self.n_bytes = files.n_bytes
        with self._failing("cannot read {}"):
            self._dataset, self._fragments = self._opened(columns)
            schema = self._dataset.schema
            self.columns, self.skipped = self._chosen(schema, columns)  # names that are not UTF-8 are found only now
        self.dtype = np.dtype(np.float32 if all(str(schema.field(name).type) == "float" for name in self.columns) else np.float64)
        self._require_agreement()
        many = f"{len(files.paths)} files, the first " if len(files.paths) > 1 else ""
        self.origin = f"{many}{files.names[0]}, read in every pass"

    @property
    def fingerprint(self) -> str:
        """Paths, sizes, times and columns."""
        facts = [f"{path} {size} {time}" for path, (size, time) in zip(self.files.paths, self.files.states, strict=True)]
        return "\n".join([*facts, f"columns {', '.join(self.columns)}", f"weight {self.weight}"])

    def known_rows(self) -> int | None:
        """What the files say of themselves; text files say nothing."""
        return None if self.files.format == "csv" else self._starts[-1]

    def pieces(self) -> Iterator[Any]:
        """Record batches, in order, with nothing but the columns that are needed."""
        self.files.require_unchanged()
        yield from self._locally() if self._streams else self._scanned()
        self.files.require_unchanged()

    @property
    def _wanted(self) -> list[str]:
        return list(dict.fromkeys([*self.columns, *([] if self.weight is None else [self.weight])]))

    @property
    def _streams(self) -> bool:
        """Whether files are decoded page by page, in the memory of a few pages; a scanner decodes some row groups ahead, which hides a network."""
        return self.files.format == "parquet" and self.files.filesystem.type_name == "local"

    def _locally(self) -> Iterator[Any]:
        from pyarrow import parquet

        for path, name in zip(self.files.paths, self.files.names, strict=True):
            with self._failing(READING, lambda name=name: name), parquet.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
                yield from file.iter_batches(batch_size=BATCH, columns=self._wanted, use_threads=n_threads(self.n_jobs) > FEW)

    def _scanned(self) -> Iterator[Any]:
        scanner = self._dataset.scanner(columns=self._wanted, batch_size=BATCH, batch_readahead=AHEAD, fragment_readahead=1)
        called = dict(zip(self.files.paths, self.files.names, strict=True))
        name = self.files.names[0]
        with self._failing(READING, lambda: name):
            for tagged in scanner.scan_batches():
                name = called.get(tagged.fragment.path, tagged.fragment.path)
                yield tagged.record_batch

    def fill(self, piece: Any, first: int, rows: NDArray[Any], weights: NDArray[np.float64]) -> None:
        """Columns stay columns: the kernels read a table either way, and copying them is five times as fast as turning them into rows."""
        batch = piece.slice(first, len(rows))
        for j, name in enumerate(self.columns):
            rows[:, j] = _numbers(batch.column(name), self.dtype)
        if self.weight is not None:
            weights[:] = _numbers(batch.column(self.weight), np.dtype(np.float64))

    def place(self, row: int) -> str:
        """File, row group and row within it."""
        if self.files.format == "csv":
            return f"row {row}" + (f" of {self.files.names[0]}" if len(self.files.paths) == 1 else f" of {len(self.files.paths)} files")
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        name, within = self.files.names[number], row - self._starts[number]
        group = self._row_group(number, within)
        whole = f" (row {row} of all files)" if len(self.files.paths) > 1 else ""
        return f"row {within} of {name}{group}{whole}"

    def _row_group(self, number: int, row: int) -> str:
        if self.files.format != "parquet":
            return ""
        metadata = self._fragments[number].metadata
        ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
        return f", row group {int(np.searchsorted(ends, row, side='right'))}"

    @cached_property
    def _starts(self) -> list[int]:
        """The number of the first row of each file, and of all rows."""
        counts = []
        for name, fragment in zip(self.files.names, self._fragments, strict=True):
            with self._failing("cannot read {}", lambda name=name: name):
                counts.append(fragment.count_rows())
        return [0, *accumulate(counts)]

    def _opened(self, columns: Sequence[str] | None) -> tuple[Any, list[Any]]:
        import pyarrow
        from pyarrow import dataset

        kind: Any = self.files.format
        schema = None
        if kind == "csv":
            kind, schema = self._text(columns)
        made = dataset.dataset(list(self.files.paths), schema=schema, format=kind, filesystem=self.files.filesystem)
        fragments = list(made.get_fragments())
        if self.files.format != "csv" and any(str(pyarrow_type) == "null" for pyarrow_type in made.schema.types):
            made = made.replace_schema(pyarrow.unify_schemas([fragment.physical_schema for fragment in fragments], promote_options="permissive"))
        return made, fragments

    def _text(self, columns: Sequence[str] | None) -> tuple[Any, Any]:
        """How the text is written, and its schema, with float64 for every column that begins with numbers."""
        import pyarrow
        from pyarrow import csv, dataset

        layout = text.layout(self.files.paths[0], self.files.filesystem)
        if layout.delimiter == " ":
            raise FileError(
                f"cannot read {self.files.names[0]} in passes: got columns aligned with blanks, expected a delimiter; try in_memory=True, or Parquet"
            )
        parse = csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=layout.quoted)
        read = csv.ReadOptions(encoding=layout.encoding, block_size=CSV_BLOCK)
        convert = csv.ConvertOptions(decimal_point=layout.decimal_point, strings_can_be_null=True)

        def kind(convert: Any) -> Any:
            return dataset.CsvFileFormat(parse_options=parse, read_options=read, convert_options=convert)

        seen = dataset.dataset(list(self.files.paths[:1]), format=kind(convert), filesystem=self.files.filesystem).schema
        chosen = columns or ()
        fields = [field.with_type(pyarrow.float64()) if _is_number(field.type) or field.name in chosen else field for field in seen]
        schema = pyarrow.schema(fields)
        convert.column_types = schema
        return kind(convert), schema

    def _chosen(self, schema: Any, columns: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns to read, and those that were left out because they hold no numbers."""
        known = [name for name in schema.names if name not in UNNAMED or name in (columns or ())]
        if twice := [name for name in dict.fromkeys(known) if known.count(name) > 1]:
            raise DataError(f"column {twice[0]!r} is there twice: got {tables.listing(known)}, expected different names; try renaming one")
        if self.weight is not None:
            tables.choose(known, [self.weight])
        numeric = [name for name in known if _is_number(schema.field(name).type)]
        if columns is not None:
            chosen = tables.choose(known, columns)
            for name in chosen:
                self._require_number(schema, name, self.files.names[0])
            return chosen, ()
        rest = [name for name in numeric if name != self.weight]
        if not rest:
            raise DataError(f"no column is numeric: got {tables.listing(known)}, expected at least one column of numbers; try converting one")
        return tuple(rest), tuple(name for name in known if name not in numeric)

    def _require_agreement(self) -> None:
        """Every file has every column, and numbers in it."""
        if self.weight is not None:
            self._require_number(self._dataset.schema, self.weight, self.files.names[0])
        for path, fragment in zip(self.files.names[1:], self._fragments[1:], strict=True):
            with self._failing("cannot read {}", lambda path=path: path):
                schema = fragment.physical_schema
            for name in (*self.columns, *([self.weight] if self.weight is not None else [])):
                if name not in schema.names:
                    raise DataError(
                        f"the files do not agree: got no column {name!r} in {path}, but {tables.listing(schema.names)}, expected the columns of "
                        f"{self.files.names[0]}; try files of one table, or columns that all have"
                    )
                self._require_number(schema, name, path)

    def _require_number(self, schema: Any, name: str, path: str) -> None:
        kind = schema.field(name).type
        if not _is_number(kind):
            raise DataError(f"column {name!r} of {path} is not numeric: got {kind}, expected numbers; try leaving it out or converting it")

    def _failing(self, failure: str, path: Any = None) -> Any:
        return as_file_error(lambda: failure.format(self.files.names[0] if path is None else path()))


def states(filesystem: Any, paths: Sequence[str]) -> tuple[tuple[int, int | None], ...]:
    """Size and time of the last change of each file. Raises FileError where one is missing or no file."""
    from pyarrow.fs import FileType

    with as_file_error(lambda: f"cannot look at {paths[0]}"):
        infos = filesystem.get_file_info(list(paths))
    for info in infos:
        if info.type != FileType.File:
            raise FileError(f"cannot read {info.path}: there is no such file; try another path")
        if info.size == 0:
            raise FileError(f"cannot read {info.path}: got an empty file, expected a header and rows; try another file")
    return tuple((info.size, info.mtime_ns) for info in infos)


def format_of(path: str) -> str | None:
    """The format that a path's suffix tells, beneath that of a compression; None for an unknown one."""
    bare = PurePosixPath(path)
    if bare.suffix.lower() in (".gz", ".bz2", ".zst"):
        bare = bare.with_suffix("")
    return FORMATS.get(bare.suffix.lower())


def _numbers(column: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A column as numbers, nulls as NaN; nothing is copied where it holds this dtype already."""
    import pyarrow

    kind = pyarrow.float32() if dtype == np.float32 else pyarrow.float64()
    if column.type != kind:
        column = column.cast(pyarrow.uint8()).cast(kind) if pyarrow.types.is_boolean(column.type) else column.cast(kind, safe=False)
    numbers: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return numbers


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind))


def _state(state: tuple[int, int | None]) -> str:
    size, time = state
    return f"{size:,} bytes" + ("" if time is None else f", changed at {np.datetime64(time, 'ns')}")
