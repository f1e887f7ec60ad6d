"""A fit that was killed at any moment and called again ends with the bits of one that nothing disturbed; Ctrl-C keeps what was done.

`python test_checkpoints.py CASE FOLDER RECORDS` runs a case in a process that kills itself once the log holds so many records.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

import mixtura
from mixtura import checkpoints, rules
from mixtura.errors import CheckpointWarning, ConvergenceWarning, DataError, FileError, InterruptionWarning, ParameterError
from mixtura.sources.digests import digest
from mixtura.sources.journal import MISSING, Journal
from mixtura.sources.records import decode, encode
from mixtura.sources.remembered import FEW, RememberedArray, remembered
from mixtura.sources.tasks import Block, Profiled, Swept

N, D, K = 40_000, 9, 3
START = mixtura.Mixture(np.full(K, 1 / K), np.eye(K, D), np.repeat(np.eye(D)[None] * 3, K, axis=0))
SHORT = {"tol": 0.0, "max_steps": 12}


@functools.cache
def rows() -> Any:
    generator = np.random.default_rng(0)
    means = np.random.default_rng(1).normal(size=(K, D))
    return generator.normal(size=(N, D)) + means[generator.integers(K, size=N)]


def array() -> Any:
    return mixtura.open(rows())


@functools.cache
def file() -> Path:
    """The same rows, in a file beside the log of pytest's process, so that other processes read the same."""
    path = Path(os.environ.get("MIXTURA_TEST_ROWS", ""))
    if path.name != "rows.parquet":
        raise RuntimeError("the fixture `place` makes the file")
    if not path.exists():
        parquet.write_table(pa.table(list(rows().T), names=[f"c{j}" for j in range(D)]), path, row_group_size=9_000)
    return path


def stream() -> Any:
    return mixtura.open(file(), in_memory=False)


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    os.environ["MIXTURA_TEST_ROWS"] = str(tmp_path_factory.mktemp("rows") / "rows.parquet")
    file()
    yield
    del os.environ["MIXTURA_TEST_ROWS"]
    file.cache_clear()


TIED = mixtura.Mixture(START.weights, START.means, START.covariances[0], "tied")


def by(rule: Any, source: Callable[[], Any], start: mixtura.Mixture = START) -> Callable[..., Any]:
    def run(**kept: Any) -> Any:
        fit = mixtura.fit(source(), start, rule, **SHORT, **kept)
        return [*fit.log_likelihoods, fit.mixture.weights, fit.mixture.means, fit.mixture.covariances]

    return run


def restarts(**kept: Any) -> Any:
    model = mixtura.GaussianMixture(K, n_init=3, init_params="random_from_data", tol=0.0, max_iter=6, random_state=0)
    model.fit(array(), **kept)
    return [*model.history_.runs, model.lower_bound_, model.means_, model.covariances_]


def variational(**kept: Any) -> Any:
    model = mixtura.BayesianGaussianMixture(n_components=K, init_params="random_from_data", tol=0.0, max_iter=8, random_state=0).fit(stream(), **kept)
    return [model.lower_bound_, model.means_, model.covariances_, model.weight_concentration_[0]]


def selection(source: Callable[[], Any] = stream, **kept: Any) -> Any:
    found = mixtura.select(source(), [2, 3], ["diag", "full"], criterion="held_out", folds=2, subsample=4_000, max_iter=12, random_state=0, **kept)
    return [value for one in found.ranking for value in (one.held_out, one.bic, one.icl, one.mixture.means, one.mixture.covariances)]


CASES: dict[str, Callable[..., Any]] = {
    "em": by(rules.EM(), array),
    "squarem": by(None, stream),
    "adam": by(rules.GradientAscent(0.01, "adam"), stream),
    "adam in batches": by(rules.GradientAscent(0.01, "adam", batch_rows=8_000, passes=2), array),
    "lbfgs": by(rules.LBFGS(), array),
    "online": by(rules.Online(batch_rows=6_000, passes=2), stream),
    "online in memory": by(rules.Online(batch_rows=6_000, passes=2), array),
    "online with what batches share": by(rules.Online(batch_rows=6_000, passes=1), array, TIED),
    "factors": lambda **kept: _factors(**kept),
    "restarts": restarts,
    "variational": variational,
    "selection": selection,
    "selection in memory": functools.partial(selection, array),
}
LONG = ("factors", "selection", "selection in memory")


