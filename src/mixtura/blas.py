"""BLAS kept to one thread while Mixtura computes: for its small products the threads of BLAS cost more than they save, and once woken they spin on
beside the sweep's, which halves its speed.

How many threads BLAS has is a fact of the process. So those inside are counted: the first one in sets the limit, the last one out gives the threads
back, whichever thread that is. In a child that was forked meanwhile only the forking thread goes on, and counts.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


class OneThread:
    """One that is inside, from `with` to its end; or to its own, should an interrupt come before the `with` has quite begun or ended."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()

    def __enter__(self) -> None:
        _limit.enter(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        _limit.leave(self)

    def __del__(self) -> None:
        _limit.leave(self)


def one_thread() -> OneThread:
    """The BLAS of NumPy and SciPy, and any other of the process, with one thread inside a `with`. To enter takes microseconds."""
    return OneThread()


def with_one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """The function inside `one_thread`. Not for generators, which would stay inside while their caller has the word."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with one_thread():
            return function(*args, **kwargs)

    return inside


class _Library:
    """A BLAS: how many threads it has, and whether each thread that calls it has a number of its own (OpenMP's) or all have one."""

    def __init__(self, found: Any) -> None:
        self.found = found
        self.path = str(found.filepath)
        self.of_each_caller = getattr(found, "threading_layer", "") == "openmp"
        self.set: Callable[[int], object] = found.set_num_threads
        if found.internal_api == "openblas" and not self.of_each_caller:
            # threadpoolctl lets one thread set it and ignores the others, while here the last one out is any, and it holds a lock meanwhile
            name = next(name for name in found.check_symbols if hasattr(found.dynlib, name))
            self.set = getattr(found.dynlib, name.replace("_get_", "_set_"))

    @property
    def threads(self) -> int:
        return self.found.num_threads or 1


class _Limit:
    """Who is inside, the libraries as far as they are known, and how many threads those had that are limited."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a thread that holds it may leave once more, when an object ends there
        self.inside: dict[int, set[int]] = {}  # by thread the ids of the objects, which keep none alive
        self.libraries: list[_Library] = []
        self.modules = 0  # as many had been imported when the libraries were looked up
        self.before: dict[tuple[str, int], tuple[_Library, int]] = {}  # by path, and by thread where each has a number of its own

    def enter(self, one: OneThread) -> None:
        with self.lock:
            mine = self.inside.setdefault(one.thread, set())
            if not mine or len(sys.modules) != self.modules:
                self._hold(one.thread)
            mine.add(id(one))

    def leave(self, one: OneThread) -> None:
        if id(one) in self.inside.get(one.thread, ()):
            with self.lock:
                mine = self.inside[one.thread]
                mine.discard(id(one))
                if not mine:
                    del self.inside[one.thread]
                    self._give_back(one.thread)

    def _hold(self, thread: int) -> None:
        """Limits every library that is not, among them those that a module brought since."""
        if len(sys.modules) != self.modules:
            self.modules = len(sys.modules)
            self.libraries = [_Library(found) for found in ThreadpoolController().select(user_api="blas").lib_controllers]
        for library in self.libraries:
            key = library.path, thread if library.of_each_caller else 0
            if key not in self.before and (threads := library.threads) > 1:
                self.before[key] = library, threads
                library.set(1)

    def _give_back(self, thread: int) -> None:
        """What was taken from this thread, and from all where it was the last."""
        for (path, whose), (library, threads) in list(self.before.items()):
            if whose == thread or (whose == 0 and not self.inside):
                library.set(threads)
                del self.before[path, whose]

    def after_fork(self) -> None:
        """In the child: another thread may have held the lock, and been halfway through anything above."""
        self.lock, self.modules = threading.RLock(), 0
        me = threading.get_ident()
        self.inside = {me: self.inside[me]} if self.inside.get(me) else {}
        self.before = {key: found for key, found in self.before.items() if key[1] in (0, me)}
        for library, _ in self.before.values():
            library.set(1)
        if not self.inside:
            self._give_back(me)


_limit = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_limit.after_fork)
