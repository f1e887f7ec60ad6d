"""Bad input: each case ends in one line on stderr that names what and where, exit code 2, no traceback, and every file as it was.

One table of cases, one law. The table runs in this process through the command's own runner; at the end a few run as real processes.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

import mixtura
from mixtura.cli import app

GOOD = [(0.5 * i, (i * i) % 7 + 10.0 * (i > 9)) for i in range(20)]


def csv(rows, header="a,b"):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def changed(row, *cells):
    """The good rows with one of them replaced."""
    return csv([*GOOD[:row], cells, *GOOD[row + 1 :]])


FIT = "fit x.csv --output out"
SELECT = "select x.csv --components 1:2 --output out.csv"
PREDICT = "predict good.safetensors x.csv --output out.csv"

CASES = {  # what is typed, what stands in x.csv, what the line names
    # the file
    "missing file": (FIT, None, "cannot read x.csv: there is no such file"),
    "a directory": ("fit folder.csv --output out", None, "cannot read folder.csv: got a folder without data files"),
    "unknown suffix": ("fit x.xlsx --output out", None, "cannot read x.xlsx: got suffix '.xlsx', expected one of .csv"),
    "empty file": (FIT, "", "cannot read x.csv: got an empty file"),
    "header only": (FIT, "a,b\n", "x.csv has no rows: got only the columns 'a', 'b'"),
    "no Parquet": ("fit broken.parquet --output out", None, "cannot read broken.parquet: Parquet"),
    "a row too short": (FIT, "a,b\n1,2\n3\n", "cannot read x.csv: CSV parse error: Row #3: Expected 2 columns, got 1"),
    # the columns
    "text in a chosen column": (f"{FIT} --columns a,b", changed(4, 1, "oops"), "column 'b' is not numeric: got 'oops' in row 4"),
    "text only": (FIT, csv([("x", "y")]), "no column is numeric: got 'a', 'b'"),
    "unknown column": (f"{FIT} --columns a,z", csv(GOOD), "unknown column 'z': expected some of 'a', 'b'"),
    "a column chosen twice": (f"{FIT} --columns a,a", csv(GOOD), "got 'a', 'a', expected each of them once"),
    # the values
    "missing value": (FIT, changed(7, 1, ""), "got NaN in column 'b', row 7"),
    "NaN": (FIT, changed(0, "nan", 1), "got NaN in column 'a', row 0"),
    "infinity": (FIT, changed(19, 1, "-inf"), "got -inf in column 'b', row 19"),
    "too large": (FIT, csv([(a * 1e300, b) for a, b in GOOD]), "column 'a' cannot be squared in float64"),
    "too small": (FIT, csv([(a, b * 1e-300) for a, b in GOOD]), "column 'b' cannot be squared in float64"),
    # the rows
    "fewer rows than components": (f"{FIT} --components 21", csv(GOOD), "got 20 rows for 21 components"),
    "fewer different rows than components": (f"{FIT} --components 4", csv(GOOD[:3] * 5), "too few distinct rows"),
    "a single row": (FIT, csv(GOOD[:1]), "nothing to fit: got a single row"),
    "duplicated rows only": (FIT, csv(GOOD[:1] * 9), "nothing to fit: got 9 identical rows"),
    # the options
    "no component": (f"{FIT} --components 0", csv(GOOD), "--components is not usable: got '0'"),
    "fewer than no component": (f"{FIT} --components -3", csv(GOOD), "--components is not usable: got '-3'"),
    "range backwards": (f"{FIT} --components 5:2", csv(GOOD), "--components is not usable: got '5:2'"),
    "malformed range": (f"{FIT} --components 1-5", csv(GOOD), "--components is not usable: got '1-5'"),
    "unknown family": (f"{FIT} --family round", csv(GOOD), "unknown covariance family: got 'round'"),
    "unknown criterion": (f"{FIT} --criterion dic", csv(GOOD), "unknown criterion: got 'dic'"),
    "unknown rule": (f"{FIT} --rule magic", csv(GOOD), "unknown rule: got 'magic'"),
    "learning rate of EM": (f"{FIT} --learning-rate 1", csv(GOOD), "rule 'em' has no learning rate: got 1.0"),
    "negative learning rate": (f"{FIT} --rule gradient --learning-rate -1", csv(GOOD), "learning_rate is not usable: got -1.0"),
    "negative tolerance": (f"{FIT} --tol -1", csv(GOOD), "tol is not usable: got -1.0"),
    "folds of nothing": (f"{FIT} --criterion held_out --folds 21", csv(GOOD), "got 20 rows for 21 folds"),
    "subsample of nothing": (f"{FIT} --subsample 0", csv(GOOD), "--subsample is not usable: got '0'"),
    "subsample of words": (f"{SELECT} --subsample most", csv(GOOD), "--subsample is not usable: got 'most'"),
    "criterion of select": (f"{SELECT} --criterion dic", csv(GOOD), "unknown criterion: got 'dic'"),
    "NaN in select": (SELECT, changed(0, "nan", 1), "got NaN in column 'a', row 0"),
    # the output
    "select to unknown suffix": ("select x.csv --output out.npy", csv(GOOD), "cannot write out.npy: got suffix '.npy', expected one of .csv"),
    "select into no folder": ("select x.csv --output none/out.csv", csv(GOOD), "cannot write none/out.csv: got a folder that does not exist"),
    "select over a folder": ("select x.csv --output folder.csv", csv(GOOD), "cannot write folder.csv: got a directory"),
    "output is a file": ("fit x.csv --output broken.parquet", csv(GOOD), "cannot write into broken.parquet"),
    "output below a file": ("fit x.csv --output broken.parquet/out", csv(GOOD), "cannot write into broken.parquet/out"),
    "predict below a file": ("predict good.safetensors x.csv --output broken.parquet/out.csv", csv(GOOD), "cannot write broken.parquet/out.csv"),
    "predict into no folder": ("predict good.safetensors x.csv --output none/out.csv", csv(GOOD), "cannot write none/out.csv"),
    "predict to unknown suffix": ("predict good.safetensors x.csv --output out.xlsx", csv(GOOD), "cannot write out.xlsx: got suffix '.xlsx'"),
    "sample to unknown suffix": ("sample good.safetensors --rows 5 --output out", None, "cannot write out: got suffix ''"),
    "sample no rows": ("sample good.safetensors --rows 0 --output out.csv", None, "cannot sample 0 rows"),
    # the model
    "missing model": ("show none.safetensors", None, "cannot read none.safetensors: there is no such file"),
    "folder without a model": ("show folder.csv", None, "cannot read folder.csv/model.safetensors: there is no such file"),
    "empty model": ("show empty.safetensors", None, "empty.safetensors is damaged"),
    "truncated header": ("show header.safetensors", None, "header.safetensors is damaged"),
    "truncated arrays": ("predict arrays.safetensors x.csv --output out.csv", csv(GOOD), "arrays.safetensors is damaged"),
    "foreign model": ("sample foreign.safetensors --rows 5 --output out.csv", None, "foreign.safetensors is not a mixtura model: got metadata []"),
    "no model at all": ("predict broken.parquet x.csv --output out.csv", csv(GOOD), "broken.parquet is damaged or not a model file"),
    "damaged columns": ("show columns.safetensors", None, "columns.safetensors is damaged: got columns ['a'], expected 2 names"),
    "a column that the data lack": (PREDICT, csv(GOOD, "a,c"), "good.safetensors does not fit x.csv: unknown column 'b'"),
    "text in a column of the model": (PREDICT, changed(2, "oops", 1), "does not fit x.csv: column 'a' is not numeric: got 'oops' in row 2"),
    "NaN in a column of the model": (PREDICT, changed(3, 1, ""), "got NaN in column 'b', row 3"),
    "another width": ("predict nameless.safetensors x.csv --output out.csv", csv([(1, 2, 3)] * 2, "a,b,c"), "got 3 columns, expected 2"),
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Good, damaged and foreign model files, by name."""
    folder = tmp_path_factory.mktemp("models")
    mixture = mixtura.Mixture([0.5, 0.5], [[0.0, 0.0], [1.0, 5.0]], [[1.0, 2.0], [2.0, 1.0]], "diag")
    mixture.save(folder / "good", {"columns": ["a", "b"]})
    mixture.save(folder / "nameless")
    mixture.save(folder / "columns", {"columns": ["a"]})
    save_file({"weights": np.ones(2)}, folder / "foreign")
    good = (folder / "good").read_bytes()
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"empty": b"", "header": good[:40], "arrays": good[:-16]}


