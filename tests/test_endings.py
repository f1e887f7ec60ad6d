"""How the command ends: signals at any moment, readers that have gone, streams that are closed, and what killed processes leave behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import mixtura
from mixtura import drafts
from mixtura.sources import files

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals and locks")
FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"
COMMAND = [sys.executable, "-m", "mixtura"]
LONG = ["--components", "1:60", "--family", "full,tied"]
ROWS = 200_000
SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, few rows and many."""
    folder = tmp_path_factory.mktemp("place")
    mixture = mixtura.Mixture([0.5, 0.5], [[0.0, 0.0], [3.0, 3.0]], [[1.0, 2.0], [2.0, 1.0]], "diag")
    mixture.save(folder / "model.safetensors", {"columns": ["a", "b"]})
    many, _ = mixture.sample(ROWS, 0)
    files.write(folder / "many.csv", dict(zip("ab", many.T, strict=True)))
    return folder


def heard():
    """A process in the background of a shell would be deaf to Ctrl-C."""
    for one in SAID:
        signal.signal(one, signal.SIG_DFL)


def begun(words, **more):
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "preexec_fn": heard, **more}
    return subprocess.Popen([*map(str, words)], **more)


def told(stderr):
    """What the command says, among lines of progress, which are none of Python's."""
    assert "Traceback" not in stderr and "Exception ignored" not in stderr
    return [line for line in stderr.splitlines() if line.startswith("mixtura: ")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_fit_that_is_terminated_writes_what_is_done(tmp_path, number):
    with begun([*COMMAND, "fit", FAITHFUL, *LONG, "--output", tmp_path / "out"]) as process:
        process.stderr.readline()
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    (line,) = told(error)
    assert line.startswith("mixtura: warning: the selection was interrupted: got ")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["interrupted"] and "written to" in out
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


MOMENTS = {  # a command, the seconds of its life, what it writes
    "fit": (["fit", "many.csv", "--components", "1:9", "--family", "usual", "--subsample", "20000", "--checkpoint", "kept"], 4.0),
    "predict": (["predict", "model.safetensors", "many.csv", "--output", "out.csv", "--keep", "all"], 2.0),
    "sample": (["sample", "model.safetensors", "--rows", "3000000", "--output", "out.csv"], 3.0),
}


@pytest.mark.parametrize("case", MOMENTS)
def test_a_signal_at_any_moment_leaves_nothing_half_written(place, tmp_path, case):
    words, life = MOMENTS[case]
    for name in ("model.safetensors", "many.csv"):
        (tmp_path / name).symlink_to(place / name)
    before = set(os.listdir(tmp_path))
    moments = random.Random(case)
    for _ in range(2):
        with begun([*COMMAND, *words], cwd=tmp_path) as process:
            time.sleep(moments.uniform(0.2, life))
            process.send_signal(signal.SIGTERM)
            error = process.communicate(timeout=60)[1]
        assert process.returncode in (0, 143)
        assert len(told(error)) == (process.returncode == 143)
        left = set(os.listdir(tmp_path)) - before
        assert left <= {"kept", "mixtura-output", "out.csv"}
        if "mixtura-output" in left:
            assert sorted(os.listdir(tmp_path / "mixtura-output")) == ["model.safetensors", "summary.json"]
        if "kept" in left:
            assert not [name for name in os.listdir(tmp_path / "kept") if drafts.MARK in name]
        if "out.csv" in left:
            assert len(files.read(tmp_path / "out.csv").rows) in (ROWS, 3_000_000)


IMPORTING = """
import os, signal, sys
name, number, *words = sys.argv[1:]
sys.argv[1:] = words
class Signals:
    def find_spec(self, asked, *more):
        if asked == name:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Signals())
from mixtura.cli import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["typer", "numba", "scipy", "pyarrow", "narwhals", "numba.core.types", "scipy.linalg", "mixtura.fitting"])
def test_a_signal_within_the_imports_is_one_line(tmp_path, name, number):
    words = ["fit", str(FAITHFUL), "--output", str(tmp_path / "out"), "--quiet"]
    done = subprocess.run([sys.executable, "-c", IMPORTING, name, str(int(number)), *words], capture_output=True, text=True, preexec_fn=heard)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", f"mixtura: {SAID[number]}\n")
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_listens_to_nothing():
    code = """
import signal, sys, mixtura, mixtura.cli
from mixtura.cli import app
mixtura.GaussianMixture, mixtura.select
assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert sys.unraisablehook is sys.__unraisablehook__
"""
    subprocess.run([sys.executable, "-c", code], check=True, preexec_fn=heard)


def test_importing_the_package_takes_nothing_along():
    code = "import sys, mixtura, mixtura.cli; print(*{'numpy', 'scipy', 'numba', 'sklearn', 'pyarrow', 'typer'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    with begun(
        [*COMMAND, "fit", FAITHFUL, "--components", "1:3", "--output", tmp_path], preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ) as process:
        process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        assert process.communicate(timeout=60)[0]
    assert process.returncode == 0


WITHIN = """
import os, pathlib, signal, sys, time
from mixtura.cli import main, models
{}
main()
"""
SAVING = """
replace = pathlib.Path.replace
def moved(self, target):
    if self.name == "model.safetensors" and target.parent.name == "out":
        os.kill(os.getpid(), signal.SIGTERM)
    return replace(self, target)
pathlib.Path.replace = moved
"""
DROPPING = """
load = models.load
class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.001)
def slow(path):
    Dropped()
    for _ in range(1000):
        time.sleep(0.01)
    return load(path)
