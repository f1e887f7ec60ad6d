"""Threads that share the blocks of a pass: the order of the sum, failures, how many there are, forks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import joblib
import numpy as np
import pytest

import mixtura
from mixtura import compiling
from mixtura.sources import ArraySource
from mixtura.sources.processors import LIMITS, in_words, n_threads
from mixtura.sources.workers import hands, sum_in_order


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("count", [1, 2, 23])
def test_terms_are_added_in_their_order_whoever_is_first(threads: int, count: int) -> None:
    pauses = np.random.default_rng(count).uniform(0, 2e-3, size=count)

    def task(number: int) -> tuple[int, ...]:
        time.sleep(pauses[number])
        return (number,)

    assert sum_in_order(task, range(count), threads) == tuple(range(count))


@pytest.mark.smoke
@pytest.mark.parametrize("where", ["caller", "helper"])
def test_a_failure_is_raised_and_stops_the_others(where: str) -> None:
    done, both = [], threading.Barrier(2)

    def task(number: int) -> int:
        if number < 2:
            both.wait()  # each of the two threads has one in hand
        done.append(number)
        if number < 2 and (threading.current_thread() is threading.main_thread()) == (where == "caller"):
            raise ValueError("this block")
        time.sleep(1e-3)
        return number

    with pytest.raises(ValueError, match="this block"):
        sum_in_order(task, range(1000), 2)
    assert len(done) < 100


@pytest.fixture
def processors() -> Iterator[int]:
    """How many this process may use, where nothing says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (*LIMITS, "LOKY_MAX_CPU_COUNT"):
            patch.delenv(name, raising=False)
        yield n_threads(-1)


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [("OMP_NUM_THREADS", "1", 1), ("NUMBA_NUM_THREADS", "1", 1), ("OMP_NUM_THREADS", " 1,4", 1), ("LOKY_MAX_CPU_COUNT", "1", 1)]
    + [("OMP_NUM_THREADS", value, None) for value in ("", "0", "-1", "many", "1000000")],
)
def test_the_environment_limits_what_is_not_asked_for(
    name: str, value: str, limit: int | None, processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert n_threads(None) == (limit or processors)
    assert n_threads(7) == n_threads(np.int64(7)) == 7
    assert n_threads(-1) == (1 if name.startswith("LOKY") else processors)  # that one says what a processor is


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no process is bound to processors here")
def test_a_process_that_is_bound_to_one_processor_has_one_thread(processors: int) -> None:
    bound = os.sched_getaffinity(0)
    assert n_threads(None) == processors
    os.sched_setaffinity(0, {min(bound)})
    try:
        assert n_threads(None) == n_threads(-1) == 1
    finally:
        os.sched_setaffinity(0, bound)
    assert n_threads(None) == processors


def _shares(source: mixtura.sources.Source) -> tuple[int, int, str]:
    return n_threads(None), n_threads(5), source.engine


def test_a_worker_takes_its_share(processors: int) -> None:
    """Of a source that was opened outside as well; a number that was asked for is obeyed."""
    rows = np.zeros((10, 1))
    given, asked = mixtura.open(rows), mixtura.open(rows, n_jobs=3)
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        alone, told = workers.map(_shares, [given, asked])
    assert alone == (1, 5, "1 thread") and told == (1, 5, "3 threads")
    with joblib.parallel_config("loky"):
        (share, explicit, words), _ = joblib.Parallel(2)(joblib.delayed(_shares)(given) for _ in range(2))
    assert (share, explicit, words) == (max(1, processors // 2), 5, in_words(share))


@pytest.mark.parametrize("callers", [1, 2, 5])
def test_threads_side_by_side_leave_each_other_room(callers: int, processors: int) -> None:
    taken: list[int] = []
    entered, left = threading.Barrier(callers), threading.Barrier(callers)

    def work() -> None:
        with hands(None, 100) as count, hands(None, 100) as again, hands(3, 100) as asked:
            taken.append(count)
            entered.wait(30)
            assert asked == 3 and again <= count  # a pass within a pass is no other caller
            left.wait(30)

    threads = [threading.Thread(target=work) for _ in range(callers)]
    for thread in threads:
        thread.start()
        while len(taken) < threads.index(thread) + 1:
            time.sleep(1e-3)
    for thread in threads:
        thread.join()
    assert taken[0] == processors and sum(taken) <= processors + callers - 1
    with hands(None, 100) as count:
        assert count == processors


def _assign(mixture: mixtura.Mixture, rows: np.ndarray, answers: multiprocessing.SimpleQueue) -> None:  # type: ignore[type-arg]
    answers.put((mixtura.sweep(mixture, mixtura.open(rows, n_jobs=2)).log_likelihood, int(mixture.assign(rows).sum())))


@pytest.mark.smoke
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    rows = np.random.default_rng(0).normal(size=(20_000, 2))
    mixture = mixtura.Mixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], np.repeat(np.eye(2)[None], 2, axis=0))
    expected = mixtura.sweep(mixture, mixtura.open(rows, n_jobs=2)).log_likelihood, int(mixture.assign(rows).sum())
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_assign, args=(mixture, rows, answers))
    child.start()
    child.join(60)
    alive = child.is_alive()
    child.kill()
    assert not alive and answers.get() == expected


