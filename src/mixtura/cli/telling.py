"""How the command tells errors and warnings: a line each on stderr, never a traceback.

exit code 0      done
exit code 2      what was asked cannot be done; the line says why
exit code 130    interrupted (Ctrl-C)
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec

import typer

from mixtura.errors import MixturaError, MixturaWarning

P = ParamSpec("P")


def plainly(command: Callable[P, None]) -> Callable[P, None]:
    """The command with whatever a user, a file or the machine can do to it told in one line."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        with plain_failures(), _one_line_a_warning():
            command(*args, **kwargs)

    return told


@contextmanager
def plain_failures() -> Iterator[None]:
    """Ends the command with a line and an exit code, whatever a user, a file or the machine does to it."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has gone: typer ends quietly
    except MixturaError as error:
        _end(f"error: {error}", 2)
    except OSError as error:
        _end(f"error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""), 2)
    except MemoryError as error:
        _end(f"error: out of memory: {error}; try fewer rows or columns, or float32", 2)
    except KeyboardInterrupt:
        _end("interrupted", 130)


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
                _line(f"warning: {message}")

        warnings.showwarning = show
        yield


def _end(message: str, code: int) -> None:
    _line(message)
    raise typer.Exit(code) from None


def _line(message: str) -> None:
    print("mixtura:", " ".join(message.split()), file=sys.stderr)
