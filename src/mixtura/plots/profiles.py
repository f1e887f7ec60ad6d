"""What is special about each component: its mean and its spread in every column, beside the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from mixtura.errors import ParameterError
from mixtura.moments import Array
from mixtura.plots import canvas
from mixtura.plots.shown import Columns, Shown, chosen, separation, shown
from mixtura.showing import Standardised, standardised

MOST = 30  # columns that are drawn unasked
LINE, CELL, NARROW = 0.24, 0.42, 0.22  # inches: the height of a column, the width of a component, and of one without numbers
NAMES = 1.9  # inches for names at the left
NUMBERED = 10  # components up to which numbers stand in the cells
CLEAR = 0.6  # of the darkest: numbers on darker cells are white
LABEL = 130.0  # points that a name may take
BANDS = 7  # components up to which lines show spreads, which would be one blot
BAND = 0.35  # how dark the spread of one component alone would be


def profile(
    mixture: Any,
    *,
    kind: Literal["heat", "lines"] = "heat",
    columns: Columns = None,
    names: Sequence[str] | None = None,
    order: Literal["input", "separation"] = "input",
    ax: Any = None,
) -> Any:
    """Means and spreads of the components, column by column: (mu_k - m) / s and sigma_k / s, with mean m and deviation s of the mixture.

    "heat" gives two maps, of means and of spreads, with columns downwards and components across. "lines" gives parallel coordinates: a line through
    the means of each component, in a band of plus and minus one of its deviations where there are no more
    than 7.

    `mixture` is a Mixture or a fitted estimator. `columns` are names or numbers; unasked, of more than 30 the 30 that tell components apart most.
    `order` is that of the input, or "separation": those first that tell components apart most, by the share of variance between the components'
    means. `names` are those of all D columns, where an estimator has none.

    `ax` is for "heat" a figure, a subfigure or two axes, for "lines" axes; returns the two axes, an array (2,), or the axes.

    Raises ParameterError for what does not fit, MissingLibraryError where matplotlib is not installed.

    >>> import mixtura
    >>> from matplotlib.figure import Figure
    >>> mixture = mixtura.Mixture([0.4, 0.6], [[0.0, 0.0], [3.0, 1.0]], [1.0, 0.5], "spherical")
    >>> mixtura.plots.profile(mixture, kind="lines", ax=Figure(layout="constrained").subplots()).get_ylabel()
    'column'
    """
    if kind not in ("heat", "lines"):
        raise ParameterError(f"kind is unknown: got {kind!r}, expected 'heat' or 'lines'; try kind='heat'")
    if order not in ("input", "separation"):
        raise ParameterError(f"order is unknown: got {order!r}, expected 'input' or 'separation'; try order='input'")
    seen = shown(mixture, names=names)
    some, told = chosen(seen, columns, 0, MOST)
    if order == "separation":
        share = separation(seen.mixture)
        some = sorted(some, key=lambda j: -share[j])
    canvas.pyplot()
    return (_heat if kind == "heat" else _lines)(ax, seen, some, told)


def _heat(ax: Any, seen: Shown, some: list[int], told: str) -> Any:
    K, d = seen.mixture.K, len(some)
    axes = canvas.panels(ax, 1, 2, (NAMES + 2 * max((CELL if K <= NUMBERED else NARROW) * K, 1.9) + 0.6, LINE * d + 1.9), sharey=True)[0]
    means, deviations = _of(seen, some)
    furthest = max(float(np.abs(means).max()), 1e-9)
    widest = max(float(deviations.max()), 1.0)
    _cells(axes[0], means, "RdBu_r", -furthest, furthest, "mean, in deviations of all rows from their mean")
    _cells(axes[1], deviations, "Greys", 0.0, widest, "deviation, in deviations of all rows")
    axes[0].set_yticks(range(d), _labels(seen, some), fontsize=canvas.SMALL)
    axes[1].tick_params(labelleft=False, left=False)
    for panel in axes:
        _across(panel, seen.mixture.weights)
    axes[0].set_ylabel("column", fontsize=9)
    if told:
        axes[0].set_title(told, loc="left", fontsize=canvas.SMALL)
    return axes


def _cells(ax: Any, values: Array, palette: str, low: float, high: float, label: str) -> None:
    image = ax.imshow(values.T, cmap=palette, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    bar = ax.figure.colorbar(image, ax=ax, location="bottom", aspect=30, shrink=0.95)
    bar.set_label(canvas.wrapped(label, 26), fontsize=canvas.SMALL)
    canvas.numbers(bar.ax.xaxis, 4)
    for edge in ax.spines.values():
        edge.set_visible(False)
    if len(values) <= NUMBERED:
        for k, line in enumerate(values):
            for place, value in enumerate(line):
                dark = abs(value) > CLEAR * high
                text = canvas.minus(f"{value:.1f}")
                ax.text(k, place, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")


def _across(ax: Any, weights: Array) -> None:
    K = len(weights)
    upright = K <= NUMBERED
    labels = [f"{k}\n{canvas.percent(weight)}" if upright else f"{k} ({canvas.percent(weight)})" for k, weight in enumerate(weights)]
    ax.set_xticks(range(K), labels, fontsize=canvas.SMALL if not upright else 7, rotation=0 if upright else 90)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("component, and its weight", fontsize=canvas.SMALL)


def _lines(ax: Any, seen: Shown, some: list[int], told: str) -> Any:
    K, d = seen.mixture.K, len(some)
    panel = canvas.panels(ax, 1, 1, (8.0, max(3.4, LINE * d + 1.2)))[0, 0]
    means, deviations = _of(seen, some)
    places = np.arange(d)
    for mean, deviation, sign in zip(means, deviations, canvas.signs(K), strict=True):
        if K <= BANDS:
            panel.fill_betweenx(places, mean - deviation, mean + deviation, color=sign.colour, alpha=BAND / np.sqrt(K), linewidth=0)
        panel.plot(mean, places, color=sign.colour, linestyle=sign.line, marker=sign.marker, markersize=4, linewidth=1.3)
    panel.axvline(0, color=canvas.blend(0.5), linewidth=0.8, zorder=0)
    panel.set_yticks(places, _labels(seen, some), fontsize=canvas.SMALL)
    panel.set_ylim(d - 0.5, -0.5)
    canvas.numbers(panel.xaxis, 7)
    panel.set_xlabel(f"mean{' ± deviation' * (K <= BANDS)} of the component, in deviations of all rows", fontsize=9)
    panel.set_ylabel("column", fontsize=9)
    canvas.legend(
        panel,
        canvas.keys(seen.mixture.weights),
        [told, f"spreads of more than {BANDS} components are left out" * (K > BANDS), "component (its weight):"],
    )
    return panel


def _of(seen: Shown, some: list[int]) -> tuple[Array, Array]:
    whole: Standardised = standardised(seen.mixture)
    return whole.means[:, some], whole.deviations[:, some]


def _labels(seen: Shown, some: list[int]) -> list[str]:
    return canvas.labels(seen.names, some, LABEL)
