"""The command on files that are read in passes: the same models and answers as in memory, in little memory, and nothing half written.

Small files are forced to stream; one is made that would not be held in memory unasked.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from cases import overlapping
from pyarrow import feather, parquet
from typer.testing import CliRunner

import mixtura
from mixtura.cli import app
from mixtura.errors import DataError, FileError
from mixtura.progress import lines, pace
from mixtura.sources import Passed, files, writing

pytestmark = pytest.mark.long

N, GROUP = 6_000, 1_000  # rows, and those of a row group
NAMES = ["a", "b", "c"]
TOL = 1e-5
STEP = 2 * N * TOL  # of a BIC: sums that are rounded otherwise may end a fit a step earlier
OUTPUTS = [".csv", ".tsv", ".csv.gz", ".parquet", ".feather", ".npy"]
GRID = ("--columns", "a,b,c", "--components", "2:3", "--family", "full,EEE", "--subsample", "2000", "--tol", str(TOL))

WIDE_ROWS, WIDE_COLUMNS = 1_600_000, 40  # 512 MB in memory
ALLOWED = 300  # MB beyond what the command takes for a few rows: blocks in hand, columns decoded ahead, a row group to be written

MEASURED = """
import re, sys
from mixtura.cli import main
try:
    main()
finally:  # getrusage would begin with the memory of the process that this one was forked from
    print("peak", int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024, file=sys.stderr)
"""


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def done(*words):
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    return result


def refused(*words):
    """The one line of a command that cannot be done."""
    result = run(*words)
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("mixtura: error: ")]
    return line


def rows():
    return overlapping(N, 3, 3, seed=5)


def table():
    data = pd.DataFrame(rows(), columns=NAMES)
    return data.assign(id=np.arange(N), name=[f"n, {i % 7}" for i in range(N)], w=np.arange(N) % 3 + 0.5)


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """Blocks that end where neither row groups nor batches do, so that a few rows are many blocks."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"NUMBERS": 1, "LEAST": 700, "MOST": 800}.items():
            patch.setattr(f"mixtura.sources.arrays.{name}", value)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The same rows in every format, whole and in parts, and a model of them."""
    folder = tmp_path_factory.mktemp("large")
    data = table()
    data.to_parquet(folder / "rows.parquet", row_group_size=GROUP, index=False)
    feather.write_feather(pa.Table.from_pandas(data, preserve_index=False), folder / "rows.feather", chunksize=GROUP)
    data.to_csv(folder / "rows.csv", index=False)
    np.save(folder / "rows.npy", rows())
    np.save(folder / "whole.npy", np.round(100 * rows()).astype(np.int32))
    (folder / "parts").mkdir()
    for number, first in enumerate((0, 1_700, 4_000)):
        last = (1_700, 4_000, N)[number]
        data[first:last].to_parquet(folder / "parts" / f"{number}.parquet", index=False)
    done("fit", folder / "rows.parquet", *GRID, "--output", folder / "model", "--quiet")
    return folder


@pytest.fixture(scope="module")
def mixture(place):
    return mixtura.Mixture.load(place / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A file of 75 MB whose rows take 512 MB, and the first few of them."""
    folder = tmp_path_factory.mktemp("wide")
    generator, writer, n = np.random.default_rng(0), None, WIDE_ROWS // 8
    for _ in range(8):
        offset = generator.integers(0, 2, n) * 6.0
        block = pa.table({f"x{j}": np.round(generator.normal(size=n) + offset * (j % 3), 1) for j in range(WIDE_COLUMNS)})
        if writer is None:
            parquet.write_table(block.slice(0, 4_000), folder / "few.parquet")
            writer = parquet.ParquetWriter(folder / "wide.parquet", block.schema)
        writer.write_table(block)
    assert writer is not None
    writer.close()
    mixtura.Mixture([0.4, 0.6], np.outer([0.0, 1.0], np.tile([0.0, 6.0, 12.0], 14)[:WIDE_COLUMNS]), np.ones(WIDE_COLUMNS), "tied_diag").save(
        folder / "model.safetensors", {"columns": [f"x{j}" for j in range(WIDE_COLUMNS)]}
    )
    return folder