def _factors(**kept: Any) -> Any:
    start = mixtura.start(rows()[:2_000], K, "factor:2", random_state=0)
    fit = mixtura.fit(stream(), start, rules.EM(), **SHORT, **kept)
    return [*fit.log_likelihoods, fit.mixture.covariances]


def ran(case: str, **kept: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few steps are enough to tell bits apart
        return CASES[case](**kept)


@functools.cache
def undisturbed(case: str) -> Any:
    return ran(case)


def same(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


def in_process(*words: str) -> subprocess.Popen[str]:
    heard = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # a test in the background would pass on its deafness
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, __file__, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heard, env=environment
    )


def counting(source: Any) -> list[Any]:
    """The tasks that come to be passes over the rows of this source, from now on."""
    tasks: list[Any] = []

    class Counting(type(source)):  # type: ignore[misc]
        def reduce(self, task: Any) -> Any:
            tasks.append(task)
            return super().reduce(task)

    source.__class__ = Counting
    return tasks


# what is kept


@pytest.mark.parametrize("case", [pytest.param(case, marks=[pytest.mark.long] * (case in LONG)) for case in CASES])
def test_a_fit_that_is_kept_has_the_same_bits_and_so_has_one_that_is_called_again(tmp_path: Path, case: str) -> None:
    log = tmp_path / "ck" / "sweeps.log"
    assert same(ran(case, checkpoint=tmp_path / "ck"), undisturbed(case))
    size = log.stat().st_size
    assert size > 1_000
    assert same(ran(case, checkpoint=tmp_path / "ck"), undisturbed(case))
    assert log.stat().st_size == size  # nothing was found that was not known


@pytest.mark.parametrize("case", ["em", "lbfgs", "online", pytest.param("selection", marks=pytest.mark.long)])
@pytest.mark.parametrize("records", [1, 7])
def test_a_killed_fit_goes_on_with_the_same_bits(tmp_path: Path, case: str, records: int) -> None:
    process = in_process(case, str(tmp_path / "ck"), str(records))
    assert process.communicate(timeout=100) == ("", "") and process.returncode == -signal.SIGKILL
    journal = Journal(tmp_path / "ck" / "sweeps.log", 30)
    assert len(journal) == records
    journal.close()
    assert same(ran(case, checkpoint=tmp_path / "ck"), undisturbed(case))


@pytest.mark.long
@pytest.mark.parametrize("case", ["squarem", "restarts"])
def test_a_fit_killed_at_a_random_moment_goes_on_with_the_same_bits(tmp_path: Path, case: str) -> None:
    log, delay = tmp_path / "ck" / "sweeps.log", random.Random(case).uniform(0, 0.1)
    process = in_process(case, str(tmp_path / "ck"), "1000000")
    while not log.exists() and process.poll() is None:
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.communicate()
    assert log.exists()
    assert same(ran(case, checkpoint=tmp_path / "ck"), undisturbed(case))


@pytest.mark.long
@pytest.mark.parametrize("case", ["em", "adam in batches", "lbfgs", "online", "variational", "restarts", "selection"])
def test_a_log_cut_off_anywhere_is_gone_on_from(tmp_path: Path, case: str) -> None:
    ran(case, checkpoint=tmp_path / "whole")
    size = (tmp_path / "whole" / "sweeps.log").stat().st_size
    generator = random.Random(case)
    for number in range(6):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        os.truncate(folder / "sweeps.log", generator.randrange(size))
        assert same(ran(case, checkpoint=folder), undisturbed(case))


@pytest.mark.parametrize("source", [array, stream], ids=["array", "file"])
def test_what_is_remembered_takes_no_pass(tmp_path: Path, source: Callable[[], Any]) -> None:
    def passes(folder: Path) -> list[Any]:
        opened = source()
        tasks = counting(opened)
        mixtura.fit(opened, START, rules.EM(), **SHORT, checkpoint=folder)
        return [task for task in tasks if not isinstance(task, Profiled)]

    first = passes(tmp_path / "ck")
    assert len(first) == 13 and all(isinstance(task, Swept) for task in first)  # the start and twelve steps
    assert passes(tmp_path / "ck") == []
    journal = Journal(tmp_path / "ck" / "sweeps.log", 30)
    ends = sorted(place.offset for place in journal._places.values())
    journal.close()
    os.truncate(tmp_path / "ck" / "sweeps.log", ends[5])  # five are left, of a file one of them the profile, which of an array is taken every time
    assert len(passes(tmp_path / "ck")) == (8 if source is array else 9)


def test_batches_that_are_remembered_are_not_drawn(tmp_path: Path) -> None:
    def pieces() -> Any:
        nonlocal read
        read += 1
        yield from np.array_split(rows(), 7)

    read = 0
    rule = rules.Online(batch_rows=6_000, passes=2)
    first = mixtura.fit(pieces, START, rule, **SHORT, checkpoint=tmp_path / "ck")
    assert read == 7  # a look at the first array, the profile, three sweeps, two passes of batches
    read = 0
    again = mixtura.fit(pieces, START, rule, **SHORT, checkpoint=tmp_path / "ck")
    assert read == 1 and np.array_equal(again.mixture.means, first.mixture.means)


@pytest.mark.parametrize("source", [array, stream], ids=["array", "file"])
def test_parts_of_the_rows_are_not_mistaken_for_one_another(tmp_path: Path, source: Callable[[], Any]) -> None:
    """The same task, asked of every batch and fold by any seed and size: what is remembered is what each part gives."""

    def parts(opened: Any) -> Iterator[Any]:
        for seed in (0, 1):
            for size in (8_000, 6_000):
                yield from opened.batches(size, [seed])
            for count in (3, 4):  # of two folds each is the rest of the other
                yield from itertools.chain.from_iterable(opened.folds(count, [seed]))

    expected = [part.reduce(_total).tolist() for part in parts(source())]
    assert len(set(map(tuple, expected))) == len(expected)
    journal = Journal(tmp_path / "log", 30)
    for _ in range(2):
        assert [part.reduce(_total).tolist() for part in parts(remembered(source(), journal))] == expected
    journal.close()


def _total(block: Any) -> np.ndarray:
    return block.rows.sum(axis=0)


def test_a_seed_that_was_not_given_is_kept(tmp_path: Path) -> None:
    def means(folder: str) -> Any:
        model = mixtura.GaussianMixture(K, init_params="random_from_data", tol=0.0, max_iter=2)
        with pytest.warns(ConvergenceWarning):
            return model.fit(array(), checkpoint=tmp_path / folder).means_

    first = means("one")
    os.truncate(tmp_path / "one" / "sweeps.log", 2_000)
    assert np.array_equal(means("one"), first) and not np.array_equal(means("two"), first)

    def chosen(folder: str) -> Any:
        return mixtura.select(stream(), [3], "diag", subsample=1_000, max_iter=5, checkpoint=tmp_path / folder).ranking[0].mixture.means

    first = chosen("three")
    os.truncate(tmp_path / "three" / "sweeps.log", 2_000)
    assert np.array_equal(chosen("three"), first) and not np.array_equal(chosen("four"), first)


def test_the_best_so_far_is_a_model_file(tmp_path: Path) -> None:
    seen: list[Any] = []

    def look(step: Any) -> None:
        seen.append(mixtura.Mixture.load(tmp_path / "ck" / "model.safetensors").means)
        assert np.array_equal(seen[-1], step.mixture.means)  # of EM's steps the last is the best

    fit = mixtura.fit(array(), START, rules.EM(), **SHORT, on_step=look, checkpoint=tmp_path / "ck", checkpoint_every=0)
    assert len(seen) == 13
    assert np.array_equal(mixtura.Mixture.load(tmp_path / "ck" / "model.safetensors").means, fit.mixture.means)


def test_few_rows_are_fitted_as_without(tmp_path: Path) -> None:
    few = rows()[:500, :2]
    plain = mixtura.select(few, [1, 2, 3], "usual", random_state=0)
    kept = mixtura.select(few, [1, 2, 3], "usual", random_state=0, checkpoint=tmp_path / "ck")
    for one, other in zip(plain.ranking, kept.ranking, strict=True):
        assert (one.cell, one.history, one.icl) == (other.cell, other.history, other.icl)
    assert len(few) * 6 <= FEW  # so that nothing was written down
    journal = Journal(tmp_path / "ck" / "sweeps.log", 30)
    assert len(journal) == 0
    kind = mixtura.open(few)
    assert remembered(kind, journal) is kind and isinstance(remembered(array(), journal), RememberedArray)
    journal.close()


# what is refused


def test_damage_is_never_read_as_a_result(tmp_path: Path) -> None:
    ran("em", checkpoint=tmp_path / "whole")
    content = (tmp_path / "whole" / "sweeps.log").read_bytes()
    generator = random.Random(0)
    for number in range(12):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        place = generator.randrange(18, len(content) - 4_000)
        damaged = bytearray(content)
        damaged[place] ^= 1 << generator.randrange(8)
        (folder / "sweeps.log").write_bytes(damaged)
        with pytest.warns(CheckpointWarning, match="sweeps.log is damaged: got bytes that were not written there"):
            assert same(ran("em", checkpoint=folder), undisturbed("em"))
        assert same(ran("em", checkpoint=folder), undisturbed("em"))  # it is whole again


def test_a_log_damaged_while_it_is_in_use_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log", 30)
    journal.put(b"d" * 32, np.arange(100.0))
    content = bytearray((tmp_path / "log").read_bytes())
    content[-50] ^= 1
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(FileError, match="was damaged while it was in use"):
        journal.get(b"d" * 32)
    journal.close()


def test_another_fit_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ck"

    def fit(source: Any = None, start: Any = START, rule: Any = None, tol: float = 0.0) -> Any:
        return mixtura.fit(source or array(), start, rule or rules.EM(), tol=tol, max_steps=2, checkpoint=folder)

    first = fit()
    other = rows().copy()
    other[17, 3] += 1e-9
    with pytest.raises(ParameterError, match=r"is of another fit: got rows 'profile .*, expected 'profile .* as there; try the same call"):
        fit(mixtura.open(other))
    with pytest.raises(ParameterError, match=r"got rows 'array of \(39999, 9\) float64', expected 'array of \(40000, 9\) float64'"):
        fit(mixtura.open(rows()[1:]))
    with pytest.raises(ParameterError, match=r"got rows 'rows .*, expected"):
        fit(mixtura.open(np.concatenate([rows()[1:2], rows()[:1], rows()[2:]])))
    with pytest.raises(ParameterError, match="got rows 'array of .* float64 with weights'"):
        fit(mixtura.open(rows(), weight=np.ones(N)))
    with pytest.raises(ParameterError, match="is of another fit: got rows"):
        fit(stream())
    with pytest.raises(ParameterError, match="got tol 0.1, expected 0.0 as there"):
        fit(tol=0.1)
    with pytest.raises(ParameterError, match=r"got rule kind 'GradientAscent', expected 'EM'"):
        fit(rule=rules.GradientAscent(0.1))
    with pytest.raises(ParameterError, match=r"got start digest"):
        fit(start=mixtura.Mixture(START.weights, START.means + 1, START.covariances))
    with pytest.raises(ParameterError, match="got function 'GaussianMixture.fit', expected 'mixtura.fit'"):
        mixtura.GaussianMixture(K).fit(array(), checkpoint=folder)
    header = json.loads((folder / "checkpoint.json").read_text())
    header["versions"]["numpy"] = "1.0"
    (folder / "checkpoint.json").write_text(json.dumps(header))
    with pytest.raises(ParameterError, match=rf"got version of numpy '{np.__version__}', expected '1.0' as there"):
        fit()
    header["versions"]["numpy"] = np.__version__
    (folder / "checkpoint.json").write_text(json.dumps(header))
    assert np.array_equal(fit().mixture.means, first.mixture.means)


def test_a_folder_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    def fit(folder: Path, **more: Any) -> Any:
        return mixtura.fit(array(), START, **SHORT, checkpoint=folder, **more)

    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot keep a checkpoint in .*file: File exists"):
        fit(tmp_path / "file")
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "sweeps.log").write_text("")
    with pytest.raises(FileError, match=r"got a sweeps.log without checkpoint.json"):
        fit(tmp_path / "log")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "checkpoint.json").write_text("{")
    with pytest.raises(FileError, match="checkpoint.json is damaged"):
        fit(tmp_path / "json")
    (tmp_path / "json" / "checkpoint.json").write_text("{}")
    with pytest.raises(FileError, match="checkpoint.json is no header of a checkpoint"):
        fit(tmp_path / "json")
    fit(tmp_path / "ck")
    (tmp_path / "ck" / "sweeps.log").write_bytes(b"something else entirely")
    with pytest.raises(FileError, match="sweeps.log is no journal"):
        fit(tmp_path / "ck")
    for every in ("soon", "-1", True, "3d"):
        with pytest.raises(ParameterError, match="checkpoint_every is no time: got .*try '30s'"):
            fit(tmp_path / "new", checkpoint_every=every)
    with pytest.raises(DataError, match="not finite"):
        mixtura.fit(np.full((N, D), np.nan), START, checkpoint=tmp_path / "nan")


