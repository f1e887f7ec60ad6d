"""How many threads work on rows: as many as are asked for; else all processors that this process may use, or its share where others work beside it.

A process is told its share by whoever started it: OMP_NUM_THREADS is what joblib's, Dask's, Ray's and torch's workers find in their environment, and
what is set by hand on machines that are shared. One that `multiprocessing` started without a word is one of many, and its share is one. Within a
process, threads that work on rows leave each other room (`workers`).
"""

from __future__ import annotations

import os
from functools import lru_cache
from multiprocessing import parent_process

import numpy as np

from mixtura.checking import short
from mixtura.errors import ParameterError

LIMITS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")  # of the environment, which joblib sets in its workers, and others one of
ALSO = "LOKY_MAX_CPU_COUNT"  # a limit that joblib itself heeds


def asked(n_jobs: int | None) -> int | None:
    """The `n_jobs` itself. Raises ParameterError where it is not a number of threads."""
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs == 0):
        raise ParameterError(f"n_jobs is not a number of threads: got {short(n_jobs)}, expected a positive or negative integer or None; try None")
    return n_jobs


def n_threads(n_jobs: int | None) -> int:
    """The number of threads that `n_jobs` asks for: None is this process's share, -1 every processor that it may use, -2 all but one of these."""
    if n_jobs is not None and n_jobs > 0:
        return int(n_jobs)
    affinity = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    available = _available(affinity, os.environ.get(ALSO))
    if n_jobs is not None:
        return max(1, available + 1 + int(n_jobs))
    limits = [limit for limit in map(_limit, LIMITS) if limit]
    return min([available, *limits]) if limits or parent_process() is None else 1


def in_words(n_threads: int) -> str:
    """So many threads.

    >>> in_words(1), in_words(2)
    ('1 thread', '2 threads')
    """
    return f"{n_threads} thread{'s' * (n_threads > 1)}"


@lru_cache(maxsize=8)
def _available(affinity: frozenset[int] | None, limit: str | None) -> int:
    """The processors that this process may use, also by the quota of its container; read anew where what it goes by has changed."""
    from joblib import cpu_count

    return int(cpu_count())


def _limit(name: str) -> int | None:
    """What a variable of the environment says; None where it says no number, as OpenMP takes it. Of several, for nested regions, the first counts."""
    first = os.environ.get(name, "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None
