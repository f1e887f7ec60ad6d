"""The tables that the laws go through."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from mixtura.families import ALL, Family


@pytest.fixture(params=ALL, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    """Every family in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> type:
    """Both dtypes of rows in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Iterator[None]:
    """matplotlib keeps every figure until it is closed, and warns of the twenty-first."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