def test_two_fits_in_one_folder_at_once_are_refused(tmp_path: Path) -> None:
    def look(step: Any) -> None:
        with pytest.raises(FileError, match=rf"is in use: got a lock held by process {os.getpid()}, expected none; try when that has ended"):
            ran("em", checkpoint=tmp_path / "ck")

    mixtura.fit(array(), START, rules.EM(), tol=0.0, max_steps=1, on_step=look, checkpoint=tmp_path / "ck")


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log", 30)
    journal._file.close()
    journal._file = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115
    with pytest.raises(FileError, match="cannot keep a checkpoint in .*log: No space left on device; try another folder"):
        journal.put(b"d" * 32, 1)
    journal._file.close()


# the parts


def test_results_are_written_to_the_last_bit() -> None:
    block = Block(3, np.asfortranarray(rows()[:5]).astype(np.float32, order="K"), None)
    values = [1, 0.1 + 0.2, np.nan, None, [(0, 3), (3, 9)], [block], np.arange(6).reshape(2, 3), array().profile, np.array([np.nan, -0.0]), []]
    for value in values:
        assert digest(decode(encode(value))) == digest(value)  # type: ignore[arg-type]
        assert type(decode(encode(value))) is type(value)  # type: ignore[arg-type]
    assert decode(encode([block]))[0].rows.flags.f_contiguous  # type: ignore[arg-type]
    for value in (lambda: 0, {1: 2}, [{3}], np.array([None])):
        assert encode(value) is None


