"""`mixtura fit --resume DIR`: the command line that a checkpoint was begun with, taken from the checkpoint.

The checkpoint may come from anywhere. What it says is shown before it runs, and it writes nowhere but where whoever resumes it expects:

    into the checkpoint's folder             always
    into mixtura-output, where one is now    where the checkpoint names no output, as `mixtura fit` does
    into any other folder                    where --output DIR is given again, beside --resume
"""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from mixtura.forms import exactly, listed, short, text

RESUME, CHECKPOINT, OUTPUT, BRIEFLY = "--resume", "--checkpoint", "--output", "-o"
WORDS = "mixtura.words"  # under which a context keeps what was typed
NOTE = exactly(words=listed(text), folder=text)


class Resumable(TyperCommand):
    """A command with --checkpoint, which --resume calls again as it was called, in the folder where it was."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words as they were typed, or those that the checkpoint tells."""
        if not any(word == RESUME or word.startswith(f"{RESUME}=") for word in args):
            ctx.meta[WORDS] = list(args)
            return super().parse_args(ctx, args)

        from mixtura.cli.telling import plain_failures

        with plain_failures():
            return self._resumed(ctx, *_asked(ctx, args))

    def _resumed(self, ctx: Any, folder: Path, output: str | None) -> list[str]:
        """The context has the parameters that the checkpoint notes, but for where it lies now, and where the model goes."""
        from mixtura.checkpoints import note_of
        from mixtura.cli.commands import Misuse
        from mixtura.cli.telling import line
        from mixtura.errors import FileError

        noted = note_of(folder)
        if not NOTE(noted):
            raise FileError(f"cannot resume {folder}: it was not begun by the command; try the same call in Python")
        words, here = noted["words"], Path.cwd()
        try:
            ctx.with_resource(contextlib.chdir(noted["folder"]))
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or error
            raise FileError(f"cannot resume {folder} in {noted['folder']}: {said}; try where the data are") from None
        ctx.meta[WORDS] = words
        try:
            rest = super().parse_args(ctx, list(words))
        except Misuse as error:
            raise FileError(f"cannot resume {folder}: its command is none ({short(error.message)}), expected that of a fit; try another") from None
        if ctx.params["resume"] is not None:
            raise FileError(f"cannot resume {folder}: its command resumes another, expected that of a fit; try another folder")
        ctx.params["checkpoint"] = folder
        ctx.params["output"] = _place(ctx, folder, here, output)
        line(f"resuming, in {noted['folder']}: {shlex.join(['mixtura', ctx.info_name, *words])}; the model goes to {ctx.params['output']}")
        return rest


def note(context: typer.Context) -> dict[str, Any]:
    """How the command that runs was called, and where: what a checkpoint needs to know to call it again."""
    return {"words": context.meta[WORDS], "folder": os.getcwd()}


def _asked(context: typer.Context, words: list[str]) -> tuple[Path, str | None]:
    """The folder of the checkpoint, and the output, if that is given. Raises ParameterError for any other word."""
    from mixtura.errors import ParameterError

    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        name = OUTPUT if name == BRIEFLY else name
        if name not in (RESUME, OUTPUT) or name in found or not (value or (not equals and (value := next(rest, "")))):
            raise ParameterError(
                f"{RESUME} stands alone: got {' '.join(words)!r}, expected {RESUME} DIR, and {OUTPUT} DIR at most, as the checkpoint knows the "
                f"rest; try mixtura {context.info_name} {RESUME} DIR"
            )
        found[name] = value
    return Path(found[RESUME]).absolute(), found.get(OUTPUT)


def _place(context: Any, folder: Path, here: Path, output: str | None) -> Path:
    """Where the model goes. Raises FileError where the checkpoint alone says so, and it is outside its folder."""
    from mixtura.errors import FileError

    if output is not None:
        return here / output
    stored = Path(context.params["output"])
    if context.get_parameter_source("output").name != "COMMANDLINE":
        return here / stored
    stored = Path.cwd() / stored
    if folder.resolve() in (stored.resolve(), *stored.resolve().parents):
        return stored
    raise FileError(
        f"cannot resume {folder}: its fit writes into {stored}, expected a folder within the checkpoint; if that is where the model should go, "
        f"try mixtura {context.info_name} {RESUME} {shlex.quote(str(folder))} {OUTPUT} {shlex.quote(str(stored))}"
    )
