"""BLAS has one thread while Mixtura computes, and its own again afterwards: seen in the threads' own time, not in ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg  # noqa: F401  its BLAS is another one than NumPy's
import threadpoolctl
from cases import overlapping

import mixtura
from mixtura.blas import _limit, one_thread, with_one_thread

WOKEN = Path(__file__).with_name("woken.py")


def _threads() -> set[int]:
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two() -> Iterator[None]:
    """BLAS with two threads, on any machine; and so it has to be found again."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if _threads() != {2}:
            pytest.skip(f"the threads of this BLAS cannot be set: {threadpoolctl.threadpool_info()}")
        yield
        assert _threads() == {2}


def test_no_call_wakes_the_threads_of_blas() -> None:
    """Each call of `woken.py`, in a process of its own: the threads of BLAS take no time, but for the products around them."""
    done = subprocess.run([sys.executable, str(WOKEN)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if "skipped" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.stdout.split() == ["slept"]


def test_the_last_one_out_gives_the_threads_back() -> None:
    inside, out = threading.Event(), threading.Event()

    def other() -> None:
        with one_thread():
            inside.set()
            out.wait()

    thread = threading.Thread(target=other)
    with one_thread():
        thread.start()
        inside.wait()
        with one_thread():
            assert _threads() == {1}
        assert _threads() == {1}
    assert _threads() == {1}, "the other is still inside"
    out.set()
    thread.join()


def test_a_fit_that_ends_first_leaves_the_other_its_limit() -> None:
    X, reached, out, seen = overlapping(100, 2, 2, seed=0), threading.Event(), threading.Event(), []
    start = mixtura.start(X, 2, random_state=0)

    def wait(step: mixtura.Step) -> None:
        reached.set()
        out.wait()

    thread = threading.Thread(target=lambda: mixtura.fit(X, start, max_steps=1, on_step=wait))
    thread.start()
    reached.wait()
    mixtura.fit(X, start, max_steps=1, on_step=lambda step: seen.append(_threads()))
    assert seen == [{1}] * len(seen) and seen
    assert _threads() == {1}
    out.set()
    thread.join()


def test_between_the_steps_of_a_loop_the_caller_has_all_threads() -> None:
    steps = mixtura.iterate(overlapping(100, 2, 2, seed=0), mixtura.start(overlapping(100, 2, 2, seed=0), 2, random_state=0))
    for _ in range(3):
        next(steps)
        assert _threads() == {2}


def test_what_fails_inside_gives_the_threads_back() -> None:
    @with_one_thread
    def failing() -> None:
        assert _threads() == {1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert _threads() == {2}


def test_one_that_an_interrupt_kept_from_leaving_leaves_when_it_ends() -> None:
    one = one_thread()
    one.__enter__()
    assert _threads() == {1}
    del one
    assert _threads() == {2}


def _in_a_child(check: Callable[[], bool]) -> None:
    """Asserts it in a forked child, which has ten seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which is what is tested
        child = os.fork()
    if child == 0:
        signal.alarm(10)
        status = 2
        try:
            status = 0 if check() else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _held_then_given_back() -> bool:
    with one_thread():
        held = _threads() == {1}
    return held and _threads() == {2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_in_a_forked_child_only_the_thread_that_forked_is_inside() -> None:
    inside, out = threading.Event(), threading.Event()

    def other() -> None:
        with one_thread(), _limit.lock:  # which nobody in the child would ever let go
            inside.set()
            out.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    try:
        _in_a_child(lambda: _threads() == {2} and _held_then_given_back())
    finally:
        out.set()
        thread.join()
    with one_thread():
        _in_a_child(lambda: _threads() == {1})


def test_a_library_that_comes_later_is_held_by_who_enters_next() -> None:
    code = """
import numpy, threadpoolctl
from mixtura.blas import one_thread
def threads(): return sorted(one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas")
with one_thread():
    first = threads()
    import scipy.linalg
    with one_thread():
        both = threads()
assert set(first) == set(both) == {1} and len(both) >= len(first), (first, both)
assert threads() == [2] * len(both), threads()
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"})


def test_rows_are_the_same_with_any_number_of_threads() -> None:
    """What BLAS sums depends on how many threads it has; inside it always has one."""
    X = np.random.default_rng(0).normal(size=(400, 60))
    found = []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            found.append(mixtura.GaussianMixture(2, covariance_type="evv", random_state=0, max_iter=3, tol=1.0).fit(X).covariances_)
    np.testing.assert_array_equal(*found)
