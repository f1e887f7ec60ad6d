"""How the command tells errors and warnings: a line each on stderr, never a traceback.

exit code 0      done
exit code 2      what was asked cannot be done; the line says why
exit code 130    interrupted (Ctrl-C); `endings` has the other signals
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ParamSpec

import typer

from mixtura.cli.endings import NO_READER, code, let_go, say, signals, word
from mixtura.errors import InterruptionWarning, MixturaError, MixturaWarning, WorkerError
from mixtura.terminal import visible

LONGEST = 4_000  # characters of a line
P = ParamSpec("P")


def plainly(command: Callable[P, None], *needed: str) -> Callable[P, None]:
    """The command with whatever a user, a file or the machine can do to it told in one line; the modules that it needs are imported before."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        with plain_failures():
            for name in needed:  # an interrupt within an import, or within C that imports, ends as whatever the library makes of it
                import_module(name)
            with signals.raising(), _one_line_a_warning():
                command(*args, **kwargs)

    return told


@contextmanager
def plain_failures() -> Iterator[None]:
    """Ends the command with a line and an exit code, whatever a user, a file or the machine does to it."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        _end(word(), code())
    except BrokenPipeError:
        let_go()
        raise typer.Exit(NO_READER) from None
    except WorkerError as error:  # a signal to all processes of a group ends those that worked for this one, too
        _end(f"error: {error}" if signals.heard is None else word(), 2 if signals.heard is None else code())
    except MixturaError as error:
        _end(f"error: {error}", 2)
    except OSError as error:
        _end(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""), 2)
    except MemoryError as error:
        _end(f"error: out of memory: {error}; try fewer rows or columns, or float32", 2)


@contextmanager
def _one_line_a_warning() -> Iterator[None]:
    """Mixtura's own warnings, each once; others are left to Python."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=MixturaWarning)
        others, said = warnings.showwarning, set[str]()

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, MixturaWarning):
                others(message, category, *place, **more)
            elif str(message) not in said:
                said.add(str(message))
                line(f"warning: {message}")
                signals.told |= issubclass(category, InterruptionWarning)

        warnings.showwarning = show
        yield


def _end(message: str, code: int) -> None:
    signals.told = True
    line(message)
    raise typer.Exit(code) from None


def line(message: str) -> None:
    """One line on stderr that steers no terminal; the middle of a very long one is left out."""
    message = visible(" ".join(message.split()))
    say(message if len(message) <= LONGEST else f"{message[: LONGEST * 3 // 4]} ... {message[-LONGEST // 4 :]}")
