"""Data files: made valid, then changed somewhere, and read in memory and in passes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import mixtura
from benchmarks.fuzz import laws
from benchmarks.fuzz.cases import Case

FORMATS = (".csv", ".csv", ".csv", ".tsv", ".txt", ".parquet", ".feather", ".npy")
SEPARATORS = (",", ";", "\t", "|", " ", "  ", ":", ", ")
CELLS = ("", "nan", "NaN", "inf", "-inf", "oops", '"', '""', "'", "1e999", "-1e-999", "0x10", "1_000", "1,5", "--1", "1e", "\0", "\x1b[31m", "é",
"1" * 500, "=1+1",
         "null", "None", "NA", "true", "TRUE", " 1 ", "1.0.0", "١", "1" * 140_000, "\u202e", "+5", "1d5", "\r")  # fmt: skip
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-32", "utf-16-le", "cp1252")


def table(case: Case) -> None:
    """A file, read and fitted; passes see the numbers that memory sees."""
    suffix = case.one_of("suffix", FORMATS)
    n, D = int(case.draw.integers(1, 40)), int(case.draw.integers(1, 5))
    X = (case.draw.normal(size=(n, D)) * 10.0 ** case.draw.integers(-2, 5)).round(3)
    path = case.folder / f"rows{suffix}"
    content = MAKERS[suffix](case, X)
    if case.chance(0.6):
        content = damaged(case, content)
    path.write_bytes(content)
    in_passes = suffix != ".npy" and case.note("in passes", case.chance(0.4))
    source = mixtura.open(path, in_memory=False if in_passes else None)
    profile = source.profile
    case.require(np.isfinite(profile.mean).all() and profile.rows >= 1, f"a profile is numbers: got {profile}")
    mixture = mixtura.start(source, 1, "diag", random_state=0)
    laws.mixture(case, mixture)
    laws.asked(case, mixture, source, source.n_rows)
    if in_passes and case.chance(0.5):
        _same_in_memory(case, path, source)


def _same_in_memory(case: Case, path: Any, source: Any) -> None:
    """What passes read, memory reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mixtura.errors.MixturaWarning)
        try:
            here = mixtura.open(path, in_memory=True)
        except mixtura.errors.MixturaError as error:
            case.require(False, f"what passes read is read into memory: got {error}")
            return
    case.require(here.columns == source.columns, f"the same columns: got {here.columns} in memory, {source.columns} in passes")
    case.require(here.n_rows == source.n_rows, f"the same rows: got {here.n_rows} in memory, {source.n_rows} in passes")
    case.require(
        np.array_equal(here.profile.minimum, source.profile.minimum), f"the same numbers: got {here.profile.minimum}, {source.profile.minimum}"
    )


def _text(case: Case, X: np.ndarray) -> bytes:
    separator = case.one_of("separator", SEPARATORS)
    quote = case.chance(0.15)
    names = [
        ["a", "b", "c", "d"][j] if case.chance(0.9) else str(case.draw.choice(["", "a", "1", "é", 'x"y', "x y", "\x1b[31m", "a" * 300]))
        for j in range(X.shape[1])
    ]
    lines = [names, *([repr(float(x)) for x in row] for row in X)]
    if case.chance(0.2):
        lines = lines[1:]
    if case.chance(0.4):
        for _ in range(int(case.draw.integers(1, 4))):
            row = lines[int(case.draw.integers(len(lines)))]
            row[int(case.draw.integers(len(row)))] = case.one_of("cell", CELLS)
    if case.chance(0.15):
        row = lines[int(case.draw.integers(len(lines)))]
        row.append("7") if case.chance(0.5) else row.pop()
    ending = case.one_of("ending", ["\n", "\n", "\r\n", "\r", "\n\n"])
    text = ending.join(separator.join(f'"{cell}"' if quote else cell for cell in line) for line in lines)
    text += ending if case.chance(0.8) else ""
    return text.encode(case.one_of("encoding", ENCODINGS), errors="replace")


