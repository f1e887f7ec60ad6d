"""What names a value by its content: two values with one digest are the same to the last bit.

None, a number, text, bytes, a dtype       itself
an array                                   dtype, shape, order in memory and bytes
a tuple, a NamedTuple, a list, a mapping   its kind and its parts, in order
a dataclass                                its class and its fields
a moment, a family                         its name and, of factors, what they hold
a class, a function of a module            where it stands
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mixtura.factors import Factors
from mixtura.families import Family
from mixtura.moments import Moment

LENGTH = 32  # bytes of a digest

Feed = Callable[[bytes], object]


def digest(*values: Any) -> bytes | None:
    """The digest of values; None where one of them, or a part of it, is none of the above: a lambda, say, of which nothing tells what it does.

    >>> digest(1, "a") == digest(1, "a"), digest(1, "a") == digest(1.0, "a"), digest(lambda: 0)
    (True, False, None)
    """
    feed = hashlib.blake2b(digest_size=LENGTH)
    try:
        _feed(feed.update, values)
    except _Nameless:
        return None
    return feed.digest()


class _Nameless(Exception):
    """A value has no digest."""


def _feed(feed: Feed, value: Any) -> None:
    for kind, fed in _KINDS:
        if isinstance(value, kind):
            fed(feed, value)
            return
    if dataclasses.is_dataclass(value):
        _name(feed, b"C", type(value))
        for one in dataclasses.fields(value):
            _feed(feed, getattr(value, one.name))
    else:
        _feed_function(feed, value)


def _feed_bytes(feed: Feed, mark: bytes, content: bytes) -> None:
    feed(mark + struct.pack("<Q", len(content)))
    feed(content)


def _name(feed: Feed, mark: bytes, kind: Any) -> None:
    _feed_bytes(feed, mark, f"{kind.__module__}:{kind.__qualname__}".encode())


def _feed_array(feed: Feed, value: np.ndarray[Any, Any]) -> None:
    if value.dtype.hasobject:
        raise _Nameless
    by_columns = value.flags.f_contiguous and not value.flags.c_contiguous
    _feed_bytes(feed, b"A", f"{value.dtype.str} {value.shape} {'F' if by_columns else 'C'}".encode())
    feed(value.tobytes())


def _feed_sequence(feed: Feed, value: Any) -> None:
    _name(feed, b"T", type(value))
    feed(struct.pack("<Q", len(value)))
    for one in value:
        _feed(feed, one)


def _feed_moment(feed: Feed, value: Moment) -> None:
    _name(feed, b"M", type(value))
    if isinstance(value, Factors):
        _feed_sequence(feed, (value.q, value.isotropic, value.projections))


def _feed_function(feed: Feed, value: Any) -> None:
    """Only what stands in a module under its own name can be told from others there."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if module is None or name is None or getattr(sys.modules.get(module), name, None) is not value:
        raise _Nameless
    _name(feed, b"P", value)


_KINDS: tuple[tuple[Any, Callable[[Feed, Any], None]], ...] = (
    (type(None), lambda feed, value: _feed_bytes(feed, b"N", b"")),
    (bool | np.bool_, lambda feed, value: _feed_bytes(feed, b"B", bytes([bool(value)]))),
    (int | np.integer, lambda feed, value: _feed_bytes(feed, b"I", str(int(value)).encode())),
    (float | np.float32, lambda feed, value: _feed_bytes(feed, b"F", struct.pack("<d", value))),
    (str, lambda feed, value: _feed_bytes(feed, b"S", value.encode())),
    (bytes, lambda feed, value: _feed_bytes(feed, b"Y", value)),
    (np.dtype, lambda feed, value: _feed_bytes(feed, b"D", value.str.encode())),
    (np.ndarray, _feed_array),
    (Moment, _feed_moment),
    (Family, lambda feed, value: _feed_bytes(feed, b"G", value.name.encode())),
    (tuple | list, _feed_sequence),
    (dict, lambda feed, value: _feed_sequence(feed, tuple(value.items()))),
)
