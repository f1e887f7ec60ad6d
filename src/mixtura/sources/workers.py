"""Threads that share the blocks of one pass: a sum in one fixed order, whoever is first."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, Generic, TypeVar

S = TypeVar("S")


@lru_cache
def pool(n_threads: int) -> ThreadPoolExecutor:
    """The threads of this process, started when first needed and kept."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="mixtura")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)  # threads do not survive a fork


def sum_in_order(task: Callable[[int], S], count: int, n_threads: int) -> S:
    """task(0) + task(1) + ... + task(count - 1), added from left to right, the tasks run by `n_threads` threads.

    The caller is one of them. Each takes the next number when it is free, so a pass wakes every thread once, not once a block.
    """
    if count == 1:
        return task(0)
    running = _Sum[S]()
    numbers = iter(range(count))  # next() on it is atomic

    def work() -> None:
        try:
            for number in numbers:
                running.add(number, task(number))
        except BaseException:
            deque(numbers, maxlen=0)  # nothing is left for the others: they stop at their next block
            raise

    helpers = [pool(n_threads).submit(work) for _ in range(min(n_threads, count) - 1)]
    try:
        work()
    finally:
        started = [helper for helper in helpers if not helper.cancel()]
        wait(started)
    for helper in started:
        helper.result()
    result: S = running.total
    return result


class _Sum(Generic[S]):
    """A sum whose terms come in any order and are added in theirs; only those that are early are kept."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.early: dict[int, S] = {}
        self.next = 0
        self.total: Any = None

    def add(self, number: int, term: S) -> None:
        with self.lock:
            self.early[number] = term
            while self.next in self.early:
                term = self.early.pop(self.next)
                if self.next == 0:
                    self.total = term
                else:
                    self.total += term  # in place where it is an array, which no one else has
                self.next += 1
