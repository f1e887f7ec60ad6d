"""BLAS kept to one thread: for the small products of factors its own threads cost more than they save, and spin on beside the sweep's."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[Any]:
    """NumPy's BLAS with one thread, inside a `with`."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


@lru_cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks the libraries up once, which takes longer than what is done in the `with`
