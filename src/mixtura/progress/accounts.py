"""What is said of a search, a fit and a test while they go on: as bars, as a line, and what is left of it in the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mixtura.fitting import Step
    from mixtura.likelihood_ratio import BootstrapProgress
    from mixtura.selection import Progress


class Bar(NamedTuple):
    """How far one thing has come: its name, so much of so much (None where nobody knows), that in figures, and what else there is to say."""

    name: str
    done: int
    total: int | None
    figures: str
    now: str = ""


class Account:
    """What is said of something that goes on. This one knows of nothing but passes over rows; the others are told step by step.

    `ahead` are the bars that are there before anything is told, `timed` says whether a bar tells the time that is left.
    """

    ahead: tuple[Bar, ...] = ()
    timed = False

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.last: Any = None

    def note(self, at: Any) -> None:
        """It has come this far."""
        self.last = at

    @property
    def alone(self) -> bool:
        """Whether there is one part only, so that each of its steps is worth a line."""
        return False

    def turns(self, at: Any) -> bool:
        """Whether `at` is of another part than the last: then there is no more to come of that one."""
        return False

    @property
    def complete(self) -> bool | None:
        """Whether there is no more to come of this part; None where only the next one tells."""
        return None

    @property
    def bars(self) -> tuple[Bar, ...]:
        """How far it is."""
        return ()

    @property
    def line(self) -> str:
        """The same as a line."""
        return ""

    @property
    def outcome(self) -> str:
        """What is left to read when it has ended."""
        return _clock(time.monotonic() - self.begun)


class OfSearch(Account):
    """Cells of a grid and the steps of each: `mixtura.select` tells a `Progress`."""

    last: Progress

    def __init__(self, max_iter: int):
        super().__init__()
        self.max_iter = max_iter
        self.cells: set[int] = set()
        self.ahead = (Bar("grid", 0, 1, f"{0:>4}/{1:<4}"), Bar("epochs", 0, max_iter, f"{0:>4}/{max_iter:<4}"))

    def note(self, at: Progress) -> None:
        """Cell and step."""
        super().note(at)
        self.cells.add(at.cell)

    @property
    def alone(self) -> bool:
        """One cell."""
        return self.last.cells == 1

    def turns(self, at: Progress) -> bool:
        """Another cell."""
        return at.cell != self.last.cell

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The grid, and the steps of this cell."""
        at, done = self.last, self.last.step.number
        return (
            Bar("grid", at.cell + 1, at.cells, f"{at.cell + 1:>4}/{at.cells:<4}", self._cell),
            Bar("epochs", done, self.max_iter, f"{done:>4}/{self.max_iter:<4}", _likelihood(at.step)),
        )

    @property
    def line(self) -> str:
        """Which cell it is, where there are others, and how far."""
        at = self.last
        if self.alone:
            return f"epoch {at.step.number}: {_likelihood(at.step)}"
        return f"{at.cell + 1:>{len(str(at.cells))}}/{at.cells}  {self._cell}: epoch {at.step.number}, {_likelihood(at.step)}"

    @property
    def outcome(self) -> str:
        """How many fits, and the time they took."""
        return f"{_several(len(self.cells), 'fit')} in {super().outcome}"

    @property
    def _cell(self) -> str:
        return f"{_several(self.last.components, 'component')}, {self.last.family.name}"


class OfFit(Account):
    """The steps of one fit: `mixtura.fit` tells a `Step`."""

    last: Step | None

    def __init__(self, max_steps: int):
        super().__init__()
        self.max_steps = max_steps
        self.ahead = (Bar("steps", 0, max_steps, f"{0:>4}/{max_steps:<4}"),)

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The steps."""
        at = self.last
        return self.ahead if at is None else (Bar("steps", at.number, self.max_steps, f"{at.number:>4}/{self.max_steps:<4}", _likelihood(at)),)

    @property
    def line(self) -> str:
        """The step, and what it came to."""
        return "" if self.last is None else f"step {self.last.number}: {_likelihood(self.last)}"

    @property
    def outcome(self) -> str:
        """How many steps, the time they took, and what they came to."""
        at = self.last
        return f"{_several(0 if at is None else at.number, 'step')} in {super().outcome}" + ("" if at is None else f", {_likelihood(at)}")


class OfTest(Account):
    """The replicates of one test after the other: `mixtura.likelihood_ratio_test` tells a `BootstrapProgress`."""

    last: BootstrapProgress
    timed = True

    def __init__(self) -> None:
        super().__init__()
        self.tests: dict[int, BootstrapProgress] = {}

    def note(self, at: BootstrapProgress) -> None:
        """A replicate."""
        super().note(at)
        self.tests[at.components] = at

    @property
    def complete(self) -> bool:
        """Whether all replicates of this test are done."""
        return self.last.done == self.last.n_bootstrap

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The replicates of this test; those of tests before it stay where they are."""
        at = self.last
        return (Bar(_against(at), at.done, at.n_bootstrap, f"{at.done}/{at.n_bootstrap}"),)

    @property
    def line(self) -> str:
        """Which test it is, and how far."""
        return _replicates(self.last)

    @property
    def outcome(self) -> str:
        """How far each test came, and the time they took."""
        return "; ".join([*map(_replicates, self.tests.values()), f"{super().outcome} in all"])


def _likelihood(step: Step) -> str:
    return f"loglik {step.log_likelihood:.6f} per row"


def _against(at: BootstrapProgress) -> str:
    return f"{at.components} against {at.components + 1}"


def _replicates(at: BootstrapProgress) -> str:
    return f"{_against(at)}: {at.done}/{at.n_bootstrap} replicates"


def _several(count: int, what: str) -> str:
    """A number of things.

    >>> _several(1, "fit"), _several(126, "fit")
    ('1 fit', '126 fits')
    """
    return f"{count:,} {what}{'s' * (count != 1)}"


def _clock(seconds: float) -> str:
    """A time that has passed.

    >>> _clock(7.04), _clock(125.0), _clock(7322.0)
    ('7.0 s', '2 min 5 s', '122 min 2 s')
    """
    return f"{seconds:.1f} s" if seconds < 60 else "{} min {} s".format(*divmod(round(seconds), 60))
