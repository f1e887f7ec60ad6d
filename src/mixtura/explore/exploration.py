"""An exploration: rows opened once, and mixtures fitted to them as they are asked for. It knows of no page and of no network."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import MixturaError, ParameterError
from mixtura.explore.answers import Found, answer
from mixtura.explore.newest import GoOn, Newest, Superseded
from mixtura.explore.recipes import Place, Recipe
from mixtura.explore.rows import Rows
from mixtura.families import ALL, FAMILIES, Family
from mixtura.fitting import Step
from mixtura.selection import Candidate, select
from mixtura.sources import ArraySource, Source

AT_ONCE = 2_500  # rows that are fitted while the user looks on; with more, the rest follow when the hand rests
SHOWN = 10_000  # rows in the picture
FEW = 1_000  # rows in the picture up to which SVG is as fast as WebGL
MOST = 20  # components
WARMED = 300  # rows on which every family's kernels are loaded, or compiled
WIDE = 16  # columns: with more, the page opens with diagonal covariances
REST = 0.15  # seconds after an answer before the neighbours are fitted ahead
KEPT, KEPT_ROWS = 1_000, 4  # fits, and choices of columns, that are remembered

Opened = Callable[[Sequence[str] | None], Source]
Keep = Callable[[Recipe, Candidate, Source], object]
Key = tuple[tuple[int, ...], int, int, str, bool]  # columns, seed, components, family, whether all rows


@dataclass(frozen=True)
class Question:
    """A mixture to fit, and how it is looked at: `columns` are numbers of columns, ascending; `x` and `y` those shown, y None for x alone."""

    components: int
    family: Family
    columns: tuple[int, ...]
    seed: int
    x: int
    y: int | None
    all_rows: bool = False

    @classmethod
    def of(cls, asked: Any, D: int) -> Self:
        """What a page asks of data with D columns. Raises ParameterError for what makes no sense."""
        if not isinstance(asked, Mapping):
            raise ParameterError(f"the question is not usable: got {type(asked).__name__}, expected an object; try the page itself")
        columns = asked.get("columns")
        if not isinstance(columns, list) or not columns:
            raise ParameterError(f"no columns to fit: got {columns!r}, expected a list of numbers; try ticking a column")
        family = asked.get("family")
        if not isinstance(family, str) or family not in FAMILIES:
            raise ParameterError(f"unknown family: got {family!r}, expected one of {', '.join(one.name for one in ALL)}; try 'full'")
        y = asked.get("y")
        return cls(
            _whole(asked, "components", 1, MOST),
            FAMILIES[family],
            tuple(sorted({_between("a column", column, 0, D - 1) for column in columns})),
            _whole(asked, "seed", 0, 2**32 - 1),
            _whole(asked, "x", 0, D - 1),
            None if y is None else _whole(asked, "y", 0, D - 1),
            asked.get("all_rows") is True,
        )

    @property
    def key(self) -> Key:
        """What its fit depends on."""
        return self.columns, self.seed, self.components, self.family.name, self.all_rows


class Exploration:
    """Rows, and the mixtures that were fitted to them.

    `opened` opens the rows with the columns that it is given, None for all; `keep` writes a model to the place. Of more than `at_once` rows a fit
    sees so many first. Two threads work: one for the newest question, one that saves, and fits ahead while nothing is asked.
    """

    def __init__(self, opened: Opened, keep: Keep, place: Place, seed: int = 0, at_once: int = AT_ONCE, shown: int = SHOWN):
        self.opened, self.keep, self.place, self.seed, self.fitted_at_once = opened, keep, place, seed, at_once
        self.source = opened(None)
        self.shown = np.asarray(self.source.sample(shown, np.random.default_rng(seed)).X)
        self._climbing: tuple[Key, Step, int] | None = None  # a fit to all rows: whose it is, its best step, and how many there are
        self._newest = Newest()
        self._closed = threading.Event()
        self._aside = ThreadPoolExecutor(1, "aside")
        self._lock = threading.RLock()
        self._found: OrderedDict[Key, Future[Found]] = OrderedDict()
        self._rows: OrderedDict[tuple[tuple[int, ...], int], Rows] = OrderedDict()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns."""
        return self.source.columns

    @property
    def webgl(self) -> bool:
        """Whether the rows that are shown are so many that WebGL draws them."""
        return len(self.shown) > FEW

    def first(self) -> Question:
        """What the page opens with."""
        D = len(self.columns)
        family = FAMILIES["full" if D <= WIDE else "diag"]
        return Question(min(2, self.source.n_rows), family, tuple(range(D)), self.seed, 0, 1 if D > 1 else None)

    def warm(self) -> None:
        """Loads or compiles the kernels of every family, and answers the first question. Errors of the data are left to the page."""
        with suppress(MixturaError):
            select(self.shown[np.isfinite(self.shown).all(axis=1)][:WARMED], 3, random_state=self.seed)
        with suppress(MixturaError):
            self.ask(self.first()).result()
            self._aside.submit(lambda: None).result()

    def about(self) -> dict[str, Any]:
        """What the page is told before the first fit."""
        first = self.first()
        return {
            "data": self.place.data,
            "weight": self.place.weight,
            "output": self.place.output,
            "columns": self.columns,
            "skipped": self.source.skipped,
            "rows": self.source.n_rows,
            "shown": len(self.shown),
            "webgl": self.webgl,
            "at_once": self.fitted_at_once,
            "most": MOST,
            "families": [{"name": one.name, "code": one.code} for one in ALL],
            "first": {"components": first.components, "family": first.family.name, "columns": first.columns, "seed": first.seed},
        }

    def column(self, j: int) -> NDArray[np.float64]:
        """Column j of the rows that are shown. Raises ParameterError where there is none."""
        j = _between("a column", j, 0, len(self.columns) - 1)
        return np.ascontiguousarray(self.shown[:, j], dtype=np.float64)

    def ask(self, question: Question) -> Future[dict[str, Any]]:
        """The answer, to come: raises Superseded where something else was asked since, MixturaError for rows that cannot be fitted so."""

        def work(go_on: GoOn) -> dict[str, Any]:
            begun, known = time.perf_counter(), question.key in self._found
            if question.all_rows:  # which takes long: the neighbours are fitted meanwhile
                self._aside.submit(self._ahead, question, go_on)
            found = self._find(question, go_on)
            told = self._answer(question, found)
            told |= {"milliseconds": 1000 * (time.perf_counter() - begun), "known": known}
            go_on()
            if not question.all_rows:
                self._aside.submit(self._ahead, question, go_on)
            return told

        return self._newest.ask(work)

    def so_far(self, question: Question) -> dict[str, Any] | None:
        """The answer as far as its fit to all rows has come, with the number of `steps`; None where no such fit is under way."""
        climbing = self._climbing
        if climbing is None or climbing[0] != question.key:
            return None
        found = self._seen(question, self._rows_of(question).so_far(climbing[1]))
        return {**self._answer(question, found), "steps": climbing[2]}

    def save(self, question: Question) -> Future[dict[str, Any]]:
        """Fits the mixture to all rows, where it is not yet, and writes it to the place; raises MixturaError where that cannot be done."""

        def work() -> dict[str, Any]:
            whole = replace(question, all_rows=True)
            found, rows, recipe = self._find(whole, self._until_closed), self._rows_of(question), self._recipe(question)
            self.keep(recipe, found.candidate, rows.source)
            return {"output": self.place.output, "answer": self._answer(whole, found)}

        return self._aside.submit(work)

    def close(self) -> None:
        """Ends what is under way."""
        self._closed.set()
        self._newest.close()
        self._aside.shutdown(wait=False, cancel_futures=True)

    def _until_closed(self) -> None:
        """Nothing supersedes what is saved, but that nobody is there any more."""
        if self._closed.is_set():
            raise Superseded

    def _answer(self, question: Question, found: Found) -> dict[str, Any]:
        rows, recipe = self._rows_of(question), self._recipe(question)
        told = answer(found, rows.source, question.columns, question.x, question.y)
        return {**told, "seed": question.seed, "command": recipe.command(self.place), "python": recipe.python(self.place)}

    def _find(self, question: Question, go_on: GoOn) -> Found:
        """The fit: as it was found before, or as another thread is finding it, or found now."""
        key = question.key
        with self._lock:
            known = self._found.get(key)
            if known is None:
                mine = self._found[key] = Future[Found]()
                while len(self._found) > KEPT:
                    self._found.popitem(last=False)
            else:
                self._found.move_to_end(key)
        if known is not None:
            try:
                return known.result()
            except Superseded:  # for another's question, not for this
                go_on()
                return self._find(question, go_on)
        try:
            found = self._fit(question, go_on)
        except BaseException as error:
            with self._lock:
                self._found.pop(key, None)
            mine.set_exception(error)
            raise
        mine.set_result(found)
        return found

    def _fit(self, question: Question, go_on: GoOn) -> Found:
        rows = self._rows_of(question)
        if not question.all_rows:
            return self._seen(question, rows.at_once(question.components, question.family))
        first = self._find(replace(question, all_rows=False), go_on)
        if rows.are_all:
            return first

        best: Step | None = None

        def on_step(step: Step) -> None:
            nonlocal best
            if best is None or step.log_likelihood >= best.log_likelihood:  # an accelerated step may fall, and is taken back
                best = step
            self._climbing = question.key, best, step.number
            go_on()

        try:
            return self._seen(question, rows.to_all(first.candidate, on_step))
        finally:
            self._climbing = None

    def _seen(self, question: Question, candidate: Candidate) -> Found:
        rows = np.ascontiguousarray(self.shown[:, list(question.columns)])
        return Found.of(candidate, ArraySource(rows, None, [self.columns[j] for j in question.columns]))

    def _rows_of(self, question: Question) -> Rows:
        """The rows of these columns and seed."""
        key = question.columns, question.seed
        with self._lock:
            if key not in self._rows:
                names = self._names(question)
                other = next((rows for (columns, _), rows in self._rows.items() if columns == question.columns), None)
                if other is None:
                    source = self.source if names is None else self.opened(names)
                    self._rows[key] = Rows.of(source, self.fitted_at_once, question.seed)
                else:
                    self._rows[key] = other.seeded(self.fitted_at_once, question.seed)
                while len(self._rows) > KEPT_ROWS:
                    self._rows.popitem(last=False)
            self._rows.move_to_end(key)
            return self._rows[key]

    def _names(self, question: Question) -> tuple[str, ...] | None:
        """The columns' names; None for all."""
        return None if len(question.columns) == len(self.columns) else tuple(self.columns[j] for j in question.columns)

    def _recipe(self, question: Question) -> Recipe:
        subsample = None if self._rows_of(question).are_all else self.fitted_at_once
        return Recipe(question.components, question.family.name, self._names(question), question.seed, subsample)

    def _ahead(self, question: Question, go_on: GoOn) -> None:
        """The same with one component more, and one less, while nothing else is asked."""
        for K in (question.components + 1, question.components - 1):
            if not 1 <= K <= MOST:
                continue
            with suppress(MixturaError, Superseded):
                go_on()
                time.sleep(REST)
                go_on()
                self._find(replace(question, components=K, all_rows=False), go_on)


def _whole(asked: Mapping[str, Any], name: str, least: int, most: int) -> int:
    return _between(name, asked.get(name), least, most)


def _between(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ParameterError(f"{name} is not usable: got {value!r}, expected an integer from {least} to {most}; try {least}")
    return value
