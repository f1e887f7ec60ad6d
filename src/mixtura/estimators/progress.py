"""How a fit goes on, printed as scikit-learn prints it."""

from __future__ import annotations

import sys
from time import perf_counter

from mixtura.fitting import Fit, Step


class Progress:
    """Prints how a fit goes on, in scikit-learn's words: nothing at level 0, steps at 1, their gain and time as well at 2."""

    def __init__(self, level: int, interval: int):
        self.level, self.interval, self.runs = level, interval, 0
        self.started = self.last = perf_counter()

    def begin(self) -> None:
        """A run begins."""
        self.started = self.last = perf_counter()
        self.runs += 1
        self._print(f"Initialization {self.runs - 1}")

    def step(self, step: Step) -> None:
        """A step was made."""
        if not self.level or step.number == 0 or step.number % self.interval:
            return
        now = perf_counter()
        self._print(f"  Iteration {step.number}", f"\t time lapse {now - self.last:.5f}s\t ll change {step.change:.5f}")
        self.last = now

    def end(self, run: Fit) -> None:
        """A run has ended."""
        state = "converged" if run.converged else "did not converge"
        lapse = perf_counter() - self.started
        self._print(f"Initialization {state}.", f" time lapse {lapse:.5f}s\t lower bound {run.best.objective:.5f}.")

    def _print(self, line: str, more: str = "") -> None:
        if self.level:
            sys.stdout.write((line + more if self.level > 1 else line) + "\n")
