"""A selection as a picture: the criterion against the number of components, a line a family.

A family's colour tells shape and orientation (the last two letters of its code), its line the volume: dashed where it is equal. Its name
stands at the right, moved where two would overlap, with a thin line to where it belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura.families import Family
from mixtura.moments import Array
from mixtura.plots import canvas
from mixtura.selection.criteria import TITLES
from mixtura.showing import COLOURS, in_sight

if TYPE_CHECKING:
    from mixtura.selection.candidate import Candidate
    from mixtura.selection.selection import Selection

DASHED = (0, (4, 1.5))
LINE = 1.25  # heights of a label between two labels
SMALL = 8  # points


def selection(selection: Selection, *, ax: Any = None) -> Any:
    """The criterion against the number of components, a line a family; larger is better.

    `selection` is what `mixtura.select` gives. Cells that are not regular are crosses, the best is circled; an arrow beside a family's name says that
    its values are too poor to be seen. All values are of the same rows: of the subsample, where there was one. Returns the axes.

    Raises MissingLibraryError where matplotlib is not installed.

    >>> import numpy as np, mixtura
    >>> from matplotlib.figure import Figure
    >>> found = mixtura.select(np.random.default_rng(0).normal(size=(100, 1)), [1, 2], "full", random_state=0)
    >>> mixtura.plots.selection(found, ax=Figure(layout="constrained").subplots()).get_xlabel()
    'components'
    """
    canvas.pyplot()
    from matplotlib.ticker import MaxNLocator

    ax = canvas.panels(ax, 1, 1, (8, 5))[0, 0]
    families = list({one.family.name: one.family for one in selection.compared}.values())
    ax.set_ylim(*_limits(selection))
    ends = [_line(ax, selection, family, style) for family, style in zip(families, _styles(families), strict=True)]
    winner = selection.ranking[0]
    best = winner.before or winner
    ax.plot(
        best.components,
        _value(selection, best),
        "o",
        markersize=13,
        markerfacecolor="none",
        markeredgecolor=canvas.blend(1.0),
        zorder=4,
        clip_on=False,
    )
    of = f", of {best.rows:,} rows" if winner.before else ""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel("components")
    ax.set_ylabel(f"{TITLES[selection.criterion]}{' per row' * (selection.criterion == 'held_out')} (larger is better){of}")
    ax.set_title(f"best: {best.components} component{'s' * (best.components > 1)}, {_name(best.family)}", loc="left", fontsize="medium")
    _legend(ax, selection, families)
    _label(ax, [end for end in ends if end is not None])
    return ax


def _legend(ax: Any, selection: Selection, families: Sequence[Family]) -> None:
    """Signs; families have their names at the ends of their lines."""
    from matplotlib.lines import Line2D

    ink = canvas.blend(1.0)
    entries: list[canvas.Entry] = [(Line2D([], [], color=ink, marker="o", markersize=9, markerfacecolor="none", linestyle="none"), "the best")]
    if any(not one.regular and one.fit is not None for one in selection.compared):
        entries.append((Line2D([], [], color=ink, marker="x", markersize=5, linestyle="none"), "not regular"))
    if any(family.code[0] == "E" for family in families):
        entries.append((Line2D([], [], color=ink, linestyle=DASHED), "equal volumes"))
    if any(family.code[0] != "E" for family in families):
        entries.append((Line2D([], [], color=ink), "volumes of their own"))
    canvas.legend(ax, entries, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=len(entries))


def _styles(families: Sequence[Family]) -> list[dict[str, Any]]:
    """A colour for each pair of last letters, a line for the first."""
    groups = dict.fromkeys(family.code[1:] for family in families)
    colours = dict(zip(groups, cycle(COLOURS), strict=False))
    return [{"color": colours[family.code[1:]], "linestyle": DASHED if family.code[0] == "E" else "-"} for family in families]


def _line(ax: Any, selection: Selection, family: Family, style: dict[str, Any]) -> tuple[float, float, str, str] | None:
    """One family's line, through its regular cells; where it ends, what it is called, and its colour."""
    cells = [one for one in selection.compared if one.family.name == family.name and np.isfinite(_value(selection, one))]
    low, high = ax.get_ylim()
    regular, others = ([one for one in cells if one.regular is kind] for kind in (True, False))
    if regular:
        ax.plot(*_points(selection, regular), marker="o", markersize=3.5, linewidth=1.4, **style)
    if others:
        x, y = _points(selection, others)  # at the edge where they are beyond it: their likelihood may be anything
        ax.plot(x, np.clip(y, low, high), "x", color=style["color"], markersize=5, clip_on=False)
    if not cells:
        return None
    x, y = _points(selection, regular or others)
    return x[-1], float(np.clip(y[-1], low, high)), _name(family) + " ↓" * bool(y[-1] < low), style["color"]


def _points(selection: Selection, cells: Sequence[Candidate]) -> tuple[list[int], list[float]]:
    return [one.components for one in cells], [_value(selection, one) for one in cells]


def _limits(selection: Selection) -> tuple[float, float]:
    """What of the lines is seen: see in_sight."""
    fitted = [one for one in selection.compared if np.isfinite(_value(selection, one))]
    shown = [one for one in fitted if one.regular] or fitted
    return in_sight([[_value(selection, one) for one in shown if one.family.name == name] for name in {one.family.name for one in shown}])


def _label(ax: Any, ends: list[tuple[float, float, str, str]]) -> None:
    """Names at the right of the axes, in the order of the lines' ends."""
    ends = sorted(ends, key=lambda end: end[1])
    figure = ax.figure
    figure.canvas.draw()  # the layout decides how high the axes are
    height = ax.get_window_extent().height / figure.dpi * 72
    places = _spread(np.array([ax.transAxes.inverted().transform(ax.transData.transform(end[:2]))[1] for end in ends]), LINE * SMALL / height)
    for (x, y, name, colour), place in zip(ends, places, strict=True):
        ax.annotate(
            name,
            (x, y),
            (1.06, place),
            xycoords="data",
            textcoords="axes fraction",
            color=colour,
            fontsize=SMALL,
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)},
        )


def _spread(places: Array, apart: float) -> Array:
    """Ascending places moved as little as need be to be so far apart, and between 0 and 1 where there is room (least squares).

    >>> _spread(np.array([0.2, 0.5, 0.5]), 0.1)
    array([0.2 , 0.45, 0.55])
    """
    from scipy.optimize import isotonic_regression

    offsets = apart * np.arange(len(places))
    moved = isotonic_regression(places - offsets).x
    top = max(0.0, 1 - apart * (len(places) - 1))
    return np.asarray(np.clip(moved, 0.0, top) + offsets)


def _name(family: Family) -> str:
    return family.code if family.name == family.code.lower() else f"{family.code} {family.name}"


def _value(selection: Selection, one: Candidate) -> float:
    return float(getattr(one, selection.criterion))
