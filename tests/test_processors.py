"""The same kernels on processors with shorter registers: without AVX-512, and without AVX at all; and machine code that is kept.

Other architectures run as they are.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mixtura

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


SWEEP = """
import numpy as np, mixtura
mixture = mixtura.Mixture([1.0], [[0.0]], [[[1.0]]])
print(mixtura.sweep(mixture, np.zeros((10, 1))).log_likelihood, mixtura.__file__)
"""


def test_machine_code_is_not_taken_from_the_cache_once_a_kernel_changed(tmp_path: Path) -> None:
    """Numba looks at the file of the outermost function alone; here one of another file doubles every norm, with its time as before."""
    shutil.copytree(Path(mixtura.__file__).parent, tmp_path / "mixtura", ignore=shutil.ignore_patterns("__pycache__"))
    panel = tmp_path / "mixtura" / "kernels" / "panel.py"
    settings = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    answers = []
    for changed in (False, False, True):
        if changed:
            stamp = panel.stat()
            panel.write_text(panel.read_text().replace("store(scratch, 2, i, norm)", "store(scratch, 2, i, norm + norm)"))
            os.utime(panel, (stamp.st_atime, stamp.st_mtime))
        done = subprocess.run([sys.executable, "-c", SWEEP], env=settings, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and str(tmp_path) in done.stdout, done.stderr
        answers.append(float(done.stdout.split()[0]))
    assert answers[0] == answers[1] == pytest.approx(-5 * np.log(2 * np.pi))
    assert answers[2] == pytest.approx(answers[0] + 10 * np.log(2))
