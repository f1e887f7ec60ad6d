"""How a fit climbed: how far each step was from the optimum, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mixtura.errors import ParameterError
from mixtura.moments import Array
from mixtura.plots import canvas
from mixtura.rules import Event
from mixtura.stopping import noise, remaining_gain

LOWEST = 0.4  # times the least distance that is drawn: where what is at the optimum stands
MESSAGE = 120  # characters of an event that a legend shows
WRAPPED = 36  # of its lines


class Climb(NamedTuple):
    """What a rule climbed, per row: its values, what was left at the end by estimate (infinite where that is not known), events with their step."""

    objectives: Array
    remaining: float
    events: tuple[tuple[int, Event], ...]


def convergence(history: Any, *, ax: Any = None) -> Any:
    """How many nats per row each step was short of the optimum, as it is estimated: max (objective + remaining) - objective_t, on a log scale.

    So a line that falls steadily is linear convergence, its slope the rate; one that lies flat above others has ended at a lower optimum. The
    objective is the mean log-likelihood, with the logarithm of the prior where there is one. `remaining` is the gain that was estimated to be
    left when the fit ended (Aitken's estimate, or the rule's own): the last mark of a line stands at it, and the legend says it; an arrow at the
    edge is 0. Crosses are repairs, rings notes of the rule (a step taken back).

    `history` is an estimator's `history_`, a Fit, a Candidate, its `history`, or objectives (n,); or several of these, a line each, that share
    the highest optimum: a sequence, or a mapping from names. Returns the axes.

    Raises ParameterError where it is none of these, MissingLibraryError where matplotlib is not installed.

    >>> from matplotlib.figure import Figure
    >>> import mixtura
    >>> mixtura.plots.convergence([-3.0, -2.0, -1.5, -1.25], ax=Figure(layout="constrained").subplots()).get_xlabel()
    'step'
    """
    climbs = _climbs(history)
    canvas.pyplot()
    panel = canvas.panels(ax, 1, 1, (8.0, 4.4))[0, 0]
    optimum = max(float(np.nanmax(climb.objectives)) + (climb.remaining if np.isfinite(climb.remaining) else 0.0) for climb in climbs.values())
    short = [_short(climb, optimum) for climb in climbs.values()]
    seen = np.concatenate(short)
    seen = seen[seen > 0]
    floor = LOWEST * float(seen.min()) if len(seen) else noise(optimum)
    panel.set_yscale("log")
    entries: list[canvas.Entry] = []
    for (name, climb), gaps, sign in zip(climbs.items(), short, canvas.signs(len(climbs)), strict=True):
        entries += _draw(panel, name, climb, gaps, sign, floor)
    panel.set_ylim(bottom=floor)
    from matplotlib.ticker import MaxNLocator

    canvas.numbers(panel.xaxis, 8)
    panel.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    panel.set_xlabel("step")
    panel.set_ylabel("nats per row short of the optimum, by estimate")
    canvas.legend(
        panel, entries, [f"estimated optimum: {canvas.minus(f'{optimum:.6g}')} nats per row", "left to gain at the end:"], width=44, ncols=1
    )
    return panel


def _climbs(history: Any) -> dict[str, Climb]:
    """Each climb under its name. Raises ParameterError where there is none."""
    one = _climb(history)
    if one is not None:
        return {"": one}
    named = dict(history) if isinstance(history, Mapping) else None
    if named is None and isinstance(history, Sequence) and not isinstance(history, str):
        named = {str(number): each for number, each in enumerate(history)}
    found = {str(name): _climb(each) for name, each in (named or {}).items()}
    if not found or any(climb is None for climb in found.values()):
        raise ParameterError(
            f"there is no history to draw: got {type(history).__name__}, expected a history_, a Fit, a Candidate or objectives, or several of them; "
            "try estimator.history_"
        )
    return {name: climb for name, climb in found.items() if climb is not None}


def _climb(history: Any) -> Climb | None:
    for inner in ("history_", "fit"):  # an estimator, a candidate
        if not callable(getattr(history, inner, None)) and getattr(history, inner, None) is not None:
            return _climb(getattr(history, inner))
    if hasattr(history, "objectives"):
        return Climb(np.asarray(history.objectives, dtype=float), float(history.remaining), tuple(history.events))
    try:
        objectives = np.asarray(history, dtype=float)
    except (TypeError, ValueError):
        return None
    if objectives.ndim != 1 or not len(objectives) or not np.isfinite(objectives).any():
        return None
    return Climb(objectives, remaining_gain(objectives.tolist()), ())


def _short(climb: Climb, optimum: float) -> Array:
    """Distances from the optimum; what is below rounding is 0."""
    gaps = optimum - climb.objectives
    return np.where(np.abs(gaps) <= noise(optimum), 0.0, gaps)


def _draw(ax: Any, name: str, climb: Climb, gaps: Array, sign: canvas.Sign, floor: float) -> list[canvas.Entry]:
    """A line with its events, and what a legend says of it."""
    from matplotlib.lines import Line2D

    steps = np.arange(len(gaps))
    ax.plot(
        steps,
        np.where(gaps > 0, gaps, np.nan),
        color=sign.colour,
        linestyle=sign.line,
        linewidth=1.4,
        marker=".",
        markersize=4 if len(gaps) < 60 else 0,
    )
    end = gaps[-1]
    ax.plot(steps[-1], max(end, floor), sign.marker if end > 0 else "v", color=sign.colour, markersize=7, clip_on=False, zorder=4)
    left = "not known" if not np.isfinite(climb.remaining) else "nothing" if climb.remaining == 0 else f"{climb.remaining:.2g} nats per row"
    label = f"{canvas.fitted(name, 150)}: " * bool(name) + f"{left}, after {len(gaps) - 1} steps"
    entries: list[canvas.Entry] = [(Line2D([], [], color=sign.colour, linestyle=sign.line, marker=sign.marker, markersize=5), label)]
    for kind, marker in (("repair", "x"), ("note", "o")):
        told = [(number, event) for number, event in climb.events if event.kind == kind]
        if told:
            numbers = np.array([number for number, _ in told])
            style: dict[str, Any] = {
                "linestyle": "none",
                "marker": marker,
                "markersize": 9,
                "markerfacecolor": "none",
                "markeredgewidth": 1.4,
                "color": sign.colour,
            }
            ax.plot(numbers, np.maximum(gaps[np.minimum(numbers, len(gaps) - 1)], floor), clip_on=False, zorder=3.5, **style)
            more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
            entries.append((Line2D([], [], **style), _message(f"{kind} at step {told[0][0]}{more}: {told[0][1].message}")))
    return entries


def _message(text: str) -> str:
    text = text if len(text) <= MESSAGE else text[: MESSAGE - 1] + "…"
    return canvas.wrapped(canvas.plain(text), WRAPPED)
