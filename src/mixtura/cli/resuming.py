"""`mixtura fit --resume DIR`: the command line that a checkpoint was begun with, taken from the checkpoint."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

RESUME, CHECKPOINT = "--resume", "--checkpoint"
WORDS = "mixtura.words"  # under which a context keeps what was typed


class Resumable(TyperCommand):
    """A command with --checkpoint, which --resume calls again as it was called, in the folder where it was."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The words as they were typed, or those that the checkpoint tells."""
        if any(word == RESUME or word.startswith(f"{RESUME}=") for word in args):
            args = _resumed(ctx, args)
        ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, args)


def note(context: typer.Context) -> dict[str, Any]:
    """How the command that runs was called, and where: what a checkpoint needs to know to call it again."""
    return {"words": context.meta[WORDS], "folder": os.getcwd()}


def _resumed(context: typer.Context, words: list[str]) -> list[str]:
    from mixtura.checkpoints import note_of
    from mixtura.cli.telling import plain_failures
    from mixtura.errors import FileError, ParameterError

    with plain_failures():
        joined = words[0].partition("=")[2] if len(words) == 1 else words[1] if len(words) == 2 and words[0] == RESUME else ""
        if not joined:
            raise ParameterError(
                f"{RESUME} stands alone: got {' '.join(words)!r}, expected {RESUME} DIR and nothing else, as the checkpoint knows the rest; "
                f"try mixtura {context.info_name} {RESUME} DIR"
            )
        folder = Path(joined).absolute()
        noted = note_of(folder)
        if not isinstance(noted, dict) or "words" not in noted:
            raise FileError(f"cannot resume {folder}: it was not begun by the command; try the same call in Python")
        try:
            context.with_resource(contextlib.chdir(noted["folder"]))
        except OSError as error:
            raise FileError(f"cannot resume {folder} in {noted['folder']}: {error.strerror or error}; try where the data are") from None
    return [*_without_checkpoint(noted["words"]), CHECKPOINT, str(folder)]


def _without_checkpoint(words: list[str]) -> list[str]:
    """The words but for where the checkpoint was: it may have been moved."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == CHECKPOINT:
            next(rest)
        elif not word.startswith(f"{CHECKPOINT}="):
            kept.append(word)
    return kept
