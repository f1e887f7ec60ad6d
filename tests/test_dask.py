"""Dask collections on workers of their own: the same mixture as rows in memory, however they are cut and whoever dies."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from cases import assert_goes_on_from_half_a_log, assert_seen_as_the_array, halves, in_three_units, some_mixture
from distributed import Client, LocalCluster

import mixtura
from mixtura import BayesianGaussianMixture, GaussianMixture
from mixtura.errors import DataError, ParameterError, WorkerError
from mixtura.families import Family
from mixtura.families import factor as factor_family
from mixtura.sources.dask import DaskSource
from mixtura.sources.processors import n_threads
from mixtura.sources.tasks import Swept

pytestmark = pytest.mark.long

N, NAMES = 5_000, ["a", "b", "c"]
SAME = 1e-9  # relative: sums are added in another order
# rows of each partition; blocks are those of a partition, so that each of these is another sum
CUTS = {"one": (N,), "equal": (1_250,) * 4, "uneven": (1, 0, 2_499, 1, 1, 0, 2_498, 0), "ends empty": (0, 3_000, 2_000, 0, 0)}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return in_three_units(N)


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return halves(N)


@pytest.fixture(scope="module")
def mixture(rows: np.ndarray) -> mixtura.Mixture:
    """Far enough from the best that a fit takes its steps."""
    return mixtura.start(rows[:40], 3, random_state=0)


def array(rows: np.ndarray, cut: str = "equal") -> da.Array:
    return da.from_array(rows, chunks=(CUTS[cut], *rows.shape[1:]))


def unknown(rows: np.ndarray, cut: str = "equal") -> da.Array:
    """The same, of which Dask does not know how many rows a chunk has."""
    chunks = array(rows, cut)
    return chunks[da.ones(N, chunks=(CUTS[cut],), dtype=bool)]


def frame(table: pd.DataFrame, cut: str = "equal") -> dd.DataFrame:
    ends = np.cumsum(CUTS[cut])
    parts = [table.iloc[end - rows : end] for rows, end in zip(CUTS[cut], ends, strict=True)]
    return dd.from_delayed([dask.delayed(part) for part in parts], meta=table.iloc[:0], verify_meta=False)


def compare(one: mixtura.Mixture, other: mixtura.Mixture) -> None:
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=SAME, atol=SAME)


# equality


def test_a_task_takes_one_thread_of_its_worker(client: Client) -> None:
    assert client.submit(n_threads, None).result() == 1
    assert client.submit(n_threads, 3).result() == 3


@pytest.mark.quick
@pytest.mark.usefixtures("client")
def test_a_sweep_is_that_of_the_array(family: Family, rows: np.ndarray, weights: np.ndarray) -> None:
    mixture = some_mixture(family, 3, 3, centre=3.0)
    here = mixtura.sweep(mixture, mixtura.open(rows, weight=weights))
    there = mixtura.sweep(mixture, mixtura.open(array(rows, "uneven"), weight=weights))
    assert there.log_likelihood == pytest.approx(here.log_likelihood, rel=SAME)
    for name in ("counts", "first", "second"):
        expected = getattr(here, name)
        np.testing.assert_allclose(getattr(there, name), expected, rtol=SAME, atol=SAME * np.abs(expected).max())


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("cut", CUTS)
def test_a_fit_is_that_of_the_array_however_rows_are_cut(cut: str, rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    here = mixtura.fit(rows, mixture, max_steps=6, tol=0).mixture
    table = frame(pd.DataFrame(rows, columns=NAMES), cut)
    for collection in (array(rows, cut), unknown(rows, cut), table):
        source = mixtura.open(collection)
        compare(mixtura.fit(source, mixture, max_steps=6, tol=0).mixture, here)
        assert source.n_rows == N


@pytest.mark.quick
@pytest.mark.usefixtures("client")
def test_chunks_of_columns_are_joined(rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    here = mixtura.sweep(mixture, rows)
    for chunks in ((1_000, 1), (N, 2), ((2_000, 3_000), (1, 2))):
        assert mixtura.sweep(mixture, da.from_array(rows, chunks=chunks)).log_likelihood == pytest.approx(here.log_likelihood, rel=SAME)


@pytest.mark.quick
@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("kind", ["float32", "int16", ">f8", "bool"])
def test_only_float32_stays(kind: str, rows: np.ndarray) -> None:
    typed = (rows * 10).astype(kind)
    expected = np.dtype(np.float32 if kind == "float32" else np.float64)
    table = pd.DataFrame({name: typed[:, j].astype(np.dtype(kind).newbyteorder("=")) for j, name in enumerate(NAMES)})
    for collection in (array(typed), frame(table)):
        source = mixtura.open(collection)
        taken = source.take(np.arange(0, N, 7))
        assert source.dtype == taken.dtype == expected
        np.testing.assert_array_equal(taken.X, typed[::7].astype(expected))


@pytest.mark.usefixtures("client")
def test_weights_are_counted(rows: np.ndarray, weights: np.ndarray, mixture: mixtura.Mixture) -> None:
    """As numbers of NumPy or Dask, cut as the rows are or not; as a column; as a series. All of them have the same bits."""
    table = frame(pd.DataFrame(rows, columns=NAMES).assign(w=weights))
    here = mixtura.sweep(mixture, mixtura.open(rows, weight=weights))
    ways: list[tuple[Any, Any]] = [
        (array(rows), weights),
        (array(rows), array(weights)),
        (array(rows), da.from_array(weights, chunks=777)),
        (unknown(rows), weights),
        (unknown(rows), array(weights)),
        (table, "w"),
        (table[NAMES], weights),
        (table[NAMES], table["w"]),
    ]
    found = [mixtura.sweep(mixture, mixtura.open(collection, weight=weight)) for collection, weight in ways]
    for one in found:
        assert one.weight == weights.sum()
        assert one.log_likelihood == found[0].log_likelihood == pytest.approx(here.log_likelihood, rel=SAME)
        np.testing.assert_array_equal(one.second, found[0].second)


@pytest.mark.usefixtures("client")
def test_columns_are_chosen_and_text_is_skipped(rows: np.ndarray) -> None:
    table = frame(pd.DataFrame(rows, columns=NAMES).assign(name="x", w=1.0))
    source = mixtura.open(table)
    assert (source.columns, source.skipped, source.named) == (("a", "b", "c", "w"), ("name",), True)
    source = mixtura.open(table, ["c", "a"], "w")
    assert (source.columns, source.skipped) == (("c", "a"), ())
    np.testing.assert_array_equal(source.take(np.array([0, 4_999])).X, rows[[0, -1]][:, [2, 0]])
    assert mixtura.open(frame(pd.DataFrame(rows))).columns == ("0", "1", "2")
    assert mixtura.open(array(rows), NAMES).columns == tuple(NAMES)


@pytest.mark.usefixtures("client")
def test_blocks_know_the_number_of_their_first_row(rows: np.ndarray) -> None:
    source = mixtura.open(unknown(rows, "uneven"))
    starts = source.reduce(lambda block: [(block.start, block.rows[0].tolist())])
    assert len(starts) > 4
    assert all(first == rows[start].tolist() for start, first in starts)
    parts = list(source.map(lambda block: block.rows.copy()))
    np.testing.assert_array_equal(np.concatenate(parts), rows)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("collection", ["array", "frame"])
def test_estimators_learn_and_answer_lazily(collection: str, rows: np.ndarray, weights: np.ndarray) -> None:
    table = pd.DataFrame(rows, columns=NAMES, index=np.arange(N) * 2)
    near = array(rows) if collection == "array" else dd.from_pandas(table, npartitions=3)
    local = rows if collection == "array" else table
    here = GaussianMixture(3, random_state=0).fit(local, sample_weight=weights)
    model = GaussianMixture(3, random_state=0).fit(near, sample_weight=weights)
    compare(model.mixture_, here.mixture_)
    assert model.score(near) == pytest.approx(model.score(local), rel=SAME)
    assert model.bic(near) == pytest.approx(model.bic(local), rel=SAME)
    for method in ("predict", "predict_proba", "score_samples"):
        answer, expected = getattr(model, method)(near), getattr(model, method)(local)
        assert dask.is_dask_collection(answer)
        computed = answer.compute()
        np.testing.assert_allclose(np.asarray(computed), expected, rtol=SAME, atol=SAME)
        assert np.asarray(computed).dtype == expected.dtype
        if collection == "array":
            assert answer.shape == expected.shape and answer.chunks[0] == near.chunks[0]
        else:
            assert answer.divisions == near.divisions and computed.index.equals(table.index)
    if collection == "frame":
        assert list(model.predict_proba(near).columns) == ["component_0", "component_1", "component_2"]
        assert (model.predict(near).name, model.score_samples(near).name) == ("component", "log_density")
        assert list(model.feature_names_in_) == NAMES
    assert (model.history_.source, model.history_.engine) == (
        ("Dask array", "Dask: 2 workers, 4 partitions") if collection == "array" else ("Dask data frame", "Dask: 2 workers, 3 partitions")
    )


@pytest.mark.usefixtures("client")
def test_answers_of_empty_and_unknown_chunks(rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    expected = mixture.posterior(rows)
    for collection in (array(rows, "uneven"), unknown(rows, "uneven"), frame(pd.DataFrame(rows, columns=NAMES), "uneven")):
        np.testing.assert_allclose(np.asarray(mixture.posterior(collection).compute()), expected, rtol=SAME, atol=SAME)
    source = mixtura.open(unknown(rows, "uneven"))
    assert np.isnan(mixture.assign(source).shape[0])
    assert source.n_rows == N and mixture.assign(source).chunks == (CUTS["uneven"],)


@pytest.mark.usefixtures("client")
def test_factors_bayes_and_other_rules(rows: np.ndarray) -> None:
    start = mixtura.start(rows, 2, factor_family(1), random_state=0)
    compare(mixtura.fit(array(rows), start, max_steps=3, tol=0).mixture, mixtura.fit(rows, start, max_steps=3, tol=0).mixture)
    for model in (BayesianGaussianMixture(n_components=2, random_state=0, tol=1e-2), GaussianMixture(2, rule="map", random_state=0, tol=1e-2)):
        means = model.fit(rows).means_
        np.testing.assert_allclose(model.fit(array(rows)).means_, means, rtol=1e-6)
        assert np.asarray(model.predict(array(rows))).shape == (N,)


@pytest.mark.usefixtures("client")
def test_folds_and_selection(rows: np.ndarray) -> None:
    source = mixtura.open(array(rows, "uneven"))
    for training, held in source.folds(3, [0]):
        assert training.n_rows + held.n_rows == N
        assert training.profile.rows + held.profile.rows == N
        assert len(held.take(np.arange(10)).X) == 10
    for criterion in ("bic", "held_out"):
        selection = mixtura.select(array(rows), [2, 3], ["diag", "tied"], criterion=criterion, folds=2, subsample=1_000, random_state=0, tol=1e-2)
        assert (selection.best.n_components, selection.ranking[0].rows) == (3, N)


# what travels, and what does not


@pytest.mark.usefixtures("client")
def test_bits_do_not_depend_on_the_workers(client: Client, rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    collection = array(rows, "uneven")
    both = mixtura.sweep(mixture, collection)
    cluster = LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0")
    with cluster, Client(cluster) as other, other.as_current():
        source = mixtura.open(collection)
        alone = mixtura.sweep(mixture, source)
        assert source.engine == "Dask: 1 worker, 8 partitions"
    assert alone.log_likelihood == both.log_likelihood
    np.testing.assert_array_equal(alone.second, both.second)
    assert client.status == "running"


def test_rows_are_made_ready_once(client: Client, tmp_path: Path, rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    folder = str(tmp_path)

    def noted(chunk: np.ndarray) -> np.ndarray:
        Path(folder, f"{time.time_ns()} {os.getpid()}").touch()
        return chunk + 0.0

    source = mixtura.open(array(rows).map_blocks(noted, meta=np.empty((0, 0))))
    assert list(tmp_path.iterdir()) == []  # nothing runs before the first pass
    mixtura.fit(source, mixture, max_steps=3, tol=0)
    assert len(list(tmp_path.iterdir())) == 4
    assert isinstance(source, DaskSource)
    tables = {one.key for one in source._tables}
    assert len(tables) == 4 and tables <= {key for keys in client.has_what().values() for key in keys}


def test_a_fit_goes_on_from_its_checkpoint(rows: np.ndarray, mixture: mixtura.Mixture, tmp_path: Path) -> None:
    collection = array(rows, "uneven")
    assert_goes_on_from_half_a_log(lambda: mixtura.open(collection), mixture, tmp_path / "kept")


@pytest.mark.usefixtures("client")
def test_pictures_and_the_report_count_rows_where_they_are(rows: np.ndarray, weights: np.ndarray, tmp_path: Path) -> None:
    assert_seen_as_the_array(mixtura.open(frame(pd.DataFrame(rows, columns=NAMES).assign(w=weights)), NAMES, "w"), rows, weights, tmp_path)


def test_what_travels_is_small(rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    source = mixtura.open(rows)
    task = Swept(mixture.gaussians, source.frame(False), source.dtype, (mixture.family.moment, False))
    numbers = task.plan.sweep(rows, None).size
    assert len(pickle.dumps(task)) < 8 * numbers + 4_000
    again = pickle.loads(pickle.dumps(task))
    np.testing.assert_array_equal(again.plan.sweep(rows, None), task.plan.sweep(rows, None))


def test_nothing_of_dask_is_imported_unasked_and_a_missing_library_is_named() -> None:
    code = """
