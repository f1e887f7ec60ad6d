"""How the process of the command ends, whatever reaches it: a signal, a reader that has gone, a stream that was closed. One line, or silence.

Ctrl-C     SIGINT     "interrupted"      exit code 130     a reader that has gone        silence    141, as of any command in a pipe
kill       SIGTERM    "terminated"       143               stdout or stderr closed       silence, as if they were /dev/null
hang-up    SIGHUP     "hung up"          129               stdout that cannot be written one line   2

Signals are heard by the command alone, never where the package is imported, and one that was ignored when the command began (nohup) stays ignored.
Before the command has begun (libraries are still imported) and once it is done, a signal ends the process at once: nothing is half written then.
In between it is raised as KeyboardInterrupt, so that a fit ends as it does for Ctrl-C, with what was done by then. This module imports nothing
that takes time.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

SAID = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
HEARD = {int(getattr(signal, name)): word for name, word in SAID.items() if hasattr(signal, name)}  # Windows has no SIGHUP
NO_READER = 141  # 128 + SIGPIPE
AGAIN = 0.02  # seconds after which a signal that came to nothing is raised again


class Signals:
    """What this process has heard: the last signal, whether that was told, whether it is raised or ends the process at once, and whether it waits."""

    def __init__(self) -> None:
        self.heard: int | None = None
        self.told = self.raised = self.waiting = False
        self.held = 0

    def listen(self) -> None:
        """From now on signals end this process in one line."""
        for number in HEARD:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                signal.signal(number, self._hear)
        sys.unraisablehook = self._unraisable

    def _hear(self, number: int, frame: Any) -> None:
        if not self.raised:
            _leave(number)
        self.heard = number
        if self.held:
            self.waiting = True
        else:
            raise KeyboardInterrupt

    def _unraisable(self, lost: Any) -> None:
        """An interrupt that came where nothing can be raised (a finaliser, a callback of C) is raised again a moment later."""
        if self.heard is not None and self.raised and lost.exc_type is not None and issubclass(lost.exc_type, KeyboardInterrupt):
            import _thread

            again = threading.Timer(AGAIN, _thread.interrupt_main, [self.heard])
            again.daemon = True
            again.start()
        else:
            sys.__unraisablehook__(lost)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Here something is at stake: a signal is raised, and what is under way comes to an end of its own."""
        self.raised = True
        try:
            yield
        finally:
            self.raised = False

    @contextmanager
    def hold(self) -> Iterator[None]:
        """What is done here is done as a whole: a signal waits until it is."""
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1
            if self.waiting and not self.held:
                self.waiting = False
                raise KeyboardInterrupt


signals = Signals()


def code() -> int:
    """The exit code of what was interrupted: by which signal, where the command heard one; as by Ctrl-C where not."""
    return 128 + (signals.heard or int(signal.SIGINT))


def word() -> str:
    """What is said of it."""
    return HEARD[signals.heard or int(signal.SIGINT)]


def ended(begin: Callable[[], Callable[[], int | None]]) -> NoReturn:
    """Imports what `begin` imports, calls what it returns, and exits with the code that this returns."""
    _give_streams()
    signals.listen()
    sys.exit(_code_of(begin()))


def _code_of(run: Callable[[], int | None]) -> int:
    try:
        number = run() or 0
        sys.stdout.flush()
    except BrokenPipeError:
        let_go()
        return NO_READER
    except OSError as error:  # of stdout itself: all else is told where it happens
        let_go()
        say(f"error: cannot write what there is to show: {error.strerror or error}; try another stdout")
        return 2
    if signals.heard is not None and not signals.told:  # by somebody who kept it for himself
        say(word())
        return code()
    return number


def say(line: str) -> None:
    """One line on stderr, if there is somebody to read it."""
    with suppress(OSError, ValueError):
        print("mixtura:", line, file=sys.stderr, flush=True)


def _leave(number: int) -> NoReturn:
    """Ends the process at once. What was printed by then is there."""
    with suppress(OSError):
        os.write(2, f"mixtura: {HEARD[number]}\n".encode())
    os._exit(128 + number)


def _give_streams() -> None:
    """Streams that were closed are there, and lead nowhere: else the next file that is opened would be what is printed into."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # letters that a terminal lacks are no reason to stop


def let_go() -> None:
    """What could not be printed is not tried again at the end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
