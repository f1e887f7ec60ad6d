"""Functions compiled for this processor, and kept on disk: `compiled` for those that are called, `callback` for those that others call by address.

Numba keeps machine code beside the source, or in NUMBA_CACHE_DIR, or in the user's folder for caches. By itself it raises an error where none of
these can be written, where the disk is full, and where a file cannot be read or is damaged. Here that costs the time to compile again, and one
warning. What is kept carries a digest: damaged machine code would end the process, or worse, compute something else.

A process that is forked while another thread compiles would find the compiler locked for ever, so a fork waits until nobody compiles.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from llvmlite.binding import ffi
from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature

from mixtura.errors import MixturaWarning
from mixtura.properties import cached_property

the_compiler = global_compiler_lock  # held, in a `with`, by the one thread that compiles


def compiled(**options: Any) -> Callable[[Any], Any]:
    """The decorator `numba.njit(**options)`, with machine code kept where it can be."""

    def decorate(function: Any) -> Any:
        dispatcher = njit(**options)(function)
        dispatcher._cache = Keeping(function)
        return dispatcher

    return decorate


def callback(function: Any, signature: Any, **options: Any) -> Any:
    """`numba.cfunc(signature, **options)(function)`, compiled now, with machine code kept where it can be."""
    compiled: Any = CFunc(function, normalize_signature(signature), locals={}, options=options)
    compiled._cache = Keeping(function)
    compiled.compile()
    return compiled


class Keeping(NullCache):  # type: ignore[misc]
    """A function's machine code in whichever folder there is. Nothing is looked for before the function is compiled."""

    def __init__(self, function: Any):
        self.function = function

    @cached_property
    def folder(self) -> Any:
        """Numba's cache of the function; one that keeps nothing where no folder can be written or read."""
        try:
            return _Folder(self.function)
        except (OSError, RuntimeError) as error:
            _warn(f"machine code cannot be kept: got {error}")
            return NullCache()

    @property
    def cache_path(self) -> Any:
        """The folder."""
        return self.folder.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is kept; None where there is nothing, or nothing that can be used, which is then forgotten."""
        try:
            return self.folder.load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the function can be compiled again
            _warn(f"machine code that was kept cannot be read: got {_reason(error)} in {self.cache_path}")
            with suppress(OSError):
                self.folder.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps it, if that is possible."""
        try:
            self.folder.save_overload(sig, data)
        except Exception as error:  # noqa: BLE001 - a full disk, a folder that cannot be written, an index that cannot be read
            _warn(f"machine code cannot be kept: got {_reason(error)} in {self.cache_path}")

    def flush(self) -> None:
        """Forgets what is kept."""
        self.folder.flush()


class _Checked(CompileResultCacheImpl):  # type: ignore[misc]
    """Numba's files, with a digest of what is in them; also from folders that can only be read, as those of an image of a container."""

    def reduce(self, cres: Any) -> tuple[bytes, bytes]:
        payload = dumps(super().reduce(cres))
        return hashlib.sha256(payload).digest(), payload

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        digest, kept = payload
        if hashlib.sha256(kept).digest() != digest:
            raise ValueError("machine code that is not what was kept")
        return super().rebuild(target_context, pickle.loads(kept))  # noqa: S301 - what Numba does: whoever writes there has the machine code itself


class _Readable:
    """A folder that is there, whether or not it can be written."""

    def ensure_cache_path(self) -> None:
        path = self.get_cache_path()  # type: ignore[attr-defined]
        if not os.path.isdir(path):
            raise NotADirectoryError(path)


_folders = CompileResultCacheImpl._locator_classes  # in which Numba looks for one that can be written
_Checked._locator_classes = [*_folders, *(type(f"Readable{folder.__name__}", (_Readable, folder), {}) for folder in _folders)]


class _Folder(FunctionCache):  # type: ignore[misc]
    _impl_class = _Checked


_warned = False


def _warn(what: str) -> None:
    """Says it once: of the other functions it would be the same."""
    global _warned
    if not _warned:
        _warned = True
        message = (
            f"{what}, expected files that can be read and written; functions are compiled again in every process that needs them, half a minute in "
            "all; try setting NUMBA_CACHE_DIR to a folder that can be written"
        )
        warnings.warn(message, MixturaWarning, 2)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _hold() -> None:
    the_compiler.acquire()
    ffi.lib._lock.__enter__()  # LLVM itself is called by the collector of garbage too, in any thread


def _let_go() -> None:
    ffi.lib._lock.__exit__()
    the_compiler.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)
