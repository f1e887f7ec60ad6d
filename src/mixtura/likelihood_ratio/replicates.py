"""Replicates of a comparison: rows drawn from the null, compared as the data were, each from its own seed, by several processes.

A replicate is a hundred short calls, between which Python holds its lock: threads hardly help, so other processes do the work, started by
loky, which neither forks nor runs the caller's script again. A replicate depends on its number alone, never on who computes it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from mixtura.blas import with_one_thread
from mixtura.errors import WorkerError
from mixtura.likelihood_ratio.comparison import compare
from mixtura.likelihood_ratio.search import Search
from mixtura.mixture import Mixture
from mixtura.sources import ArraySource
from mixtura.sources.processors import asked, n_threads
from mixtura.sources.workers import hands

ALONE = 1.0  # seconds of replicates that this process computes before it asks what is left
IN_HAND = 2  # replicates a process at a time: the next is there when one is done, and an interrupt leaves few behind
WORTHWHILE = 3.0  # seconds of replicates left for which starting other processes, about a second, pays


@dataclass(frozen=True)
class BootstrapProgress:
    """Where a test stands: `done` of `n_bootstrap` replicates of K = `components` against K + 1, in nats the statistic of the data.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> told = []
    >>> test = mixtura.likelihood_ratio_test(X, 1, "tied", n_bootstrap=19, random_state=0, n_jobs=1, on_progress=told.append)
    >>> told[-1].done, told[-1].n_bootstrap
    (19, 19)
    """

    components: int
    done: int
    n_bootstrap: int
    statistic: float


class Replicate(NamedTuple):
    """What is kept of a replicate: its number, its statistic, and whether its maximum of K + 1 components is a regular one."""

    number: int
    statistic: float
    regular: bool


@dataclass(frozen=True, eq=False)
class Experiment:
    """What replicates of one test have in common: the null, how many rows, how mixtures are fitted, where chance begins."""

    null: Mixture
    n_rows: int
    search: Search
    seed: np.random.SeedSequence

    @with_one_thread  # processes would get in each other's way, and the order of sums, which the bits show, would change
    def replicate(self, number: int) -> Replicate:
        """The replicate of this number: what `seed.spawn` would give the one so far down the line begins it."""
        own = np.random.SeedSequence(self.seed.entropy, spawn_key=(*self.seed.spawn_key, number))
        generator = np.random.default_rng(own)
        rows, _ = self.null.sample(self.n_rows, generator)
        found = compare(self.search, ArraySource(rows, n_jobs=1), self.null.K, generator)
        return Replicate(number, found.statistic, found.regular)


class Workers:
    """Up to `n_jobs` processes (`sources.workers.hands`), started where that pays, kept from test to test, and ended at the end of a `with` block."""

    def __init__(self, n_jobs: int | None):
        self.n_jobs = asked(n_jobs)
        self.count = n_threads(n_jobs)
        self.reserved = ExitStack()
        self.executor: Any = None
        self.in_hand: set[Future[Replicate]] = set()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.end(at_once=kind is not None)

    def end(self, at_once: bool) -> None:
        """Ends the processes; `at_once` with whatever they have in hand."""
        if self.executor is None:
            return
        # loky stumbles over work that is asked for but not yet handed out, which takes it a moment
        patience = time.monotonic() + 1
        while at_once and time.monotonic() < patience and not all(one.running() or one.done() for one in self.in_hand):
            time.sleep(1e-3)
        self.executor.shutdown(wait=True, kill_workers=at_once)
        self.reserved.close()
        self.executor, self.in_hand = None, set()

    def replicates(self, experiment: Experiment, count: int) -> Iterator[Replicate]:
        """Replicates 0 to count - 1, each when it is done; some here first, the others elsewhere where that is quicker.

        Raises WorkerError where a process ends before its work.
        """
        done, begun = 0, time.monotonic()
        while done < count and not (self.count > 1 and self._worthwhile(time.monotonic() - begun, done, count)):
            yield experiment.replicate(done)
            done += 1
        if done < count:
            yield from self._elsewhere(experiment, range(done, count))

    def _worthwhile(self, spent: float, done: int, count: int) -> bool:
        """Whether other processes are there already, or what is left takes long enough to start them."""
        return self.executor is not None or (done > 0 and spent > ALONE and spent / done * (count - done) > WORTHWHILE)

    def _elsewhere(self, experiment: Experiment, numbers: range) -> Iterator[Replicate]:
        from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor

        if self.executor is None:
            self.count = self.reserved.enter_context(hands(self.n_jobs, n_threads(self.n_jobs)))
            self.executor = ProcessPoolExecutor(self.count, initializer=_begin)

        ahead = iter(numbers)
        try:
            while self._hand_out(experiment, ahead):
                done, self.in_hand = wait(self.in_hand, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)
        except BrokenProcessPool as error:
            self.end(at_once=True)
            raise WorkerError(f"a process that computed replicates ended before its work: {error}; try fewer n_jobs, they may lack memory") from error

    def _hand_out(self, experiment: Experiment, ahead: Iterator[int]) -> bool:
        """Fills the hands up again; whether there is anything in them."""
        for number in islice(ahead, IN_HAND * self.count - len(self.in_hand)):
            self.in_hand.add(self.executor.submit(experiment.replicate, number))
        return bool(self.in_hand)


def _begin() -> None:
    """What a process does first.

    It is deaf to Ctrl-C, which reaches every process of a terminal: the one that asked for the replicates hears it, and ends the others.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