def fitted(place, tmp_path, data, *words):
    done("fit", data, *GRID, *words, "--output", tmp_path / "out", "--quiet")
    model, metadata = mixtura.Mixture.load_with_metadata(tmp_path / "out" / "model.safetensors")
    return model, metadata, json.loads((tmp_path / "out" / "summary.json").read_text())


def same(one, other, rtol=0.0):
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, atol=rtol)


# searches


@pytest.mark.parametrize(("data", "rtol"), [("rows.parquet", 0), ("rows.feather", 0), ("rows.csv", 1e-9), ("parts", 0), ("parts/*.parquet", 0)])
def test_a_streamed_fit_is_the_fit_in_memory(place, tmp_path, mixture, data, rtol):
    model, metadata, summary = fitted(place, tmp_path, place / data, "--streamed")
    same(model, mixture, rtol)
    known = json.loads((place / "model" / "summary.json").read_text())
    assert summary["data"].pop("source").endswith("read in every pass")
    assert (summary["data"].pop("engine"), known["data"].pop("engine")) == ("threads", "threads")
    assert known["data"].pop("source") == f"{place}/rows.parquet, read into memory"
    assert metadata["data"]["source"].endswith("read in every pass")
    assert {**summary["data"], "path": ""} == {**known["data"], "path": ""}
    for one, other in zip(summary["candidates"], known["candidates"], strict=True):
        assert (one["components"], one["family"]) == (other["components"], other["family"])
        assert one["bic"] == pytest.approx(other["bic"], rel=1e-13, abs=STEP if rtol else 0)


@pytest.mark.parametrize("words", [(), ("--in-memory",), ("--streamed",)])
def test_a_folder_is_read_whole_or_in_passes(place, tmp_path, mixture, words):
    model, metadata, _ = fitted(place, tmp_path, place / "parts", *words)
    same(model, mixture)
    how = "read in every pass" if words == ("--streamed",) else "read into memory"
    assert metadata["data"]["source"] == f"3 files, the first {place}/parts/0.parquet, {how}"


def test_what_is_streamed_is_told(place):
    words = ("select", place / "rows.parquet", *GRID)
    assert f"{place}/rows.parquet, read in every pass by " in done(*words, "--streamed").stdout
    assert "read in" not in done(*words).stdout


@pytest.mark.parametrize("how", ["--in-memory", "--streamed"])
def test_weights_are_a_column(place, tmp_path, how):
    done("fit", place / "rows.parquet", *GRID, "--weight", "w", how, "--output", tmp_path / "out", "--quiet")
    model, metadata = mixtura.Mixture.load_with_metadata(tmp_path / "out" / "model.safetensors")
    best = mixtura.select(rows(), [2, 3], ["full", "EEE"], sample_weight=table()["w"], subsample=2000, tol=TOL, random_state=0).best.mixture_
    same(model, best, 1e-9)
    assert metadata["data"]["weight"] == "w"
    assert "unknown column 'z'" in refused("fit", place / "rows.parquet", "--weight", "z", how, "--output", tmp_path / "out")


def test_all_numeric_columns_but_the_weights_are_taken(place):
    words = ("select", place / "rows.parquet", "--components", "1", "--family", "VVV", "--weight", "w")
    for how in ("--in-memory", "--streamed"):
        text = done(*words, how).stdout
        assert f"{N:,} rows, 4 columns: a, b, c, id" in text
        assert "skipped, not numeric: name" in text


