"""The wait for the first result: a new process from `python` to a fitted mixture, without and with kernels compiled before."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.measuring import Result, tell

IMPORT = "import mixtura"
DATA = """
import numpy as np
rng = np.random.default_rng(0)
means = 4 * rng.normal(size=({K}, {d}))
X = means[rng.integers({K}, size={N})] + rng.normal(size=({N}, {d}))
"""
FITS = {
    "mixtura": "import mixtura; mixtura.GaussianMixture({K}, random_state=0).fit(X)",
    "mixtura's functions": "import mixtura; mixtura.fit(X, mixtura.start(X, {K}, random_state=0))",
    "scikit-learn": "from sklearn.mixture import GaussianMixture; GaussianMixture({K}, random_state=0).fit(X)",
}
SIZES = {"150 x 4, K=3": {"N": 150, "d": 4, "K": 3}, "20000 x 8, K=8": {"N": 20_000, "d": 8, "K": 8}}  # one block, and threads


def first_fit(quick: bool) -> Result:
    """Seconds from the start of `python` until the fit is there; compiling is what an empty NUMBA_CACHE_DIR adds to it."""
    times = 2 if quick else 7
    figures = {"import_seconds": statistics.median(_process(IMPORT) for _ in range(times))}
    lines = [f"from python to 'import mixtura' done: {figures['import_seconds']:.2f} s"]
    for size, numbers in SIZES.items():
        with tempfile.TemporaryDirectory(prefix="mixtura-cold-") as folder:
            code = {side: (DATA + fit).format(**numbers) for side, fit in FITS.items()}
            cold = _process(code["mixtura"], folder)
            rounds = [{side: _process(one, folder) for side, one in code.items()} for _ in range(times + 1)][1:]
        warm = {side: statistics.median(one[side] for one in rounds) for side in FITS}
        compiling = cold - warm["mixtura"]
        tell(f"  {size}: {cold:.2f} s cold, {warm['mixtura']:.2f} s warm")
        figures |= {f"cold_seconds, {size}": cold, f"warm_seconds, {size}": warm["mixtura"], f"compile_seconds, {size}": compiling}
        figures |= {f"{side}: warm seconds, {size}": seconds for side, seconds in warm.items() if side != "mixtura"}
        lines.append(
            f"from python to a default fit of {size}: {cold:.2f} s with nothing compiled, so compiling takes {compiling:.2f} s; warm "
            + ", ".join(f"{side} {seconds:.2f} s" for side, seconds in warm.items())
        )
    return Result(figures, lines)


def _process(code: str, cache: str | None = None) -> float:
    """Seconds from the start of a new interpreter until it has run the code, with its kernels kept in `cache`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = cache
    command = [sys.executable, "-W", "ignore", "-c", f"{code}\nprint('done', flush=True)"]
    begun = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        done = process.stdout.readline() == "done\n"
        seconds = time.perf_counter() - begun
        complaint = process.stderr.read()
    if not done:
        raise RuntimeError(f"a first fit failed: {complaint.strip().rpartition(chr(10))[2]}")
    return seconds
