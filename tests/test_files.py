"""Files: what is written comes back in every format, text files are read however they are written down, and nothing half written stays."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

import mixtura
from mixtura.errors import DataError, FileError, MixturaWarning
from mixtura.sources import files

NAMED = (".csv", ".tsv", ".txt", ".parquet", ".pq", ".feather", ".arrow", ".ipc")
ROWS = np.array([[1.5, -2.0], [0.1, 3e-300], [1e300, 7.0]])


@pytest.mark.parametrize("suffix", files.WRITERS)
def test_what_is_written_comes_back(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    files.write(path, {"a b": ROWS[:, 0], "c": ROWS[:, 1]})
    table = files.read(path)
    assert table.columns == (("a b", "c") if suffix in NAMED else ("x0", "x1"))
    np.testing.assert_array_equal(table.rows, ROWS)


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".npy"])
@pytest.mark.parametrize("kinds", ["f4 f4", "f4 f8", "i8 f4", "i4 u1", "f8 ?"])
def test_only_float32_alone_stays(tmp_path, suffix, kinds):
    columns = {f"x{j}": np.array([0, 1, 1]).astype(kind) for j, kind in enumerate(kinds.split())}
    path = tmp_path / f"rows{suffix}"
    files.write(path, columns)
    table = files.read(path)
    assert table.rows.dtype == (np.float32 if kinds == "f4 f4" else np.float64)
    np.testing.assert_array_equal(table.rows, np.column_stack(list(columns.values())))


LAYOUTS = {
    "comma": "a,b c\n1,2.5\n3,4\n",
    "semicolon": "a;b c\n1;2.5\n3;4\n",
    "tab": "a\tb c\n1\t2.5\n3\t4\n",
    "pipe": "a|b c\n1|2.5\n3|4\n",
    "blanks": '  a   "b c"\n  1   2.5\n  3     4\n',
    "quotes": '"a","b c"\n"1","2.5"\n3,4\n',
    "blanks after commas": "a, b c\n1, 2.5\n3, 4\n",
    "decimal commas": "a;b c\n1;2,5\n3;4\n",
    "byte-order mark": "\ufeffa,b c\n1,2.5\n3,4\n",
    "Windows": "a,b c\r\n1,2.5\r\n3,4\r\n",
    "no last newline": "a,b c\n1,2.5\n3,4",
    "blank lines": "\na,b c\n1,2.5\n\n3,4\n\n",
    "other columns": "a,b c,name,day\n1,2.5,x,2020-01-01\n3,4,,2020-01-02\n",
    "row numbers": '"","a","b c"\n"1",1,2.5\n"2",3,4\n',
    "text with newlines": 'a,name,b c\n1,"two\nlines, and a comma",2.5\n3,"",4\n',
    "Latin-1": "a,b c,name\n1,2.5,Zo\xeb\n3,4,Ren\xe9\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_text_is_read_however_it_is_written_down(tmp_path, layout):
    path = tmp_path / "rows.txt"
    path.write_bytes(LAYOUTS[layout].encode("latin1" if layout == "Latin-1" else "utf8"))
    table = files.read(path)
    assert table.columns == ("a", "b c")
    np.testing.assert_array_equal(table.rows, [[1, 2.5], [3, 4]])


@pytest.mark.parametrize("suffix", ["csv", "CSV", "csv.gz"])
def test_suffixes_in_any_case_and_compressed(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(gzip.compress(b"a\n1\n2\n") if suffix.endswith("gz") else b"a\n1\n2\n")
    assert files.read(path).rows.tolist() == [[1], [2]]


def test_what_was_not_taken_is_told(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,name,b\n1,x,2\n3,y,4\n")
    assert files.read(path).skipped == ("name",)
    assert files.read(path, ["b"])[2] == ()
    assert files.read(path, ["b", "a"]).rows.tolist() == [[2, 1], [4, 3]]


def test_true_and_false_are_numbers(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,yes\n1,true\n3,false\n")
    assert files.read(path).rows.tolist() == [[1, 1], [3, 0]]


@pytest.mark.parametrize("cell", ["", "NA", "NaN", "null"])
def test_a_missing_value_is_nan(tmp_path, cell):
    path = tmp_path / "rows.csv"
    path.write_text(f"a,b\n1,2\n{cell},4\n")
    np.testing.assert_array_equal(files.read(path).rows, [[1, 2], [np.nan, 4]])


def test_arrow_nulls_streams_decimals_and_row_numbers(tmp_path):
    table = pa.table({"a": pa.array([1, None]), "b": pa.array([1, 2], pa.decimal128(5)), "c": pa.array(["x", "y"]), "d": pa.array([[1], [2]])})
    with pa.OSFile(str(tmp_path / "stream.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    parquet.write_table(table, tmp_path / "file.parquet")
    for name in ("stream.arrow", "file.parquet"):
        columns, rows, skipped = files.read(tmp_path / name)
        assert (columns, skipped) == (("a", "b"), ("c", "d"))
        np.testing.assert_array_equal(rows, [[1, 1], [np.nan, 2]])
    pd.DataFrame({"a": [1.0, 2.0]}, index=[7, 9]).to_parquet(tmp_path / "frame.parquet")
    assert files.read(tmp_path / "frame.parquet").columns == ("a",)


def test_numpy_of_one_dimension_is_one_column(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(3))
    assert files.read(tmp_path / "rows.npy").rows.tolist() == [[0], [1], [2]]
    np.save(tmp_path / "wide.npy", np.arange(6.0).reshape(2, 3))
    assert files.read(tmp_path / "wide.npy", ["x2", "x0"]).rows.tolist() == [[2, 0], [5, 3]]


def test_open_takes_a_path(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,name,b\n1,x,2\n3,y,4\n")
    assert mixtura.open(path).columns == ("a", "b")
    source = mixtura.open(str(path), columns=["b"])
    assert (source.n_rows, source.columns) == (2, ("b",))


def test_stray_text_and_a_header_of_numbers_are_warned_of(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3,n/a?\n5,6\n")
    with pytest.warns(MixturaWarning, match=r"'b' was left out: got 'n/a\?' in row 1"):
        assert files.read(path).skipped == ("b",)
    path.write_text("1,2\n3,4\n")
    with pytest.warns(MixturaWarning, match="first line of .*rows.csv holds only numbers"):
        files.read(path)


REFUSED = {  # name, content, columns, error, what its message names
    "text in a chosen column": ("x.csv", "a,b\n1,2\n3,oops\n", ["b"], DataError, "column 'b' is not numeric: got 'oops' in row 1"),
    "no value in a chosen column": ("x.csv", "a,b\n,2\n,4\n", ["a"], DataError, "column 'a' is not numeric: got no value"),
    "dates in a chosen column": ("x.csv", "a,b\n1,2020-01-01\n", ["b"], DataError, "column 'b' is not numeric: got Date"),
    "unknown columns": ("x.csv", "a,b\n1,2\n", ["z", "a", "y"], DataError, "unknown columns 'z', 'y': expected some of 'a', 'b'"),
    "a column chosen twice": ("x.csv", "a,b\n1,2\n", ["a", "a"], DataError, "each of them once"),
    "a column there twice": ("x.csv", "a,b,a\n1,2,3\n", None, DataError, "column 'a' is there twice"),
    "no number": ("x.csv", "a,b\nx,y\n", None, DataError, "no column is numeric: got 'a', 'b'"),
    "a row too short": ("x.csv", "a,b\n1,2\n3\n", None, FileError, "Row #3: Expected 2 columns, got 1"),
    "header only": ("x.csv", "a,b\n", None, DataError, "has no rows: got only the columns 'a', 'b'"),
    "empty": ("x.parquet", "", None, FileError, "empty file"),
    "blank": ("x.csv", "\n \n", None, FileError, "only blank lines"),
    "UTF-16": ("x.csv", "a,b\n1,2\n".encode("utf-16"), None, FileError, "got a zero byte, expected UTF-8"),
    "no Parquet": ("x.parquet", "a,b\n1,2\n", None, FileError, "not a parquet file"),
    "no Feather": ("x.feather", "a,b\n1,2\n", None, FileError, "x.feather"),
    "no NumPy": ("x.npy", "a,b\n1,2\n", None, FileError, "no NumPy array"),
    "no gzip": ("x.csv.gz", "a,b\n1,2\n", None, FileError, "x.csv.gz"),
    "unknown suffix": ("x.xlsx", "a,b\n1,2\n", None, FileError, "suffix '.xlsx', expected one of .csv"),
    "no suffix": ("x", "a,b\n1,2\n", None, FileError, "suffix ''"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path, case):
    name, content, columns, error, named = REFUSED[case]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error) as caught:
        files.read(path, columns)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "; try " in str(caught.value)


@pytest.mark.parametrize("array", [np.zeros((2, 2, 2)), np.zeros((0, 2)), np.array(["a"]), np.zeros(2, complex), np.array(1.0)])
def test_arrays_that_are_no_table_are_refused(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=r"x\.npy"):
        files.read(tmp_path / "x.npy")


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(FileError, match="Python objects"):
        files.read(tmp_path / "x.npy")


def test_a_missing_file_and_a_directory_are_told_apart(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        files.read(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileError, match="directory"):
        files.read(tmp_path / "folder.csv")


@pytest.mark.parametrize("damage", [0.3, 0.9])
@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".npy"])
def test_a_truncated_file_is_refused(tmp_path, suffix, damage):
    path = tmp_path / f"rows{suffix}"
    files.write(path, {"a": np.arange(1000.0)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * damage)])
    with pytest.raises(FileError, match="cannot read"):
        files.read(path)


@pytest.mark.parametrize("suffix", files.WRITERS)
@pytest.mark.parametrize("before", [None, b"as it was"])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, suffix, before):
    path = tmp_path / f"rows{suffix}"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises((FileError, KeyboardInterrupt)):
        files.write(path, {"a": np.arange(3.0), "b": _Interrupting()})  # type: ignore[dict-item]
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == ([] if before is None else [(path.name, before)])


class _Interrupting:
    """A column during which somebody presses Ctrl-C."""

    def __array__(self, *args, **kwargs):
        raise KeyboardInterrupt


def test_writing_where_there_is_no_folder_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot write .*Not a directory"):
        files.write(tmp_path / "file" / "rows.csv", {"a": np.zeros(2)})
    with pytest.raises(FileError, match=r"suffix '\.xlsx'"):
        files.write(tmp_path / "rows.xlsx", {"a": np.zeros(2)})


def test_reading_quietly_warns_of_nothing(tmp_path):
    feather.write_feather(pa.table({"a": [1, 2], "name": ["x", "1"]}), tmp_path / "rows.feather")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert files.read(tmp_path / "rows.feather").skipped == ("name",)
