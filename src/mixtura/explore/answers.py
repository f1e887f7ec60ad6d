"""A fit as the page reads it: figures and a table of its components, and of the rows that are shown the component and how unsure it is."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.mixture import Mixture
from mixtura.pages import packed
from mixtura.selection import Candidate
from mixtura.showing import colours, outlines
from mixtura.sources import Source

CURVE = 200  # points of a density
UNSURE = 255  # what an uncertainty of 1 is in a byte


class Found(NamedTuple):
    """A candidate, and for each row that is shown its component (n,) and 1 - max_k r_ik in bytes (n,)."""

    candidate: Candidate
    mixture: Mixture
    component: NDArray[np.uint8]
    uncertainty: NDArray[np.uint8]

    @classmethod
    def of(cls, candidate: Candidate, shown: Source) -> Found:
        """The candidate, asked of these rows; it has a mixture."""
        assert candidate.mixture is not None
        told = candidate.mixture.answers(shown, component=True, density=True)
        unsure = np.clip(np.rint((1 - told.probability) * UNSURE), 0, UNSURE)
        return cls(candidate, candidate.mixture, told.component.astype(np.uint8), unsure.astype(np.uint8))


def answer(found: Found, source: Source, columns: tuple[int, ...], x: int, y: int | None) -> dict[str, Any]:
    """All that the page shows of a fit to these columns, seen in columns x and y; of x alone where y is None."""
    one, mixture = found.candidate, found.mixture
    place = {column: j for j, column in enumerate(columns)}
    constant = [name for name, flag in zip(source.columns, source.profile.constant, strict=True) if flag]
    return {
        "figures": {**one.figures(), "seconds": None},
        "of": source.profile.rows,
        "weights": mixture.weights.tolist(),
        "means": mixture.means.tolist(),
        "deviations": np.sqrt(mixture.variances).tolist(),
        "names": source.columns,
        "colours": colours(mixture.K),
        "component": packed(found.component, "uint8"),
        "uncertainty": packed(found.uncertainty, "uint8"),
        "outlines": _outlines(mixture, place, x, y),
        "curves": _curves(mixture, place, x) if y is None else None,
        "notes": [f"column {name!r} holds one value: it tells no components apart" for name in constant],
    }


def _outlines(mixture: Mixture, place: dict[int, int], x: int, y: int | None) -> list[dict[str, list[float]]] | None:
    """The ellipses; None where they are in a column that is not fitted, or there is one column only."""
    if x not in place or y not in place or x == y:
        return None
    return [{"x": line[:, 0].tolist(), "y": line[:, 1].tolist()} for line in outlines(mixture, place[x], place[y])]


def _curves(mixture: Mixture, place: dict[int, int], x: int) -> list[dict[str, list[float]]] | None:
    """pi_k N(x | mu_k, sigma_k^2) as lines; None where x is not fitted."""
    if x not in place:
        return None
    seen = mixture.marginal([place[x]])
    means, deviations = seen.means[:, 0], np.sqrt(seen.variances[:, 0])
    at = np.linspace((means - 4 * deviations).min(), (means + 4 * deviations).max(), CURVE)
    away = (at - means[:, None]) / deviations[:, None]
    heights = (seen.weights / deviations / np.sqrt(2 * np.pi))[:, None] * np.exp(-(away**2) / 2)
    return [{"x": at.tolist(), "y": height.tolist()} for height in heights]
