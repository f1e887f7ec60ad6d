"""Threads that share the blocks of a pass: the order of the sum, failures, forks."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time

import numpy as np
import pytest

import mixtura
from mixtura.sources.workers import sum_in_order


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
