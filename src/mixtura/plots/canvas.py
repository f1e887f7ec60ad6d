"""What the pictures share on matplotlib's side: axes, inks, names that fit, numbers, the signs of components and their legend."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from mixtura.errors import MissingLibraryError, ParameterError
from mixtura.moments import Array
from mixtura.showing import COLOURS, colours

SMALL = 8  # points: all text but a title
MARKERS = ("o", "s", "D", "^", "v")  # one for each round of colours
LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 3)))
KEYS = 21  # components that a legend lists
ROUNDS = 13  # entries of a legend below each other
WRAPPED = 32  # characters of a line above a legend
APART = 5.0  # points between two numbers of an axis
STEPS = (1, 2, 2.5, 5, 10)  # between the numbers of an axis, up to powers of ten
MOST_DIGITS = 15  # of float64
PLAIN = (1e-4, 1e7)  # numbers between these are written without powers of ten


def pyplot() -> Any:
    """matplotlib's. Raises MissingLibraryError where it is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise MissingLibraryError(
            "a plot needs matplotlib, which is not installed: expected it beside mixtura; try pip install mixtura[plot]"
        ) from None
    return pyplot


def panels(ax: Any, rows: int, columns: int, size: tuple[float, float], **options: Any) -> Any:
    """An array (rows, columns) of axes: those given, or new ones in the figure that is given, or in a new one of this size in inches.

    Raises ParameterError where as many axes are not given.
    """
    new = pyplot()
    if ax is None:
        ax = new.figure(figsize=size, layout="constrained")
    if hasattr(ax, "subplots"):
        return ax.subplots(rows, columns, squeeze=False, **options)
    given = np.asarray(ax, dtype=object)
    if given.size != rows * columns or not all(hasattr(one, "plot") for one in given.flat):
        raise ParameterError(
            f"ax does not fit: got {_described(given)}, expected a figure, or {rows} x {columns} axes; try ax=pyplot.figure(layout='constrained')"
        )
    return given.reshape(rows, columns)


def _described(given: Any) -> str:
    return f"{given.size} axes" if all(hasattr(one, "plot") for one in given.flat) else repr(given.tolist())


def blend(share: float, colour: str | None = None) -> tuple[float, float, float]:
    """So much of a colour, by default that of text, in that of the paper: for shades that are legible on light and on dark."""
    from matplotlib import rcParams
    from matplotlib.colors import to_rgb

    paper = "white" if rcParams["axes.facecolor"] == "none" else rcParams["axes.facecolor"]
    ink = np.array(to_rgb(rcParams["text.color"] if colour is None else colour))
    red, green, blue = share * ink + (1 - share) * np.array(to_rgb(paper))
    return float(red), float(green), float(blue)


def plain(text: str) -> str:
    r"""A name in one line, whose dollars matplotlib does not take for mathematics.

    >>> print(plain("cost\n$ and $"))
    cost \$ and \$
    """
    return " ".join(str(text).split()).replace("$", r"\$")


def fitted(text: str, points: float, size: float = SMALL) -> str:
    """A name in so many points of width: where it is longer, its middle gives way, as names often differ at their ends."""
    text = " ".join(str(text).split())
    if _width(text, size) <= points:
        return plain(text)
    low, high = 1, len(text) - 1  # characters kept
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _width(_shortened(text, middle), size) <= points else (low, middle - 1)
    return plain(_shortened(text, low))


def labels(names: Sequence[str], columns: Sequence[int], points: float, size: float = SMALL) -> list[str]:
    """The names of these columns, each in so many points; where two would read alike, the number of each goes before it."""
    short = [fitted(names[j], points, size) for j in columns]
    return [
        text if short.count(text) == 1 else f"{j}: {fitted(names[j], points - _width(f'{j}: _', size), size)}"
        for j, text in zip(columns, short, strict=True)
    ]


def _shortened(text: str, kept: int) -> str:
    first = (kept + 1) // 2
    return f"{text[:first].rstrip()}…{text[len(text) - (kept - first) :].lstrip() if kept > first else ''}"


def _width(text: str, size: float) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return float(text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)[0])


