"""The command: what it writes, what it prints, and that the same question has the same answer."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer.main
from typer.testing import CliRunner

import mixtura
from mixtura.cli import app, options
from mixtura.errors import ParameterError
from mixtura.sources import files

HERE = Path(__file__).parent
FAITHFUL = HERE.parent / "examples" / "old_faithful.csv"
COMMANDS = ("fit", "select", "predict", "sample", "show", "test")
COMMANDS_OF_TYPER = typer.main.get_command(app).commands


def run(*words, width=120):
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": str(width)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def done(*words, width=120):
    result = run(*words, width=width)
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder that `fit` wrote, and what it printed."""
    folder = tmp_path_factory.mktemp("fitted") / "model"
    return folder, done("fit", FAITHFUL, "--components", "1:4", "--family", "full,EEE,EEI", "--output", folder)


@pytest.fixture(scope="module")
def model(fitted):
    return fitted[0]


@pytest.fixture(scope="module")
def summary(model):
    return json.loads((model / "summary.json").read_text())


def test_fit_picks_the_best_and_writes_it(model, summary):
    mixture, metadata = mixtura.Mixture.load_with_metadata(model / "model.safetensors")
    assert (mixture.K, mixture.family.code) == (3, "EEE")
    assert metadata["bic"] >= -2314.30
    assert metadata["columns"] == ["eruptions", "waiting"]
    assert metadata["bic"] == pytest.approx(2 * metadata["log_likelihood"] - metadata["n_parameters"] * np.log(metadata["n_rows"]))
    assert metadata["log_likelihood"] == pytest.approx(272 * mixture.score(mixtura.open(FAITHFUL)))
    assert metadata["history"][-1] == pytest.approx(metadata["log_likelihood"] / 272)
    assert set(metadata["versions"]) == {"mixtura", "numpy", "python"}
    assert metadata["settings"]["n_components"] == [1, 2, 3, 4]
    assert summary["best"] == summary["candidates"][0]
    assert summary["best"]["bic"] == metadata["bic"]
    assert summary["best"].items() <= metadata.items()


def test_the_summary_ranks_every_candidate(summary):
    assert len(summary["candidates"]) == 12
    assert {(one["components"], one["code"]) for one in summary["candidates"]} == {(K, code) for K in range(1, 5) for code in ("VVV", "EEE", "EEI")}
    regular = [one["bic"] for one in summary["candidates"] if one["status"] not in ("spurious", "too few rows")]
    assert regular == sorted(regular, reverse=True)


def test_fit_tells_what_it_did(fitted):
    folder, result = fitted
    assert "272 rows, 2 columns: eruptions, waiting" in result.stdout
    assert "the best 10 of 12 candidates, ranked by BIC: larger is better, as in mclust" in result.stdout
    assert "3 components, family tied (EEE)" in result.stdout
    assert f"written to {folder}: model.safetensors, summary.json" in result.stdout
    assert len(result.stderr.splitlines()) == 12  # progress: one plain line a candidate
    assert result.stderr.splitlines()[0].startswith(" 1/12  1 component, tied_diag: epoch ")


