"""What a selection gives: the candidates ranked by a criterion, as a table, a picture and JSON, and the best as an estimator.

A cell whose optimum is not a regular one ranks behind all that are; one that saw a subsample only behind those that saw all rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixtura import markup, storage
from mixtura.properties import cached_property
from mixtura.selection.candidate import Candidate
from mixtura.selection.criteria import TITLES
from mixtura.selection.figures import html_table, text_table, wanted

if TYPE_CHECKING:
    import narwhals as nw

    from mixtura.estimators import GaussianMixture

SHOWN = 10  # candidates that a representation lists
WORDS = ("family", "code", "status")  # columns of the table that hold text
COUNTS = ("components", "n_parameters", "rows", "sweeps")  # and whole numbers; the others hold figures


@dataclass(frozen=True, eq=False)
class Selection:
    """What `mixtura.select` found. Printed, it shows the best candidates.

    `cells` are the candidates in grid order, `criterion` is what ranks them; `interrupted` tells whether the search was ended early (what
    is missing has that status). `constant_columns` told nothing; `columns` are the names of the columns, where they have any; `parameters`
    are those of the estimator that `best` is.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> selection = mixtura.select(X, range(1, 4), ["tied", "full"], random_state=0)
    >>> first = selection.ranking[0]
    >>> first.components, first.family.name, selection.best.predict([[-3.0], [3.0]])
    (2, 'tied', array([0, 1]))
    """

    cells: tuple[Candidate, ...]
    criterion: str
    interrupted: bool
    constant_columns: tuple[str, ...]
    columns: tuple[str, ...] | None
    parameters: Mapping[str, Any]

    @cached_property
    def ranking(self) -> tuple[Candidate, ...]:
        """The candidates, the best first: regular ones before the others, those on all rows before those on a subsample."""
        return tuple(ranked(self.cells, self.criterion))

    @property
    def compared(self) -> tuple[Candidate, ...]:
        """The candidates in grid order, all as fitted to the same rows: those that went on to all rows as they were on the subsample."""
        return tuple(one.before or one for one in self.cells)

    @cached_property
    def best(self) -> GaussianMixture:
        """The best model as a fitted estimator: it predicts, scores and saves. `ranking[0]` is its candidate.

        An integer `random_state` is kept by it; a generator is not, which would have moved on.
        """
        from mixtura.estimators import GaussianMixture

        fit = self.ranking[0].fit
        assert fit is not None  # select raises where nothing was fitted
        return GaussianMixture.from_fit(fit, columns=self.columns, **self.parameters)

    @property
    def table(self) -> nw.DataFrame[Any]:
        """All cells in grid order as a data frame of narwhals on pyarrow, whatever is installed: `.to_pandas()` and `.to_polars()` convert it.

        Columns: components, family and its mclust code, log_likelihood (a sum, in nats), n_parameters, bic, icl and aic (mclust's sign: larger is
        better), held_out (nats per row, where it is the criterion), entropy, status, rows (of positive weight that were fitted), sweeps over
        these, seconds. What is not known is null.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1))
        >>> mixtura.select(X, [1, 2], "full", random_state=0).table.select("components", "family", "n_parameters").rows()
        [(1, 'full', 2), (2, 'full', 5)]
        """
        import narwhals as nw
        import pyarrow

        lines = [self.figures(one) for one in self.cells]
        return nw.from_native(pyarrow.table({name: _column(name, [line[name] for line in lines]) for name in lines[0]}), eager_only=True)

    def plot(self, ax: Any = None) -> Any:
        """mixtura.plots.selection(self, ax=ax): the criterion against the number of components, a line a family. Returns the axes.

        Raises MissingLibraryError where matplotlib is not installed.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> selection = mixtura.select(X, range(1, 4), ["tied", "full"], random_state=0)
        >>> from matplotlib.figure import Figure
        >>> ax = selection.plot(Figure().subplots())
        >>> ax.get_xlabel()
        'components'
        """
        from mixtura import plots

        return plots.selection(self, ax=ax)

    def to_json(self, path: str | Path | None = None) -> str:
        """All of it as JSON, the candidates ranked; written to `path` too, where that is given. NaN and infinities become null.

        Raises FileError where the file cannot be written; nothing half written is left.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> selection = mixtura.select(X, range(1, 4), ["tied", "full"], random_state=0)
        >>> import json
        >>> sorted(json.loads(selection.to_json()))
        ['best', 'candidates', 'columns', 'constant_columns', 'criterion', 'interrupted']
        """
        if path is not None:
            storage.write_json(path, self.facts())
        return storage.as_json(self.facts())

    def facts(self) -> dict[str, Any]:
        """What `to_json` writes: criterion, whether it was interrupted, columns, best, candidates."""
        candidates = [self.figures(one) for one in self.ranking]
        return {
            "criterion": self.criterion,
            "interrupted": self.interrupted,
            "columns": self.columns,
            "constant_columns": self.constant_columns,
            "best": candidates[0],
            "candidates": candidates,
        }

    def figures(self, one: Candidate) -> dict[str, Any]:
        """A candidate's line of the table, without what was not measured."""
        return {name: value for name, value in one.figures().items() if name != "held_out" or self.criterion == "held_out"}

    def __repr__(self) -> str:
        shown = self.ranking[:SHOWN]
        return f"{self._heading()}\n\n{text_table(shown, wanted(shown, self.criterion))}"

    def _repr_html_(self) -> str:
        shown = self.ranking[:SHOWN]
        return f"{markup.paragraph(self._heading())}{html_table(shown, wanted(shown, self.criterion))}"

    def _heading(self) -> str:
        total = len(self.cells)
        which = f"the best {SHOWN} of {total} candidates" if total > SHOWN else f"{total} candidate{'s' * (total > 1)}"
        return f"Selection: {which} by {TITLES[self.criterion]}, larger is better{' (interrupted)' * self.interrupted}"


def ranked(candidates: Iterable[Candidate], criterion: str) -> list[Candidate]:
    """The best first: regular ones, then those on the most rows, then by the criterion; equals keep their order."""
    return sorted(candidates, key=lambda one: (one.regular, one.rows, _known(getattr(one, criterion))), reverse=True)


def _known(figure: float) -> float:
    """A criterion; what is not known, because its fit was interrupted, is the least."""
    return -np.inf if np.isnan(figure) else figure


def _column(name: str, values: list[Any]) -> Any:
    """A column of the table: null where a figure is not known."""
    import pyarrow

    if name in WORDS:
        return pyarrow.array(values, pyarrow.string())
    if name in COUNTS:
        return pyarrow.array(values, pyarrow.int64())
    return pyarrow.array([value if np.isfinite(value) else None for value in values], pyarrow.float64())
