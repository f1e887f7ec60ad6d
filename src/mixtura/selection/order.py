"""Tasks that wait for each other, run side by side: what each of them finds is fixed by what it waits for, not by who is first."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from typing import TypeVar

Task = TypeVar("Task", bound=Hashable)


def run_in_order(tasks: Mapping[Task, Iterable[Task]], run: Callable[[Task], object], n_threads: int) -> None:
    """Calls run(task) for every task, after those that it is mapped to. What one raises is raised, once those that run have ended."""
    order = TopologicalSorter(tasks)
    if n_threads == 1:
        for task in order.static_order():
            run(task)
        return
    order.prepare()
    running: dict[Future[object], Task] = {}
    with ThreadPoolExecutor(n_threads, thread_name_prefix="mixtura-cells") as threads:
        try:
            while order.is_active():
                running |= {threads.submit(run, task): task for task in order.get_ready()}
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    order.done(running.pop(future))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
