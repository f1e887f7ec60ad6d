"""Columns of files as they are, whatever they hold, read once in row order: what is carried beside the answers to each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mixtura.errors import DataError
from mixtura.sources import files, tables, text
from mixtura.sources.datasets import BATCH, CSV_BLOCK, format_of
from mixtura.sources.opening import located


class Opened(NamedTuple):
    """A file's columns, and what reads some of them, batch by batch."""

    columns: list[str]
    batches: Callable[[list[str]], Iterator[Any]]


class Carried:
    r"""Columns `names` of whatever paths `mixtura.open` takes, all that have a name where None; `take` gives the next rows of them.

    Raises DataError for unknown columns, FileError where a file cannot be read.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp(), "rows.csv")
    >>> _ = place.write_text("id,x\na,1\nb,2\n")
    >>> Carried(place, ["id"]).take(2)["id"].to_pylist()
    ['a', 'b']
    """

    def __init__(self, data: Any, names: Sequence[str] | None):
        self._filesystem, self._paths = located(data)
        known = self._open(self._paths[0]).columns
        self.columns = tables.choose(known, [name for name in known if name not in files.UNNAMED] if names is None else names)
        self._batches = self._read()
        self._rest: Any = None

    def take(self, n: int) -> dict[str, Any]:
        """The next n rows. Raises DataError where there are no more."""
        import pyarrow

        taken, missing = [], n
        while missing:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            if batch is None:
                raise DataError(
                    f"the rows are not the same in every pass: got {n - missing} of {n} rows more from {self._paths[-1]}, expected all of them; "
                    "try files that nobody writes to"
                )
            taken.append(batch.slice(0, missing))
            self._rest = batch.slice(missing) if len(batch) > missing else None
            missing -= len(taken[-1])
        table = pyarrow.Table.from_batches(taken)
        return dict(zip(self.columns, table.columns, strict=True))

    def _read(self) -> Iterator[Any]:
        for path in self._paths:
            with files.as_file_error(lambda path=path: f"cannot go on reading {path}"):  # type: ignore[misc]
                opened = self._open(path)
                tables.choose(opened.columns, self.columns)
                yield from opened.batches(list(self.columns))

    def _open(self, path: str) -> Opened:
        from pyarrow import fs

        with files.as_file_error(lambda: f"cannot read {path}"):
            return OPENERS[format_of(path) or PurePosixPath(path).suffix.lower()](self._filesystem or fs.LocalFileSystem(), path)


def _parquet(system: Any, path: str) -> Opened:
    from pyarrow import parquet

    file = parquet.ParquetFile(system.open_input_file(path), pre_buffer=False)
    return Opened(file.schema_arrow.names, lambda names: file.iter_batches(BATCH, columns=names))


def _arrow(system: Any, path: str) -> Opened:
    from pyarrow import ipc

    file = system.open_input_file(path)
    if files.is_stream(file):
        stream = ipc.open_stream(file)
        return Opened(stream.schema.names, lambda names: (batch.select(names) for batch in stream))
    reader = ipc.open_file(file)
    return Opened(reader.schema.names, lambda names: (reader.get_batch(number).select(names) for number in range(reader.num_record_batches)))


def _text(system: Any, path: str) -> Opened:
    from pyarrow import csv

    layout = text.layout(path, system)
    read = csv.ReadOptions(encoding=layout.encoding, block_size=CSV_BLOCK)
    parse = csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=layout.quoted)

    def opened(columns: list[str] | None) -> Any:
        convert = csv.ConvertOptions(decimal_point=layout.decimal_point, strings_can_be_null=True, include_columns=columns)
        file = text.squeezed(Path(path)) if layout.delimiter == " " else system.open_input_stream(path)
        return csv.open_csv(file, read_options=read, parse_options=parse, convert_options=convert)

    with opened(None) as reader:
        called = {files.cleaned(name): name for name in reader.schema.names}
    return Opened(list(called), lambda names: iter(opened([called[name] for name in names])))


def _numpy(system: Any, path: str) -> Opened:
    import pyarrow

    array = files.mapped(Path(path))
    number = {f"x{j}": j for j in range(array.shape[1])}

    def batches(names: list[str]) -> Iterator[Any]:
        for first in range(0, len(array), BATCH):
            some = array[first : first + BATCH]
            yield pyarrow.record_batch({name: some[:, number[name]].copy() for name in names})

    return Opened(list(number), batches)


OPENERS: dict[str, Callable[[Any, str], Opened]] = {"parquet": _parquet, "ipc": _arrow, "csv": _text, ".npy": _numpy}
