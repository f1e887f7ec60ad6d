"""The workers of a Dask client: what they are asked for comes back, or one error says why it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import dask
import distributed

from mixtura.errors import MixturaError, ParameterError, WorkerError
from mixtura.sources.dask_partition import total

FAN = 16  # sums that are added at a time: few levels, each of which costs the scheduler's answer, and few tables on one worker
PULSE = 2.0  # seconds after which it is asked whether there are any workers left
PATIENCE = 60.0  # seconds without any worker after which work is given up, unless Dask's configuration has its own mind
_started: WeakSet[Any] = WeakSet()  # clients that were started here, because there was none


class Crew:
    """The workers of one client.

    Raises ParameterError for a client that is driven by coroutines.
    """

    def __init__(self, client: distributed.Client):
        if client.asynchronous:
            raise ParameterError("the Dask client cannot be waited for: got asynchronous=True, expected an ordinary client; try distributed.Client()")
        self.client = client
        self._workers = 0

    @classmethod
    def at_hand(cls) -> Crew:
        """That of the active client; where there is none, of a new one on this machine. Raises WorkerError where that does not start."""
        try:
            active = distributed.get_client()
        except ValueError:
            active = None
        return cls(_start() if active is None else active)

    @property
    def words(self) -> str:
        """How many workers there were when the first work was done."""
        workers = self._workers or len(self._threads())
        return f"{workers} worker{'s' * (workers != 1)}{' started on this machine' * (self.client in _started)}"

    @property
    def ahead(self) -> int:
        """How many results may wait on the workers while one is fetched."""
        return 2 * max(1, sum(self._threads().values()))

    def _threads(self) -> dict[str, int]:
        with self._reaching():
            threads: dict[str, int] = self.client.nthreads()
            return threads

    def submit(self, function: Any, *arguments: Any) -> Any:
        """The future of one call."""
        with self._reaching():
            return self.client.submit(function, *arguments, pure=False)

    def map(self, name: str, function: Any, *arguments: Sequence[Any]) -> list[Any]:
        """The futures of a call for each of the arguments; `name` is what Dask's dashboard shows."""
        with self._reaching():
            futures: list[Any] = self.client.map(function, *arguments, key=f"mixtura-{name}", pure=False)
            return futures

    def compute(self, delayed: Sequence[Any]) -> list[Any]:
        """The futures of delayed values, whose graphs the scheduler keeps: what is lost is computed anew."""
        with self._reaching():
            futures: list[Any] = self.client.compute(list(delayed))
            return futures

    def sum(self, futures: list[Any]) -> Any:
        """The sum of these, in their order: added by a tree whose shape depends on their number alone, on the workers."""
        while len(futures) > 1:
            level = self.map("total", total, [futures[first : first + FAN] for first in range(0, len(futures), FAN)])
            for one in futures:  # needed for the level above alone from here on, and not where that is let go
                one.release()
            futures = level
        return self.result(futures[0])

    def result(self, future: Any) -> Any:
        """What a future holds, once it is there; it is let go.

        Raises the MixturaError that a task raised; WorkerError where a task failed for good, the cluster is gone, or no worker has been there for
        a minute (distributed.scheduler.no-workers-timeout of Dask's configuration, if it is set).
        """
        try:
            with self._reaching():
                self._wait(future)
                self._workers = self._workers or len(self.client.nthreads())
                value = self._fetch(future)
        finally:
            future.release()  # what is still to be done for it, after an interrupt, is not done
        if isinstance(value, MixturaError):
            raise value
        return value

    def _wait(self, future: Any) -> None:
        absent = 0.0
        while True:
            try:
                error = future.exception(timeout=PULSE)
            except TimeoutError:
                absent = 0.0 if self.client.nthreads() else absent + PULSE
                if absent >= _patience():
                    raise WorkerError(
                        f"the Dask cluster has no workers: got none for {absent:.0f} s, expected at least one; try starting some, "
                        "and a new source of the collection"
                    ) from None
                continue
            if error is None:  # done; or cancelled, which its result tells
                return
            if isinstance(error, distributed.KilledWorker):
                raise WorkerError(
                    f"a task killed every Dask worker that took it: got {error.last_worker.address} as the last of them, expected one that survives; "
                    "try more memory for each worker, or smaller partitions"
                )
            raise WorkerError(f"a task failed on a Dask worker: got {_named(error)}, expected its result; try computing the collection by itself")

    def _fetch(self, future: Any) -> Any:
        """Its value from whichever worker has it; asked again where that takes long, in case the worker is gone since."""
        patience = PULSE
        while True:
            try:
                return future.result(timeout=patience)
            except TimeoutError:
                self._wait(future)
                patience *= 2

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Raises WorkerError where the client or the scheduler is gone, or somebody cancelled the work."""
        try:
            yield
        except Exception as error:
            gone = isinstance(error, OSError | RuntimeError | distributed.CancelledError) or self.client.status != "running"
            if isinstance(error, MixturaError) or not gone:
                raise
            raise WorkerError(f"the Dask cluster is gone, or let the work go: got {_named(error)}, expected its result; {_AGAIN}") from None


_AGAIN = "try a client that is connected, and a new source of the collection"


def _start() -> Any:
    """A client of new workers on this machine, which end when this process does."""
    try:
        client = distributed.Client(dashboard_address=":0")
    except (OSError, RuntimeError) as error:
        raise WorkerError(
            f"Dask's workers do not start on this machine: got {_named(error)}, expected new processes; try starting "
            "distributed.Client() yourself, in a script beneath if __name__ == '__main__':"
        ) from None
    _started.add(client)
    return client


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no more is known'}"


def _patience() -> float:
    configured = dask.config.get("distributed.scheduler.no-workers-timeout", None)
    return PATIENCE if configured is None else float(dask.utils.parse_timedelta(configured))
