"""The same kernels on processors with shorter registers: without AVX-512, and without AVX at all. Other architectures run as they are."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import numpy as np, mixtura, sys
sys.path.insert(0, {tests!r})
from cases import some_mixture, textbook
from mixtura.families import FAMILIES
from mixtura.kernels import lanes
print("register", lanes.REGISTER_BYTES)
for D, dtype, tolerance in ((3, np.float64, 1e-10), (3, np.float32, 1e-4), (34, np.float64, 1e-10)):  # expanded, expanded, centred
    X, mixture = np.random.default_rng(0).normal(size=(33, D)).astype(dtype), some_mixture(FAMILIES["full"], 5, D)
    log_density, posterior = textbook(mixture, X)
    statistics = mixtura.sweep(mixture, X)
    np.testing.assert_allclose(statistics.log_likelihood, log_density.sum(), rtol=tolerance)
    np.testing.assert_allclose(statistics.counts, posterior.sum(axis=0), atol=33 * tolerance)
    np.testing.assert_allclose(statistics.means, posterior.T @ X / posterior.sum(axis=0)[:, None], atol=1e3 * tolerance)
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the feature names are those of x86-64")
@pytest.mark.parametrize(("features", "register"), [("+sse2,+avx,+avx2,+fma", 32), ("+sse2", 16)], ids=["avx2", "sse2"])
def test_short_registers_give_the_same_answers(features: str, register: int, tmp_path: Path) -> None:
    settings = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    program = PROGRAM.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **settings}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"register {register}"