def test_the_same_seed_gives_the_same_files(model, tmp_path):
    again = tmp_path / "again"
    done("fit", FAITHFUL, "--components", "1:4", "--family", "VVV,tied,tied_diag", "--output", again, "--threads", "1", "--seed", "0")
    assert mixtura.Mixture.load(again / "model.safetensors").means.tolist() == mixtura.Mixture.load(model / "model.safetensors").means.tolist()
    assert (again / "summary.json").read_text() == (model / "summary.json").read_text()
    before = (again / "model.safetensors").read_bytes()
    done("fit", FAITHFUL, "--components", "1:4", "--family", "VVV,tied,tied_diag", "--output", again, "--quiet")
    assert (again / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("suffix", [".tsv", ".parquet", ".feather", ".npy"])
def test_every_format_gives_the_same_fit(model, tmp_path, suffix):
    data = pd.read_csv(FAITHFUL)
    files.write(tmp_path / f"data{suffix}", {name: data[name].to_numpy() for name in data})
    done("fit", tmp_path / f"data{suffix}", "--components", "1:4", "--family", "full,EEE,EEI", "--output", tmp_path / "out", "--quiet")
    ours, theirs = (mixtura.Mixture.load(folder / "model.safetensors") for folder in (tmp_path / "out", model))
    np.testing.assert_array_equal(ours.covariances, theirs.covariances)


@pytest.mark.parametrize("rule", list(mixtura.rules.RULES))
def test_every_rule_fits_and_is_offered(tmp_path, rule):
    done("fit", FAITHFUL, "--components", "2", "--family", "full", "--rule", rule, "--output", tmp_path)
    best = json.loads((tmp_path / "summary.json").read_text())["best"]
    assert abs(best["log_likelihood"] + 1130.26) < 1
    assert rule in next(one.help for one in COMMANDS_OF_TYPER["fit"].params if one.name == "rule")


def test_columns_criterion_and_rule_are_obeyed(tmp_path):
    words = ("--components", "2", "--family", "full", "--criterion", "aic", "--rule", "gradient", "--learning-rate", "0.5", "--max-iter", "20")
    done("fit", FAITHFUL, "--columns", "waiting", *words, "--output", tmp_path / "deep" / "er", "--quiet")
    mixture, metadata = mixtura.Mixture.load_with_metadata(tmp_path / "deep" / "er" / "model.safetensors")
    assert metadata["columns"] == ["waiting"]
    assert metadata["criterion"] == "aic"
    assert metadata["settings"]["rule"] == "gradient"
    assert mixture.means.shape == (2, 1)


def test_quiet_is_quiet_and_json_is_json(tmp_path):
    words = ("fit", FAITHFUL, "--components", "2", "--family", "full", "--output", tmp_path / "out")
    assert done(*words, "--quiet").output == ""
    assert json.loads(done(*words, "--json").stdout) == json.loads((tmp_path / "out" / "summary.json").read_text())


def test_skipped_columns_are_told(tmp_path):
    data = pd.read_csv(FAITHFUL).assign(note="calm", when="2020-01-01")
    data.to_csv(tmp_path / "data.csv")
    result = done("fit", tmp_path / "data.csv", "--components", "2", "--family", "full", "--output", tmp_path / "out")
    assert "272 rows, 2 columns: eruptions, waiting" in result.stdout
    assert "skipped, not numeric: (no name), note, when" in result.stdout


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit_the_terminal(tmp_path, width):
    generator = np.random.default_rng(0)
    names = [f"[bold]{'long ' * 9}{j}" if j % 5 == 0 else f"x{j}" for j in range(30)]
    rows = generator.normal(size=(300, 30)) + np.repeat(np.arange(3.0), 100)[:, None] * 9
    files.write(tmp_path / "data.csv", {name: rows[:, j] * 10.0 ** (j % 15 - 7) for j, name in enumerate(names)})
    result = done("fit", tmp_path / "data.csv", "--components", "1:3", "--family", "usual", "--output", tmp_path / "out", width=width)
    tables = result.stdout.split("candidates, ranked by BIC")[1].split("written to")[0]
    assert max(map(len, tables.splitlines())) <= width
    assert "BIC" in tables
    assert "[bold]" in tables
    assert "and 6 more columns, in mixtura show" in tables
    assert done("show", tmp_path / "out", width=width).stdout.count("x29") >= 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather"])
def test_predict_answers_as_the_mixture_does(model, tmp_path, suffix):
    data = pd.read_csv(FAITHFUL)
    data.assign(other="x", more=1)[["other", "waiting", "more", "eruptions"]].to_csv(tmp_path / "shuffled.csv", index=False)
    result = done("predict", model, tmp_path / "shuffled.csv", "--output", tmp_path / f"out{suffix}")
    assert result.stdout.startswith("272 rows written to ")
    columns, rows, _ = files.read(tmp_path / f"out{suffix}")
    mixture = mixtura.Mixture.load(model / "model.safetensors")
    assert columns == ("component", "probability", "log_density")
    np.testing.assert_array_equal(rows[:, 0], mixture.assign(data))
    np.testing.assert_allclose(rows[:, 1], mixture.posterior(data).max(axis=1), rtol=1e-12)
    np.testing.assert_allclose(rows[:, 2], mixture.log_density(data), rtol=1e-12)


def test_sample_draws_under_the_columns_names(model, tmp_path):
    one, same, other = (tmp_path / f"{name}.parquet" for name in ("one", "same", "other"))
    for path, seed in ((one, 1), (same, 1), (other, 2)):
        done("sample", model / "model.safetensors", "--rows", 50, "--output", path, "--seed", seed)
    assert one.read_bytes() == same.read_bytes() != other.read_bytes()
    columns, rows, _ = files.read(one)
    assert columns == ("eruptions", "waiting", "component")
    drawn, component = mixtura.Mixture.load(model / "model.safetensors").sample(50, 1)
    np.testing.assert_array_equal(rows, np.column_stack([drawn, component]))


def test_a_model_without_columns_takes_and_gives_numbered_ones(tmp_path):
    mixtura.Mixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [1.0, 1.0], "spherical").save(tmp_path / "m.safetensors")
    done("sample", tmp_path / "m.safetensors", "--rows", 5, "--output", tmp_path / "rows.csv")
    assert files.read(tmp_path / "rows.csv").columns == ("x0", "x1", "component")
    done("predict", tmp_path / "m.safetensors", FAITHFUL, "--output", tmp_path / "out.csv")
    assert "2 components, family spherical (VII)" in done("show", tmp_path / "m.safetensors").stdout


