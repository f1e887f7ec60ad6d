"""The tables that the laws go through."""

from __future__ import annotations

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