def test_the_bootstrap_wants_rows_in_memory(place):
    streamed = mixtura.open(place / "rows.parquet", NAMES, in_memory=False)
    with pytest.raises(DataError, match=r"rows that are not in memory cannot be tested.*rows\.parquet.*in_memory=True"):
        mixtura.likelihood_ratio_test(streamed, 1, n_bootstrap=19)
    words = ("--components", "1", "--family", "EII", "--replicates", "19", "--columns", "a", "--max-iter", "3", "--json", "--quiet")
    told = json.loads(done("test", place / "parts", *words).stdout)
    assert told["data"]["n_rows"] == N


def test_the_command_says_how_to_test_a_large_file(place, monkeypatch):
    monkeypatch.setattr("mixtura.sources.opening.LITTLE", 1_000)
    assert "in the shell --in-memory" in refused("test", place / "rows.parquet", "--columns", "a")


# answers


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("data", ["parts", "rows.csv"])
def test_streamed_answers_are_those_in_memory(place, tmp_path, mixture, data, suffix):
    for how in ("streamed", "in-memory"):
        text = done("predict", place / "model", place / data, "--output", tmp_path / f"{how}{suffix}", f"--{how}").stdout
        assert text.startswith(f"{N:,} rows written to ")
    streamed, held = (files.read(tmp_path / f"{how}{suffix}") for how in ("streamed", "in-memory"))
    np.testing.assert_allclose(streamed.rows, held.rows, rtol=1e-9)
    np.testing.assert_array_equal(streamed.rows[:, 0], mixture.assign(rows()))
    np.testing.assert_allclose(streamed.rows[:, 2], mixture.log_density(rows()), rtol=1e-9)
    if data != "rows.csv":
        assert (tmp_path / f"streamed{suffix}").read_bytes() == (tmp_path / f"in-memory{suffix}").read_bytes()


@pytest.mark.parametrize("how", ["--in-memory", "--streamed"])
@pytest.mark.parametrize("data", ["rows.parquet", "rows.feather", "rows.csv", "parts", "parts/*.parquet"])
def test_columns_are_kept_beside_the_answers(place, tmp_path, data, how):
    words = ("predict", place / "model", place / data, "--output", tmp_path / "out.parquet", how)
    assert done(*words, "--keep", "name,id").stdout.strip().endswith("component, probability, log_density, beside name, id")
    kept = pd.read_parquet(tmp_path / "out.parquet")
    assert list(kept) == ["name", "id", "component", "probability", "log_density"]
    assert kept["name"].tolist() == table()["name"].tolist()
    assert kept["id"].tolist() == table()["id"].tolist()
    done(*words, "--keep", "all")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet")[list(table())], table())


