"""Progress as plain lines on stderr: for log files, continuous integration, and terminals that draw nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from mixtura.progress.pace import Pace, count
from mixtura.terminal import visible

if TYPE_CHECKING:
    from mixtura.progress.accounts import Account
    from mixtura.sources import Passed

PATIENCE = 10.0  # seconds between two lines of one part, and of one pass


class Lines:
    """A line for each part when it is done, as far as can be known when the next begins; now and then one for a part or a pass that takes long.

    Where there is one part only, a line for each of its steps as it comes.
    """

    def __init__(self, account: Account):
        self.account = account
        self.told = self.told_rows = time.monotonic()
        self.said = True  # what there is to say; there is nothing yet
        self.pace = Pace()

    def begin(self) -> None:
        """Nothing is there before anything is told."""

    def step(self, at: Any) -> None:
        """It has come this far."""
        if not self.said and (self.account.turns(at) or time.monotonic() - self.told > PATIENCE):
            self._say_the_last()
        self.account.note(at)
        self.said = False
        if self.account.complete or self.account.alone:
            self._say_the_last()

    def rows(self, at: Passed) -> None:
        """Rows of a long pass."""
        now = time.monotonic()
        self.pace.note(at, now)
        if now - max(self.told_rows, self.pace.begun) > PATIENCE:
            self.say(f"rows of this pass: {count(at).strip()}, {self.pace.speed(at, now)}")
            self.told_rows = now

    def say(self, line: str) -> None:
        """A line."""
        print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - that was asked for

    def end(self) -> None:
        """The last part, where no other could tell that it is done."""
        if not self.said and self.account.complete is None:
            self._say_the_last()

    def _say_the_last(self) -> None:
        self.say(self.account.line)
        self.told, self.said = time.monotonic(), True
