"""Rows on Spark: the array's sums to rounding whatever the partitions, answers where the rows are, and errors that name what is wrong."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cases import assert_goes_on_from_half_a_log, assert_seen_as_the_array, overlapping, some_mixture
from needs import java, needed
from pyspark.errors import PythonException
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import mixtura
from mixtura import GaussianMixture
from mixtura.errors import DataError, ParameterError, WorkerError
from mixtura.families import Family
from mixtura.sources import spark as on_spark
from mixtura.sources.tasks import Block

pytestmark = pytest.mark.long

NAMES = ["a", "b", "c"]
ROWS = overlapping(3000, 3, 3, seed=1)
WEIGHTS = np.arange(3000) % 4 + 0.5 * (np.arange(3000) % 2)  # zeros among them


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    needed(java())
    builder = SparkSession.builder.master("local[2]").appName("mixtura")
    local = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
    for name, value in {**local, "spark.sql.shuffle.partitions": "3", "spark.ui.showConsoleProgress": "false"}.items():
        builder = builder.config(name, value)
    found = builder.getOrCreate()
    found.sparkContext.setLogLevel("OFF")
    yield found
    found.stop()


def frame_of(session: SparkSession, X: np.ndarray, weights: np.ndarray | None = None, names: list[str] | None = None) -> DataFrame:
    columns = {name: pa.array(X[:, j]) for j, name in enumerate(names or NAMES)}
    return session.createDataFrame(pa.table(columns if weights is None else {**columns, "w": pa.array(weights)}))


@pytest.fixture(scope="module")
def frame(session: SparkSession) -> DataFrame:
    return frame_of(session, ROWS, WEIGHTS).repartition(5).cache()


@pytest.fixture(scope="module")
def source(frame: DataFrame) -> mixtura.sources.Source:
    return mixtura.open(frame, NAMES)


def assert_same_statistics(got: mixtura.Statistics, expected: mixtura.Statistics, rtol: float = 1e-9) -> None:
    assert got.rows == expected.rows
    for name in ("weight", "log_likelihood", "counts"):
        np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=rtol)
    size = np.abs(expected.second).max()
    np.testing.assert_allclose(got.repivot(expected.pivots).first, expected.first, rtol=rtol, atol=rtol * size)
    np.testing.assert_allclose(got.repivot(expected.pivots).second, expected.second, rtol=rtol, atol=rtol * size)


def bits(statistics: mixtura.Statistics) -> bytes:
    return b"".join(np.asarray(getattr(statistics, name)).tobytes() for name in ("log_likelihood", "counts", "first", "second"))


@pytest.mark.parametrize("cut", ["one", "round robin", "mostly empty", "many"])
def test_a_sweep_is_the_arrays_however_rows_are_cut(session: SparkSession, cut: str, dtype: type) -> None:
    """float32 without weights, float64 with them."""
    weighted = dtype is np.float64
    X = ROWS.astype(dtype)
    whole = frame_of(session, X, WEIGHTS)
    parts = {
        "one": whole.coalesce(1),
        "round robin": whole.repartition(4),
        "mostly empty": whole.repartition(6, F.lit(1)),
        "many": whole.repartition(9),
    }
    source = mixtura.open(parts[cut], NAMES, weight="w" if weighted else None)
    array = mixtura.open(X, weight=WEIGHTS if weighted else None)
    assert source.n_rows == 3000 and source.dtype == dtype
    mixture = mixtura.start(X, 3, random_state=0)
    assert_same_statistics(mixtura.sweep(mixture, source), mixtura.sweep(mixture, array), 1e-9 if dtype is np.float64 else 1e-5)
    assert mixture.score(source) == pytest.approx(mixture.score(array), rel=1e-9 if dtype is np.float64 else 1e-5)
    np.testing.assert_array_equal(source.profile.minimum, array.profile.minimum)
    assert (source.profile.rows, source.profile.weight) == (array.profile.rows, array.profile.weight)


@pytest.mark.quick
def test_every_family_is_summed(source: mixtura.sources.Source, family: Family) -> None:
    mixture = some_mixture(family, 3, 3, seed=2)
    assert_same_statistics(mixtura.sweep(mixture, source), mixtura.sweep(mixture, ROWS))


def test_sums_have_the_same_bits_wherever_they_are_added(frame: DataFrame, session: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an RDD or a DataFrame (for Spark Connect), in one task for all partitions or in one for each, and again."""
    mixture = some_mixture(mixtura.families.FAMILIES["VVV"], 3, 3)
    first = mixtura.open(frame, NAMES)
    expected = bits(mixtura.sweep(mixture, first))
    assert bits(mixtura.sweep(mixture, first)) == expected
    monkeypatch.setattr(mixtura.sources.spark_kept, "TASK_BYTES", 1)
    assert bits(mixtura.sweep(mixture, first)) == expected
    monkeypatch.setattr(on_spark.SparkSource, "_is_classic", False)
    other = mixtura.open(frame, NAMES)
    assert other.engine == "Spark: Connect"
    assert bits(mixtura.sweep(mixture, other)) == expected
    assert sum(map(len, other.map(attrgetter("rows")))) == 3000
    other.close()