def test_a_column_called_component_is_kept_apart(tmp_path):
    mixtura.Mixture([1.0], [[7.0]], [1e-12], "spherical").save(tmp_path / "m.safetensors", {"columns": ["component"]})
    done("sample", tmp_path / "m.safetensors", "--rows", 2, "--output", tmp_path / "rows.csv")
    columns, rows, _ = files.read(tmp_path / "rows.csv")
    assert columns == ("component", "component of mixture")
    np.testing.assert_allclose(rows[:, 0], 7, atol=1e-4)


def test_show_tells_the_model(model):
    text = done("show", model).stdout
    assert "3 components, family tied (EEE), fitted to 272 rows" in text
    assert re.search(r"^BIC -2314\.30, ICL -2358\.\d\d, AIC -2274\.63, loglik -1126\.32, 11 parameters$", text, re.MULTILINE)
    told = json.loads(done("show", model, "--json").stdout)
    mixture, metadata = mixtura.Mixture.load_with_metadata(model / "model.safetensors")
    np.testing.assert_array_equal(told["covariances"], mixture.covariances)
    assert told["history"] == metadata["history"]


@pytest.mark.parametrize(("text", "numbers"), [("3", (3,)), ("1:4", (1, 2, 3, 4)), ("2,4,6", (2, 4, 6)), ("6, 1:2,2", (1, 2, 6)), ("5:5", (5,))])
def test_components_are_read(text, numbers):
    assert options.components(text) == numbers


@pytest.mark.parametrize("text", ["", "0", "-1", "3:1", "1:", ":3", "1:2:3", "a", "2,,3", "1.5", "0:3", "9" * 30])
def test_malformed_components_are_refused(text):
    with pytest.raises(ParameterError, match="--components"):
        options.components(text)


def test_no_command_at_all_shows_the_commands():
    assert all(command in run().output for command in COMMANDS)


