"""How the model on the page is fitted elsewhere: as a command line and as lines of Python, which give the same bits."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where the rows come from, the column that weighs them, the folder where models go, and the columns to choose from, all as they were typed."""

    data: str
    weight: str | None = None
    output: str = "mixtura-output"
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Recipe:
    """What tells one model from another: `columns` (None takes those of the place, all numeric ones by default), and the rows that are fitted first
    (None where these are all).
    """

    components: int
    family: str
    columns: tuple[str, ...] | None
    seed: int
    subsample: int | None

    def command(self, place: Place) -> str:
        """The command line.

        >>> print(Recipe(3, "tied", ("a", "b, c"), 0, None).command(Place("my rows.csv")))
        mixtura fit 'my rows.csv' --columns 'a,"b, c"' --components 3 --family tied --seed 0 --output mixtura-output
        """
        words = ["mixtura", "fit", place.data]
        columns = self.columns or place.columns
        words += [] if columns is None else ["--columns", listed(columns)]
        words += [] if place.weight is None else ["--weight", place.weight]
        words += ["--components", str(self.components), "--family", self.family]
        words += [] if self.subsample is None else ["--subsample", str(self.subsample)]
        return shlex.join([*words, "--seed", str(self.seed), "--output", place.output])

    def python(self, place: Place) -> str:
        """The lines of Python; `mixture` is the model.

        >>> print(Recipe(3, "tied", None, 0, None).python(Place("rows.csv")))
        import mixtura
        rows = mixtura.open('rows.csv')
        mixture = mixtura.select(rows, 3, 'tied', random_state=0).ranking[0].mixture
        """
        opened = [repr(place.data)]
        columns = self.columns or place.columns
        opened += [] if columns is None else [f"columns={list(columns)!r}"]
        opened += [] if place.weight is None else [f"weight={place.weight!r}"]
        subsample = "" if self.subsample is None else f"subsample={self.subsample}, "
        asked = f"rows, {self.components}, {self.family!r}, {subsample}random_state={self.seed}"
        return f"import mixtura\nrows = mixtura.open({', '.join(opened)})\nmixture = mixtura.select({asked}).ranking[0].mixture"


def listed(names: Sequence[str]) -> str:
    """Names with commas between them, in quotes where one holds a comma: what `--columns` takes."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()
