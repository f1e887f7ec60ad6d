"""Machine code that is kept on disk: where nothing can be kept, or what is kept is damaged, it is compiled again, and that is said once."""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import pytest

import mixtura
from mixtura import compiling
from mixtura.errors import MixturaWarning

ROOT = Path(__file__).parents[1]


class Machine:
    """A folder with a module of one function, and where its machine code is kept; each process that uses it is a new dispatcher."""

    def __init__(self, folder: Path):
        self.folder, self.kept = folder / "source", folder / "kept"
        self.folder.mkdir()
        (self.folder / "tiny.py").write_text("def half(x):\n    return x / 2\n")

    def process(self) -> tuple[float, int, list[str]]:
        """What the function says of 3 in a new process, how often it came from the disk, and what was warned of."""
        spec = importlib.util.spec_from_file_location("tiny", self.folder / "tiny.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        compiling._warned = False
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            half = compiling.compiled()(module.half)
            answer = half(3.0)
        assert all(issubclass(one.category, MixturaWarning) for one in told)
        return answer, sum(half.stats.cache_hits.values()), [str(one.message) for one in told]

    def file(self, ending: str) -> Path:
        (found,) = self.kept.rglob(f"*{ending}")
        return found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(machine.kept))
    monkeypatch.setattr(compiling, "_warned", False)
    return machine


def truncated(machine: Machine, ending: str) -> None:
    file = machine.file(ending)
    file.write_bytes(file.read_bytes()[:-100])


def emptied(machine: Machine, ending: str) -> None:
    machine.file(ending).write_bytes(b"")


def zeroed(machine: Machine, ending: str) -> None:
    file = machine.file(ending)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2].ljust(len(content), b"\0"))  # as after a power cut