models.load = slow
"""


def test_both_files_of_a_model_are_moved_or_none(tmp_path):
    words = ["fit", FAITHFUL, "--components", "2", "--family", "full", "--output", tmp_path / "out", "--quiet"]
    with begun([sys.executable, "-c", WITHIN.format(SAVING), *words]) as process:
        error = process.communicate(timeout=60)[1]
    assert (process.returncode, error) == (143, "mixtura: terminated\n")
    assert sorted(os.listdir(tmp_path / "out")) == ["model.safetensors", "summary.json"] and os.listdir(tmp_path) == ["out"]


def test_a_signal_that_comes_where_nothing_can_be_raised_is_heard_all_the_same(place):
    with begun([sys.executable, "-c", WITHIN.format(DROPPING), "show", place / "model.safetensors"]) as process:
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (143, "", "mixtura: terminated\n")


@pytest.mark.parametrize(
    ("shell", "code", "error"),
    [
        ("mixtura show {model} --json | true", 141, ""),
        ("mixtura show {model} | true", 141, ""),
        ("mixtura --help | true", 141, ""),
        ("mixtura predict {model} {data} --output out.csv | true", 141, ""),
        ("mixtura show {model} >&-", 0, ""),
        ("mixtura show {model} --json >&-", 0, ""),
        ("mixtura sample {model} --rows 5 --output out.csv >&- 2>&- <&-", 0, ""),
        ("mixtura show nothing 2>&-", 2, ""),
        (
            "mixtura show {model} --json > /dev/full",
            2,
            "mixtura: error: cannot write what there is to show: No space left on device; try another stdout\n",
        ),
        ("mixtura show {model} > /dev/full", 2, "mixtura: error: No space left on device\n"),
        ("mixtura show nothing 2> /dev/full", 2, ""),
    ],
)
def test_streams_that_are_closed_end_in_a_line_or_silence(place, tmp_path, shell, code, error):
    if "/dev/full" in shell and not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    script = f'set -o pipefail; mixtura() {{ "{sys.executable}" -m mixtura "$@"; }}\n' + shell.format(
        model=place / "model.safetensors", data="data.csv"
    )
    (tmp_path / "data.csv").write_text("a,b\n1,2\n3,4\n")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (code, error)
    if "out.csv" in shell:
        assert len(files.read(tmp_path / "out.csv").rows) in (2, 5)


def test_letters_that_a_terminal_lacks_are_spelled(tmp_path):
    mixtura.Mixture([1.0], [[0.0]], [1.0], "spherical").save(tmp_path / "m.safetensors", {"columns": ["größe"]})
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "show", tmp_path / "m.safetensors"], capture_output=True, text=True, check=True, env=environment)
    assert r"gr\xf6\xdfe" in done.stdout


# what a killed process leaves

KILLED = """
import os, signal, sys
from pathlib import Path
from mixtura.drafts import draft, drafts
folder = Path(sys.argv[1])
with draft(folder / "rows.csv.gz") as one, drafts(folder / "model", ("a", "b"), folder) as several:
    one.write_text("half")
    (several / "a").write_text("half")
    print("working", flush=True)
    signal.pause()
"""


def test_what_a_killed_process_leaves_is_swept_by_the_next_run_and_nothing_else(tmp_path):
    others = [".mixtura-settings", ".rows.csv.mixtura-mine.csv", "rows.csv.mixtura-0123456789abcdef.csv", ".mixtura-0123456789abcdeg"]
    for name in others:
        (tmp_path / name).mkdir() if name.startswith(".mixtura") else (tmp_path / name).write_text("mine")
    link = tmp_path / ".rows.csv.mixtura-0123456789abcdef.csv"
    link.symlink_to("elsewhere")
    before = set(os.listdir(tmp_path))
    with begun([sys.executable, "-c", KILLED, tmp_path]) as process:
        assert process.stdout.readline() == "working\n"
        left = set(os.listdir(tmp_path)) - before
        assert len(left) == 2
        files.write(tmp_path / "other.csv", {"a": np.arange(3.0)})
        assert left <= set(os.listdir(tmp_path))  # somebody works on them
        process.kill()
        process.wait()
    assert left <= set(os.listdir(tmp_path))
    files.write(tmp_path / "other.csv", {"a": np.arange(3.0)})
    assert set(os.listdir(tmp_path)) == before | {"other.csv"}


def test_a_killed_command_is_swept_by_the_next(place, tmp_path):
    words = ["sample", place / "model.safetensors", "--rows", "3000000", "--output", tmp_path / "out.csv"]
    with begun([*COMMAND, *words]) as process:
        while process.poll() is None and not os.listdir(tmp_path):
            time.sleep(0.001)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".out.csv.mixtura-")
    subprocess.run([*COMMAND, "sample", place / "model.safetensors", "--rows", "3", "--output", tmp_path / "out.csv"], check=True)
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_folder_that_somebody_put_into_a_draft_stays(tmp_path):
    place = tmp_path / ".mixtura-0123456789abcdef"
    (place / "deeper").mkdir(parents=True)
    drafts.sweep(tmp_path)
    assert (place / "deeper").is_dir()


def test_names_as_long_as_the_system_allows_have_drafts(tmp_path):
    name = "x" * 251 + ".csv"
    files.write(tmp_path / name, {"a": np.arange(3.0)})
    assert os.listdir(tmp_path) == [name]
