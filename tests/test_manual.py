"""The manual tells everything: every page is reached, every command and option is told, every public name has its place, words and an example.

Public is what `mixtura` and these of its modules list in `__all__`, and what the reference shows: `rules`, `families`, `errors`, `selection`,
`likelihood_ratio`, `explaining`, `plots`, `report`. Of these

- every one has a docstring of its own;
- every class and function has an example in it that runs, and so has every method that the reference shows and that takes an argument.

Properties, and methods that need nothing but their object, are told by the example of the class or by their one sentence. So is an abstract class
whole, whose methods mean something together. What overrides a method keeps the promise of the one that it overrides: the example stands there.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main
import yaml

import mixtura
import mixtura.explaining
import mixtura.families
import mixtura.likelihood_ratio
import mixtura.plots
import mixtura.report
import mixtura.rules
import mixtura.selection
from mixtura.cli import app

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MODULES = (
    mixtura,
    mixtura.explaining,
    mixtura.plots,
    mixtura.report,
    mixtura.rules,
    mixtura.families,
    mixtura.errors,
    mixtura.selection,
    mixtura.likelihood_ratio,
)
BLOCK = re.compile(r"^::: (mixtura[\w.]*)\n((?: {4}.*\n)*)", re.MULTILINE)
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def _script(path: Path) -> Any:
    """A script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# pages


def test_the_picture_of_the_readme_is_drawn_by_its_script(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    _script(DOCS / "pictures" / "readme.py").picture(tmp_path / "readme.png")
    assert (tmp_path / "readme.png").read_bytes()[:4] == b"\x89PNG"
    assert "(docs/pictures/readme.png)" in (ROOT / "README.md").read_text()


def test_the_tree_of_errors_is_that_of_the_module() -> None:
    tree = mixtura.errors.__doc__.split("\n\n", 1)[1].rstrip()
    assert f"```text\n{tree}\n```" in (DOCS / "api-errors.md").read_text()


def _nav(entries: Any) -> Iterator[str]:
    for entry in entries:
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            if isinstance(target, str):
                yield target
            else:
                yield from _nav(target)


def test_the_nav_has_every_page_once() -> None:
    pages = list(_nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(pages) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_pages_fetch_nothing_from_elsewhere() -> None:
    """A page may link elsewhere; it may not load a picture, a script or a font from there."""
    for path in [*DOCS.rglob("*.md"), *DOCS.rglob("*.css"), *DOCS.rglob("*.svg")]:
        loaded = re.findall(r"!\[[^\]]*\]\(https?:|(?:src|href)=[\"']?https?:|url\([\"']?https?:|@import", path.read_text())
        assert not loaded, path
    assert yaml.safe_load((ROOT / "mkdocs.yml").read_text())["theme"]["font"] is False


def test_figures_of_speed_in_the_readme_are_those_of_the_benchmarks() -> None:
    """Each row of the table stands in benchmarks/README.md, as one case of full covariances in float64."""
    measured = (ROOT / "benchmarks" / "README.md").read_text()
    full = measured[measured.index("One EM iteration, full covariances") : measured.index("One EM iteration, diag covariances")]
    cases = [line.replace("|", " ").split() for line in full.splitlines() if " float64 |" in line]
    known = {tuple(case[:3]): (case[5], case[7], case[8], case[13], case[14]) for case in cases}
    rows = re.findall(r"^\| (\d+) x (\d+), (\d+) \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) >= 4
    for *case, figures in rows:
        assert tuple(figures.replace(" times", "").split(" | ")) == known[tuple(case)]


# commands


def test_the_command_reference_is_what_the_command_tells() -> None:
    """Run `python docs/command_reference.py` after any change of the command."""
    assert (DOCS / "command-reference.md").read_text() == _script(DOCS / "command_reference.py").page()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_shown_and_every_option_told(name: str) -> None:
    assert re.search(rf"^## mixtura {name}\b", (DOCS / "command.md").read_text(), re.MULTILINE), f"docs/command.md says nothing of {name}"
    reference = (DOCS / "command-reference.md").read_text()
    section = re.search(rf"^## mixtura {name}$.*?(?=^## |\Z)", reference, re.MULTILINE | re.DOTALL)
    assert section, f"docs/command-reference.md says nothing of {name}"
    assert COMMANDS[name].help
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name} has no help"
        assert parameter.help in section[0]
        for option in [*parameter.opts, *parameter.secondary_opts]:
            assert not option.startswith("--") or f"`{option}" in section[0], f"the reference says nothing of {name} {option}"


# names


def _found(path: str) -> Any:
    """The object of a dotted path."""
    parts = path.split(".")
    for stop in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:stop]))
        except ModuleNotFoundError:
            continue
        for part in parts[stop:]:
            found = inspect.getattr_static(found, part) if inspect.isclass(found) else getattr(found, part)
        return found
    raise AssertionError(path)