def test_columns_that_cannot_be_kept_are_told(place, tmp_path):
    words = ("predict", place / "model", place / "rows.parquet", "--output")
    assert "unknown column 'z'" in refused(*words, tmp_path / "out.csv", "--keep", "id,z")
    assert "cannot write column 'name' as numbers: got " in refused(*words, tmp_path / "out.npy", "--keep", "name")
    done(*words, tmp_path / "out.parquet", "--keep", "a,b,c")
    again = ("predict", place / "model", tmp_path / "out.parquet", "--output", tmp_path / "again.csv")
    assert "column 'component' would be there twice" in refused(*again, "--keep", "all")
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_arrays_keep_columns_too(place, tmp_path):
    mixtura.Mixture([1.0], [np.zeros(3)], [1.0], "spherical").save(tmp_path / "m.safetensors")
    done("predict", tmp_path / "m.safetensors", place / "rows.npy", "--keep", "x2", "--output", tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy")[:, 0], rows()[:, 2])


def test_rows_of_unknown_number_are_answered(mixture):
    begun = []

    def arrays():
        begun.append(1)
        return iter(np.array_split(rows(), 7))

    source = mixtura.open(arrays)
    records = np.concatenate(list(mixture.records(source, "component", "log_density")))
    assert len(begun) == 2  # the width is looked up, then one pass for both answers
    held = mixture.answers(rows(), component=True, density=True, posterior=True)
    np.testing.assert_array_equal(records["component"], held.component)
    np.testing.assert_allclose(records["log_density"], held.log_density, rtol=1e-12)
    answers = mixture.answers(mixtura.open(arrays), component=True, density=True, posterior=True)
    for name in held._fields:
        np.testing.assert_allclose(getattr(answers, name), getattr(held, name), rtol=1e-12, atol=1e-300)


# what goes wrong


@pytest.mark.parametrize("existing", [None, b"earlier"])
@pytest.mark.parametrize("suffix", OUTPUTS)
def test_nan_late_in_a_file_leaves_nothing_half_written(place, tmp_path, monkeypatch, suffix, existing):
    monkeypatch.setattr(writing, "MANY", 500)  # so that much is written before
    data = table()
    data.loc[N - 30, "b"] = np.nan
    data.to_parquet(tmp_path / "rows.parquet", row_group_size=GROUP, index=False)
    output = tmp_path / f"out{suffix}"
    if existing is not None:
        output.write_bytes(existing)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    line = refused("predict", place / "model", tmp_path / "rows.parquet", "--output", output, "--streamed")
    assert f"got NaN in column 'b', row {N - 30} of {tmp_path}/rows.parquet, row group 5" in line
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


FULL_DISK = """
import resource, signal, sys
from mixtura.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on file size")
@pytest.mark.parametrize("suffix", OUTPUTS)
def test_a_full_disk_leaves_nothing_half_written(place, tmp_path, suffix):
    words = ["predict", place / "model", place / "rows.parquet", "--streamed", "--output", tmp_path / f"out{suffix}"]
    told = subprocess.run([sys.executable, "-c", FULL_DISK, *map(str, words)], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert re.fullmatch(rf"mixtura: error: cannot write {tmp_path}/out{re.escape(suffix)}: .*too large.*; try .*\n", told.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_an_interrupt_leaves_nothing_half_written(wide, tmp_path):
    words = ["predict", wide / "model.safetensors", wide / "wide.parquet", "--output", tmp_path / "out.csv", "--threads", "1"]
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen([sys.executable, "-m", "mixtura", *map(str, words)], stderr=subprocess.PIPE, text=True, preexec_fn=heard) as process:
        while process.poll() is None and not any(path.stat().st_size for path in tmp_path.iterdir()):
            time.sleep(0.005)
        assert process.poll() is None, "the work was done before it could be interrupted"
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read()
    assert (process.returncode, told.splitlines()[-1]) == (130, "mixtura: interrupted")
    assert list(tmp_path.iterdir()) == []


# memory


def peak(*words):
    """MB that a command took at most."""
    told = subprocess.run([sys.executable, "-c", MEASURED, *map(str, words)], capture_output=True, text=True, check=True)
    return float(re.findall(r"peak ([\d.]+)", told.stderr)[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak where Linux tells it")
@pytest.mark.parametrize(
    "words",
    [
        ("fit", "{data}", "--components", "2", "--family", "EEI", "--max-iter", "2", "--subsample", "2000", "--output", "{out}/m", "--quiet"),
        ("predict", "{folder}/model.safetensors", "{data}", "--output", "{out}/out.parquet"),
    ],
    ids=lambda words: words[0],
)
def test_memory_does_not_grow_with_the_rows(wide, tmp_path, words):
    few, all_rows = (
        peak(*(word.format(folder=wide, data=wide / name, out=tmp_path) for word in (*words, "--streamed")))
        for name in ("few.parquet", "wide.parquet")
    )
    assert WIDE_ROWS * WIDE_COLUMNS * 8 / 2**20 > 1.5 * ALLOWED
    assert all_rows - few < ALLOWED


# progress


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_sees_the_rows_of_a_pass(wide, tmp_path):
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    words = ["predict", wide / "model.safetensors", wide / "wide.parquet", "--output", tmp_path / "out.csv", "--threads", "1"]
    with subprocess.Popen([sys.executable, "-m", "mixtura", *map(str, words)], stderr=follower, stdout=subprocess.PIPE, text=True) as process:
        os.close(follower)
        drawn = b"".join(iter(lambda: _read(leader), b"")).decode()
    os.close(leader)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", drawn)
    seen = [float(done) for done in re.findall(r"rows +[━╸╺ ]+ (\d\.\d\d)/1\.60 million", text)]
    assert len(seen) > 2 and seen == sorted(seen)
    assert re.search(r"1\.60 million \d+ MB/s, 0:\d\d left", text)
    assert max(len(line.rstrip()) for line in re.split(r"[\r\n]+", text)) <= 100
    assert "grid" not in text and "epochs" not in text
    assert "\x1b[?25h" in drawn  # the cursor is back


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody writes any more
        return b""


def test_long_passes_are_told_in_lines(place, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "PATIENCE", -1.0)
    told = done("predict", place / "model", place / "rows.parquet", "--output", tmp_path / "out.csv", "--streamed").stderr.splitlines()
    counts = [int(re.fullmatch(r"rows of this pass: ([\d,]+)/6,000.*", line)[1].replace(",", "")) for line in told]
    assert len(counts) > 2 and counts == sorted(counts) and counts[-1] == N
    told = done("fit", place / "rows.csv", *GRID, "--streamed", "--output", tmp_path / "out").stderr
    assert re.search(r"^rows of this pass: 6,000", told, re.MULTILINE)  # the first pass counts
    assert re.search(r"^rows of this pass: 6,000/6,000", told, re.MULTILINE)


def test_small_files_are_read_without_a_word(place, tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "PATIENCE", 3600.0)
    assert done("predict", place / "model", place / "rows.parquet", "--output", tmp_path / "out.csv").stderr == ""


def test_the_pace_of_a_pass():
    one = pace.Pace()
    one.note(Passed(1_000_000, 10_000_000, 50_000_000, 500_000_000), 100.0)
    at = Passed(3_000_000, 10_000_000, 150_000_000, 500_000_000)
    one.note(at, 102.0)
    assert one.speed(at, 102.0) == "50 MB/s, 0:07 left"
    assert one.speed(at._replace(rows=10_000_000, bytes=500_000_000), 104.5) == "100 MB/s"
    counted = Passed(500_000, None, None, None)
    one.note(counted, 200.0)  # rows begin again: another pass
    assert one.speed(counted, 200.1) == ""
    assert one.speed(Passed(1_500_000, None, None, None), 202.0) == "500,000 rows/s"


# writing


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_how_rows_come_changes_no_byte(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(writing, "MANY", 700)
    columns = {"x": rows()[:, 0], "k": np.arange(N), "small": rows()[:, 1].astype(np.float32)}
    files.write(tmp_path / f"whole{suffix}", columns)
    with writing.writing(tmp_path / f"parts{suffix}") as add:
        for bounds in np.split(np.arange(N), [0, 1, 699, 700, 3_000, 3_001, 5_999]):
            add({name: column[bounds] for name, column in columns.items()})
    assert (tmp_path / f"parts{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
    table = files.read(tmp_path / f"whole{suffix}")
    np.testing.assert_array_equal(table.rows[:, :2], np.column_stack([columns["x"], columns["k"]]))
    np.testing.assert_allclose(table.rows[:, 2], columns["small"], rtol=1e-6)
    if suffix == ".parquet":
        metadata = parquet.read_metadata(tmp_path / "whole.parquet")
        assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [700] * 8 + [400]


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_a_writer_that_fails_leaves_nothing(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(writing, "MANY", 10)
    output = tmp_path / f"out{suffix}"
    with pytest.raises(ZeroDivisionError), writing.writing(output) as add:
        add({"x": np.arange(100.0)})
        _ = 1 / 0
    with pytest.raises(FileError, match=f"cannot write .*out{suffix}: .*"), writing.writing(output) as add:
        add({"x": np.arange(100.0)})
        add({"y": np.arange(100.0)})
    with pytest.raises(FileError, match="no columns were given"), writing.writing(output):
        pass
    assert list(tmp_path.iterdir()) == []


def test_only_text_is_compressed(tmp_path):
    with pytest.raises(FileError, match=r"got '\.gz' after '\.parquet'"):
        files.write(tmp_path / "rows.parquet.gz", {"x": np.zeros(2)})


# the same from Python


GIVEN = {
    "path": lambda place: place / "rows.parquet",
    "text of a path": lambda place: str(place / "rows.csv"),
    "pattern": lambda place: str(place / "parts" / "*.parquet"),
    "list": lambda place: [place / "parts" / f"{number}.parquet" for number in range(3)],
    "folder": lambda place: place / "parts",
    "streamed": lambda place: mixtura.open(place / "rows.parquet", NAMES, in_memory=False),
    "source": lambda place: mixtura.open(place / "rows.csv", NAMES),
    "pandas": lambda place: table()[NAMES],
    "polars": lambda place: pl.from_pandas(table()[NAMES]),
    "pyarrow": lambda place: pa.Table.from_pandas(table()[NAMES]),
    "memmap": lambda place: np.load(place / "rows.npy", mmap_mode="r"),
    "npy": lambda place: place / "rows.npy",
    "npy of whole numbers": lambda place: place / "whole.npy",
    "chosen columns of npy": lambda place: mixtura.open(place / "rows.npy", ["x2", "x0", "x1"]),
    "function": lambda place: lambda: iter(np.array_split(rows(), 5)),
}
FILES = ("path", "text of a path", "pattern", "list", "folder")


@pytest.mark.quick
@pytest.mark.parametrize("given", GIVEN)
def test_whatever_holds_rows_is_fitted_and_answered(place, given):
    X = np.round(100 * rows()) if "whole" in given else rows()[:, [2, 0, 1]] if "chosen" in given else rows()
    data = GIVEN[given](place)
    ours = data if given not in FILES else mixtura.open(data, NAMES)
    start = mixtura.start(X, 2, random_state=0)
    expected = mixtura.fit(X, start, max_steps=5)
    found = mixtura.fit(ours, start, max_steps=5)
    same(found.mixture, expected.mixture, 1e-9)
    assert mixtura.sweep(start, ours).log_likelihood == pytest.approx(mixtura.sweep(start, X).log_likelihood, rel=1e-11)
    assert start.score(ours) == pytest.approx(start.score(X), rel=1e-11)
    known, model = (mixtura.GaussianMixture(2, random_state=0, max_iter=300) for _ in range(2))
    known.fit(X)
    model.fit(data, columns=NAMES) if given in FILES else model.fit(data)
    np.testing.assert_allclose(model.means_, known.means_, rtol=1e-9)
    np.testing.assert_array_equal(np.asarray(model.predict(data)), known.predict(X))
    np.testing.assert_allclose(model.predict_proba(data), known.predict_proba(X), rtol=1e-6, atol=1e-9)
    assert model.score(data) == pytest.approx(known.score(X), rel=1e-11)


@pytest.mark.parametrize("given", ["folder", "streamed", "polars", "memmap", "function"])
def test_whatever_holds_rows_is_selected_from(place, given):
    data = mixtura.open(GIVEN[given](place), NAMES) if given in FILES else GIVEN[given](place)
    found, expected = (mixtura.select(X, [1, 2], ["full", "EEE"], subsample=2_000, tol=TOL, random_state=0) for X in (data, rows()))
    assert found.ranking[0].cell == expected.ranking[0].cell
    np.testing.assert_allclose([one.bic for one in found.cells], [one.bic for one in expected.cells], rtol=0, atol=STEP)