import sys
import mixtura
assert not {"dask", "distributed"} & set(sys.modules)
import dask.array
sys.modules["distributed"] = None
try:
    mixtura.open(dask.array.ones((4, 2)))
except mixtura.errors.MissingLibraryError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "got no distributed" in done.stdout and "pip install 'mixtura[dask]'" in done.stdout


def test_without_a_client_one_is_started_on_this_machine(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("""
import dask.array as da
import numpy as np
import mixtura

if __name__ == "__main__":
    rows = da.from_array(np.random.default_rng(0).normal(size=(200, 2)), chunks=(100, 2))
    for _ in range(2):
        print(mixtura.GaussianMixture(1).fit(rows).history_.engine)
""")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(line.startswith("Dask: ") and line.endswith("started on this machine, 2 partitions") for line in lines)


# what is refused


@pytest.mark.usefixtures("client")
def test_a_value_that_is_not_finite_is_named_with_its_place(rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    bad = rows.copy()
    bad[3_333, 1] = np.nan
    said = r"got NaN in column '%s', row 833 of partition 2 \(row 3333 of all\)"
    with pytest.raises(DataError, match=said % "x1"):
        GaussianMixture(2).fit(array(bad))
    with pytest.raises(DataError, match=said % "x1"):
        mixture.score(unknown(bad))
    table = pd.DataFrame(bad, columns=NAMES).assign(b=pd.array(bad[:, 1], "Float64"))  # a null, as pandas and Arrow have them
    with pytest.raises(DataError, match=said % "b"):
        GaussianMixture(2).fit(frame(table))
    for lazy in (mixture.posterior(array(bad)), mixture.posterior(frame(table))):
        with pytest.raises(DataError, match="row 833 of partition 2, expected a number"):
            lazy.compute()


REFUSED: dict[str, tuple[Any, Any, Any, type[Exception], str]] = {
    "one dimension": (lambda rows: da.from_array(rows[:, 0]), None, None, DataError, "no table of numbers: got shape"),
    "text in an array": (lambda rows: da.from_array(rows.astype(str)), None, None, DataError, "no table of numbers"),
    "a series": (lambda rows: frame(pd.DataFrame(rows, columns=NAMES))["a"], None, None, DataError, "no table: got Series"),
    "a bag": (lambda rows: dask.delayed(rows), None, None, DataError, "no table: got Delayed"),
    "text in a chosen column": (lambda rows: frame(pd.DataFrame({"t": ["x"] * N})), ["t"], None, DataError, "column 't' is not numeric"),
    "text alone": (lambda rows: frame(pd.DataFrame({"t": ["x"] * N})), None, None, DataError, "no column is numeric"),
    "an unknown column": (lambda rows: frame(pd.DataFrame(rows, columns=NAMES)), ["z"], None, DataError, "unknown column 'z'"),
    "an unknown weight": (lambda rows: frame(pd.DataFrame(rows, columns=NAMES)), None, "z", DataError, "unknown column 'z'"),
    "too few names": (array, ["a"], None, DataError, "expected 3 of them"),
    "a weight by name": (array, None, "w", ParameterError, "an array has no column of weights"),
    "weights of another length": (array, None, np.ones(7), DataError, r"got shape \(7,\), expected \(5000,\)"),
    "lazy weights of another length": (array, None, da.ones(7), DataError, r"got shape \(7,\), expected \(5000,\)"),
    "weights cut otherwise": (unknown, None, da.ones(N, chunks=N), DataError, "got 1 partitions, expected 4"),
    "lazy weights of unknown length": (unknown, None, da.ones(8, chunks=2), DataError, r"got shape \(2,\) in partition 0, expected \(1250,\)"),
    "a negative weight": (array, None, np.where(np.arange(N) == 1_300, -1, 1), DataError, "got -1.0 in row 1300"),
    "a lazy negative weight": (array, None, -da.ones(N), DataError, "got -1.0 in row 0 of partition 0"),
    "weights all zero": (array, None, np.zeros(N), DataError, "all weights are zero"),
    "lazy weights all zero": (array, None, da.zeros(N), DataError, "0 rows of positive weight"),
    "no rows": (lambda rows: da.from_array(rows)[:0], None, None, DataError, "no rows"),
    "a graph that fails": (lambda rows: failing(rows), None, None, WorkerError, "a task failed on a Dask worker: got ZeroDivisionError: "),
    "chunks of another length": (lambda rows: lying(rows), None, None, DataError, "got 4 in partition 0, expected 1250"),
}


def failing(rows: np.ndarray) -> da.Array:
    def fail(chunk: np.ndarray) -> np.ndarray:
        return chunk * (1 // 0)

    return array(rows).map_blocks(fail, meta=np.empty((0, 0)))


def lying(rows: np.ndarray) -> da.Array:
    def shorten(chunk: np.ndarray) -> np.ndarray:
        return chunk[:4]

    return array(rows).map_blocks(shorten, meta=np.empty((0, 0)))


@pytest.mark.quick
@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str, rows: np.ndarray) -> None:
    make, columns, weight, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as told:
        assert mixtura.open(make(rows), columns, weight).profile.rows
    assert "; try " in str(told.value)


@pytest.mark.usefixtures("client")
def test_other_widths_and_mini_batches_are_refused(rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    with pytest.raises(DataError, match="got 2 columns, expected 3"):
        mixture.score(array(rows[:, :2]))
    model = GaussianMixture(1).fit(frame(pd.DataFrame(rows, columns=NAMES)))
    with pytest.raises(DataError, match="unknown column 'c'"):
        model.predict(frame(pd.DataFrame(rows[:, :2], columns=NAMES[:2])))
    with pytest.raises(ParameterError, match="mini-batches cannot be drawn here: got rows on Dask: 2 workers, 4 partitions"):
        GaussianMixture(2, rule="online", random_state=0).fit(array(rows))


# faults


def test_a_worker_that_is_killed_in_a_sweep_changes_no_bit(client: Client, tmp_path: Path, rows: np.ndarray) -> None:
    source, flag = mixtura.open(array(rows)), str(tmp_path / "died")
    whole = source.profile

    def deadly(block: Any) -> np.ndarray:
        if block.start >= 2_500 and not os.path.exists(flag):
            Path(flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.concatenate([block.rows.sum(axis=0), (block.rows**2).sum(axis=0)])

    first = source.reduce(deadly)
    assert os.path.exists(flag)
    np.testing.assert_array_equal(first, source.reduce(deadly))
    np.testing.assert_allclose(first[:3] / N, whole.mean, rtol=1e-12)
    client.wait_for_workers(2)


def test_a_fit_goes_on_where_a_worker_is_killed(client: Client, rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    undisturbed = mixtura.fit(array(rows), mixture, max_steps=10, tol=0)
    assert undisturbed.n_steps == 10
    before = client.run(os.getpid)

    def kill(step: mixtura.Step) -> None:
        if step.number == 3:
            os.kill(before[min(before)], signal.SIGKILL)

    disturbed = mixtura.fit(array(rows), mixture, max_steps=10, tol=0, on_step=kill)
    assert disturbed.log_likelihoods == undisturbed.log_likelihoods
    np.testing.assert_array_equal(disturbed.mixture.covariances, undisturbed.mixture.covariances)
    client.wait_for_workers(2)
    assert before[min(before)] not in client.run(os.getpid).values()


def test_an_interrupt_ends_what_is_under_way(client: Client, tmp_path: Path, rows: np.ndarray) -> None:
    source, folder = mixtura.open(array(rows)), str(tmp_path)
    source.profile  # noqa: B018

    def slow(block: Any) -> int:
        Path(folder, str(block.start)).touch()
        time.sleep(1)
        return 1

    timer = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt) as told:  # whose traceback holds on to all that was under way, as an interactive session does
        source.reduce(slow)
    timer.join()
    for _ in range(100):
        if not any(client.processing().values()):
            break
        time.sleep(0.1)
    assert not any(client.processing().values())
    assert told.tb is not None
    assert len(list(tmp_path.iterdir())) < len(source.reduce(lambda block: [block.start]))


def test_a_cluster_that_is_gone_is_told_in_one_error(client: Client, rows: np.ndarray, mixture: mixtura.Mixture) -> None:
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0")
    with cluster, Client(cluster) as doomed, doomed.as_current():
        source = mixtura.open(array(rows))
        mixtura.sweep(mixture, source)
        with pytest.raises(WorkerError, match="a task killed every Dask worker that took it"):
            source.reduce(lambda block: os.kill(os.getpid(), signal.SIGKILL))
        doomed.wait_for_workers(1)
        mixtura.sweep(mixture, source)
        cluster.scale(0)
        with dask.config.set({"distributed.scheduler.no-workers-timeout": "1s"}), pytest.raises(WorkerError, match="has no workers: got none"):
            for _ in mixtura.iterate(source, mixture):
                pass
        cluster.close()
        with pytest.raises(WorkerError, match="the Dask cluster is gone"):
            mixtura.sweep(mixture, source)
    assert client.status == "running"


def test_a_cancelled_fit_is_told(client: Client, rows: np.ndarray) -> None:
    source = mixtura.open(array(rows))
    assert isinstance(source, DaskSource) and source.profile.rows == N
    client.cancel(source._tables)
    with pytest.raises(WorkerError, match="cancelled"):
        source.reduce(lambda block: len(block.rows))


def test_a_client_of_coroutines_is_refused(client: Client, rows: np.ndarray) -> None:
    async def profile() -> None:
        async with Client(client.scheduler.address, asynchronous=True) as other:
            with other.as_current():
                mixtura.open(array(rows)).profile  # noqa: B018

    with pytest.raises(ParameterError, match="asynchronous=True"):
        asyncio.run(profile())
