"""What holds for the project as a whole: what importing costs, what is exported and documented, what the command offers."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import mixtura
from mixtura.cli import app

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("sklearn", "pandas", "polars", "pyarrow", "matplotlib", "typer", "rich", "dask", "torch", "jinja2", "plotly")
NOT_IN_THE_REFERENCE = {"errors", "explaining", "families", "report", "rules"}  # modules; what they hold is there by name


def _imported_by(code: str) -> set[str]:
    listing = subprocess.run([sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in listing.stdout.split()}


@pytest.mark.parametrize("code", ["import mixtura", "import mixtura; mixtura.Mixture([1.0], [[0.0]], [[[1.0]]]).score([[0.0]])"])
def test_importing_and_using_the_core_leaves_heavy_libraries_alone(code: str) -> None:
    assert _imported_by(code).isdisjoint(HEAVY)


def test_the_estimator_and_selection_come_when_asked_for() -> None:
    assert "sklearn" in _imported_by("import mixtura; mixtura.GaussianMixture")
    assert "sklearn" not in _imported_by("import mixtura; mixtura.select")


@pytest.mark.parametrize("name", mixtura.__all__)
def test_every_exported_name_exists_and_is_in_the_reference(name: str) -> None:
    assert getattr(mixtura, name) is not None
    reference = (ROOT / "docs" / "api.md").read_text()
    assert name in NOT_IN_THE_REFERENCE or re.search(rf"^::: mixtura\.(\w+\.)*{name}$", reference, re.MULTILINE)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mixtura.nonsense


def test_the_package_is_typed_and_knows_its_version() -> None:
    assert (Path(mixtura.__file__).parent / "py.typed").exists()
    assert f"## {mixtura.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    try:
        installed = importlib.metadata.version("mixtura")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("mixtura is used from its source, not installed")
    assert installed == mixtura.__version__


COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help_and_is_documented(name: str) -> None:
    command = COMMANDS[name]
    page = (ROOT / "docs" / "command.md").read_text()
    section = re.search(rf"^## mixtura {name}\b.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"docs/command.md says nothing of {name}"
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name} has no help"
        for option in parameter.opts:
            assert not option.startswith("--") or f"`{option}" in section[0], f"docs/command.md says nothing of {name} {option}"