def test_the_module_is_the_command():
    told = subprocess.run([sys.executable, "-m", "mixtura", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"mixtura {mixtura.__version__}\n"


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_sees_bars(tmp_path):
    leader, follower = os.openpty()
    words = ["fit", str(FAITHFUL), "--components", "1:3", "--output", str(tmp_path / "out")]
    with subprocess.Popen([sys.executable, "-m", "mixtura", *words], stderr=follower, stdout=subprocess.PIPE, text=True) as process:
        os.close(follower)
        drawn = b"".join(iter(lambda: _read(leader), b"")).decode()
        assert process.stdout is not None
        assert "42 candidates" in process.stdout.read()
    os.close(leader)
    assert process.returncode == 0
    assert all(word in drawn for word in ("grid", "epochs", "/42", "/1000", "per row"))
    assert "\x1b[?25h" in drawn  # the cursor is back


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that nobody writes any more
        return b""


GRID = ("--components", "1:3", "--family", "full,EEE,VEV")


@pytest.fixture(scope="module")
def selection():
    return mixtura.select(FAITHFUL, [1, 2, 3], ["full", "EEE", "VEV"], random_state=0)


def test_select_shows_the_map_and_the_ranking(selection):
    result = done("select", FAITHFUL, *GRID)
    data, _, what, shades, _, header, *rows = result.stdout.splitlines()
    assert data == "272 rows, 2 columns: eruptions, waiting"
    assert what == "how far the BIC is below the highest"
    assert shades == "█ best quarter, ░ poorest"
    assert header.split() == ["components", "EEE", "VEV", "VVV"]
    for K, row in enumerate(rows[:3], 1):
        assert row.split()[0] == str(K)
        for one, cell in zip([one for one in selection.cells if one.components == K], (row[11 + 5 * j : 15 + 5 * j] for j in range(3)), strict=True):
            best = selection.ranking[0]
            assert cell == ("best" if one is best else cell[0] + f"{best.bic - one.bic:.{int(best.bic - one.bic < 9.95)}f}".rjust(3))
            assert cell[0] in "█▓▒░b"
    assert "9 candidates, ranked by BIC: larger is better, as in mclust" in result.stdout
    assert [line.split()[2] for line in result.stdout.splitlines()[-9:]] == [one.family.code for one in selection.ranking]
    assert len(result.stderr.splitlines()) == 9


def test_colours_replace_shades_where_there_are_colours(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    text = done("select", FAITHFUL, *GRID, "--quiet").stdout + done("select", FAITHFUL, *GRID).stdout
    assert "yellow best quarter, violet poorest" in text
    assert not set("█▓▒░") & set(text)
    assert len(re.findall(r"\x1b\[[0-9;]*48;5;", text)) >= 9


def test_plain_letters_where_the_terminal_knows_no_others():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "60"}
    words = [sys.executable, "-m", "mixtura", "select", str(FAITHFUL), *GRID]
    text = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout
    assert "# best quarter, none poorest" in text


@pytest.mark.parametrize("criterion", ["bic", "icl", "aic", "held_out"])
@pytest.mark.parametrize("command", ["fit", "select"])
def test_every_criterion_ranks(tmp_path, command, criterion):
    output = tmp_path / ("out" if command == "fit" else "out.json")
    result = done(command, FAITHFUL, *GRID, "--criterion", criterion, "--folds", 3, "--output", output)
    summary = json.loads((output / "summary.json" if command == "fit" else output).read_text())
    selection = mixtura.select(FAITHFUL, [1, 2, 3], ["full", "EEE", "VEV"], criterion=criterion, folds=3, random_state=0)
    assert summary["criterion"] == criterion
    assert [(one["components"], one["family"]) for one in summary["candidates"]] == [one.cell for one in selection.ranking]
    assert summary["best"][criterion] == pytest.approx(getattr(selection.ranking[0], criterion))
    named = {"held_out": "held-out log density per row: larger is better"}.get(criterion, f"{criterion.upper()}: larger is better, as in mclust")
    assert f"9 candidates, ranked by {named}" in result.stdout
    assert len(result.stderr.splitlines()) == (36 if criterion == "held_out" else 9)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_select_fits_the_terminal(width):
    lines = done("select", FAITHFUL, "--components", "1:2", "--family", "all", "--criterion", "icl", width=width).stdout.splitlines()
    pieces = [line.split()[1:] for line in lines if line.startswith("components") and "family" not in line]
    assert [code for piece in pieces for code in piece] == [family.code for family in mixtura.families.ALL]
    assert len(pieces) == (2 if width == 60 else 1)
    assert max(len(line.rstrip()) for line in lines[5:] if "ranked" not in line) <= width
    assert "ICL" in next(line for line in lines if "family" in line)  # what ranks is never left out


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".feather", ".arrow"])
def test_select_writes_its_table(tmp_path, selection, suffix):
    path = tmp_path / f"table{suffix}"
    assert f"written to {path}" in done("select", FAITHFUL, *GRID, "--output", path).stdout
    readers = {".csv": pd.read_csv, ".tsv": lambda path: pd.read_csv(path, sep="\t"), ".parquet": pd.read_parquet}
    table, expected = readers.get(suffix, pd.read_feather)(path), selection.table.to_pandas()
    pd.testing.assert_frame_equal(table.drop(columns="seconds"), expected.drop(columns="seconds"), check_dtype=False)


