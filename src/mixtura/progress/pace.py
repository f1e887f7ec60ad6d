"""How fast a pass over rows goes, and how far it has come, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixtura.sources import Passed

SETTLED = 0.3  # seconds after which the speed of a pass says something
MILLION = 1_000_000


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


def count(at: Passed) -> str:
    """How many rows of how many.

    >>> from mixtura.sources import Passed
    >>> count(Passed(90_000, 5_000_000, None, None)), count(Passed(90_000, None, None, None))
    ('0.09/5.00 million', '90,000')
    """
    return _number(at.rows) if at.n_rows is None else f"{_number(at.rows, at.n_rows)}/{_number(at.n_rows)}"


def _number(rows: int, among: int = 0) -> str:
    """Rows, in millions where they, or those that they are `among`, are that many.

    >>> _number(90_000), _number(90_000, 5_000_000), _number(5_000_000)
    ('90,000', '0.09', '5.00 million')
    """
    if max(rows, among) < MILLION:
        return f"{rows:,}"
    return f"{rows / MILLION:.2f}" + ("" if among else " million")