def test_blocks_that_are_made_again_have_the_same_bits(frame: DataFrame) -> None:
    """Also where one task makes those of several partitions, as it does for small ones."""
    mixture = some_mixture(mixtura.families.FAMILIES["VVV"], 3, 3)
    source = mixtura.open(frame, NAMES)
    expected = bits(mixtura.sweep(mixture, source))
    source._held.kept.rdd.unpersist(blocking=True)
    assert bits(mixtura.sweep(mixture, source)) == expected


def test_many_large_sums_are_added_where_they_are(session: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = some_mixture(mixtura.families.FAMILIES["VVV"], 3, 3)
    many = frame_of(session, ROWS).repartition(34)
    monkeypatch.setattr(on_spark, "LIGHT", 0)
    found = []
    for classic in (True, False):
        monkeypatch.setattr(on_spark.SparkSource, "_is_classic", classic)
        source = mixtura.open(many)
        found.append(mixtura.sweep(mixture, source))
        assert_same_statistics(found[-1], mixtura.sweep(mixture, ROWS))
        assert len(source.take(np.arange(0, 3000, 7)).X) == 429
    assert bits(found[0]) == bits(found[1])


def test_rows_are_numbered_through_the_partitions(session: SparkSession) -> None:
    frame = frame_of(session, np.arange(500.0)[:, None], np.ones(500), ["i"]).repartition(7).cache()
    order = [row.i for row in frame.select("i").collect()]
    source = mixtura.open(frame, ["i"], weight="w")
    chosen = np.array([0, 3, 99, 100, 250, 499])
    taken = source.take(chosen)
    np.testing.assert_array_equal(taken.X[:, 0], np.take(order, chosen))
    assert taken.weights is not None and taken.columns == ("i",)
    np.testing.assert_array_equal(np.concatenate(list(source.map(attrgetter("rows"))))[:, 0], order)
    drawn = source.sample(50, np.random.default_rng(0)).X[:, 0]
    assert len(set(drawn)) == 50 and set(drawn) <= set(order)
    parts = [
        (set(others.take(np.arange(others.n_rows)).X[:, 0]), set(held.take(np.arange(held.n_rows)).X[:, 0])) for others, held in source.folds(3, [5])
    ]
    assert all(others | held == set(order) and not others & held for others, held in parts)
    assert set.union(*(held for _, held in parts)) == set(order)
    with pytest.raises(ParameterError, match=r"Spark: local\[2\], 7 partitions.*try rule='em'"):
        next(source.batches(10, [0]))


def test_vectors_and_arrays_stand_for_columns(session: SparkSession, frame: DataFrame) -> None:
    vectors = VectorAssembler(inputCols=NAMES, outputCol="features").transform(frame)
    plain = vectors.select("w", F.array(*NAMES).cast("array<float>").alias("v"))
    expected = mixtura.sweep(some_mixture(mixtura.families.FAMILIES["VVV"], 2, 3), ROWS)
    for data, columns, names in (
        (vectors.select("features"), None, "features"),
        (vectors, ["features"], "features"),
        (vectors, [f"features_{j}" for j in range(3)], "features"),
        (plain, ["v"], "v"),
    ):
        source = mixtura.open(data, columns)
        assert source.columns == tuple(f"{names}_{j}" for j in range(3))
        single = source.dtype == np.float32
        assert single == (names == "v")
        got = mixtura.sweep(some_mixture(mixtura.families.FAMILIES["VVV"], 2, 3), source)
        assert_same_statistics(got, expected, 1e-5 if single else 1e-9)
    model = GaussianMixture(2, random_state=0).fit(vectors, columns=["features"])
    answered = model.predict(vectors)
    assert answered.columns == [*NAMES, "w", "features", "component"]
    assert isinstance(answered.schema["features"].dataType, VectorUDT)
    for row in answered.take(5):
        assert row.component == model.mixture_.assign([[row.a, row.b, row.c]])[0]


def test_sparse_vectors_without_a_known_width(session: SparkSession) -> None:
    vectors = session.createDataFrame([(Vectors.sparse(3, [1], [2.0]),), (Vectors.dense([1.0, 0.0, 4.0]),)], ["v"])
    assert mixtura.open(vectors).take(np.arange(2)).X.tolist() in ([[0, 2, 0], [1, 0, 4]], [[1, 0, 4], [0, 2, 0]])


def test_numbers_of_any_kind_are_taken_and_text_is_left_out(session: SparkSession) -> None:
    frame = session.sql("SELECT id AS i, CAST(id AS DECIMAL(9,1)) AS `d.e`, id % 2 = 0 AS even, CAST(id AS STRING) AS s, now() AS t FROM range(10)")
    source = mixtura.open(frame)
    assert (source.columns, source.skipped, source.dtype) == (("i", "d.e", "even"), ("s", "t"), np.float64)
    np.testing.assert_array_equal(source.take(np.arange(10)).X, [[i, i, i % 2 == 0] for i in range(10)])
    assert source.engine == "Spark: local[2], 2 partitions"
    assert source.origin == "Spark DataFrame"


def test_answers_are_one_more_column(frame: DataFrame) -> None:
    model = GaussianMixture(3, random_state=0).fit(frame, columns=NAMES)
    told = model.score_samples(model.predict_proba(model.predict(frame)))
    told = model.mixture_.ask(mixtura.open(told, NAMES), "probability")
    assert isinstance(told, DataFrame)
    assert told.columns == [*NAMES, "w", "component", "posterior", "log_density", "probability"]
    found = told.toArrow()
    X = np.column_stack([found[name].to_numpy() for name in NAMES])
    posterior = np.array(found["posterior"].to_pylist())
    np.testing.assert_array_equal(found["component"].to_numpy(), model.mixture_.assign(X))
    np.testing.assert_allclose(posterior, model.mixture_.posterior(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["log_density"].to_numpy(), model.mixture_.log_density(X), rtol=1e-9)
    np.testing.assert_allclose(found["probability"].to_numpy(), posterior.max(axis=1), rtol=1e-9)


def test_an_estimator_learns_what_it_learns_from_the_array(frame: DataFrame) -> None:
    ours = GaussianMixture(3, random_state=0).fit(frame, sample_weight="w", columns=NAMES)
    array = GaussianMixture(3, random_state=0).fit(ROWS, sample_weight=WEIGHTS)
    assert ours.score(frame, sample_weight="w") == pytest.approx(array.score(ROWS, sample_weight=WEIGHTS), abs=1e-3)
    assert (ours.history_.source, ours.history_.engine) == ("Spark DataFrame", "Spark: local[2], 5 partitions")
    assert ours.feature_names_in_.tolist() == NAMES
    with pytest.raises(DataError, match="unknown column 'a'"):
        ours.predict(frame.drop("a"))


def test_a_fit_goes_on_from_its_checkpoint(frame: DataFrame, tmp_path: Path) -> None:
    assert_goes_on_from_half_a_log(lambda: mixtura.open(frame, NAMES, weight="w"), mixtura.start(ROWS, 3, random_state=0), tmp_path / "kept")


def test_pictures_and_the_report_count_rows_where_they_are(frame: DataFrame, tmp_path: Path) -> None:
    assert_seen_as_the_array(mixtura.open(frame, NAMES, "w"), ROWS, WEIGHTS, tmp_path)


def test_the_loop_and_a_selection(source: mixtura.sources.Source) -> None:
    start = mixtura.start(source, 2, random_state=0)
    trace = mixtura.fit(source, start, max_steps=5, tol=0).log_likelihoods
    np.testing.assert_allclose(trace, mixtura.fit(ROWS, start, max_steps=5, tol=0).log_likelihoods, rtol=1e-9)
    selection = mixtura.select(source, [1, 3], "full", random_state=0, subsample=1000, max_iter=5)
    assert selection.best.n_components == 3


def test_hundreds_of_columns(session: SparkSession) -> None:
    X = np.random.default_rng(0).normal(size=(400, 300))
    wide = session.createDataFrame([(row.tolist(),) for row in X], "v array<double>").repartition(2).cache()
    for family in ("factor:2", "tied"):
        mixture = mixtura.start(wide, 2, family, random_state=0)
        assert mixture.score(wide) == pytest.approx(mixture.score(X), rel=1e-9)


@pytest.mark.parametrize(
    ("select", "options", "error", "message"),
    [
        ("a, 'x' AS s", {"columns": ["a", "s"]}, DataError, "column 's' is not numeric: got string"),
        ("'x' AS s", {}, DataError, "no column is numeric"),
        ("a, b", {"columns": ["a", "d"]}, DataError, "unknown column 'd'"),
        ("a, b AS a", {}, DataError, "column 'a' is there twice"),
        ("a, array(b) AS v", {}, DataError, r"not clear: got numbers in 'a' and arrays in 'v'.*try columns=\['v'\]"),
        ("a, array(b) AS v", {"columns": ["a", "v"]}, DataError, "column 'v' holds arrays"),
        ("a, 'x' AS s", {"weight": "s"}, DataError, "column 's' is not numeric"),
        ("a", {"weight": [1.0]}, ParameterError, "weights of rows on Spark are a column"),
    ],
)
def test_refuses_before_a_pass(frame: DataFrame, select: str, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mixtura.open(frame.selectExpr(*select.split(", ")), **options)


@pytest.mark.parametrize(
    ("select", "options", "message"),
    [
        ("IF(id = 7, double('NaN'), id) AS a", {}, "got NaN in column 'a', row 1 of partition 1, expected a number"),
        ("IF(id = 7, NULL, id) AS a", {}, "got NaN in column 'a', row 1 of partition 1, expected a number"),
        ("IF(id = 7, NULL, array(id, 1)) AS v", {}, "got NaN in column 'v_0', row 1 of partition 1"),
        (
            "IF(id = 7, array(id), array(id, 1)) AS v",
            {},
            "column 'v' holds arrays of several lengths: got 1 numbers in row 1 of partition 1, expected 2",
        ),
        ("id AS a, id - 7 AS w", {"weight": "w"}, "a weight is not usable: got -7.0 in row 0 of partition 0"),
        ("id AS a, id * 0 AS w", {"weight": "w"}, "0 rows of positive weight"),
        ("1e200 * id AS a", {}, "column 'a' cannot be squared"),
    ],
)
def test_refuses_rows_and_says_where(session: SparkSession, select: str, options: dict[str, Any], message: str) -> None:
    source = mixtura.open(session.range(0, 12, 1, 2).selectExpr(*_split(select)), **options)
    with pytest.raises(DataError, match=re.escape(message)):
        _ = source.profile


def _split(select: str) -> list[str]:
    """At commas between columns, which have names; those within parentheses stay."""
    return re.split(r"(?<= AS \w), ", select)


def test_nothing_else_is_rows_on_spark(session: SparkSession, frame: DataFrame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got an empty DataFrame"):
        _ = mixtura.open(frame.where("a IS NULL"), NAMES).n_rows
    with pytest.raises(DataError, match="a streaming DataFrame"):
        mixtura.open(session.readStream.schema("a double").csv(str(tmp_path)))
    with pytest.raises(ParameterError, match=r"got RDD, expected pyspark.sql.DataFrame"):
        mixtura.open(session.sparkContext.parallelize([[1.0]]))


def test_what_is_asked_of_rows_that_are_not_finite(session: SparkSession) -> None:
    mixture = some_mixture(mixtura.families.FAMILIES["VVV"], 2, 1)
    bad = session.range(0, 12, 1, 2).selectExpr("IF(id = 7, NULL, id) AS a")
    with pytest.raises(DataError, match="row 1 of partition 1"):
        mixture.score(bad)
    with pytest.raises(PythonException, match="got NaN in column 'a', row 1 of partition 1"):
        mixture.assign(bad).collect()


def test_rows_that_change_are_told(session: SparkSession, tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / f"{name}.csv").write_text("".join(f"{i}.5\n" for i in range(100)))
    source = mixtura.open(session.read.schema("a double").csv(str(tmp_path)))
    assert source.n_rows == 200
    (tmp_path / "x.csv").write_text("1.5\n" * 50)
    source._held.kept.rdd.unpersist(blocking=True)
    with pytest.raises(DataError, match="got 150, expected 200 as before"):
        mixtura.sweep(some_mixture(mixtura.families.FAMILIES["VVV"], 2, 1), source)


def test_what_fails_for_good_is_told_in_one_sentence(session: SparkSession, source: mixtura.sources.Source) -> None:
    def dies(block: Block) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def divides(block: Block) -> float:
        return 1 / (len(block.rows) - len(block.rows))

    broken = session.range(10).select(F.udf(lambda number: int("seven"), "long")("id").alias("a"))
    for fails, reason in (
        (lambda: source.reduce(dies), "EOFException.*more memory"),
        (lambda: source.reduce(divides), "ZeroDivisionError: division by zero"),
        (lambda: list(source.map(divides)), "ZeroDivisionError: division by zero"),
        (lambda: mixtura.open(broken).n_rows, "packing the rows: got ValueError: invalid literal.*try df.count"),
    ):
        with pytest.raises(WorkerError, match=reason) as told:
            fails()
        assert "\n" not in str(told.value) and "at org.apache" not in str(told.value) and told.value.__cause__ is None
    assert mixtura.sweep(some_mixture(mixtura.families.FAMILIES["VVV"], 2, 3), source).rows == 3000


def test_an_interrupt_ends_the_jobs(session: SparkSession, source: mixtura.sources.Source) -> None:
    def sleeps(block: Block) -> int:
        time.sleep(60)
        return 0

    _ = source.n_rows
    timer = threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        source.reduce(sleeps)
    _until(lambda: not session.sparkContext.statusTracker().getActiveJobsIds())


def test_spark_forgets_the_blocks_with_their_source(session: SparkSession, frame: DataFrame) -> None:
    def kept() -> int:
        return int(session.sparkContext._jsc.getPersistentRDDs().size())

    gc.collect()
    time.sleep(0.5)
    before = kept()
    source = mixtura.open(frame, NAMES)
    assert source.n_rows == 3000 and kept() == before + 1
    source.close()
    _until(lambda: kept() == before)
    assert source.n_rows == 3000 and kept() == before + 1
    del source
    _until(lambda: kept() == before)
    GaussianMixture(1).fit(frame, columns=NAMES)
    _until(lambda: kept() == before)


def _until(holds: Any) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


CLUSTER = """
import os, signal, subprocess, sys
import numpy as np
from pyspark.sql import SparkSession
import mixtura

builder = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.executorEnv.PYTHONPATH", os.pathsep.join(sys.path))
builder = builder.config("spark.executor.memory", "512m")
session = builder.getOrCreate()
session.sparkContext.setLogLevel("OFF")
rows = session.range(0, 20_000, 1, 4).selectExpr("sin(id * 12.9898) * (1 + id % 3) AS a", "cos(id * 78.233) + 4 * (id % 2) AS b")
source = mixtura.open(rows)
start = mixtura.start(source, 3, random_state=0)

def kill(pattern):
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True).stdout.split()
    mine = [int(pid) for pid in found if int(pid) != os.getpid() and descends(int(pid))]
    os.kill(mine[0], signal.SIGKILL)

def descends(pid):
    while pid > 1:
        if pid == os.getpid():
            return True
        with open(f"/proc/{pid}/stat") as file:
            pid = int(file.read().rsplit(")", 1)[1].split()[1])
    return False

for victim in (None, "CoarseGrainedExecutorBackend", "pyspark.daemon"):
    def after(step, victim=victim):
        if step.number == 2 and victim:
            kill(victim)
    fit = mixtura.fit(source, start, mixtura.rules.EM(), max_steps=6, tol=0, on_step=after)
    print(source.engine, np.array(fit.log_likelihoods).tobytes().hex(), fit.mixture.covariances.tobytes().hex(), flush=True)
"""


def test_a_lost_executor_or_worker_changes_no_bit() -> None:
    """A cluster of two executors on this machine: in mid-fit one is killed (SIGKILL), then a worker's daemon. The source is left to the exit."""
    needed(java())
    done = subprocess.run([sys.executable, "-c", CLUSTER], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    straight, without_executor, without_worker = done.stdout.splitlines()
    assert straight.startswith("Spark: local-cluster[2,1,1024], 4 partitions")
    assert straight == without_executor == without_worker


@pytest.mark.quick
def test_spark_is_not_imported_unasked() -> None:
    asked = "import sys, mixtura; mixtura.open([[1.0]]).profile; sys.exit('pyspark' in sys.modules or 'py4j' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