@pytest.fixture
def place(tmp_path, models, monkeypatch):
    """A folder with the models, a file that is no Parquet and a folder that is no file, to work in."""
    for name, content in models.items():
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    (tmp_path / "broken.parquet").write_text("a,b\n1,2\n")
    (tmp_path / "x.xlsx").write_text("a,b\n1,2\n")
    (tmp_path / "folder.csv").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder):
    """All that is in a folder: a name and content each."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def check(place, before, code, stderr, named):
    """The law."""
    assert "Traceback" not in stderr
    errors = [line for line in stderr.splitlines() if line.startswith("mixtura: error: ")]
    assert len(errors) == 1, stderr
    assert named in errors[0]
    assert "try " in errors[0] or "expected " in errors[0]
    assert stderr.splitlines()[-1] == errors[0]
    assert code == 2
    assert everything(place) == before


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("existing", [False, True], ids=["new", "over"])
def test_bad_input_is_told_in_one_line_and_changes_nothing(place, case, existing):
    words, content, named = CASES[case]
    if content is not None:
        (place / "x.csv").write_text(content)
    if existing:
        (place / "out.csv").write_text("earlier")
        (place / "out").mkdir()
        (place / "out" / "model.safetensors").write_text("earlier")
    before = everything(place)
    result = CliRunner().invoke(app, words.split())
    assert isinstance(result.exception, SystemExit), result.exception
    check(place, before, result.exit_code, result.stderr, named)


def test_a_constant_column_is_fitted_and_warned_of(place):
    (place / "x.csv").write_text(csv([(*row, 3) for row in GOOD], "a,b,c"))
    result = CliRunner().invoke(app, [*FIT.split(), "--components", "1:2", "--quiet"])
    assert result.exit_code == 0
    assert result.stderr == "mixtura: warning: constant column 'c': it tells no components apart; try leaving it out\n"
    assert mixtura.Mixture.load("out/model.safetensors").D == 3


def test_text_in_a_column_nobody_chose_is_warned_of(place):
    (place / "x.csv").write_text(changed(4, 1, "oops"))
    result = CliRunner().invoke(app, [*FIT.split(), "--components", "1:2", "--quiet"])
    assert result.exit_code == 0
    assert result.stderr.startswith("mixtura: warning: column 'b' was left out: got 'oops' in row 4")
    assert mixtura.Mixture.load("out/model.safetensors").D == 1


FULL_DISK = """
import resource, signal, sys
from mixtura.cli import app, main
limit, words = int(sys.argv.pop(1)), sys.argv[1:]
if words[0] in ("fit", "select"):  # kernels that were never compiled are written to disk too: not what is tested here
    app([*words[:-1], "warm" + ("/out.csv" if words[0] == "select" else ""), "--quiet"], standalone_mode=False)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main()
