"""What a pass gives, as bytes and back, to the last bit: JSON for the outline, then the arrays. Reading it executes nothing.

None, a number, text      itself                      an array     {"array": [dtype, shape, order]}
a list                    a list                      a profile    {"profile": its fields}
a tuple                   {"tuple": its parts}        a block      {"block": its fields}
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.frame import Profile
from mixtura.sources.tasks import Block
from mixtura.storage import from_json

_LENGTH = struct.Struct("<Q")
_PROFILE = ("rows", "weight", "minimum", "maximum", "mean", "squares")


def encode(value: Any) -> bytes | None:
    """The value as bytes; None where it is, or holds, none of the above."""
    arrays: list[NDArray[Any]] = []
    try:
        outline = json.dumps(_outline(value, arrays)).encode()
    except _Foreign:
        return None
    return b"".join([_LENGTH.pack(len(outline)), outline, *(array.tobytes("A") for array in arrays)])


def decode(content: bytes) -> Any:
    """The value that `encode` wrote. Raises ValueError for anything else."""
    try:
        (length,) = _LENGTH.unpack_from(content)
        end = _LENGTH.size + length
        return _value(from_json(content[_LENGTH.size : end]), _Arrays(content, end))
    except (struct.error, TypeError, KeyError, OverflowError, SyntaxError) as error:  # whatever NumPy makes of a dtype or a shape
        raise ValueError(str(error)) from None


class _Foreign(Exception):
    """Not a kind of value that is written."""


class _Arrays:
    """The arrays of a record, one after the other."""

    def __init__(self, content: bytes, start: int):
        self.content, self.at = content, start

    def next(self, dtype: str, shape: list[int], order: Any) -> NDArray[Any]:
        """The next one, as a copy of its own."""
        array = np.frombuffer(self.content, dtype, math.prod(shape), self.at)
        self.at += array.nbytes
        return array.reshape(shape, order=order).copy(order)


def _outline(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is np.ndarray and not value.dtype.hasobject:
        by_columns = value.flags.f_contiguous and not value.flags.c_contiguous
        arrays.append(value if by_columns or value.flags.c_contiguous else np.ascontiguousarray(value))
        return {"array": [value.dtype.str, value.shape, "F" if by_columns else "C"]}
    if isinstance(value, Profile):
        return {"profile": [_outline(getattr(value, name), arrays) for name in _PROFILE]}
    if isinstance(value, Block):
        return {"block": [_outline(part, arrays) for part in (int(value.start), value.rows, value.weights)]}
    if type(value) in (list, tuple):
        parts = [_outline(part, arrays) for part in value]
        return parts if isinstance(value, list) else {"tuple": parts}
    raise _Foreign


def _value(outline: Any, arrays: _Arrays) -> Any:
    if isinstance(outline, list):
        return [_value(part, arrays) for part in outline]
    if not isinstance(outline, dict):
        return outline
    ((kind, parts),) = outline.items()
    return arrays.next(*parts) if kind == "array" else _KINDS[kind](_value(part, arrays) for part in parts)


_KINDS: dict[str, Any] = {"tuple": tuple, "profile": lambda parts: Profile(*parts), "block": lambda parts: Block(*parts)}
