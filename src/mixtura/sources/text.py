"""How a text file of rows is written down: its delimiter, its decimal mark, its quotes, read from its first lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mixtura.errors import FileError

HEAD = 1 << 20  # bytes from which the layout is read
LINES = 50  # lines of them that are looked at
DELIMITERS = "\t;|, "  # the rarer inside cells, the earlier it is believed
DECIMAL = re.compile(r"\s*[-+]?\d*([.,])\d+\s*")  # a number with a decimal mark


class Layout(NamedTuple):
    """How a text file is written; a delimiter " " stands for any run of blanks."""

    encoding: str
    delimiter: str
    decimal_point: str
    quoted: bool


def layout(path: Path | str, filesystem: Any = None) -> Layout:
    """The delimiter is the first that cuts all lines into equally many cells, more than one; a file of one column takes the comma.

    Raises FileError where the file is blank or no text.
    """
    encoding, lines = first_lines(path, filesystem)
    try:
        delimiter = next((mark for mark in DELIMITERS if _fits(mark, lines)), ",")
        cells = [cell for row in list(_rows(delimiter, lines))[1:] for cell in row]
    except csv.Error as error:  # a cell beyond csv.field_size_limit()
        raise FileError(f"cannot read {path} as text: {error}; expected shorter cells; try leaving out the column of long ones, or Parquet") from None
    marks = {found.group(1) for cell in cells if (found := DECIMAL.fullmatch(cell))}
    return Layout(encoding, delimiter, "," if marks == {","} and delimiter != "," else ".", any('"' in line for line in lines))


def first_lines(path: Path | str, filesystem: Any = None) -> tuple[str, list[str]]:
    """The encoding, and the first lines that are not blank, decompressed where the suffix says so."""
    import pyarrow

    opened = pyarrow.input_stream(str(path), compression="detect") if filesystem is None else filesystem.open_input_stream(str(path))
    with opened as stream:
        head = stream.read(HEAD)
    whole = head if len(head) < HEAD else head[: head.rfind(b"\n")]
    encoding, text = _decoded(whole)
    if "\0" in text:
        raise FileError(f"cannot read {path} as text: got a zero byte, expected UTF-8; try saving it as UTF-8, or the suffix of its true format")
    if not text.strip():
        raise FileError(f"cannot read {path}: got only blank lines, expected a header and rows; try another file")
    return encoding, [line for line in text.splitlines() if line.strip()][:LINES]


def squeezed(path: Path) -> Any:
    """All bytes of a file that is aligned with blanks, each run of them made one: something pyarrow reads."""
    import pyarrow

    with pyarrow.input_stream(str(path), compression="detect") as stream:
        return pyarrow.BufferReader(b"\n".join(b" ".join(line.split()) for line in stream.read().splitlines()))


def _decoded(head: bytes) -> tuple[str, str]:
    """Text that is not UTF-8 is taken for Latin-1, which knows every byte: older spreadsheets write it, and numbers look the same."""
    try:
        return "utf8", head.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "latin1", head.decode("latin1")


def _fits(delimiter: str, lines: list[str]) -> bool:
    widths = {len(row) for row in _rows(delimiter, lines)}
    return len(widths) == 1 and widths.pop() > 1


def _rows(delimiter: str, lines: list[str]) -> Iterator[list[str]]:
    ready = [" ".join(line.split()) for line in lines] if delimiter == " " else lines
    return csv.reader(ready, delimiter=delimiter, skipinitialspace=True)