"""


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="needs a limit on file size")
@pytest.mark.parametrize(
    ("limit", "words", "named"),
    [
        (300, "fit x.csv --components 2 --family full --output out", "cannot write out/model.safetensors: "),
        (3000, "fit x.csv --components 1:2 --output out", "cannot write out/summary.json: "),
        (300, "select x.csv --components 1:2 --output out.csv", "cannot write out.csv: "),
        (300, "select x.csv --components 1:2 --output out.json", "cannot write out.json: "),
        (300, "predict good.safetensors x.csv --output out.parquet", "cannot write out.parquet: "),
        (300, "sample good.safetensors --rows 100 --output out.csv", "cannot write out.csv: "),
    ],
)
def test_a_full_disk_leaves_nothing_half_written(place, limit, words, named):
    (place / "x.csv").write_text(csv(GOOD))
    (place / "out.csv").write_text("earlier")
    if words.startswith(("fit", "select")):
        (place / "warm").mkdir()
    before = everything(place)
    result = subprocess.run([sys.executable, "-c", FULL_DISK, str(limit), *words.split()], capture_output=True, text=True, check=False)
    for path in (place / "warm").glob("*"):
        path.unlink()
    check(place, before, result.returncode, result.stderr, named)


def test_the_real_command_does_the_same(place):
    (place / "x.csv").write_text("a,b\n")
    before = everything(place)
    result = subprocess.run([sys.executable, "-m", "mixtura", *FIT.split()], capture_output=True, text=True, check=False)
    assert result.stdout == ""
    check(place, before, result.returncode, result.stderr, "x.csv has no rows")


@pytest.mark.parametrize(
    "words",
    [
        "fit",
        "fit x.csv --nonsense",
        "fit x.csv --seed -1",
        "fit x.csv --max-iter 0",
        "select",
        "select x.csv --folds 1",
        "nonsense",
        "sample m --output x.csv",
    ],
)
def test_misuse_of_the_command_is_told_plainly(place, words):
    before = everything(place)
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert everything(place) == before