def test_select_leaves_cells_empty_that_are_not_known(tmp_path):
    (tmp_path / "few.csv").write_text("a,b\n0,0\n1,0\n0,2\n5,5\n6,5\n")
    done("select", tmp_path / "few.csv", "--components", "1,9", "--family", "full", "--output", tmp_path / "table.csv", "--quiet")
    header, _, last = (tmp_path / "table.csv").read_text().splitlines()
    row = dict(zip(header.replace('"', "").split(","), last.replace('"', "").split(","), strict=True))
    assert (row["components"], row["status"], row["bic"], row["log_likelihood"], row["sweeps"]) == ("9", "too few rows", "", "", "0")


def test_select_is_quiet_and_json_is_json(tmp_path):
    words = ("select", FAITHFUL, *GRID, "--output", tmp_path / "out.json")
    assert done(*words, "--quiet").output == ""
    first = (tmp_path / "out.json").read_bytes()
    assert done(*words, "--json", "--threads", 1).stdout.encode() == first == (tmp_path / "out.json").read_bytes()
    assert list(tmp_path.iterdir()) == [tmp_path / "out.json"]


def test_select_compares_a_subsample_and_ends_on_all_rows(tmp_path):
    rows = np.random.default_rng(0).normal(size=(2000, 2)) + np.repeat([[0.0, 0.0], [5.0, 0.0]], 1000, axis=0)
    files.write(tmp_path / "data.csv", {"a": rows[:, 0], "b": rows[:, 1]})
    words = ("select", tmp_path / "data.csv", "--components", "1:4", "--family", "full,EEE")
    text = done(*words, "--subsample", 400).stdout
    assert "how far the BIC of 400 rows is below the highest" in text
    table = [line.split() for line in text.splitlines()[-8:]]
    assert {line[-3] for line in table[:5]} == {"2,000"} and "400" in {line[-3] for line in table[5:]}
    assert " rows " not in done(*words, "--subsample", "all").stdout.split("ranked")[1]


@pytest.mark.parametrize("text", ["", "0", "1", "-5", "1e4", "none", "9" * 13])
def test_malformed_subsamples_are_refused(text):
    with pytest.raises(ParameterError, match="--subsample"):
        options.subsample(text)


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("command", ["fit", "select"])
def test_an_interrupt_writes_what_is_done(tmp_path, command):
    output = tmp_path / ("out" if command == "fit" else "out.json")
    words = [sys.executable, "-m", "mixtura", command, str(FAITHFUL), "--components", "1:60", "--family", "full,tied", "--output", str(output)]
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a test in the background would pass on its deafness
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heard) as process:
        assert process.stderr is not None and process.stdout is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        told, shown = process.stderr.read().splitlines(), process.stdout.read()
    assert process.returncode == 130
    told = [line for line in told if line.startswith("mixtura: ")]  # among the lines of progress
    assert len(told) == 1
    assert re.fullmatch(r"mixtura: warning: the selection was interrupted: got \d+ of 120 cells, expected all of them; try .*", told[0])
    summary = json.loads((output / "summary.json" if command == "fit" else output).read_text())
    assert summary["interrupted"] and summary["best"]["status"] == "converged"
    assert len(summary["candidates"]) == 120 and summary["candidates"][-1]["status"] == "interrupted"
    assert "of 120 candidates, ranked by BIC" in shown and f"written to {output}" in shown
    if command == "fit":
        assert mixtura.Mixture.load(output / "model.safetensors").K == summary["best"]["components"]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("command", ["fit", "select"])
def test_an_interrupt_before_anything_is_done_ends_in_one_line(tmp_path, monkeypatch, command):
    monkeypatch.setattr("mixtura.progress.display.Safe.step", lambda display, at: signal.raise_signal(signal.SIGINT))
    # a rule that is told of step by step
    result = run(command, FAITHFUL, "--components", "2", "--family", "full", "--rule", "map", "--output", tmp_path / "out.json")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "mixtura: interrupted\n")
    assert list(tmp_path.iterdir()) == []
