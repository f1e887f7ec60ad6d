"""One thread that works for whoever asked last: what was asked before and is not begun is dropped, what is begun may ask whether to go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
GoOn = Callable[[], None]  # raises Superseded where somebody asked since


class Superseded(Exception):
    """Something newer was asked, so that nobody waits for this any more."""


class Newest:
    """Work for the newest question, one at a time.

    >>> newest = Newest()
    >>> newest.ask(lambda go_on: 6 * 7).result()
    42
    >>> newest.close()
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "newest")
        self._lock = threading.Lock()
        self._asked = 0

    def ask(self, work: Callable[[GoOn], T]) -> Future[T]:
        """The work's result, to come; it raises Superseded where something newer was asked before the work was done."""
        with self._lock:
            self._asked += 1
            go_on = self._since(self._asked)

        def run() -> T:
            go_on()
            return work(go_on)

        return self._thread.submit(run)

    def now(self) -> GoOn:
        """What raises Superseded once something is asked after this."""
        with self._lock:
            return self._since(self._asked)

    def close(self) -> None:
        """Nothing is wanted any more: what is under way ends at its next look."""
        with self._lock:
            self._asked += 1
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _since(self, number: int) -> GoOn:
        def go_on() -> None:
            if self._asked != number:
                raise Superseded

        return go_on