def _forked(work: Callable[[], object], seconds: int = 60) -> int:
    """The status of a forked process that does this: 0 where it ends well, SIGALRM where it hangs."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(seconds)
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


forks = pytest.mark.skipif(sys.platform != "linux", reason="forks")
unwarned = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what this is about: other threads are there


@forks
@unwarned
def test_a_process_forked_while_a_thread_computes_a_property_computes_its_own() -> None:
    within, done = threading.Event(), threading.Event()

    class Slow(ArraySource):
        def reduce(self, task: Any) -> Any:
            within.set()
            assert done.wait(60)
            return super().reduce(task)

    thread = threading.Thread(target=lambda: Slow(np.zeros((3, 1))).profile)
    thread.start()
    assert within.wait(60)
    try:
        assert _forked(lambda: ArraySource(np.zeros((3, 1))).profile, 10) == 0
    finally:
        done.set()
        thread.join()


@forks
@unwarned
@pytest.mark.parametrize("lock", [compiling.the_compiler, compiling.ffi.lib._lock], ids=["compiler", "llvm"])
def test_a_fork_waits_for_who_compiles(lock: Any) -> None:
    within = threading.Event()

    def compile_something() -> None:
        with lock:
            within.set()
            time.sleep(0.3)

    thread = threading.Thread(target=compile_something)
    thread.start()
    assert within.wait(60)

    def child() -> None:
        assert compiling.compiled()(lambda x: x + 1)(1) == 2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mixtura.errors.MixturaWarning)  # a function without a file is not kept
        assert _forked(child) == 0
    thread.join()


FORKS = """
import faulthandler, os, signal, sys, threading, time, warnings
import numpy as np, mixtura
warnings.simplefilter("ignore", DeprecationWarning)
generator = np.random.default_rng(0)
small, large = (generator.normal(size=(N, 2)) + 4 * generator.integers(2, size=(N, 1)) for N in (60, 30_000))
mixture = mixtura.Mixture([0.5, 0.5], [[0.0, 0.0], [4.0, 4.0]], np.repeat(np.eye(2)[None], 2, axis=0))

def compiled():
    return mixtura.select(small, [1, 2], ["tied", "full"], random_state=0, n_jobs=2).ranking[0].log_likelihood

def threaded():
    return mixtura.fit(mixtura.open(large, n_jobs=2), mixture, max_steps=3).log_likelihood

def loop(work):
    while not ended.is_set():
        work()

expected, ended, failed = (compiled(), threaded()), threading.Event(), 0
threads = [threading.Thread(target=loop, args=(work,)) for work in (compiled, threaded, threaded)]
for thread in threads:
    thread.start()
for _ in range(int(sys.argv[1])):
    time.sleep(generator.uniform(0, 0.01))
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(30, exit=True)
        os._exit(int((compiled(), threaded()) != expected))
    failed += os.waitpid(child, 0)[1] != 0
ended.set()
for thread in threads:
    thread.join()
print(failed)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no process is left")
"""


@forks
@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.long)])
def test_processes_forked_beside_fits_fit(count: int) -> None:
    """The whole in one call, and passes that threads share; the parent does the same in three threads meanwhile."""
    done = subprocess.run([sys.executable, "-c", FORKS, str(count)], capture_output=True, text=True, timeout=600)
    assert done.stdout == "0\nno process is left\n", done.stderr[-3000:]