def flipped(machine: Machine, ending: str) -> None:
    file = machine.file(ending)
    content = bytearray(file.read_bytes())
    content[-len(content) // 4] ^= 1
    file.write_bytes(content)


def text(machine: Machine, ending: str) -> None:
    machine.file(ending).write_text("<!DOCTYPE html>")


@pytest.mark.parametrize("ending", [".nbi", ".nbc"], ids=["index", "code"])
@pytest.mark.parametrize("damage", [truncated, emptied, zeroed, flipped, text])
def test_damaged_files_are_compiled_anew_and_kept_again(machine: Machine, damage: Callable[[Machine, str], None], ending: str) -> None:
    assert machine.process() == (1.5, 0, [])
    assert machine.process() == (1.5, 1, [])
    damage(machine, ending)
    answer, _, told = machine.process()
    assert answer == 1.5
    if damage is not flipped or ending == ".nbc":  # a bit of an index may be one that says nothing
        assert len(told) == 1 and "cannot be read" in told[0] and "NUMBA_CACHE_DIR" in told[0]
        machine.process()
    assert machine.process() == (1.5, 1, [])


def test_a_folder_in_the_place_of_a_file_is_no_failure(machine: Machine) -> None:
    machine.process()
    index = machine.file(".nbi")
    index.unlink()
    index.mkdir()
    for _ in range(2):
        answer, hits, told = machine.process()
        assert (answer, hits, len(told)) == (1.5, 0, 1)


@contextmanager
def full_disk(machine: Machine) -> Iterator[None]:
    """No file may have more than a byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def no_folder(machine: Machine) -> Iterator[None]:
    """A file where the folder should be made."""
    machine.kept.write_text("")
    yield
    machine.kept.unlink()


@pytest.mark.parametrize("state", [full_disk, no_folder])
def test_where_nothing_can_be_kept_it_is_computed_and_said_once(machine: Machine, state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nothing")
    monkeypatch.setenv("HOME", "/proc/nothing")
    (machine.folder / "__pycache__").write_text("")  # beside the source is no folder either
    with state(machine):
        answer, hits, told = machine.process()
    assert (answer, hits, len(told)) == (1.5, 0, 1)
    assert "cannot be kept" in told[0] and "try setting NUMBA_CACHE_DIR to a folder that can be written" in told[0]
    assert not list(machine.kept.rglob("*.tmp*"))
    machine.process()
    assert machine.process() == (1.5, 1, [])


def test_everything_that_is_compiled_goes_by_this_one_way() -> None:
    """No function keeps its machine code by Numba's own means, which fail where it cannot."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        assert path.name == "compiling.py" or "cache=True" not in path.read_text(), path


SWEEP = """
import warnings, numpy as np, mixtura
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    mixture = mixtura.Mixture([0.5, 0.5], [[-3.0], [3.0]], [[[1.0]], [[1.0]]])
    print(mixture.assign([[-3.0], [3.0]]).tolist(), [str(one.message) for one in told])
"""
ALL = """
import sys, mixtura
from mixtura.cli import app

out, rows = sys.argv[1], "examples/old_faithful.csv"
few = ["--components", "1:2", "--family", "tied"]
app(["fit", rows, *few, "--output", out], standalone_mode=False)
app(["select", rows, *few], standalone_mode=False)
app(["predict", out, rows, "--output", out + "/answers.csv"], standalone_mode=False)
selection = mixtura.select(rows, [1, 2], ["tied"], random_state=0)
fitted = mixtura.GaussianMixture(2, random_state=0).fit([[0.0], [1.0], [10.0], [11.0]])
print(selection.ranking[0].components, fitted.predict([[0.0], [11.0]]).tolist() in ([0, 1], [1, 0]))
"""


def read_only(source: Path, *command: str, kept: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command where neither the package nor Python's packages nor HOME nor a folder of machine code that was `kept` can be written.

    Skips where the machine mounts nothing for us.
    """
    if sys.platform != "linux" or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mounts are not allowed here")
    folders = {str(source), sys.prefix} | ({kept} if kept else set())
    mounts = "".join(f"mount --bind '{folder}' '{folder}' && mount -o remount,bind,ro '{folder}' && " for folder in folders)
    writable = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in writable}
    environment |= {"HOME": "/proc/nothing", "PYTHONPATH": str(source)} | ({"NUMBA_CACHE_DIR": kept} if kept else {})
    refuses = f"! touch '{source}/mixtura/written' 2>/dev/null && "
    inside = ["unshare", "-m", "sh", "-c", f'{mounts}{refuses}exec "$@"', "sh", *command]
    return subprocess.run(inside, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A folder with the package, without anything that was kept of it."""
    shutil.copytree(Path(mixtura.__file__).parent, tmp_path / "fresh" / "mixtura", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "fresh"


def test_the_command_starts_where_nothing_can_be_written(fresh: Path) -> None:
    done = read_only(fresh, sys.executable, "-W", "error", "-m", "mixtura", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mixtura {mixtura.__version__}\n", "")
    assert not list(fresh.rglob("__pycache__"))


def test_machine_code_that_was_kept_is_used_where_nothing_can_be_written() -> None:
    """As in the image of a container that was warmed when it was built."""
    source = Path(mixtura.__file__).parents[1]
    subprocess.run([sys.executable, "-c", SWEEP], env={**os.environ, "PYTHONPATH": str(source)}, check=True, capture_output=True, timeout=600)
    done = read_only(source, sys.executable, "-c", SWEEP, kept=os.environ.get("NUMBA_CACHE_DIR"))
    assert (done.returncode, done.stdout) == (0, "[0, 1] []\n"), done.stderr


@pytest.mark.long
def test_all_works_where_nothing_can_be_written_or_was_kept(fresh: Path, tmp_path: Path) -> None:
    """In one process: each would compile for itself, and say so once."""
    done = read_only(fresh, sys.executable, "-c", ALL, str(tmp_path / "out"))
    assert done.returncode == 0 and done.stdout.endswith("\n2 True\n"), done.stderr
    told = [line for line in done.stderr.splitlines() if "NUMBA_CACHE_DIR" in line]
    assert len(told) == 1 and told[0].startswith("mixtura: warning: machine code cannot be kept: got "), done.stderr
    assert len((tmp_path / "out" / "answers.csv").read_text().splitlines()) == 273
    assert not list(fresh.rglob("__pycache__"))
