"""What holds for the project as a whole: what importing costs, and what is exported. The manual has tests of its own."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import mixtura

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("sklearn", "pandas", "polars", "pyarrow", "matplotlib", "typer", "rich", "dask", "torch", "jinja2", "plotly")


def _imported_by(code: str) -> set[str]:
    listing = subprocess.run([sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in listing.stdout.split()}


@pytest.mark.smoke
@pytest.mark.parametrize("code", ["import mixtura", "import mixtura; mixtura.Mixture([1.0], [[0.0]], [[[1.0]]]).score([[0.0]])"])
def test_importing_and_using_the_core_leaves_heavy_libraries_alone(code: str) -> None:
    assert _imported_by(code).isdisjoint(HEAVY)


def test_the_estimator_and_selection_come_when_asked_for() -> None:
    assert "sklearn" in _imported_by("import mixtura; mixtura.GaussianMixture")
    assert "sklearn" not in _imported_by("import mixtura; mixtura.select")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mixtura.nonsense


@pytest.mark.smoke
def test_the_package_is_typed_and_knows_its_version() -> None:
    assert (Path(mixtura.__file__).parent / "py.typed").exists()
    assert f"## {mixtura.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    try:
        installed = importlib.metadata.version("mixtura")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("mixtura is used from its source, not installed")
    assert installed == mixtura.__version__
