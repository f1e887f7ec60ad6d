"""Which display it is, for how long, and that what goes wrong with it ends the display and not the fit."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mixtura.errors import MixturaWarning
from mixtura.progress.accounts import Account
from mixtura.sources import ArraySource

if TYPE_CHECKING:
    from mixtura.sources import Passed, Source

COMPILING = "compiling for this processor: half a minute, once"
At = TypeVar("At")


class Display(Protocol):
    """What shows how far something has come; it is told by one thread at a time."""

    def begin(self) -> None:
        """It begins."""

    def step(self, at: Any) -> None:
        """It has come this far."""

    def rows(self, at: Passed) -> None:
        """A pass over rows has come this far."""

    def say(self, line: str) -> None:
        """Something else to say."""

    def end(self) -> None:
        """It has ended."""


class Safe:
    """A display of an account, told from any thread between `begin` and `end`. When it fails it ends; `error` says why."""

    def __init__(self, account: Account):
        self.account = account
        self.display: Display | None = None
        self.error: Exception | None = None
        self.one_at_a_time = threading.RLock()

    def begin(self) -> None:
        """It begins."""
        with self._watched():
            self.display = _display(self.account)
            self.display.begin()

    def step(self, at: Any) -> None:
        """It has come this far."""
        self._tell(lambda display: display.step(at))

    def rows(self, at: Passed) -> None:
        """A pass over rows has come this far."""
        self._tell(lambda display: display.rows(at))

    def say(self, line: str) -> None:
        """Something else to say."""
        self._tell(lambda display: display.say(line))

    def end(self) -> None:
        """It has ended."""
        with self._watched():
            display, self.display = self.display, None
            if display is not None:
                display.end()

    def _tell(self, what: Callable[[Display], object]) -> None:
        with self._watched():
            if self.display is not None:
                what(self.display)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with self.one_at_a_time:
            try:
                yield
            except Exception as error:  # noqa: BLE001 - whatever it is, what is computed is worth more than how it looks
                self.error = self.error or error
                display, self.display = self.display, None
                if display is not None:
                    with suppress(Exception):
                        display.end()


@contextmanager
def shown(wanted: bool, account: Account, source: Source, also: Callable[[At], object] | None = None) -> Iterator[Callable[[At], object] | None]:
    """What to tell of each step: a display where one is `wanted`, which passes over the source tell of their rows too, and whoever `also` listens.

    Warns (MixturaWarning) where the display failed on the way: what it was of goes on without it.
    """
    if not wanted:
        yield also
        return

    def tell(at: At) -> None:
        display.step(at)
        if also is not None:
            also(at)

    with _open(account) as display, _watching(source, display):
        yield tell


@contextmanager
def passes(source: Source) -> Iterator[Callable[[Passed], object]]:
    """What to tell of how far a pass has come, where there is nothing else to tell of; rows that are streamed tell it themselves."""
    with ExitStack() as stack:
        display = stack.enter_context(_open(Account()))
        if not isinstance(source, ArraySource):
            stack.enter_context(_watching(source, display))
        yield display.rows


@contextmanager
def _open(account: Account) -> Iterator[Safe]:
    display = Safe(account)
    try:
        display.begin()
        with _telling_of_compiling(display.say):
            yield display
    finally:
        display.end()
    if display.error is not None:
        with suppress(OSError):  # stderr itself may be gone, and then there is nobody to tell
            error = f"{type(display.error).__name__}: {display.error}"
            warnings.warn(f"progress could not be shown: got {error}; what was under way went on without it; try progress=False", MixturaWarning, 6)


@contextmanager
def _watching(source: Source, display: Safe) -> Iterator[None]:
    """Passes over the source tell the display, and whoever was told before."""
    before = source.watch

    def watch(at: Passed) -> None:
        display.rows(at)
        if before is not None:
            before(at)

    source.watch = watch
    try:
        yield
    finally:
        source.watch = before


@contextmanager
def _telling_of_compiling(say: Callable[[str], object]) -> Iterator[None]:
    """Says so when the first kernel is compiled; those of an earlier run are on disk, and then there is nothing to say."""
    from numba.core import event

    class Once(event.Listener):  # type: ignore[misc]
        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                self.said = True
                say(COMPILING)

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Once()):
        yield


def _display(account: Account) -> Display:
    """Bars in a notebook and on a terminal that can draw, as long as nobody else draws there; plain lines elsewhere."""
    from mixtura.progress.lines import Lines

    if _in_notebook():
        from mixtura.progress.bars import InNotebook

        return InNotebook(account)
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        from mixtura.progress.bars import OnTerminal, the_terminal

        bars = OnTerminal(account)
        if the_terminal.acquire(blocking=False):
            return bars
    return Lines(account)


def _in_notebook() -> bool:
    """As rich knows it, which is asked only where there can be one."""
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console

    return Console().is_jupyter
