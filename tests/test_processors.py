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

pytestmark = pytest.mark.long

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

CLIMB = """
import numpy as np
import mixtura
from mixtura.families import family_of
from mixtura.few import Few, Start
from mixtura.moments import MATRIX
from mixtura.regularisation import Floor
from mixtura.scouting import Scout
rows = np.random.default_rng(0).normal(size=(60, 2))
source = mixtura.open(rows)
few = Few(source, Scout.of(source, np.random.default_rng(0)).reference(MATRIX), Floor())
labels = (rows[:, :1] > 0).T.astype(int)
at = few.run(family_of("VEE"), few.begin(Start.of_partitions(rows, np.ones(60), labels, 2)), 1)
print(at.covariances[0, 0, 0, 0], mixtura.__file__)
"""


@pytest.mark.parametrize(
    ("program", "file", "before", "after", "norms"),
    [
        (SWEEP, "kernels/panel.py", "store(scratch, 2, i, norm)", "store(scratch, 2, i, norm + norm)", True),
        (CLIMB, "families/proportional.py", "now = trace / (D * n[k])", "now = 4.0 * trace / (D * n[k])", False),
    ],
    ids=["sweep", "climb"],
)
def test_machine_code_is_not_taken_from_the_cache_once_a_kernel_changed(
    tmp_path: Path, program: str, file: str, before: str, after: str, norms: bool
) -> None:
    """Numba looks at the file of the outermost function alone; here one of another file changes, with its time as before."""
    shutil.copytree(Path(mixtura.__file__).parent, tmp_path / "mixtura", ignore=shutil.ignore_patterns("__pycache__"))
    kernel = tmp_path / "mixtura" / file
    settings = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    answers = []
    for changed in (False, False, True):
        if changed:
            stamp = kernel.stat()
            assert before in kernel.read_text()
            kernel.write_text(kernel.read_text().replace(before, after))
            os.utime(kernel, (stamp.st_atime, stamp.st_mtime))
        done = subprocess.run([sys.executable, "-c", program], env=settings, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and str(tmp_path) in done.stdout, done.stderr
        answers.append(float(done.stdout.split()[0]))
    assert answers[0] == answers[1]
    if norms:
        assert answers[0] == pytest.approx(-5 * np.log(2 * np.pi))
        assert answers[2] == pytest.approx(answers[0] + 10 * np.log(2))
    else:
        assert answers[2] > 1.01 * answers[0]
