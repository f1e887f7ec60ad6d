"""Sources: wherever rows lie and however they come, the same mixture; and whatever is wrong with them is told by its place."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from cases import halves, in_three_units
from pyarrow import csv, feather, parquet

import mixtura
from mixtura.errors import DataError, FileError, ParameterError
from mixtura.sources import ArraySource, Block, Source, streams
from mixtura.sources.datasets import DatasetSource
from mixtura.sources.iterables import IterableSource
from mixtura.sources.workers import ahead

N = 5_000
NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and pieces so small that there are several of each, and none ends where one of the other does."""
    for name, size in {"arrays.ALONE": 100, "arrays.LEAST": 100, "arrays.NUMBERS": 2_100, "arrays.MOST": 900, "datasets.BATCH": 1_100}.items():
        monkeypatch.setattr(f"mixtura.sources.{name}", size)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return in_three_units(N)


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return halves(N)


@pytest.fixture
def table(rows: np.ndarray, weights: np.ndarray) -> pa.Table:
    return pa.table({**dict(zip(NAMES, rows.T, strict=True)), "w": weights, "name": ["x"] * N})


def in_parts(table: pa.Table, folder: Path) -> Path:
    """Three files of unequal length, with row groups of their own."""
    folder.mkdir()
    for number, (start, stop) in enumerate(itertools.pairwise((0, 1_700, 1_701, N))):
        parquet.write_table(table.slice(start, stop - start), folder / f"part-{number}.parquet", row_group_size=700)
    return folder


def written(write: Callable[[pa.Table, str], object], name: str) -> Callable[[pa.Table, Path], Any]:
    def place(table: pa.Table, folder: Path) -> str:
        path = str(folder / name)
        write(table, path)
        return path

    return place


def gzipped(table: pa.Table, path: str) -> None:
    with pa.CompressedOutputStream(path, "gzip") as stream:
        csv.write_csv(table, stream)


def as_npy(table: pa.Table, folder: Path) -> str:
    np.save(folder / "rows.npy", table.select(NAMES).to_pandas().to_numpy())
    return str(folder / "rows.npy")


# what holds the rows, from a table of them
FILES: dict[str, Callable[[pa.Table, Path], Any]] = {
    "Parquet": written(parquet.write_table, "rows.parquet"),
    "Parquet in row groups of 1": written(lambda table, path: parquet.write_table(table, path, row_group_size=37), "rows.parquet"),
    "Feather": written(feather.write_feather, "rows.feather"),
    "CSV": written(csv.write_csv, "rows.csv"),
    "CSV packed": written(gzipped, "rows.csv.gz"),
    "folder": lambda table, folder: in_parts(table, folder / "parts"),
    "pattern": lambda table, folder: f"{in_parts(table, folder / 'parts')}/*.parquet",
    "list": lambda table, folder: sorted(in_parts(table, folder / "parts").iterdir()),
    "URL": lambda table, folder: in_parts(table, folder / "parts").as_uri(),
    "URL pattern": lambda table, folder: f"{in_parts(table, folder / 'parts').as_uri()}/part-*.parquet",
}
TABLES: dict[str, Callable[[pa.Table], Any]] = {
    "pandas": lambda table: table.to_pandas(),
    "polars": pl.from_arrow,
    "Arrow": lambda table: table,
}
KNOWN = [name for name in FILES if not name.startswith("CSV")]  # the number of rows, before the first pass


def files_of(kind: str, table: pa.Table, folder: Path, in_memory: bool = False, weight: str | None = "w") -> Source:
    return mixtura.open(FILES[kind](table, folder), NAMES, weight, in_memory=in_memory)


def iterable(rows: np.ndarray, length: int) -> Callable[[], Iterator[np.ndarray]]:
    return lambda: (rows[start : start + length] for start in range(0, len(rows), length))


@pytest.fixture(scope="module")
def start(rows: np.ndarray) -> mixtura.Mixture:
    return mixtura.start(rows, 3, random_state=0)


def same_sums(one: Any, other: Any, exactly: bool) -> None:
    for part in ("log_likelihood", "weight", "counts", "first", "second"):
        a, b = np.asarray(getattr(one, part)), np.asarray(getattr(other, part))
        if exactly:
            np.testing.assert_array_equal(a, b, err_msg=part)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max(), err_msg=part)


