"""Values inside a page, which no value can break out of."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.storage import plain

UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}  # what ends a script, or a line of one


def embedded(value: Any) -> str:
    r"""The value as JSON that may stand inside a script element: `<`, `>`, `&` and two line separators are escaped; NaN and infinities become null.

    >>> print(embedded({"name": "</script>", "mean": float("nan")}))
    {"name":"\u003c/script\u003e","mean":null}
    """
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(UNSAFE)


def packed(values: ArrayLike, dtype: str) -> dict[str, str]:
    """Numbers as `Mixtura.unpacked` reads them in the browser: base64 of their little-endian bytes, and what they are.

    `dtype` is one of uint8, uint16, int32, float32 and float64.

    >>> packed([1, 2], "uint16")
    {'dtype': 'uint16', 'base64': 'AQACAA=='}
    """
    array: NDArray[Any] = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<"))
    return {"dtype": dtype, "base64": base64.b64encode(array.tobytes()).decode("ascii")}