def _shown() -> dict[str, list[str] | None]:
    """What the reference shows: paths, and which of their members (None is all)."""
    shown = {}
    for page in sorted(DOCS.glob("api*.md")):
        for path, options in BLOCK.findall(page.read_text()):
            members = (yaml.safe_load(options) or {}).get("options", {}).get("members") if options else None
            shown[path] = members
    return shown


SHOWN = _shown()


def _public() -> dict[str, Any]:
    """Public names that are no modules, by where they are listed."""
    names = {f"{module.__name__}.{name}": getattr(module, name) for module in MODULES for name in getattr(module, "__all__", _classes(module))}
    return {path: found for path, found in names.items() if not inspect.ismodule(found)}


def _classes(module: ModuleType) -> list[str]:
    return [name for name, found in vars(module).items() if inspect.isclass(found) and found.__module__ == module.__name__]


PUBLIC = _public()


def _methods(cls: type, members: list[str] | None) -> Iterator[tuple[str, Any]]:
    """The methods that the reference shows of a class, as functions, with their names; of its own and those it inherits from ours."""
    names = members if members is not None else [name for name in vars(cls) if not name.startswith("_")]
    for name in names:
        found = inspect.getattr_static(cls, name)
        function = found.__func__ if isinstance(found, classmethod | staticmethod) else found
        if inspect.isfunction(function):
            yield name, function


def _needs_an_example(cls: type, name: str, function: Any) -> bool:
    arguments = [one for one in inspect.signature(function).parameters if one not in ("self", "cls")]
    overrides = any(name in vars(base) for base in cls.__mro__[1:] if base.__module__.startswith("mixtura"))
    return bool(arguments) and not (overrides and name in vars(cls))


SHOWN_OBJECTS = {path: _found(path) for path in SHOWN}
CLASSES_AND_FUNCTIONS = {path: found for path, found in {**PUBLIC, **SHOWN_OBJECTS}.items() if inspect.isclass(found) or inspect.isfunction(found)}
METHODS = {
    f"{path}.{name}": function
    for path, found in SHOWN_OBJECTS.items()
    if inspect.isclass(found) and not inspect.isabstract(found)
    for name, function in _methods(found, SHOWN[path])
    if _needs_an_example(found, name, function)
}


@pytest.mark.parametrize("path", PUBLIC)
def test_every_public_name_is_in_the_reference(path: str) -> None:
    assert path in SHOWN or any(one is PUBLIC[path] for one in SHOWN_OBJECTS.values())


@pytest.mark.parametrize("path", CLASSES_AND_FUNCTIONS)
def test_every_class_and_function_has_an_example(path: str) -> None:
    found = CLASSES_AND_FUNCTIONS[path]
    own = vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__
    assert own and ">>> " in own


@pytest.mark.parametrize("path", METHODS)
def test_every_method_that_takes_an_argument_has_an_example(path: str) -> None:
    assert METHODS[path].__doc__ and ">>> " in METHODS[path].__doc__


@pytest.mark.parametrize("path", [path for path, found in SHOWN_OBJECTS.items() if inspect.isclass(found)])
def test_every_member_has_a_docstring(path: str) -> None:
    cls = SHOWN_OBJECTS[path]
    for name in SHOWN[path] if SHOWN[path] is not None else [name for name in vars(cls) if not name.startswith("_")]:
        found = inspect.getattr_static(cls, name)
        if callable(found) or isinstance(found, property | classmethod | staticmethod | cached_property):
            assert inspect.getdoc(found), f"{path}.{name}"
