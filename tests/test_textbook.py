"""The textbook's program: it is the one that its page shows, it does what the formulas say, and it runs on any table."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from cases import DATA, reference, textbook

import mixtura

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "examples" / "gmm_by_gradient.py"
PAGE = ROOT / "docs" / "textbook-loop.md"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gmm_by_gradient", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_opens_with_the_program_itself() -> None:
    first = re.search(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert first and first[1].strip() in PROGRAM.read_text()
    assert "class GaussianMixtureByGradient" in first[1]


def test_each_epoch_is_a_step_of_a_thousandth_along_the_gradients(program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """The same by the formulas, in plain NumPy."""
    rows, n_class, n_epochs = reference("iris"), 3, 40
    model = program.GaussianMixtureByGradient(n_class, n_epochs).fit(rows)
    X = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    n, weights, means, covariances = len(X), np.full(n_class, 1 / n_class), X[:n_class].copy(), np.stack([np.eye(X.shape[1])] * n_class)
    lines = []
    for epoch in range(1, n_epochs + 1):
        log_density, r = textbook(mixtura.Mixture(weights, means, covariances), X)
        lines.append((epoch, log_density.sum() - n * np.log(rows.std(axis=0)).sum()))
        for k in range(n_class):
            diff, precision = X - means[k], np.linalg.inv(covariances[k])
            scatter = (r[:, k, None] * diff).T @ diff
            means[k] += 1e-3 * precision @ (r[:, k] @ diff) / n
            covariances[k] += 1e-3 * precision @ (scatter - r[:, k].sum() * covariances[k]) @ precision / (2 * n)
        weights += 1e-3 * (r.mean(axis=0) - weights)
    np.testing.assert_allclose(model.class_prob, weights, rtol=1e-12)
    np.testing.assert_allclose(model.mus, means, rtol=1e-10)
    np.testing.assert_allclose(model.vars, covariances, rtol=1e-10)
    printed = re.findall(r"^epoch +(\d+)   log-likelihood (\S+)$", capsys.readouterr().out, re.MULTILINE)
    np.testing.assert_allclose(np.array(printed, dtype=float), lines, atol=6e-5)


def test_its_parts_can_be_asked_one_by_one(program: ModuleType) -> None:
    model = program.GaussianMixtureByGradient(n_class=2, n_epochs=0).fit(reference("faithful"))
    posterior = model.e_step()
    assert posterior.shape == (272, 2) and np.allclose(posterior.sum(axis=1), 1)
    steps = list(model.m_step(posterior))
    assert [np.shape(part) for part in steps[0]] == [(), (2,), (2, 2)]
    surely = list(model.m_step(np.eye(2)[posterior.argmax(axis=1)]))  # any posterior will do
    assert surely[0][0] == np.mean(posterior.argmax(axis=1) == 0) - model.class_prob[0]


def test_it_runs_from_a_shell_on_any_table() -> None:
    words = [DATA / "banknote.csv", "--columns", "Bottom,Diagonal", "--n-class", "3", "--n-epochs", "25", "--every", "10"]
    done = subprocess.run([sys.executable, PROGRAM, *words], capture_output=True, encoding="utf-8", check=True)
    climbed = [float(value) for value in re.findall(r"log-likelihood (\S+)", done.stdout)]
    assert len(climbed) == 3 and climbed == sorted(climbed)  # epochs 10, 20 and the last
    assert len(re.findall(r"^class \d   probability \S+   Bottom .*, Diagonal ", done.stdout, re.MULTILINE)) == 3


REFUSED: dict[str, tuple[str, list[str], str]] = {
    "a constant column": ("a,b\n1,2\n2,2\n3,2\n", [], "a column holds one value: b; name the others with --columns"),
    "a missing value": ("a,b\n1,2\n,3\n2,5\n", [], "a value is not finite"),
    "fewer rows than classes": ("a\n1\n2\n", ["--n-class", "3"], "means do not fit the weights"),
    "too long a step": ("a\n1\n2\n9\n", ["--n-epochs", "500", "--learning-rate", "5"], r"try .*, or a smaller --learning-rate$"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_cannot_do_it_says_in_a_line(case: str, program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, words, message = REFUSED[case]
    (tmp_path / "rows.csv").write_text(text)
    monkeypatch.setattr(sys, "argv", [PROGRAM.name, str(tmp_path / "rows.csv"), *words])
    with pytest.raises(SystemExit, match=message) as ended:
        program.main()
    assert "\n" not in str(ended.value)