def numbers(axis: Any, count: int = 5, inside: bool = False) -> None:
    """At most so many numbers on an axis, each with the digits that tell it from the others: none has to be added to one at the margin.

    Those that would run into others are left out; where `inside`, also those that would stand out beyond the axes.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(count, steps=STEPS, min_n_ticks=2))
    axis.set_major_formatter(FuncFormatter(partial(_number, axis, inside)))
    axis.set_tick_params(labelsize=SMALL)


def _number(axis: Any, inside: bool, value: float, place: int | None = None) -> str:
    """The text at a place of an axis as it is now; empty where it does not fit."""
    low, high = sorted(axis.get_view_interval())
    ticks = np.sort([tick for tick in axis.get_majorticklocs() if low <= tick <= high])
    texts = [_spelled(tick, ticks) for tick in ticks]
    along = axis.axis_name == "x"
    length = room(axis.axes)[0 if along else 1]
    lengths = np.array([_width(text, SMALL) if along else SMALL for text in texts])
    kept = _fitting((ticks - low) / ((high - low) or 1.0) * length, lengths, length if inside else np.inf)
    return _spelled(value, ticks) if value not in ticks or kept[np.flatnonzero(ticks == value)[0]] else ""


def _fitting(places: Array, lengths: Array, end: float) -> list[bool]:
    """Which of these texts stand free of each other, from the first on, and within 0 and the end; the middle one where none does.

    >>> _fitting(np.array([0.0, 10.0, 20.0, 30.0]), np.array([12.0, 12.0, 4.0, 4.0]), np.inf)
    [True, False, True, True]
    """
    starts, stops = places - lengths / 2, places + lengths / 2
    kept, free = [], -np.inf
    for start, stop in zip(starts, stops, strict=True):
        kept.append(bool(start >= free and (np.isinf(end) or (start >= -APART / 2 and stop <= end + APART / 2))))
        free = stop + APART if kept[-1] else free
    if kept and not any(kept):
        kept[len(kept) // 2] = True
    return kept


def _spelled(value: float, others: Array) -> str:
    """A number among others on an axis.

    >>> [_spelled(x, np.array([1e6, 1e6 + 2])) for x in (1e6, 1e6 + 2)], _spelled(2e5, np.array([0, 2e5])), _spelled(0.1 + 0.2, np.array([0.1, 0.3]))
    (['1000000', '1000002'], '200000', '0.3')
    """
    step = float(np.diff(np.sort(others)).min()) if len(others) > 1 else abs(value)
    if abs(value) < 1e-6 * step:
        return "0"
    digits = next((digits for digits in range(1, MOST_DIGITS) if abs(float(f"{value:.{digits}g}") - value) <= 1e-3 * step), MOST_DIGITS)
    text = f"{value:.{digits}g}"
    if "e" in text and PLAIN[0] <= abs(value) < PLAIN[1]:
        text = np.format_float_positional(float(text), trim="-")
    return minus(text)


def minus(number: str) -> str:
    """A number as it is set: with a minus, not a hyphen."""
    return number.replace("-", "−")


class Sign(NamedTuple):
    """How a component is drawn."""

    colour: str
    marker: str
    line: Any


def signs(K: int) -> list[Sign]:
    """One for each of K components: a colour, and for each round of colours another marker and another line."""
    rounds = [k // len(COLOURS) for k in range(K)]
    return [Sign(colour, MARKERS[r % len(MARKERS)], LINES[r % len(LINES)]) for colour, r in zip(colours(K), rounds, strict=True)]


Entry = tuple[Any, str]  # what a legend shows, and what it says


def keys(weights: Array, line: bool = True) -> list[Entry]:
    """An entry for each component with its share, as far as a legend has room."""
    from matplotlib.lines import Line2D

    K = len(weights)
    shown = K if K <= KEYS else KEYS - 1
    entries = [
        (
            Line2D([], [], color=sign.colour, linestyle=sign.line if line else "none", marker=sign.marker, markersize=5, markeredgewidth=0),
            f"{k} ({percent(weights[k])})",
        )
        for k, sign in enumerate(signs(shown))
    ]
    return entries if shown == K else [*entries, (Line2D([], [], linestyle="none"), f"… and {K - shown} more")]


def percent(share: float) -> str:
    """A share in words.

    >>> percent(0.361), percent(0.0321), percent(1e-5), percent(0.0)
    ('36 %', '3.2 %', '< 0.1 %', '0 %')
    """
    if 0 < share < 1e-3:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.0995 else f"{100 * share:.0f} %"


def legend(ax: Any, entries: Sequence[Entry], notes: Sequence[str] = (), width: int = WRAPPED, **options: Any) -> Any:
    """A legend with notes above it: to the right of the axes, so that it hides nothing, unless told otherwise."""
    title = "\n".join(wrapped(note, width) for note in notes if note)
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0, "ncols": -(-len(entries) // ROUNDS), "frameon": False}
    handles, labels = zip(*entries, strict=True)
    drawn = ax.legend(
        handles,
        labels,
        title=title,
        fontsize=SMALL,
        title_fontsize=SMALL,
        alignment="left",
        handlelength=1.8,
        columnspacing=1.0,
        **{**place, **options},
    )
    return drawn


def wrapped(text: str, characters: int) -> str:
    """In lines of so many characters."""
    return "\n".join(textwrap.wrap(text, characters))


def room(ax: Any) -> tuple[float, float]:
    """About how wide and high axes are, in points."""
    box = ax.get_window_extent()
    points = 72 / ax.get_figure(root=True).dpi
    return box.width * points, box.height * points