def test_what_has_no_digest_is_computed_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log", 30)
    source = array()
    tasks = counting(source)
    kept = remembered(source, journal)
    for times in (1, 2):
        assert kept.reduce(lambda block: len(block.rows)) == N
        assert len(tasks) == times and len(journal) == 0
    for _ in range(2):
        assert kept.reduce(_length) == N
    assert len(tasks) == 3 and len(journal) == 1
    assert kept.reduce(lambda block: {block.start}.__len__()) > 1  # a sum of ones
    journal.close()


def _length(block: Any) -> int:
    return len(block.rows)


def test_digests_tell_contents_apart() -> None:
    mixture = START.gaussians
    values = [
        *(1, 1.0, True, "1", b"1", None, (), [], (1,), ((1,),), (1, 2), [1, 2], {1: 2}, {2: 1}, -0.0, 0.0, np.nan),
        *(np.zeros(2), np.zeros(2, np.float32), np.zeros((2, 1)), np.zeros((2, 2)), np.asfortranarray(np.ones((2, 2))), np.ones((2, 2))),
        *(mixture, mixture._replace(isotropic=True), np.dtype(float), np.dtype(np.float32), Profiled(), _length, digest, Profiled),
        *(mixtura.families.family_of("diag"), mixtura.families.factor(2).moment, mixtura.families.factor(3).moment, rules.EM(), rules.LBFGS()),
    ]
    names = [digest(value) for value in values]
    assert None not in names and len(set(names)) == len(values)
    assert digest(1, 2) != digest((1, 2)) and digest("ab", "c") != digest("a", "bc")
    assert digest(np.arange(3)) == digest(np.arange(3)) and digest(object()) is None and digest([lambda: 0]) is None


