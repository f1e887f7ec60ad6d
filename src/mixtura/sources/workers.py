"""Threads that share the blocks of one pass: a sum in one fixed order, whoever is first."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from mixtura.sources.processors import n_threads

S = TypeVar("S")
T = TypeVar("T")


@lru_cache
def pool(n_threads: int) -> ThreadPoolExecutor:
    """The threads of this process, started when first needed and kept."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="mixtura")


_working: set[object] = set()  # the threads of this process that work on rows, or soon will; changed by single calls, which nothing interrupts


@contextmanager
def hands(n_jobs: int | None, most: int) -> Iterator[int]:
    """How many threads, `most` of them, are to work on something inside the `with`; processes, where it says so, are as good.

    As many as `n_jobs` asks for; where that is None, the caller and as many more as there are processors on which no other thread works.
    """
    caller, wanted = threading.get_ident(), min(n_threads(n_jobs), most)
    others = _working - {caller}
    count = wanted if n_jobs is not None else max(1, min(wanted, n_threads(None) - len(others)))
    taken = {caller, *(object() for _ in range(count - 1))} - _working
    _working.update(taken)
    try:
        yield count
    finally:
        _working.difference_update(taken)


def _forget_threads() -> None:
    """In a process that was forked: threads do not survive it, nor what they had in hand."""
    pool.cache_clear()
    _working.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def sum_in_order(task: Callable[[T], S], items: Iterable[T], n_jobs: int | None) -> S:
    """task(first) + task(second) + ..., added from left to right, the tasks run by `n_jobs` threads (`hands`); items are drawn by one at a time.

    The caller is one of them. Each takes the next item when it is free, so a pass wakes every thread once, not once an item.
    """
    most = len(items) if isinstance(items, Sized) else n_threads(n_jobs)
    if n_jobs == 1 or most == 1:
        return _summed_alone(task, items)
    running, numbered = _Sum[S](), _Shared(items)

    def work() -> None:
        try:
            for number, item in numbered:
                running.add(number, task(item))
        except BaseException:
            numbered.close()  # nothing is left for the others: they stop at their next item
            raise

    with hands(n_jobs, most) as count:
        helpers = [pool(n_threads(n_jobs)).submit(work) for _ in range(count - 1)]
        try:
            work()
        finally:
            started = [helper for helper in helpers if not helper.cancel()]
            wait(started)
    for helper in started:
        helper.result()
    result: S = running.total
    return result


def map_in_order(task: Callable[[T], S], items: Iterable[T], n_jobs: int | None) -> Iterator[S]:
    """task(first), task(second), ... as they come, in this order; a few are worked on ahead."""
    threads = n_threads(n_jobs)
    if threads == 1 or (isinstance(items, Sized) and len(items) == 1):
        yield from map(task, items)
        return
    waiting: deque[Future[S]] = deque()
    try:
        for item in items:
            waiting.append(pool(threads).submit(task, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        wait([future for future in waiting if not future.cancel()])


def ahead(items: Callable[[], Iterator[T]], count: int) -> Iterator[T]:
    """The items, drawn by a thread of its own, up to `count` of them before they are asked for; that thread also begins and closes them."""
    ready: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    room, stopped = threading.Semaphore(count), threading.Event()

    def draw() -> None:
        try:
            with closing(items()) as drawn:  # type: ignore[type-var]
                for item in drawn:
                    ready.put(("item", item))
                    room.acquire()
                    if stopped.is_set():
                        return
            ready.put(("end", None))
        except BaseException as error:  # noqa: BLE001 (raised where the items are asked for)
            ready.put(("error", error))

    thread = threading.Thread(target=draw, name="mixtura-ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = ready.get()
            if kind == "error":
                raise item
            if kind == "end":
                return
            room.release()
            yield item
    finally:
        stopped.set()
        room.release()
        thread.join()


def _summed_alone(task: Callable[[T], S], items: Iterable[T]) -> S:
    running = _Sum[S]()
    for number, item in enumerate(items):
        running.add(number, task(item))
    result: S = running.total
    return result


class _Shared(Generic[T]):
    """Numbered items for several threads."""

    def __init__(self, items: Iterable[T]) -> None:
        self.lock = threading.Lock()
        self.items: Iterator[tuple[int, T]] | None = enumerate(items)

    def __iter__(self) -> Iterator[tuple[int, T]]:
        return self

    def __next__(self) -> tuple[int, T]:
        with self.lock:
            if self.items is None:
                raise StopIteration
            try:
                return next(self.items)
            except BaseException:
                self.items = None
                raise

    def close(self) -> None:
        """No more items."""
        with self.lock:
            self.items = None


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
