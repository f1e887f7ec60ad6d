"""Progress that was asked for: it is seen where somebody looks, changes nothing, and leaves things as they were, whatever ends it.

`CALLS` are what can go on, `SCREENS` where it is seen; laws go through both.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from cases import overlapping

import mixtura
from mixtura.errors import InterruptionWarning, MixturaWarning
from mixtura.progress import bars, lines
from mixtura.sources import Passed

FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"
ROWS = overlapping(240, 2, 2, seed=3)
START = mixtura.start(ROWS, 3, random_state=0)


def blocks() -> Iterator[np.ndarray]:
    yield from np.split(ROWS, 4)


Call = Callable[..., Any]
CALLS: dict[str, Call] = {
    "select": lambda **o: mixtura.select(ROWS, [1, 2], ["tied", "full"], rule="map", random_state=0, **o),
    "select side by side": lambda **o: mixtura.select(ROWS, [1, 2, 3], ["tied", "full"], random_state=0, n_jobs=3, **o),
    "select by folds": lambda **o: mixtura.select(ROWS, [1, 2], "tied", criterion="held_out", folds=2, random_state=0, **o),
    "select one cell": lambda **o: mixtura.select(ROWS, 1, "tied", rule="gradient", random_state=0, **o),
    "select a stream": lambda **o: mixtura.select(blocks, [1, 2], "tied", subsample=100, random_state=0, **o),
    "fit": lambda **o: mixtura.fit(ROWS, START, tol=0.0, max_steps=20, **o),
    "fit a stream": lambda **o: mixtura.fit(blocks, START, tol=0.0, max_steps=20, **o),
    "fit of Dask": lambda **o: mixtura.fit(da.from_array(ROWS, chunks=(60, 2)), START, tol=0.0, max_steps=20, **o),
    "test": lambda **o: mixtura.likelihood_ratio_test(ROWS[:60], [1, 2], "tied", n_bootstrap=19, random_state=0, n_jobs=1, **o),
}
SCREENS = {"terminal": True, "file": False}  # and whether that is a terminal
LINES = {  # the last line of each
    "select": r"4/4  2 components, full: epoch \d+, loglik -\d+\.\d{6} per row",
    "select side by side": r"\d/6  \d components?, (tied|full): epoch \d+, loglik -\d+\.\d{6} per row",
    "select by folds": r"6/6  2 components, tied: epoch \d+, loglik -\d+\.\d{6} per row",
    "select one cell": r"epoch \d+: loglik -\d+\.\d{6} per row",
    "select a stream": r"\d/7  \d components?, tied: epoch \d+, loglik -\d+\.\d{6} per row",
    "fit": r"step 20: loglik -\d+\.\d{6} per row",
    "fit a stream": r"step 20: loglik -\d+\.\d{6} per row",
    "fit of Dask": r"step 20: loglik -\d+\.\d{6} per row",
    "test": r"\d against \d: 19/19 replicates",
}
WORDS = {"select": ("grid", "epochs", "1 component, tied", "loglik"), "fit": ("steps", "/20", "per row"), "test": ("1 against 2", "/19")}


def of(name: str) -> str:
    """Which function that is."""
    return name.split()[0]


def listener(name: str, listen: Callable[[Any], object]) -> dict[str, Any]:
    """The argument that is told of each step."""
    return {"on_step" if of(name) == "fit" else "on_progress": listen}


def bits(result: Any) -> Any:
    """What a result says, to the last bit."""
    if isinstance(result, mixtura.Fit):
        return result.log_likelihoods, result.mixture.means.tobytes()
    if isinstance(result, mixtura.Selection):
        return [(one.components, one.family.name, one.bic, one.held_out, one.mixture.means.tobytes()) for one in result.ranking]
    return [(one.statistic, one.replicates.tobytes()) for one in result]


class Screen(io.StringIO):
    """What stderr is: a terminal or a file, which may fail after so many writes, or see an interrupt come at one."""

    def __init__(self, terminal: bool, last: int | None = None, interrupted: int | None = None):
        super().__init__()
        self.terminal, self.last, self.interrupted, self.writes = terminal, last, interrupted, 0

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.writes += 1
        if self.last is not None and self.writes > self.last:
            raise OSError(errno.EIO, "the terminal is gone")
        if self.writes == self.interrupted:
            raise KeyboardInterrupt
        return super().write(text)

    @property
    def left(self) -> list[str]:
        """The lines that a terminal shows in the end."""
        shown, row = [""], 0
        for word in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", self.getvalue()):
            if word == "\n":
                row += 1
                shown += [""] * (row == len(shown))
            elif up := re.fullmatch(r"\x1b\[(\d+)A", word):
                row -= int(up[1])
            elif word == "\x1b[2K":
                shown[row] = ""
            elif word[0] not in "\r\x1b":
                shown[row] += word
        return [line.rstrip() for line in shown if line.strip()]

    @property
    def is_clean(self) -> bool:
        """Whether the cursor is back, and nothing stands in anybody's way."""
        hidden, back = (self.getvalue().rfind(code) for code in ("\x1b[?25l", "\x1b[?25h"))
        return (not self.terminal or hidden < back) and sys.stderr is self and not bars.the_terminal.locked()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Screen]:
    """Makes stderr a screen, on which every step is drawn."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(bars, "PAUSE", 0.0)

    def made(terminal: bool, last: int | None = None, interrupted: int | None = None) -> Screen:
        screen = Screen(terminal, last, interrupted)
        monkeypatch.setattr(sys, "stderr", screen)
        return screen

    return made


each_call = pytest.mark.parametrize("name", CALLS)
each_screen = pytest.mark.parametrize("terminal", SCREENS.values(), ids=list(SCREENS))


# what is seen


@each_call
def test_nothing_is_shown_unless_asked(name: str, seen: Callable[..., Screen], capsys: pytest.CaptureFixture[str]) -> None:
    screen = seen(True)
    CALLS[name]()
    CALLS[name](progress=False)
    assert screen.getvalue() == capsys.readouterr().out == ""


@each_call
@each_screen
def test_it_changes_no_bit_and_is_gone_after(name: str, terminal: bool, seen: Callable[..., Screen], capsys: pytest.CaptureFixture[str]) -> None:
    screen = seen(terminal)
    assert bits(CALLS[name](progress=True)) == bits(CALLS[name]())
    assert screen.is_clean and capsys.readouterr().out == ""
    if terminal:
        assert all(word in screen.getvalue() for word in WORDS[of(name)])
        assert screen.left == []
    else:
        assert "\x1b" not in screen.getvalue() and re.fullmatch(LINES[name], screen.left[-1])


@each_call
@each_screen
def test_whoever_listens_besides_hears_the_same(name: str, terminal: bool, seen: Callable[..., Screen]) -> None:
    seen(terminal)
    alone: list[Any] = []
    besides: list[Any] = []
    CALLS[name](**listener(name, alone.append))
    CALLS[name](**listener(name, besides.append), progress=True)
    assert len(alone) == len(besides) > 0


@pytest.mark.parametrize("name", ["select a stream", "fit a stream", "fit of Dask"])
def test_the_rows_of_a_pass_are_seen(name: str, seen: Callable[..., Screen], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = seen(True)
    CALLS[name](progress=True)
    assert re.search(r"rows +(\x1b\[[\d;]*m|[━╸╺])+ 240/240", screen.getvalue())
    monkeypatch.setattr(lines, "PATIENCE", -1.0)
    screen = seen(False)
    CALLS[name](progress=True)
    assert re.search(r"^rows of this pass: 240/240", screen.getvalue(), re.MULTILINE)


def test_of_a_single_cell_each_epoch_is_a_line(seen: Callable[..., Screen]) -> None:
    screen, told = seen(False), list[str]()

    def listen(at: Any) -> None:
        told.append(f"epoch {at.step.number}: loglik {at.step.log_likelihood:.6f} per row")
        assert screen.getvalue().splitlines() == told  # as it comes, not when the next one does

    mixtura.select(ROWS, 2, "full", rule="gradient", learning_rate=0.1, tol=0.0, max_iter=9, random_state=0, on_progress=listen, progress=True)
    assert len(told) > 1


def test_a_terminal_that_cannot_draw_gets_lines(seen: Callable[..., Screen], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = seen(True)
    monkeypatch.setenv("TERM", "dumb")
    CALLS["fit"](progress=True)
    assert re.fullmatch(LINES["fit"] + "\n", screen.getvalue())


def test_without_stderr_nothing_is_seen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As in programs that have no console."""
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    assert bits(CALLS["fit"](progress=True)) == bits(CALLS["fit"]())