@pytest.mark.parametrize("in_memory", [True, False], ids=["read once", "read in passes"])
@pytest.mark.parametrize("kind", FILES)
def test_files_give_the_sums_of_their_rows(kind, in_memory, table, rows, weights, start, tmp_path) -> None:
    source = files_of(kind, table, tmp_path, in_memory)
    assert isinstance(source, ArraySource if in_memory else DatasetSource)
    assert ("passes" in source.origin or "every pass" in source.origin) != in_memory
    expected = mixtura.sweep(start, rows, weights)
    same_sums(mixtura.sweep(start, source), expected, exactly=in_memory or kind in KNOWN)
    assert (source.n_rows, source.columns, source.named) == (N, NAMES, True)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("large", [False, True], ids=["copied", "block by block"])
def test_tables_give_the_sums_of_their_rows(kind, large, table, rows, weights, start, monkeypatch) -> None:
    if large:
        monkeypatch.setattr("mixtura.sources.opening.LITTLE", 1)
    source = mixtura.open(TABLES[kind](table), weight="w")
    assert isinstance(source.X, np.ndarray) != large
    assert (source.columns, source.skipped) == (NAMES, ("w", "name"))
    same_sums(mixtura.sweep(start, source), mixtura.sweep(start, rows, weights), exactly=True)
    np.testing.assert_array_equal(source.take(np.array([3, 4_000])).X, rows[[3, 4_000]])


@pytest.mark.parametrize("length", [1, 777, N])
@pytest.mark.parametrize("jobs", [1, 3])
def test_arrays_that_come_one_by_one_give_the_sums_of_their_rows(length, jobs, rows, start) -> None:
    source = mixtura.open(iterable(rows, length), columns=NAMES, n_jobs=jobs)
    assert isinstance(source, IterableSource)
    same_sums(mixtura.sweep(start, source), mixtura.sweep(start, rows), exactly=False)
    assert source.n_rows == N


def test_the_number_of_threads_and_the_length_of_pieces_change_no_bit(rows, start) -> None:
    sums = [mixtura.sweep(start, mixtura.open(iterable(rows, length), n_jobs=jobs)) for length, jobs in ((10, 1), (333, 2), (N, 5))]
    for other in sums[1:]:
        same_sums(other, sums[0], exactly=True)


def test_rows_stay_what_they_are_while_a_task_works_on_them(table, rows, tmp_path) -> None:
    def slowly(block: Block) -> list[np.ndarray]:
        time.sleep(0.01)  # others draw their blocks
        return [block.rows.copy()]

    for source in (files_of("folder", table, tmp_path, weight=None), mixtura.open(iterable(rows, 333), n_jobs=3)):
        np.testing.assert_array_equal(np.vstack(source.reduce(slowly)), rows)


def test_a_memory_mapped_array_is_swept_where_it_lies(table, rows, start, tmp_path) -> None:
    source = mixtura.open(as_npy(table, tmp_path))
    assert isinstance(source.X.base, np.memmap) and "mapped" in source.origin
    same_sums(mixtura.sweep(start, source), mixtura.sweep(start, rows), exactly=True)
    assert "mapped" in mixtura.open(np.load(tmp_path / "rows.npy", mmap_mode="r")).origin


