"""How far a fit has come, on stderr: bars over the grid and the epochs on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from mixtura.selection import Progress

Tell = Callable[["Progress"], None]
PAUSE = 0.05  # seconds between two looks at the bars; the eye wants no more, and steps can be many thousands
PATIENCE = 10.0  # seconds between two plain lines of one fit


COMPILING = "compiling for this processor: half a minute, once"


@contextmanager
def progress(max_iter: int, shown: bool) -> Iterator[Tell | None]:
    """Something to call at each step; None where nothing is to be shown."""
    with (_bars(max_iter) if sys.stderr.isatty() else _lines()) if shown else _nothing() as tell:
        yield tell


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
def _bars(max_iter: int) -> Iterator[Tell]:
    columns = (TextColumn("{task.description:6}"), BarColumn(), TextColumn("{task.completed:>4}/{task.total:<4}"), TextColumn("{task.fields[now]}"))
    with Bars(*columns, console=Console(stderr=True, highlight=False), transient=True) as bars:
        grid, epochs = bars.add_task("grid", total=1, now=""), bars.add_task("epochs", total=max_iter, now="")
        drawn = 0.0

        def tell(at: Progress) -> None:
            nonlocal drawn
            if time.monotonic() - drawn < PAUSE:
                return
            drawn = time.monotonic()
            bars.update(grid, completed=at.cell + 1, total=at.cells, now=_cell(at))
            bars.update(epochs, completed=at.step.number, now=_likelihood(at))

        with _telling_of_compiling(bars.console.print):
            yield tell


@contextmanager
def _lines() -> Iterator[Tell]:
    """One line for each cell when the next begins, and now and then one for a fit that takes long."""
    last: Progress | None = None
    told = time.monotonic()

    def tell(at: Progress) -> None:
        nonlocal last, told
        if last is not None and (at.cell != last.cell or time.monotonic() - told > PATIENCE):
            _print(last)
            told = time.monotonic()
        last = at

    with _telling_of_compiling(lambda line: print(line, file=sys.stderr, flush=True)):
        yield tell
    if last is not None:
        _print(last)


def _print(at: Progress) -> None:
    print(f"{at.cell + 1:>{len(str(at.cells))}}/{at.cells}  {_cell(at)}: epoch {at.step.number}, {_likelihood(at)}", file=sys.stderr, flush=True)


def _cell(at: Progress) -> str:
    return f"{at.components} component{'s' * (at.components > 1)}, {at.family.name}"


def _likelihood(at: Progress) -> str:
    return f"loglik {at.step.log_likelihood:.6f} per row"
