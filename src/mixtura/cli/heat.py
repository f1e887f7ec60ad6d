"""The grid of a selection as a map: components down, families across, how far each cell is below the highest, darker the farther.

Its colour says in which quarter of the regular cells one is; where there are no colours, a shade before the number does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mixtura.selection.criteria import TITLES

if TYPE_CHECKING:
    from mixtura.selection import Candidate, Selection

SHADES, PLAIN_SHADES, NO_SHADES = "█▓▒░", "#+~ ", "    "  # from the best quarter to the poorest
NAMED = ("yellow", "violet")  # the first and the last of these:
COLOURS = ("black on #fde725", "black on #35b779", "white on #31688e", "white on #440154")  # viridis: its lightness falls evenly
ROUNDING = 1e-6  # nats: closer values are equal
WIDTH = 4  # characters of a cell
FIRST = "components"
MARKS = {"spurious": "x", "too few rows": "-", "interrupted": "?"}
WORDS = {"spurious": "not regular"}
LETTERS = "kMGTP"  # thousands
THOUSANDTHS = 1000  # of a nat per row: held-out densities differ by so little


def shades_for(console: Console) -> str:
    """What tells quarters apart on this console."""
    if console.color_system is not None:
        return NO_SHADES
    return PLAIN_SHADES if console.options.ascii_only else SHADES


def legend(selection: Selection, shades: str) -> tuple[str, str]:
    """What the numbers, shades and marks mean, in two lines."""
    held_out = selection.criterion == "held_out"
    what = "held-out log density" if held_out else TITLES[selection.criterion]
    rows = f" of {selection.compared[0].rows:,} rows" if any(one.before for one in selection.cells) else ""
    best, poorest = NAMED if shades == NO_SHADES else (shades[0], shades[-1].replace(" ", "none"))
    marks = {MARKS[one.status]: WORDS.get(one.status, one.status) for one in selection.compared if one.status in MARKS}
    return (
        f"how far the {what}{rows} is below the highest{', in 1/1000 nats per row' * held_out}",
        ", ".join([f"{best} best quarter", f"{poorest} poorest", *(f"{mark} {word}" for mark, word in marks.items())]),
    )


def heat_maps(selection: Selection, width: int, shades: str) -> Iterator[Table]:
    """The map, in as many pieces as the width needs."""
    cells = {one.cell: one for one in selection.compared}
    counts = sorted({K for K, _ in cells})
    families = list({one.family.name: one.family for one in selection.compared}.values())
    side = max(1, (width - len(FIRST)) // (WIDTH + 1))
    texts = _texts(selection, shades)
    for first in range(0, len(families), side):
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", show_edge=False, collapse_padding=True)
        table.add_column(FIRST, justify="right", no_wrap=True)
        for family in families[first : first + side]:
            table.add_column(family.code[:WIDTH], justify="right", no_wrap=True, min_width=WIDTH, max_width=WIDTH)
        for K in counts:
            table.add_row(str(K), *(texts[K, family.name] for family in families[first : first + side]))
        yield table


def _texts(selection: Selection, shades: str) -> dict[tuple[int, str], Text]:
    """A few characters for each cell."""
    values = {one.cell: float(getattr(one, selection.criterion)) for one in selection.compared if one.regular}
    quarters = _quarters(values)
    highest = max(values.values(), default=0.0)
    best = selection.ranking[0].cell

    def text(one: Candidate) -> Text:
        if one.cell == best:
            return Text("best", style=f"bold {COLOURS[0]}")
        if one.cell not in quarters:
            return Text(MARKS.get(one.status, "-").rjust(WIDTH), style="dim")
        quarter = quarters[one.cell]
        below = (highest - values[one.cell]) * (THOUSANDTHS if selection.criterion == "held_out" else 1)
        return Text(shades[quarter] + short(below).rjust(WIDTH - 1), style=COLOURS[quarter])

    return {one.cell: text(one) for one in selection.compared}


def _quarters(values: dict[tuple[int, str], float]) -> dict[tuple[int, str], int]:
    """In which quarter of the finite values each is: 0 for the best. Equals are in the same one."""
    finite = {cell: value for cell, value in values.items() if np.isfinite(value)}
    return {cell: 4 * sum(other > value + ROUNDING for other in finite.values()) // len(finite) for cell, value in finite.items()}


def short(value: float) -> str:
    """A number >= 0 in three characters or less.

    >>> [short(value) for value in (0.04, 7.25, 12.3, 999.6, 56_780, 123_000, 2_000_000)]
    ['0', '7.2', '12', '1k', '57k', '.1M', '2M']
    """
    if value < 0.05:
        return "0"
    if value < 999.5:
        return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
    for number, letter in enumerate(LETTERS, 1):
        scaled = value / 1000**number
        if scaled < 99.5:
            return (f"{scaled:.0f}" if scaled >= 0.95 else f"{scaled:.1f}"[1:]) + letter
    return "..."