@each_screen
def test_what_is_printed_meanwhile_goes_where_stdout_goes(terminal: bool, seen: Callable[..., Screen], monkeypatch: pytest.MonkeyPatch) -> None:
    screen, elsewhere = seen(terminal), io.StringIO()
    monkeypatch.setattr(sys, "stdout", elsewhere)
    CALLS["fit"](progress=True, on_step=lambda step: print(f"at {step.number}"))
    assert elsewhere.getvalue().splitlines() == [f"at {number}" for number in range(21)]
    assert "at 3" not in screen.getvalue() and sys.stdout is elsewhere


def test_what_is_printed_on_the_terminal_stays_above_the_bars(seen: Callable[..., Screen]) -> None:
    screen = seen(True)
    CALLS["fit"](progress=True, on_step=lambda step: print(f"at {step.number}", file=sys.stderr))
    assert screen.left == [f"at {number}" for number in range(21)]


def test_of_two_at_once_one_draws(seen: Callable[..., Screen]) -> None:
    """The other says its lines above."""
    screen = seen(True)
    others: list[Any] = []

    def beside(step: Any) -> None:
        if step.number == 3:
            thread = threading.Thread(target=lambda: others.append(CALLS["fit"](progress=True)))
            thread.start()
            thread.join()

    result = CALLS["fit"](progress=True, on_step=beside)
    assert bits(result) == bits(others[0]) == bits(CALLS["fit"]())
    assert screen.is_clean and len(screen.left) == 1 and re.fullmatch(LINES["fit"], screen.left[0])
    CALLS["fit"](progress=True)
    assert len(screen.left) == 1  # it draws again