@pytest.mark.parametrize("columns", [None, ["x2", "x0"]])
def test_mapped_whole_numbers_become_float64_block_by_block(columns, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("mixtura.sources.opening.LITTLE", 1)
    numbers = np.random.default_rng(0).integers(-9, 9, size=(9_000, 3)).astype(np.int16)
    np.save(tmp_path / "rows.npy", numbers)
    source = mixtura.open(tmp_path / "rows.npy", columns)
    assert not isinstance(source.X, np.ndarray) and source.dtype == np.float64
    expected = numbers.astype(float) if columns is None else numbers[:, [2, 0]].astype(float)
    np.testing.assert_array_equal(np.asarray(source.X), expected)
    np.testing.assert_array_equal(source.profile.mean, ArraySource(expected).profile.mean)


@pytest.mark.parametrize("kind", FILES)
def test_float32_stays(kind, table, tmp_path) -> None:
    single = table.cast(pa.schema([*(pa.field(name, pa.float32()) for name in NAMES), *list(table.schema)[3:]]))
    source = files_of(kind, single, tmp_path, weight=None)
    assert source.dtype == (np.float64 if kind.startswith("CSV") else np.float32)
    rows = single.select(NAMES).to_pandas().to_numpy()
    np.testing.assert_array_equal(source.take(np.arange(N)).X, rows if source.dtype == np.float32 else rows.astype(str).astype(float))


@pytest.mark.parametrize("kind", ["Parquet", "Feather", "folder"])
def test_whole_numbers_truth_and_nothing_are_numbers(kind, tmp_path, rows) -> None:
    some = [None if i == 17 else i % 5 for i in range(N)]
    columns = {"a": pa.array(some, pa.int8()), "b": pa.array(rows[:, 0] > 0), "c": pa.array(rows[:, 1]), "w": pa.array(rows[:, 2])}
    taken = files_of(kind, pa.table(columns), tmp_path, weight=None).take(np.arange(N)).X
    np.testing.assert_array_equal(taken, np.column_stack([np.array(some, dtype=float), rows[:, 0] > 0, rows[:, 1]]))


def test_every_family_sweeps_a_stream(family, rows, table, tmp_path) -> None:
    begun = mixtura.start(rows, 3, family, random_state=0)
    source = files_of("folder", table, tmp_path, weight=None)
    same_sums(mixtura.sweep(begun, source), mixtura.sweep(begun, rows), exactly=True)


@pytest.mark.parametrize("rule", [None, mixtura.rules.GradientAscent(learning_rate=0.1), mixtura.rules.LBFGS()], ids=["em", "gradient", "lbfgs"])
def test_a_fit_is_the_same_wherever_its_rows_lie(rule, table, rows, weights, start, tmp_path) -> None:
    expected = mixtura.fit(rows, start, rule, sample_weight=weights, max_steps=40)
    for kind, exactly in (("folder", True), ("CSV", False)):
        got = mixtura.fit(files_of(kind, table, tmp_path), start, rule, max_steps=40)
        if exactly:
            assert got.objectives == expected.objectives
        np.testing.assert_allclose(got.mixture.means, expected.mixture.means, rtol=1e-9)
        np.testing.assert_allclose(got.mixture.covariances, expected.mixture.covariances, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", FILES)
def test_the_same_seed_draws_the_same_rows(kind, table, rows, weights, tmp_path) -> None:
    source, array = files_of(kind, table, tmp_path), ArraySource(rows, weights, NAMES)
    one, other = (each.sample(100, np.random.default_rng(3)) for each in (source, array))
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.weights, other.weights)
    assert one.columns == NAMES
    np.testing.assert_array_equal(source.sample(N + 1, np.random.default_rng(3)).X, rows)


@pytest.mark.parametrize("kind", ["array", "stream"])
@pytest.mark.parametrize("weighted", [False, True])
def test_folds_deal_every_row_of_weight_once(kind, weighted, table, rows, weights, tmp_path) -> None:
    array = ArraySource(rows, weights if weighted else None)
    source = array if kind == "array" else files_of("Parquet", table, tmp_path, weight="w" if weighted else None)
    known = rows[weights > 0] if weighted else rows
    held_rows = []
    for others, part in source.folds(4, [7]):
        mine, theirs = (each.take(np.arange(each.n_rows)).X for each in (part, others))
        assert abs(len(mine) - len(known) / 4) <= 32
        np.testing.assert_array_equal(in_order(np.vstack([mine, theirs])), in_order(known))
        assert part.profile.rows == part.n_rows == len(mine)
        drawn = others.sample(50, np.random.default_rng(0)).X
        assert len(drawn) == 50 and set(map(tuple, drawn)) <= set(map(tuple, theirs))
        held_rows.append(mine)
    np.testing.assert_array_equal(in_order(np.vstack(held_rows)), in_order(known))


def in_order(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("window", [streams.WINDOW, 3_000])
def test_mini_batches_of_a_stream_hold_every_row_once(window, table, rows, weights, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(streams, "WINDOW", window)
    source = files_of("folder", table, tmp_path)
    batches = list(source.batches(300, [0, 1]))
    got = np.vstack([batch.X for batch in batches])
    np.testing.assert_array_equal(in_order(got), in_order(rows[weights > 0]))
    assert max(batch.n_rows for batch in batches) <= 300
    assert batches[0].profile is source.profile
    again = np.vstack([batch.X for batch in source.batches(300, [0, 1])])
    np.testing.assert_array_equal(got, again)
    assert not np.array_equal(got, np.vstack([batch.X for batch in source.batches(300, [0, 2])]))


@pytest.mark.parametrize("kind", FILES)
def test_questions_are_answered_in_row_order(kind, table, rows, start, tmp_path) -> None:
    source = files_of(kind, table, tmp_path, weight=None)
    np.testing.assert_array_equal(start.assign(source), start.assign(rows))
    np.testing.assert_allclose(start.log_density(source), start.log_density(rows), rtol=1e-12)
    np.testing.assert_allclose(start.posterior(source), start.posterior(rows), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(start.answers(source, density=True).probability, start.answers(rows, density=True).probability, rtol=1e-12)
    assert start.score(source) == pytest.approx(start.score(rows), rel=1e-12)
    assert start.classification(source) == pytest.approx(start.classification(rows), rel=1e-9)


@pytest.mark.parametrize("criterion", ["bic", "held_out"])
def test_a_selection_is_the_same_wherever_its_rows_lie(criterion, rows, table, tmp_path) -> None:
    source = files_of("folder", table, tmp_path, weight=None)
    options: dict[str, Any] = dict(n_components=range(1, 4), families=["full", "diag"], criterion=criterion, folds=2, random_state=0, subsample=1_000)
    one, other = mixtura.select(source, **options), mixtura.select(rows, **options)
    if criterion == "bic":
        np.testing.assert_allclose([cell.bic for cell in one.ranking], [cell.bic for cell in other.ranking], rtol=1e-12)
    else:  # rows are dealt in another way
        assert one.ranking[0].held_out == pytest.approx(other.ranking[0].held_out, abs=0.02)
    assert one.ranking[0].components == 3


def test_an_estimator_takes_what_open_takes_and_says_where_it_lay(table, rows, weights, tmp_path) -> None:
    path, frame = FILES["folder"](table, tmp_path), pd.DataFrame(rows, columns=NAMES)
    array = mixtura.GaussianMixture(3, random_state=0).fit(frame, sample_weight=weights)
    assert (array.history_.source, "thread" in array.history_.engine) == ("pandas table", True)
    stream = mixtura.open(path, NAMES, "w", in_memory=False)
    by_path = mixtura.GaussianMixture(3, random_state=0).fit(path, sample_weight="w", columns=NAMES)
    by_source = mixtura.GaussianMixture(3, random_state=0).fit(stream)
    for model, where in ((by_path, "into memory"), (by_source, "in every pass")):
        np.testing.assert_allclose(model.means_, array.means_, rtol=1e-9)
        assert where in model.history_.source and "thread" in model.history_.engine
        assert list(model.feature_names_in_) == list(NAMES)
        np.testing.assert_array_equal(model.predict(path), array.predict(frame))
        np.testing.assert_array_equal(model.predict_proba(stream).argmax(axis=1), array.predict(frame))
    expected = array.score(frame, sample_weight=weights)
    assert by_path.score(path, sample_weight="w") == pytest.approx(expected) == by_source.score(stream)


def test_an_estimator_refuses_rows_of_other_columns(table, rows, tmp_path) -> None:
    model = mixtura.GaussianMixture(2, random_state=0).fit(pd.DataFrame(rows, columns=NAMES))
    path = written(parquet.write_table, "other.parquet")(table.drop_columns(["b"]), tmp_path)
    with pytest.raises(DataError, match="unknown column 'b'"):
        model.predict(path)
    with pytest.raises(DataError, match="the rows do not fit the model: got 2 columns: a, c, expected 3 columns: a, b, c"):
        model.predict(mixtura.open(path, ["a", "c"]))


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_a_pass_tells_how_far_it_has_come(kind, table, tmp_path) -> None:
    source = files_of(kind, table, tmp_path)
    told: list[Any] = []
    source.watch = told.append
    assert source.profile.rows < N == source.n_rows
    assert [one.rows for one in told] == sorted(one.rows for one in told) and told[-1].rows == N
    _ = source.take(np.array([0]))
    assert told[-1] == (N, N, source.n_bytes, source.n_bytes) and source.n_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


# what is wrong, and how it is told


def test_a_truncated_file_is_told(table, tmp_path) -> None:
    path = Path(FILES["Parquet"](table, tmp_path))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for in_memory in (True, False):
        with pytest.raises(FileError, match=r"cannot read .*rows\.parquet: .*; try another"):
            mixtura.open(path, in_memory=in_memory)


def test_damaged_pages_are_told_with_their_file(table, tmp_path, start) -> None:
    folder = FILES["folder"](table, tmp_path)
    path = folder / "part-2.parquet"
    damaged = bytearray(path.read_bytes())
    damaged[20:2_000] = bytes(1_980)
    path.write_bytes(damaged)
    with pytest.raises(FileError, match=r"cannot go on reading .*part-2\.parquet"):
        mixtura.sweep(start, mixtura.open(folder, NAMES, in_memory=False))
    assert not [thread for thread in threading.enumerate() if thread.name == "mixtura-ahead"]


@pytest.mark.parametrize("change", ["longer", "touched", "gone"])
def test_a_file_that_changes_between_passes_is_refused(change, table, tmp_path, start) -> None:
    path = Path(FILES["Parquet"](table, tmp_path))
    source = mixtura.open(path, NAMES, in_memory=False)
    mixtura.sweep(start, source)
    if change == "longer":
        parquet.write_table(pa.concat_tables([table, table]), path)
    elif change == "touched":
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000))
    else:
        path.unlink()
    with pytest.raises(FileError, match="no such file" if change == "gone" else r"rows\.parquet changed between two passes: got .* bytes"):
        mixtura.sweep(start, source)


@pytest.mark.parametrize("kind", ["Parquet", "CSV", "Feather"])
def test_files_that_do_not_agree_are_refused(kind, table, tmp_path) -> None:
    write, suffix = {"Parquet": (parquet.write_table, "parquet"), "CSV": (csv.write_csv, "csv"), "Feather": (feather.write_feather, "feather")}[kind]
    write(table, str(tmp_path / f"one.{suffix}"))
    write(table.drop_columns(["b"]), str(tmp_path / f"two.{suffix}"))
    with pytest.raises(DataError, match=rf"the files do not agree: got no column 'b' in .*two\.{suffix}"):
        mixtura.open(tmp_path)
    write(table.set_column(1, "b", pa.array(["x"] * N)), str(tmp_path / f"two.{suffix}"))
    told = r"two\.csv.*invalid value 'x'" if kind == "CSV" else rf"column 'b' of .*two\.{suffix} is not numeric: got string"
    with pytest.raises((DataError, FileError), match=told):
        mixtura.open(tmp_path, in_memory=False)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("in_memory", [False, True], ids=["read in passes", "read once"])
def test_a_value_that_is_not_finite_is_told_with_its_place(kind, value, in_memory, table, rows, tmp_path, start) -> None:
    spoilt = rows.copy()
    spoilt[3_210, 1] = value
    path = FILES[kind](table.set_column(1, "b", pa.array(spoilt[:, 1])), tmp_path)
    source = mixtura.open(path, NAMES, in_memory=in_memory)
    place = {
        "Parquet": r"row 3210 of .*rows\.parquet, row group 0",
        "Parquet in row groups of 1": r"row 3210 of .*rows\.parquet, row group 86",
        "Feather": r"row 3210 of .*rows\.feather",
        "CSV": r"row 3210 of .*rows\.csv",
        "CSV packed": r"row 3210 of .*rows\.csv\.gz",
    }.get(kind, r"row 1509 of .*part-2\.parquet, row group 2 \(row 3210 of all files\)")
    spelled = "NaN" if np.isnan(value) else "-inf"
    for what in (lambda: source.profile, lambda: start.assign(source), lambda: start.score(source), lambda: start.classification(source)):
        with pytest.raises(DataError, match=rf"not finite: got {spelled} in column 'b', {place}, expected a number"):
            what()


@pytest.mark.parametrize("kind", ["Parquet", "CSV"])
@pytest.mark.parametrize("weight", [-1.0, np.nan])
def test_a_weight_that_is_none_is_told_with_its_place(kind, weight, table, weights, tmp_path) -> None:
    spoilt = weights.copy()
    spoilt[4_321] = weight
    source = files_of(kind, table.set_column(3, "w", pa.array(spoilt)), tmp_path)
    with pytest.raises(DataError, match=rf"a weight is not usable: got {weight} in row 4321 of "):
        _ = source.profile


def test_text_among_numbers_late_in_a_file_is_told(table, tmp_path) -> None:
    path = Path(FILES["CSV"](table, tmp_path))
    lines = path.read_text().splitlines()
    lines[4_000] = "1,oops,2,1,x"
    path.write_text("\n".join(lines * 40))  # beyond the block by which columns are judged
    with pytest.raises(FileError, match=r"cannot go on reading .*rows\.csv: .*(oops|column)"):
        _ = mixtura.open(path, NAMES, in_memory=False).profile


REFUSED: dict[str, tuple[Callable[[Path, pa.Table], Any], type[Exception], str]] = {
    "an iterator": (lambda folder, table: mixtura.open(iter([np.ones((2, 2))])), DataError, "can be read only once"),
    "a function without arrays": (lambda folder, table: mixtura.open(lambda: ()), DataError, "no rows: got an iterable without arrays"),
    "weights for arrays": (lambda folder, table: mixtura.open(lambda: [np.ones((2, 2))], weight="w"), ParameterError, "have no weights"),
    "a folder without files": (lambda folder, table: mixtura.open(folder), FileError, "a folder without data files"),
    "a pattern without files": (lambda folder, table: mixtura.open(f"{folder}/*.parquet"), FileError, "a pattern that no file matches"),
    "a URL without files": (lambda folder, table: mixtura.open(folder.as_uri()), FileError, "no data files there"),
    "an unknown filesystem": (lambda folder, table: mixtura.open("ftp://somewhere/rows.parquet"), FileError, "cannot reach ftp://"),
    "an unknown column": (
        lambda folder, table: files_of("Parquet", table.rename_columns([*"abd", "w", "s"]), folder),
        DataError,
        "unknown column 'c'",
    ),
    "an unknown weight": (lambda folder, table: files_of("Parquet", table, folder, weight="v"), DataError, "unknown column 'v'"),
    "text as weight": (lambda folder, table: files_of("Parquet", table, folder, weight="name"), DataError, "'name' of .* is not numeric"),
    "numbers as weight": (
        lambda folder, table: mixtura.open(FILES["Parquet"](table, folder), weight=np.ones(N), in_memory=False),
        ParameterError,
        "weights for files that are read in passes are a column",
    ),
    "a name as weight of an array": (
        lambda folder, table: mixtura.open(np.ones((3, 2)), weight="w"),
        ParameterError,
        "an array has no column of weights",
    ),
    "no numbers": (
        lambda folder, table: mixtura.open(FILES["Parquet"](table.select(["name"]), folder), in_memory=False),
        DataError,
        "no column is numeric",
    ),
    "a frame with a name twice": (
        lambda folder, table: mixtura.open(pd.DataFrame(np.ones((3, 2)), columns=["b", "b"])),
        DataError,
        "'b' is there twice",
    ),
    "a table with a name twice": (lambda folder, table: mixtura.open(pa.table([[1.0]] * 2, names=["b", "b"])), DataError, "'b' is there twice"),
    "a source and weights": (lambda folder, table: mixtura.open(mixtura.open(np.ones((3, 2))), weight=np.ones(3)), ParameterError, "open already"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_source_is_refused_with_a_remedy(what, table, tmp_path) -> None:
    make, kind, message = REFUSED[what]
    with pytest.raises(kind, match=f"{message}.*; try"):
        make(tmp_path, table)


def test_arrays_of_another_width_are_told_by_their_number() -> None:
    source = mixtura.open(lambda: iter([np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 4))]))
    with pytest.raises(DataError, match="got 4 columns in array 2, expected 3"):
        _ = source.profile


def test_rows_that_differ_from_pass_to_pass_are_refused(rows, start) -> None:
    lengths = iter([N, N, N - 1])  # looked at, profiled, swept
    source = mixtura.open(lambda: iter([rows[: next(lengths)]]))
    assert source.profile.rows == N
    with pytest.raises(DataError, match=f"not the same in every pass: got {N - 1}, expected {N}"):
        mixtura.sweep(start, source)


def test_what_is_drawn_ahead_is_closed_by_the_thread_that_drew_it() -> None:
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(threading.current_thread().name)

    drawn = ahead(numbers, 3)
    assert [next(drawn) for _ in range(5)] == [0, 1, 2, 3, 4]
    drawn.close()
    assert closed == ["mixtura-ahead"]


def test_what_fails_ahead_is_raised_in_its_place() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise OSError("no more")

    drawn = ahead(numbers, 3)
    assert next(drawn) == 1
    with pytest.raises(OSError, match="no more"):
        next(drawn)
