"""Writes command-reference.md from the command itself: `python docs/command_reference.py`. A test holds the two together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer.main

from mixtura.cli import app

PAGE = Path(__file__).with_name("command-reference.md")
HEAD = """# Command reference

Every command and every option, as the command itself tells them: this page is written by `docs/command_reference.py`.
[The command](command.md) shows them at work. `--help` after any of them tells the same in the terminal.
"""


def page() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    return "\n".join(
        [
            HEAD,
            "## mixtura",
            "",
            *_told(root, "mixtura COMMAND"),
            *(line for name in sorted(root.commands) for line in _section(root.commands[name], name)),
        ]
    )


def _section(command: Any, name: str) -> list[str]:
    arguments = [one.metavar or one.name.upper() for one in command.params if not _is_option(one)]
    return [f"## mixtura {name}", "", *_told(command, " ".join(["mixtura", name, *arguments, "[OPTIONS]"]))]


def _told(command: Any, usage: str) -> list[str]:
    """What it does, how it is called, and with what."""
    rows = [_row(one) for one in sorted(command.params, key=_is_option) if not getattr(one, "hidden", False)]
    help_text = "\n".join(line.strip() for line in command.help.splitlines())
    return [help_text, "", f"    {usage}", "", "| Option | Meaning | Default |", "|---|---|---|", *rows, ""]


def _row(one: Any) -> str:
    names = [one.metavar or one.name.upper()] if not _is_option(one) else [*one.opts, *one.secondary_opts]
    shown = ", ".join(f"`{name} {one.metavar}`" if one.metavar and _is_option(one) else f"`{name}`" for name in names)
    default = "required" if one.required else "" if one.default is None or one.default is False or not one.show_default else f"`{one.default}`"
    return f"| {shown} | {one.help} | {default} |".replace("|  |", "| |")


def _is_option(one: Any) -> bool:
    return bool(one.opts[0].startswith("-"))


if __name__ == "__main__":
    PAGE.write_text(page())
