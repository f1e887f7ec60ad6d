"""Progress as bars that rich draws: in the last lines of a terminal, which they leave as they found it, and in the output of a notebook's cell.

They are drawn by who tells of progress, never by a thread of their own: so what goes wrong with it is known where it can be caught, and nothing
is drawn after the end. What they leave in a notebook is one line.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.jupyter import JUPYTER_HTML_FORMAT
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from mixtura.progress.accounts import Account, Bar
from mixtura.progress.pace import Pace, count
from mixtura.terminal import visible

if TYPE_CHECKING:
    from mixtura.sources import Passed

PAUSE = 0.1  # seconds between two looks at the bars; the eye wants no more, and steps can be many thousands
CURSOR = "\x1b[?25h"  # shows it again
WIDTH = 100  # characters of a line in a notebook

the_terminal = threading.Lock()  # held by the one display that draws on it


class Bars(ABC):
    """Bars; that of the rows comes with the first rows."""

    track = "bar.back"  # the style of what is still to come

    def __init__(self, account: Account, **options: Any):
        last = TimeRemainingColumn() if account.timed else TextColumn("{task.fields[now]}")
        columns = (TextColumn("{task.description:6}"), BarColumn(style=self.track), TextColumn("{task.fields[count]}"), last)
        self.table = Progress(*columns, auto_refresh=False, **options)
        self.account = account
        self.tasks: dict[str, TaskID] = {}
        self.pace = Pace()
        self.drawn, self.drawn_rows = 0.0, time.monotonic()

    def begin(self) -> None:
        """The bars that are there before anything is told."""
        self._put(*self.account.ahead)

    def step(self, at: Any) -> None:
        """It has come this far."""
        self.account.note(at)
        now = time.monotonic()
        if now - self.drawn >= PAUSE or self.account.complete:
            self.drawn = now
            self._put(*self.account.bars)

    def rows(self, at: Passed) -> None:
        """Rows of this pass; where their number is not known, the bar only moves."""
        now = time.monotonic()
        self.pace.note(at, now)
        if now - self.drawn_rows >= PAUSE or ("rows" in self.tasks and at.rows == at.n_rows):
            self.drawn_rows = now
            self._put(Bar("rows", at.rows, at.n_rows, count(at), self.pace.speed(at, now)))

    @abstractmethod
    def say(self, line: str) -> None:
        """A line above the bars."""

    @abstractmethod
    def end(self) -> None:
        """No more bars."""

    @abstractmethod
    def _draw(self) -> None:
        """Draws the table."""

    def _put(self, *bars: Bar) -> None:
        for bar in bars:
            told: dict[str, Any] = {"completed": bar.done, "total": bar.total, "count": bar.figures, "now": bar.now}
            if bar.name in self.tasks:
                self.table.update(self.tasks[bar.name], **told)
            else:
                self.tasks[bar.name] = self.table.add_task(bar.name, **told)
        self._draw()


class OnTerminal(Bars):
    """Bars on stderr, which are gone in the end. What is printed meanwhile goes above them, unless stdout goes elsewhere."""

    def __init__(self, account: Account):
        console = Console(stderr=True, highlight=False)
        super().__init__(account, console=console, transient=True, redirect_stdout=sys.stdout is not None and sys.stdout.isatty())

    def begin(self) -> None:
        """Takes the terminal's last lines."""
        self.table.start()
        super().begin()

    def say(self, line: str) -> None:
        """A line above the bars."""
        self.table.console.print(visible(line), markup=False)

    def end(self) -> None:
        """Gives them back."""
        try:
            self.table.stop()
        finally:  # an interrupt may have come while rich drew, or now
            the_terminal.release()
            print(CURSOR, end="", file=sys.stderr, flush=True)  # noqa: T201

    def _draw(self) -> None:
        self.table.refresh()


class InNotebook(Bars):
    """Bars in the output of a cell, which is replaced at each look: no widgets, which would want a library, and leave nothing in a saved notebook."""

    track = "grey58"  # between what is done and the page, be it light or dark

    def __init__(self, account: Account):
        super().__init__(account, console=Console(file=io.StringIO(), force_jupyter=False))
        self.handle: Any = None
        self.note = ""

    def say(self, line: str) -> None:
        """A line above the bars."""
        self.note = line
        self._draw()

    def end(self) -> None:
        """One line instead of the bars."""
        self._show({"text/plain": self.account.outcome})

    def _draw(self) -> None:
        console = Console(
            file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, color_system="truecolor", force_jupyter=False, legacy_windows=False
        )
        console.print(Group(Text(self.note), self.table.get_renderable()) if self.note else self.table.get_renderable())
        html = console.export_html(code_format=JUPYTER_HTML_FORMAT, inline_styles=True, clear=False)
        self._show({"text/plain": console.export_text(), "text/html": html})

    def _show(self, bundle: dict[str, str]) -> None:
        if self.handle is None:
            from IPython.display import display

            self.handle = display(bundle, raw=True, display_id=True)
        else:
            self.handle.update(bundle, raw=True)