# how it ends


class _Stop:
    """Raises at the so-manieth call."""

    def __init__(self, error: type[BaseException], at: int):
        self.error, self.left = error, at

    def __call__(self, at: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


@each_call
@each_screen
def test_an_error_leaves_a_clean_terminal(name: str, terminal: bool, seen: Callable[..., Screen]) -> None:
    screen = seen(terminal)
    with pytest.raises(ZeroDivisionError):
        CALLS[name](**listener(name, _Stop(ZeroDivisionError, 2)), progress=True)
    assert screen.is_clean and (not terminal or screen.left == [])


@pytest.mark.parametrize("name", [name for name in CALLS if "side by side" not in name])  # there time says which cells are done
@each_screen
def test_an_interrupt_gives_what_it_gave(name: str, terminal: bool, seen: Callable[..., Screen]) -> None:
    screen = seen(terminal)
    with pytest.warns(InterruptionWarning) as silently:
        expected = CALLS[name](**listener(name, _Stop(KeyboardInterrupt, 3)))
    with pytest.warns(InterruptionWarning) as told:
        result = CALLS[name](**listener(name, _Stop(KeyboardInterrupt, 3)), progress=True)
    assert result.interrupted and [str(one.message) for one in told] == [str(one.message) for one in silently]
    assert screen.is_clean and (not terminal or screen.left == [])
    if not isinstance(result, mixtura.Selection):  # cells that were not reached hold no mixture
        assert bits(result) == bits(expected)


@pytest.mark.filterwarnings("ignore::mixtura.errors.InterruptionWarning")
def test_an_interrupt_while_it_is_drawn_leaves_a_cursor(seen: Callable[..., Screen]) -> None:
    """At each of its writes, the first and the last among them."""
    whole, stdout = seen(True), sys.stdout
    CALLS["fit"](progress=True)
    for write in range(1, whole.writes + 1):
        screen = seen(True, interrupted=write)
        with contextlib.suppress(KeyboardInterrupt):  # before the first step, or after the last
            assert CALLS["fit"](progress=True).interrupted
        assert write == whole.writes or screen.is_clean
        assert (sys.stderr, sys.stdout) == (screen, stdout)


@each_call
@each_screen
def test_a_display_that_fails_costs_nothing_but_itself(name: str, terminal: bool, seen: Callable[..., Screen]) -> None:
    """It ends, the fit goes on, and one warning says so."""
    whole = seen(terminal)
    expected = bits(CALLS[name](progress=True))
    for last in sorted({0, 1, whole.writes // 2, whole.writes - 1} & set(range(whole.writes))):
        screen = seen(terminal, last)
        before = sys.stdout
        with pytest.warns(MixturaWarning, match=r"progress could not be shown: got OSError: .*the terminal is gone; .*try progress=False") as told:
            result = CALLS[name](progress=True)
        assert len(told) == 1 and told[0].filename == __file__
        assert bits(result) == expected
        assert (sys.stderr, sys.stdout) == (screen, before) and not bars.the_terminal.locked()


def test_a_closed_stderr_is_such_a_failure(seen: Callable[..., Screen]) -> None:
    seen(True).close()
    with pytest.warns(MixturaWarning, match="progress could not be shown: got ValueError"):
        result = CALLS["fit"](progress=True)
    assert bits(result) == bits(CALLS["fit"]())


@each_screen
def test_the_source_is_left_as_it_was(terminal: bool, seen: Callable[..., Screen]) -> None:
    seen(terminal)
    source, heard = mixtura.open(blocks), list[Passed]()
    mixtura.fit(source, START, max_steps=2, progress=True)
    assert source.watch is None
    source.watch = listen = heard.append
    mixtura.fit(source, START, max_steps=2, progress=True)
    assert source.watch == listen and heard[-1].rows == len(ROWS)
    with pytest.raises(ZeroDivisionError):
        mixtura.fit(source, START, on_step=_Stop(ZeroDivisionError, 2), progress=True)
    assert source.watch == listen


@each_call
def test_results_hold_no_display(name: str, seen: Callable[..., Screen]) -> None:
    seen(True)
    result = CALLS[name](progress=True)
    kept = pickle.dumps(result)
    assert b"rich" not in kept and b"mixtura.progress" not in kept
    assert bits(pickle.loads(kept)) == bits(result)


@pytest.mark.parametrize("name", ["select", "select a stream", "fit", "fit a stream"])
def test_a_checkpoint_does_not_ask_who_looked(name: str, seen: Callable[..., Screen], tmp_path: Path) -> None:
    seen(True)
    stop = listener(name, _Stop(ZeroDivisionError, 2))
    with pytest.raises(ZeroDivisionError):
        CALLS[name](checkpoint=tmp_path, **stop)
    assert bits(CALLS[name](checkpoint=tmp_path, progress=True)) == bits(CALLS[name]())
    assert "progress" not in json.loads((tmp_path / "checkpoint.json").read_text())["call"]


# other processes


def test_rich_is_imported_when_bars_are_asked_for() -> None:
    code = """
import sys, mixtura, mixtura.selection, mixtura.likelihood_ratio, mixtura.progress
assert "rich" not in sys.modules
fit = mixtura.fit([[0.0], [1.0], [5.0]], mixtura.start([[0.0], [1.0], [5.0]], 1), progress=True)
assert "rich" not in sys.modules and "IPython" not in sys.modules
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.splitlines()
    assert re.fullmatch(r"step \d+: loglik -\d\.\d{6} per row", told[-1])


SCRIPT = """
import signal, sys, warnings, numpy as np, mixtura
X = np.random.default_rng(0).normal(size=(2000, 2))
def interrupt(step):
    if step.number == 400:
        signal.raise_signal(signal.SIGINT)
fit = mixtura.fit(X, mixtura.start(X, 8, random_state=0), tol=0.0, max_steps=500, progress=True, on_step=interrupt)
print(fit.interrupted, fit.n_steps)
try:
    mixtura.select(X, [2, 3], "full", rule="map", progress=True, on_progress=lambda at: 1 / 0)
except ZeroDivisionError:
    print("an error")
"""


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_is_clean_after_an_interrupt_and_an_error() -> None:
    leader, follower = os.openpty()
    heard = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stderr=follower,
        stdout=subprocess.PIPE,
        text=True,
        env=heard,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        os.close(follower)
        screen = Screen(True)
        screen.write(b"".join(iter(lambda: _read(leader), b"")).decode())
        assert process.stdout is not None
        assert process.stdout.read() == "True 399\nan error\n"
    os.close(leader)
    assert process.returncode == 0
    assert re.search(r"steps +(\x1b\[[\d;]*m|[━╸╺])+ +\d+/500 +loglik -\d\.\d{6} per row", screen.getvalue())
    assert re.sub(r"h+", "h", "".join(re.findall(r"\x1b\[\?25([lh])", screen.getvalue()))) == "lhlh"  # hidden and back, twice
    said = [line for line in screen.left if "compiling" not in line]
    assert said[0].startswith("<string>:7: InterruptionWarning: the fit was interrupted: got 399 steps")
    assert not any("━" in line for line in screen.left)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody writes any more
        return b""


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="needs a pipe that closes")
def test_a_model_is_written_though_nobody_reads_how_it_came_about(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "mixtura", "fit", str(FAITHFUL), "--components", "1:3", "--family", "full,tied", "--output", str(tmp_path / "out")]
    done = subprocess.run(words, stderr=writer, stdout=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 0 and "3 components, family tied (EEE)" in done.stdout
    assert mixtura.Mixture.load(tmp_path / "out" / "model.safetensors").K == 3
