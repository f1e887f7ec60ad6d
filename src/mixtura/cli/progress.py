"""How far a command has come, on stderr: bars over the grid, the epochs and the rows of a pass on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from mixtura.sources import ArraySource

if TYPE_CHECKING:
    from mixtura.selection import Progress
    from mixtura.sources import Passed, Source

Tell = Callable[["Progress"], None]
PAUSE = 0.05  # seconds between two looks at the bars; the eye wants no more, and steps can be many thousands
PATIENCE = 10.0  # seconds between two plain lines of one fit, and of one pass
SETTLED = 0.3  # seconds after which the speed of a pass says something
MILLION = 1_000_000


COMPILING = "compiling for this processor: half a minute, once"


class Display(ABC):
    """Something to call at each step of a search; `rows` is told how far a pass over rows has come, by one thread at a time."""

    @abstractmethod
    def __call__(self, at: Progress) -> None:
        """A step is made."""

    @abstractmethod
    def rows(self, at: Passed) -> None:
        """Rows are read."""


@contextmanager
def progress(max_iter: int, shown: bool) -> Iterator[Tell | None]:
    """Something to call at each step; None where nothing is to be shown."""
    with (_bars(max_iter) if sys.stderr.isatty() else _lines()) if shown else _nothing() as tell:
        yield tell


@contextmanager
def passes(source: Source) -> Iterator[Callable[[Passed], object]]:
    """Something to call with how far a pass has come, where there is no search to tell of; rows that are streamed call it themselves."""
    with _bars(None) if sys.stderr.isatty() else _lines() as display:
        if not isinstance(source, ArraySource):
            watch(source, display)
        yield display.rows


def watch(source: Source, tell: Tell | None) -> None:
    """Lets `tell` also show how far a pass over these rows has come, if it can."""
    source.watch = tell.rows if isinstance(tell, Display) else None


class Pace:
    """How fast a pass goes: seen from its first block on. Where rows begin again, so does a pass."""

    def __init__(self) -> None:
        self.first: Passed | None = None
        self.last = 0
        self.begun = 0.0

    def note(self, at: Passed, now: float) -> None:
        """The pass has come this far."""
        if self.first is None or at.rows <= self.last:
            self.first, self.begun = at, now
        self.last = at.rows

    def speed(self, at: Passed, now: float) -> str:
        """MB or rows per second, and the time that is left of this pass, where that can be said."""
        seconds = now - self.begun
        if self.first is None or seconds < SETTLED:
            return ""
        rate = (at.rows - self.first.rows) / seconds
        if at.bytes is not None and self.first.bytes is not None:
            said = f"{(at.bytes - self.first.bytes) / seconds / MILLION:,.0f} MB/s"
        else:
            said = f"{_number(round(rate))} rows/s"
        if at.n_rows is None or at.n_rows == at.rows or rate <= 0:
            return said
        minutes, left = divmod(round((at.n_rows - at.rows) / rate), 60)
        return f"{said}, {minutes}:{left:02d} left"


class OnBars(Display):
    """Bars; that of the rows comes with the first rows."""

    def __init__(self, bars: Bars, max_iter: int | None):
        self.bars = bars
        self.pace = Pace()
        self.drawn, self.drawn_rows = 0.0, time.monotonic()
        self.passing: TaskID | None = None
        self.searching = max_iter is not None
        if max_iter is not None:
            self.grid = bars.add_task("grid", total=1, count=f"{0:>4}/{1:<4}", now="")
            self.epochs = bars.add_task("epochs", total=max_iter, count=f"{0:>4}/{max_iter:<4}", now="")

    def __call__(self, at: Progress) -> None:
        """Cell and step."""
        if not self.searching or time.monotonic() - self.drawn < PAUSE:
            return
        self.drawn = time.monotonic()
        total = self.bars.tasks[self.epochs].total or 0
        self.bars.update(self.grid, completed=at.cell + 1, total=at.cells, count=f"{at.cell + 1:>4}/{at.cells:<4}", now=_cell(at))
        self.bars.update(self.epochs, completed=at.step.number, count=f"{at.step.number:>4}/{total:<4.0f}", now=_likelihood(at))

    def rows(self, at: Passed) -> None:
        """Rows of this pass; where their number is not known, the bar only moves."""
        now = time.monotonic()
        self.pace.note(at, now)
        if now - self.drawn_rows < PAUSE and (self.passing is None or at.rows != at.n_rows):
            return
        self.drawn_rows = now
        told: dict[str, Any] = {"completed": at.rows, "total": at.n_rows, "count": _count(at), "now": self.pace.speed(at, now)}
        if self.passing is None:
            self.passing = self.bars.add_task("rows", **told)
        else:
            self.bars.update(self.passing, **told)


class InLines(Display):
    """One line for each cell when the next begins, and now and then one for a fit or a pass that takes long."""

    def __init__(self) -> None:
        self.last: Progress | None = None
        self.told = self.told_rows = time.monotonic()
        self.pace = Pace()

    def __call__(self, at: Progress) -> None:
        """Cell and step."""
        if self.last is not None and (at.cell != self.last.cell or time.monotonic() - self.told > PATIENCE):
            _print(self.last)
            self.told = time.monotonic()
        self.last = at

    def rows(self, at: Passed) -> None:
        """Rows of a long pass."""
        now = time.monotonic()
        self.pace.note(at, now)
        if now - max(self.told_rows, self.pace.begun) > PATIENCE:
            said = self.pace.speed(at, now)
            print(f"rows of this pass: {_count(at).strip()}, {said}", file=sys.stderr, flush=True)
            self.told_rows = now

    def end(self) -> None:
        """The last cell."""
        if self.last is not None:
            _print(self.last)


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


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _bars(max_iter: int | None) -> Iterator[Display]:
    columns = (TextColumn("{task.description:6}"), BarColumn(), TextColumn("{task.fields[count]}"), TextColumn("{task.fields[now]}"))
    with Bars(*columns, console=Console(stderr=True, highlight=False), transient=True) as bars, _telling_of_compiling(bars.console.print):
        yield OnBars(bars, max_iter)


@contextmanager
def _lines() -> Iterator[Display]:
    lines = InLines()
    with _telling_of_compiling(lambda line: print(line, file=sys.stderr, flush=True)):
        yield lines
    lines.end()


def _print(at: Progress) -> None:
    print(f"{at.cell + 1:>{len(str(at.cells))}}/{at.cells}  {_cell(at)}: epoch {at.step.number}, {_likelihood(at)}", file=sys.stderr, flush=True)


def _cell(at: Progress) -> str:
    return f"{at.components} component{'s' * (at.components > 1)}, {at.family.name}"


def _likelihood(at: Progress) -> str:
    return f"loglik {at.step.log_likelihood:.6f} per row"


def _count(at: Passed) -> str:
    return _number(at.rows) if at.n_rows is None else f"{_number(at.rows, at.n_rows)}/{_number(at.n_rows)}"


def _number(rows: int, among: int = 0) -> str:
    """Rows, in millions where they, or those that they are `among`, are that many.

    >>> _number(90_000), _number(90_000, 5_000_000), _number(5_000_000)
    ('90,000', '0.09', '5.00 million')
    """
    if max(rows, among) < MILLION:
        return f"{rows:,}"
    return f"{rows / MILLION:.2f}" + ("" if among else " million")