def _arrow_table(case: Case, X: np.ndarray) -> Any:
    import pyarrow

    columns = {["a", "b", "c", "d"][j]: X[:, j] for j in range(X.shape[1])}
    special = case.one_of(
        "columns", ["plain", "plain", "plain", "nulls", "floats", "halves", "lists", "words", "decimals", "dates", "large", "dictionary", "none"]
    )
    made: dict[str, Any] = {name: pyarrow.array(column) for name, column in columns.items()}
    n = len(X)
    extra: dict[str, Callable[[], Any]] = {
        "nulls": lambda: pyarrow.array([None, *range(1, n)], pyarrow.int64()),
        "floats": lambda: pyarrow.array(X[:, 0].astype(np.float32)),
        "halves": lambda: pyarrow.array(X[:, 0].astype(np.float16)),
        "lists": lambda: pyarrow.array([[1.0, 2.0]] * n),
        "words": lambda: pyarrow.array(["1"] * n),
        "decimals": lambda: pyarrow.array(range(n), pyarrow.int64()).cast(pyarrow.decimal128(30, 2)),
        "dates": lambda: pyarrow.array(range(n), pyarrow.int64()).cast(pyarrow.timestamp("s")),
        "large": lambda: pyarrow.array([2**64 - 1] * n, pyarrow.uint64()),
        "dictionary": lambda: pyarrow.array(["a", "b"] * n)[:n].dictionary_encode(),
        "none": lambda: pyarrow.nulls(n),
    }
    if special in extra:
        made["e"] = extra[special]()
    return pyarrow.table(made)


def _parquet(case: Case, X: np.ndarray) -> bytes:
    from pyarrow import parquet

    sink, made = io.BytesIO(), _arrow_table(case, X)
    if "e" in made.schema.names and str(made.schema.field("e").type) == "halffloat":
        made = made.drop_columns(["e"])
    parquet.write_table(made, sink, row_group_size=int(case.draw.integers(1, 50)), compression=case.one_of("compression", ["none", "snappy", "zstd"]))
    return sink.getvalue()


def _feather(case: Case, X: np.ndarray) -> bytes:
    import pyarrow

    sink, made = io.BytesIO(), _arrow_table(case, X)
    kind = pyarrow.ipc.new_stream if case.chance(0.3) else pyarrow.ipc.new_file
    with kind(sink, made.schema) as writer:
        writer.write_table(made, max_chunksize=int(case.draw.integers(1, 50)))
    return sink.getvalue()


def _npy(case: Case, X: np.ndarray) -> bytes:
    sink = io.BytesIO()
    dtype = case.one_of("dtype", ["f8", "f4", ">f8", "i4", "?", "f2", "g", "c16", "U5", "M8[D]", "V8"])
    array = X.astype(dtype) if np.dtype(dtype).kind not in "MV" else np.zeros(X.shape, dtype)
    np.lib.format.write_array(sink, np.asfortranarray(array) if case.chance(0.3) else array, version=case.one_of("version", [(1, 0), (2, 0), (3, 0)]))
    content = sink.getvalue()
    if case.chance(0.4):
        header = case.one_of("header", NPY_HEADERS)
        content = content[:6] + bytes([1, 0]) + len(header).to_bytes(2, "little") + header + content[128:]
    return content


NPY_HEADERS = (
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 2), }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2), }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2, 2), }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n",
    b"{'descr': '<f8', 'fortran_order': 7, 'shape': (2, 2), }\n",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }\n",
    b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2, 2), }\n",
    b"{'descr': '<f8', 'shape': (2, 2), }\n",
    b"{'descr': '<q9', 'fortran_order': False, 'shape': (2, 2), }\n",
    b"{'descr': None, 'fortran_order': False, 'shape': None, }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (1e9, 'a'), }\n",
    b"__import__('os')\n",
    b"[" * 3000 + b"\n",
    b"\xff\xfe\0\n",
    b"{",
    b"",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2), }\n",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b"9" * 400 + b", 2), }\n",
)


MAKERS: dict[str, Callable[[Case, np.ndarray], bytes]] = {
    ".csv": _text,
    ".tsv": _text,
    ".txt": _text,
    ".parquet": _parquet,
    ".feather": _feather,
    ".npy": _npy,
}


def damaged(case: Case, content: bytes) -> bytes:
    """The bytes with something wrong about them."""
    data = bytearray(content)
    kind = case.one_of("damage", ["flips", "flips", "cut", "cut", "zeros", "doubled", "moved", "empty", "head", "tail", "inserted"])
    at = int(case.draw.integers(len(data) + 1))
    length = int(case.draw.integers(1, 30))
    if kind == "flips":
        for _ in range(int(case.draw.integers(1, 12))):
            if data:
                data[int(case.draw.integers(len(data)))] ^= 1 << int(case.draw.integers(8))
    elif kind == "cut":
        data = data[:at]
    elif kind == "zeros":
        data[at : at + length] = bytes(length)
    elif kind == "doubled":
        data = data * 2
    elif kind == "moved":
        data = data[at:] + data[:at]
    elif kind == "empty":
        data = bytearray()
    elif kind == "head":
        data[: min(length, len(data))] = case.draw.bytes(min(length, len(data)))
    elif kind == "tail":
        data[max(0, len(data) - length) :] = case.draw.bytes(length)
    else:
        data[at:at] = case.draw.bytes(length)
    return bytes(data)
