"""The wait for the first result: a new process from `python` to a fitted mixture, without and with kernels compiled before."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks.measuring import Result, tell, timed

IMPORT = "import mixtura"
FIT = """
import numpy as np, mixtura
rng = np.random.default_rng(0)
means = 4 * rng.normal(size=({K}, {d}))
X = means[rng.integers({K}, size={N})] + rng.normal(size=({N}, {d}))
mixtura.GaussianMixture({K}, random_state=0).fit(X)
"""
SIZES = {"150 x 4, K=3": {"N": 150, "d": 4, "K": 3}, "20000 x 8, K=8": {"N": 20_000, "d": 8, "K": 8}}  # one block, and threads


def first_fit(quick: bool) -> Result:
    """Seconds of the whole process; compiling is what an empty NUMBA_CACHE_DIR adds to it."""
    times = 2 if quick else 7
    figures = {"import_seconds": statistics.median(_process(IMPORT) for _ in range(times))}
    lines = [f"python -c 'import mixtura': {figures['import_seconds']:.2f} s"]
    for size, numbers in SIZES.items():
        with tempfile.TemporaryDirectory(prefix="mixtura-cold-") as folder:
            cold = _process(FIT.format(**numbers), folder)
            warm = statistics.median(_process(FIT.format(**numbers), folder) for _ in range(times))
        tell(f"  {size}: {cold:.2f} s cold, {warm:.2f} s warm")
        figures |= {f"cold_seconds, {size}": cold, f"warm_seconds, {size}": warm, f"compile_seconds, {size}": cold - warm}
        lines.append(
            f"from python to a default fit of {size}: {cold:.2f} s with nothing compiled, {warm:.2f} s warm: compiling takes {cold - warm:.2f} s"
        )
    return Result(figures, lines)


def _process(code: str, cache: str | None = None) -> float:
    """Seconds that a new interpreter takes to run the code, with its kernels kept in `cache`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = cache
    command = [sys.executable, "-W", "ignore", "-c", code]
    seconds, ended = timed(lambda: subprocess.run(command, env=environment, capture_output=True, text=True))
    if ended.returncode:
        raise RuntimeError(f"a first fit failed: {ended.stderr.strip().rpartition(chr(10))[2]}")
    return seconds
