"""What a figure depends on besides the code: processor, cores, instruction sets, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import threadpoolctl

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "scikit-learn", "scikit-learn-intelex", "daal", "threadpoolctl")
SETS = ("sse4_2", "avx", "avx2", "fma", "avx512", "avx_vnni", "amx", "asimd", "sve")  # beginnings of the flags worth telling


def cores() -> int:
    """Processors that this process may use: what every side is given. `taskset` lowers it for all of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """The machine: CPU model, cores, instruction sets, memory, caches where Linux tells."""
    told = _cpuinfo()
    flags = (told.get("flags") or told.get("Features") or "").split()
    return {
        "cpu": told.get("model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "cores": cores(),
        "instruction_sets": sorted(flag for flag in flags if flag.startswith(SETS)),
        "caches": _caches(),
        "system": platform.platform(),
        "blas": [
            {name: library.get(name) for name in ("internal_api", "version", "architecture", "num_threads", "prefix")}
            for library in threadpoolctl.threadpool_info()
        ],
    }


def versions() -> dict[str, str]:
    """Python, Mixtura (with the commit, a plus where files differ from it) and the libraries that both sides stand on."""
    import mixtura

    found = {"python": platform.python_version(), "mixtura": f"{mixtura.__version__} ({_commit()})"}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def lines(machine: dict[str, Any], found: dict[str, str]) -> list[str]:
    """Both in a few lines, to stand above the tables."""
    sets = [name for name in machine["instruction_sets"] if name in ("avx2", "avx512f", "avx512vl", "amx_tile", "asimd", "sve")]
    return [
        f"{machine['cpu']}, {machine['cores']} cores, {' '.join(sets) or machine['architecture']}; {machine['system']}",
        ", ".join(f"{name} {version}" for name, version in found.items()),
    ]


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text().partition("\n\n")[0]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}


def _caches() -> dict[str, str]:
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        found[f"L{level} {kind.lower()}"] = size
    return found


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True, cwd=Path(__file__).parent).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "../src") else "")
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