def test_a_journal_is_written_by_many_threads(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log", 0)
    names = [digest(number) for number in range(200)]

    def work() -> None:
        for number, name in enumerate(names):
            journal.put(name, np.full(number, number))  # type: ignore[arg-type]
            assert (journal.get(name) == number).all()  # type: ignore[arg-type]

    threads = [threading.Thread(target=work) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    journal.close()
    again = Journal(tmp_path / "log", 0)
    assert len(again) == 200 and all(len(again.get(name)) == number for number, name in enumerate(names))  # type: ignore[arg-type]
    assert again.get(b"?" * 32) is MISSING
    again.close()


@pytest.mark.parametrize(("text", "value"), [("30s", 30.0), ("1.5m", 90.0), ("1h", 3600.0), (7, 7.0), (0.25, 0.25), ("12", 12.0)])
def test_times(text: Any, value: float) -> None:
    assert checkpoints.seconds(text) == value


# the command


def fit_in_shell(folder: str | Path, *more: str, data: str | None = None) -> list[str]:
    return ["fit", data or str(file()), "--components", "2:3", "--family", "diag", "--subsample", "30000", "--output", str(folder), "--quiet", *more]


@pytest.mark.long
def test_the_command_resumes_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mixtura.cli import app

    there, plain, kept = (tmp_path / name for name in ("there", "there/plain", "there/kept"))
    there.mkdir()
    monkeypatch.chdir(there)
    (there / "rows.parquet").symlink_to(file())
    assert CliRunner().invoke(app, fit_in_shell("plain", data="rows.parquet")).exit_code == 0
    process = in_process("command", "ck", "5", *fit_in_shell("kept", "--checkpoint", "ck", data="rows.parquet"))
    assert process.communicate(timeout=100)[1] == "" and process.returncode == -signal.SIGKILL
    assert not kept.exists()
    monkeypatch.chdir(tmp_path)
    shutil.move(there / "ck", tmp_path / "moved")
    done = CliRunner().invoke(app, ["fit", "--resume", "moved", "--output", str(kept)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith(f"mixtura: resuming, in {there}: mixtura fit rows.parquet --components 2:3 ")
    assert Path.cwd() == tmp_path
    for name in ("model.safetensors", "summary.json"):
        assert (kept / name).read_bytes() == (plain / name).read_bytes()
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "moved")])
    assert shown.exit_code == 0 and "components, family diag (VVI)" in shown.output and "c8" in shown.output


def test_the_command_refuses_to_resume_in_one_line(tmp_path: Path) -> None:
    from mixtura.cli import app

    def told(*words: str) -> str:
        done = CliRunner().invoke(app, ["fit", *words])
        assert done.exit_code == 2 and done.stdout == ""
        return done.stderr

    assert "got no checkpoint.json there, expected the folder of a checkpoint" in told("--resume", str(tmp_path))
    for words in (["--resume"], ["--resume", "a", "--quiet"], ["x.csv", "--resume=a"], ["--resume="], ["--resume", "a", "-o"], ["--resume=a"] * 2):
        assert "error: --resume stands alone: got" in told(*words)
    mixtura.fit(array(), START, **SHORT, checkpoint=tmp_path / "ck")
    assert "it was not begun by the command" in told(f"--resume={tmp_path / 'ck'}")


# Ctrl-C


def test_an_interrupted_fit_gives_its_best_step(tmp_path: Path) -> None:
    def interrupt(step: Any) -> None:
        if step.number == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(
        InterruptionWarning, match=r"got 4 steps, expected convergence; the best so far is saved in .*ck/model.safetensors, and the same"
    ):
        fit = mixtura.fit(array(), START, rules.EM(), **SHORT, on_step=interrupt, checkpoint=tmp_path / "ck")
    assert fit.interrupted and not fit.converged and fit.n_steps == fit.best.number == 4
    assert np.array_equal(mixtura.Mixture.load(tmp_path / "ck" / "model.safetensors").means, fit.mixture.means)
    assert same(ran("em", checkpoint=tmp_path / "ck"), undisturbed("em"))
    with pytest.warns(InterruptionWarning, match=r"got 4 steps, expected convergence; use what there is, or checkpoint='DIR' next time"):
        mixtura.fit(array(), START, rules.EM(), **SHORT, on_step=interrupt)

    def at_once(step: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        mixtura.fit(array(), START, on_step=at_once)


def test_an_interrupted_estimator_keeps_the_runs_that_are_done(tmp_path: Path) -> None:
    class Impatient(rules.EM):
        """EM that is interrupted at its `last` update."""

        updates = 0
        last = 0

        def update(self, *state: Any) -> Any:
            Impatient.updates += 1
            if Impatient.updates == Impatient.last:
                signal.raise_signal(signal.SIGINT)
            return super().update(*state)

    def model(last: int) -> Any:
        Impatient.updates, Impatient.last = 0, last
        return mixtura.GaussianMixture(K, n_init=3, init_params="random_from_data", tol=0.0, max_iter=4, random_state=0, rule=Impatient())

    interrupted = model(7)
    with pytest.warns(InterruptionWarning, match=r"in the best of 2 of 3 runs, expected convergence; the best so far is saved in"):
        interrupted.fit(array(), checkpoint=tmp_path / "ck")
    assert interrupted.history_.interrupted and len(interrupted.history_.runs) == 2 and not interrupted.converged_
    assert interrupted.predict(rows()[:3]).shape == (3,)
    with pytest.raises(KeyboardInterrupt):
        mixtura.GaussianMixture(K, rule=Interrupting(), init_params="random").fit(array())


class Interrupting(rules.EM):
    """EM that is interrupted before its first sweep."""

    def initial(self, mixture: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return super().initial(mixture)


@pytest.mark.parametrize("criterion", ["bic", "icl", "held_out"])
def test_an_interrupted_refit_is_kept_as_far_as_it_came(tmp_path: Path, criterion: str) -> None:
    def interrupt(at: Any) -> None:
        if at.step.statistics.rows == N and at.step.number == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(InterruptionWarning, match=r"and 2 steps of another, expected .*; the best so far is saved in .*ck/model"):
        found = mixtura.select(
            stream(), [2, 3], "diag", criterion=criterion, folds=2, subsample=4_000, random_state=0, on_progress=interrupt, checkpoint=tmp_path / "ck"
        )
    best = found.ranking[0]
    assert found.interrupted and best.rows == N and best.fit.interrupted and best.status == "not converged" and best.sweeps == 2
    assert found.compared[found.cells.index(best)].rows == 4_000
    assert found.table["icl"].is_null().sum() == 1
    assert np.array_equal(mixtura.Mixture.load(tmp_path / "ck" / "model.safetensors").means, best.mixture.means)


def test_an_interrupt_in_the_only_cell_keeps_it(tmp_path: Path) -> None:
    def interrupt(at: Any) -> None:
        if at.step.number == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(InterruptionWarning, match=r"got 0 of 1 cells, and 2 steps of another, expected all of them"):
        found = mixtura.select(array(), 3, "full", subsample=None, random_state=0, on_progress=interrupt)
    assert found.ranking[0].fit.interrupted and found.best.converged_ is False


def test_an_interrupt_ends_a_pass_that_would_take_for_ever_and_all_threads(tmp_path: Path) -> None:
    process = in_process("endless", str(tmp_path / "ck"), "0")
    assert process.stdout is not None
    assert process.stdout.readline() == "endless\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)  # it hangs for ever where it does not stop
    assert (process.returncode, error) == (0, "")
    told = json.loads(out)
    assert told["interrupted"] and told["steps"] == 2 and told["message"].startswith("the fit was interrupted: got 2 steps, expected convergence; ")
    assert told["working"] == []


@pytest.mark.long
def test_an_interrupted_command_writes_its_model_and_resumes(tmp_path: Path) -> None:
    from mixtura.cli import app

    more = ["--tol", "0", "--max-iter", "300", "--checkpoint", str(tmp_path / "ck")]
    words = [*fit_in_shell(tmp_path / "out"), *more]
    words[words.index("2:3")] = "3"
    words[words.index("diag")] = "full"
    process = in_process("command", str(tmp_path / "ck"), "1000000", *words)
    log = tmp_path / "ck" / "sweeps.log"
    while process.poll() is None and not (log.exists() and log.stat().st_size > 40_000):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    (line,) = error.splitlines()
    assert (
        line.startswith("mixtura: warning: the selection was interrupted: got ") and "model.safetensors, and the same call goes on from there" in line
    )
    assert mixtura.Mixture.load(tmp_path / "out" / "model.safetensors").K == mixtura.Mixture.load(tmp_path / "ck" / "model.safetensors").K == 3
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["interrupted"]
    assert CliRunner().invoke(app, ["fit", "--resume", str(tmp_path / "ck"), "--output", str(tmp_path / "out")]).exit_code == 0
    words[words.index(str(tmp_path / "out"))] = str(tmp_path / "plain")
    assert CliRunner().invoke(app, words[: words.index("--checkpoint")]).exit_code == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (tmp_path / "plain" / "model.safetensors").read_bytes()


# what the other processes run


def _endless(folder: str) -> None:
    """A fit in whose fifth pass the rows do not end."""
    passes = 0

    def arrays() -> Any:
        nonlocal passes
        passes += 1
        if passes < 6:  # a look at the first array, the profile, three sweeps
            yield from np.array_split(rows(), 10)
            return
        print("endless", flush=True)
        while True:
            yield rows()

    with warnings.catch_warnings(record=True) as caught:
        fit = mixtura.fit(arrays, START, rules.EM(), tol=0.0, checkpoint=folder)
    started = time.process_time()
    time.sleep(0.5)
    working = [one.name for one in threading.enumerate() if one is not threading.main_thread() and not one.name.startswith("mixtura_")]
    working += ["some thread"] if time.process_time() - started > 0.25 else []
    print(json.dumps({"interrupted": fit.interrupted, "steps": fit.n_steps, "message": str(caught[-1].message), "working": working}))


def _main(case: str, folder: str, records: str, *words: str) -> None:
    put = Journal.put

    def put_and_die(self: Journal, name: bytes, result: Any) -> None:
        put(self, name, result)
        if len(self) == int(records):
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.put = put_and_die  # type: ignore[method-assign]
    if case == "endless":
        _endless(folder)
    elif case == "command":
        from mixtura.cli import app

        app(list(words))
    else:
        ran(case, checkpoint=folder)


if __name__ == "__main__":
    _main(*sys.argv[1:])
