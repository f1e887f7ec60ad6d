"""What comes from strangers: model files, checkpoints and data that were tampered with, names that steer a terminal, outputs that would destroy data.

Each case ends in one line of our own, or works; nothing is executed, nothing is set that is not on a list, and nothing is written elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import unicodedata
import warnings
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet
from typer.testing import CliRunner

import mixtura
from mixtura import checkpoints, storage, terminal
from mixtura.cli import app
from mixtura.errors import FileError, MixturaError, ModelFileError
from mixtura.families import Family
from mixtura.sources import files, journal, records

ROWS = "a,b\n" + "".join(f"{i % 7}.5,{i * i % 11}\n" for i in range(40))
DEEP = "[" * 100_000 + "]" * 100_000
JUNK = [None, {}, [], 3, "x", [None], [[None]], True, -1.5, {"a": None}, [[1, 2, 3]], [[1, "x"]], 10**400, float("nan"), ["\x1b[31m"], {"weight": {}}]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with rows and a model of them, to work in."""
    (tmp_path / "x.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    Path("m.safetensors").write_bytes(packed())
    return tmp_path


def run(*words):
    """The law: done, or one line of our own on stderr; never a traceback or a foreign warning, and nothing that steers a terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert all(one == "\n" or unicodedata.category(one) not in terminal.STEERING for one in result.output), result.output
    assert result.exit_code in (0, 2)
    if result.exit_code == 2:
        (error,) = [line for line in result.stderr.splitlines() if line.startswith("mixtura: error: ")]
        assert "expected " in error or "; try " in error
        assert len(error) < 4_100
    return result


def refused(*words):
    result = run(*words)
    assert result.exit_code == 2, result.output
    return result.stderr


# outputs

ONTO = [  # what is read, and what would be written onto it or into it
    ("predict m.safetensors {} --output {}", "x.csv", ["x.csv", "./x.csv", "folder/../x.csv", "symlink.csv", "hardlink.csv", "{here}/x.csv"]),
    ("predict m.safetensors {} --output {}", "symlink.csv", ["x.csv", "hardlink.csv", "symlink.csv"]),
    ("predict m.safetensors {} --output {}", "file://{here}/x.csv", ["x.csv"]),
    ("predict m.safetensors {} --output {}", "folder", ["folder/part.csv", "linked/part.csv", "folder/new.csv", "linked/deep/new.parquet"]),
    ("predict m.safetensors {} --output {}", "linked", ["folder/part.csv", "folder/new.csv"]),
    ("predict m.safetensors {} --output {}", "folder/*.csv", ["folder/part.csv", "linked/new.csv"]),
    ("predict m.safetensors {} --output {}", "fold*/**/p*.csv", ["folder/part.csv", "folder/deep/pnew.csv"]),
    ("select {} --components 1 --family full --output {}", "x.csv", ["x.csv", "hardlink.csv"]),
    ("report m.safetensors {} --output {}", "x.csv", ["x.csv", "symlink.csv", "m.safetensors"]),
    ("fit {} --components 1 --family full --output {}", "x.csv", ["trap"]),
    ("fit {} --components 1 --family full --report --output {}", "x.csv", ["trap2"]),
]


def everything(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("words", "data", "outputs"), ONTO)
def test_no_output_is_a_file_that_is_read(place, words, data, outputs):
    (place / "folder" / "deep").mkdir(parents=True)
    (place / "folder" / "part.csv").write_text(ROWS)
    (place / "linked").symlink_to("folder")
    (place / "symlink.csv").symlink_to("x.csv")
    os.link(place / "x.csv", place / "hardlink.csv")
    for trap, name in (("trap", "model.safetensors"), ("trap2", "report.html")):
        (place / trap).mkdir()
        (place / trap / name).symlink_to("../x.csv")
    before = everything(place)
    for output in outputs:
        told = refused(*words.format(data.format(here=place), output.format(here=place)).split())
        assert "cannot write" in told and "try another --output" in told
        assert everything(place) == before


def test_a_model_is_not_lost_to_its_own_sample_or_report(place):
    (place / "m").mkdir()
    (place / "m" / "model.safetensors").write_bytes(packed())
    (place / "m" / "summary.json").write_text("{}")
    shutil.copy("m.safetensors", "m.csv")
    before = everything(place)
    assert "a file that is read" in refused("sample", "m.csv", "--rows", 3, "--output", "m.csv")
    assert "a file that is read" in refused("predict", "m.csv", "x.csv", "--output", "m.csv")
    for name in ("model.safetensors", "summary.json"):
        assert "a file that is read" in refused("report", "m", "x.csv", "--output", f"m/{name}")
    assert everything(place) == before


@pytest.mark.parametrize(
    ("data", "output"), [("x.csv", "y.csv"), ("folder/*.csv", "folder/p.parquet"), ("folder/*.csv", "p.csv"), ("folder", "p.csv")]
)
def test_outputs_beside_the_data_are_written(place, data, output):
    (place / "folder").mkdir()
    (place / "folder" / "part.csv").write_text(ROWS)
    assert run("predict", "m.safetensors", data, "--output", output).exit_code == 0
    assert len(files.read(place / output).rows) == 40


# models


def tensor(array, kind="F64"):
    array = np.asarray(array, dtype=float)
    return kind, list(array.shape), array.tobytes()


GOOD = {"weights": tensor([0.4, 0.6]), "means": tensor([[1, 2], [5, 8]]), "covariances": tensor([[1, 2], [2, 1]])}
META = {"family": "diag", "columns": ["a", "b"]}
SETTINGS = {"n_components": [1, 2], "families": "auto", "criterion": "bic", "subsample": None, "tol": 1e-6, "random_state": 0}


def packed(metadata=META, **tensors):
    """A file of safetensors, byte by byte: its own writer would refuse much of what is tried here."""
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    header, content = {"__metadata__": {storage.FORMAT: text}}, b""
    for name, (kind, shape, part) in {**GOOD, **tensors}.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(content), len(content) + len(part)]}
        content += part
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + content


def full(*matrices):
    return packed({**META, "family": "full"}, covariances=tensor(matrices))


MODELS = {
    **{f"metadata {text[:9]}": packed(text) for text in ("null", "[]", "3", '"x"', "{", "\x00", DEEP, '{"a":' * 100_000 + "1" + "}" * 100_000)},
    "metadata nested below what JSON takes": packed('{"family":"diag","x":' + "[" * 500 + "]" * 500 + "}"),
    "a number of ten thousand digits": packed('{"family":"diag","n_rows":' + "9" * 10_000 + "}"),
    **{
        f"family {one!r:.20}": packed({**META, "family": one})
        for one in ({}, [], ["full"], None, 3, True, "\x1b[31m", "factor:0", "factor:" + "9" * 5000)
    },
    **{f"columns {one}": packed({**META, "columns": one}) for one in ({}, "ab", 3, ["a"], [1, 2], [["a"], ["b"]], {"a": 1, "b": 2})},
    **{
        f"weights {one}": packed(weights=tensor(one))
        for one in ([0.4, np.nan], [np.inf, 0.6], [-1, 2], [1], [], [[0.4, 0.6]], [1e308, 1e308], [0, 0])
    },
    **{f"means {one}": packed(means=tensor(one)) for one in ([[1, np.nan], [5, 8]], [[1, 2]], [1, 2], np.zeros((2, 0)), [[1e308, 0], [-1e308, 0]])},
    **{
        f"variances {one}": packed(covariances=tensor(one))
        for one in ([[-1, 1], [1, 1]], [[0, 1], [1, 1]], [[np.inf, 1]] * 2, [1, 2], [[1e-320, 1]] * 2)
    },
    "asymmetric": full([[1, 0.5], [0.2, 1]], [[1, 0], [0, 1]]),
    "not definite": full([[1, 2], [2, 1]], [[1, 0], [0, 1]]),
    "wider than the means": full(np.eye(3), np.eye(3)),
    "no columns": packed({"family": "full"}, means=("F64", [2, 0], b""), covariances=("F64", [2, 0, 0], b"")),
    **{
        f"dtype {kind}": packed(weights=(kind, [2], bytes(2 * size)))
        for kind, size in (("BF16", 2), ("F8_E4M3", 1), ("BOOL", 1), ("C64", 8), ("F0", 1))
    },
    **{f"shape {shape}": packed(weights=("F64", shape, tensor([0.4, 0.6])[2])) for shape in ([2**40], [2**63], [-1], ["2"], [2.5], None, [2, 2**62])},
    "a header of four exabytes": struct.pack("<Q", 2**62) + b"{}",
    "a header that is nested": struct.pack("<Q", len(DEEP)) + DEEP.encode(),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_was_tampered_with_is_refused_in_one_line(place, case):
    Path("m.safetensors").write_bytes(MODELS[case])
    for words in (
        "show m.safetensors",
        "show m.safetensors --json",
        "predict m.safetensors x.csv -o o.csv",
        "sample m.safetensors --rows 3 -o o.csv",
    ):
        refused(*words.split())
    with pytest.raises(ModelFileError):
        mixtura.Mixture.load("m.safetensors")
    assert not Path("o.csv").exists()


def test_a_model_of_strangers_that_is_whole_works(place):
    Path("m.safetensors").write_bytes(packed({**META, "settings": SETTINGS, "history": [-3.0, -2.5], "more": {"of": ["theirs"]}}))
    for words in ("show m.safetensors", "predict m.safetensors x.csv -o o.csv", "report m.safetensors x.csv -o r.html"):
        assert run(*words.split()).exit_code == 0


@pytest.mark.parametrize("name", ["data", "history", "events", "settings", "versions", "estimator", "n_rows", "bic", "seed"])
def test_a_report_believes_no_metadata(place, name):
    kept = 0
    for junk in JUNK:
        Path("m.safetensors").write_bytes(packed({**META, name: junk}))
        kept += run("report", "m.safetensors", "x.csv", "-o", "r.html").exit_code == 0
        assert run("show", "m.safetensors").exit_code == run("show", "m.safetensors", "--json").exit_code == 0
    assert kept < len(JUNK) or name in ("n_rows", "bic", "seed")  # which it shows only where they are numbers


@pytest.mark.parametrize("name", SETTINGS)
def test_a_report_believes_no_settings(place, name):
    for junk in (*JUNK, ...):
        settings = {key: value for key, value in {**SETTINGS, name: junk}.items() if value is not ...}
        Path("m.safetensors").write_bytes(packed({**META, "settings": settings}))
        run("report", "m.safetensors", "x.csv", "-o", "r.html")


def test_a_report_believes_no_summary(place):
    run("fit", "x.csv", "--components", "1:2", "--family", "full,EEE", "--output", "m", "--quiet")
    summary = json.loads(Path("m/summary.json").read_text())
    plain = run("report", "m", "x.csv", "-o", "r.html")
    assert plain.exit_code == 0
    for name in ("criterion", "candidates", "compared", "interrupted", "best"):
        for junk in (*JUNK, [summary["best"] | {"family": 3}], [summary["best"] | {"bic": "x"}], [summary["best"] | {"status": None}], [{}]):
            Path("m/summary.json").write_text(json.dumps({**summary, name: junk}))
            assert run("report", "m", "x.csv", "-o", "r.html").exit_code == 0  # as of another fit
    Path("m/summary.json").write_text(DEEP)
    assert run("report", "m", "x.csv", "-o", "r.html").exit_code == 0


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """An estimator's file with a stream, as its arrays and metadata."""
    path = tmp_path_factory.mktemp("saved") / "e.safetensors"
    X = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0.0], [4.0]], 100, axis=0)
    mixtura.GaussianMixture(2, random_state=0).partial_fit(X).save(path)
    return storage.read(path)


def changed(metadata, path, value):
    """A copy of the metadata with another value at the path; the key goes where it is ..."""
    copied = json.loads(json.dumps(metadata))
    at = copied
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return copied


FIELDS = [
    ("estimator",),
    *(("estimator", name) for name in ("parameters", "figures", "history", "stream")),
    *(("estimator", "figures", name) for name in ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_")),
    *(("estimator", "history", name) for name in ("log_likelihoods", "events", "start", "run", "runs", "interrupted")),
    *(("estimator", "stream", name) for name in ("batches", "told", "running")),
    *(("estimator", "stream", "running", name) for name in ("rows", "weight", "log_likelihood")),
]


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_an_estimator_that_was_tampered_with_is_refused_or_whole(tmp_path, saved, path):
    tensors, metadata = saved
    known = mixtura.GaussianMixture().__class__
    for value in (*JUNK, ..., "a" * 10, [["note"]], {"kind": "Family", "fields": {}}):
        storage.write(tmp_path / "e.safetensors", tensors, changed(metadata, path, value))
        try:
            loaded = known.load(tmp_path / "e.safetensors")
        except ModelFileError as error:
            assert "\n" not in str(error) and len(str(error)) < 1_000
            continue
        loaded.predict([[0.0, 1.0]])
        loaded.partial_fit([[0.0, 1.0], [3.0, 4.0]])
        loaded.history_.events, repr(loaded)


def test_nothing_is_set_that_is_not_on_a_list(tmp_path, saved):
    tensors, metadata = saved
    for where in (("figures",), ("parameters",), ("history",), ()):
        for name in ("predict", "__class__", "_gaussians", "mixture_", "stream_", "anything"):
            storage.write(tmp_path / "e.safetensors", tensors, changed(metadata, ("estimator", *where, name), "planted"))
            with pytest.raises(ModelFileError, match=r"damaged|parameters that it lacks"):
                mixtura.GaussianMixture.load(tmp_path / "e.safetensors")


PARAMETERS = [{"kind": one, "fields": {}} for one in ("Family", "Rule", "__import__", "os.system", None, 3, {}, ["EM"])]
PARAMETERS += [{"kind": "EM", "fields": one} for one in (None, 3, [], {"nothing": 1})]
PARAMETERS += [{"array": one} for one in ("x", [["a"]], [[1], [1, 2]], None, {})]
PARAMETERS += [{"mixture": {"weights": [2]}, "family": "full"}, {"mixture": 3}, {"family": {}}, {"mapping": 3}, {"tuple": 3}, {}, {"nothing": 1}]


@pytest.mark.parametrize("value", PARAMETERS, ids=str)
def test_a_parameter_is_made_of_what_is_on_a_list(tmp_path, saved, value):
    tensors, metadata = saved
    storage.write(tmp_path / "e.safetensors", tensors, changed(metadata, ("estimator", "parameters", "rule"), value))
    with pytest.raises(ModelFileError, match="try fitting again"):
        mixtura.GaussianMixture.load(tmp_path / "e.safetensors")


@pytest.mark.parametrize(
    "name", ["weights", "means", "covariances", "running.counts", "running.pivots", "running.first", "running.second", "reseeded"]
)
def test_a_stream_whose_arrays_do_not_fit_is_refused(tmp_path, saved, name):
    tensors, metadata = saved
    good = tensors[f"stream.{name}"]
    for bad in (good[:1], good.astype(complex), np.full(good.shape, np.nan), good[..., None], np.zeros((0, *good.shape[1:])), good.astype(bool)):
        storage.write(tmp_path / "e.safetensors", {**tensors, f"stream.{name}": bad.view(float) if bad.dtype.kind == "c" else bad}, metadata)
        with pytest.raises(ModelFileError):
            mixtura.GaussianMixture.load(tmp_path / "e.safetensors")


def test_a_family_is_not_made_of_a_file():
    from mixtura.estimators.parameters import KINDS

    assert Family not in KINDS.values()


# checkpoints


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with many rows and the checkpoint of a fit to them, which was called there."""
    folder = tmp_path_factory.mktemp("kept")
    X = np.random.default_rng(0).normal(size=(70_000, 4)) + np.repeat([[0.0], [4.0]], 35_000, axis=0)
    files.write(folder / "rows.npy", {f"x{j}": column for j, column in enumerate(X.T)})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = "fit rows.npy --components 2 --family full --subsample 5000 --checkpoint ck --output ck/model --quiet"
        assert run(*words.split()).exit_code == 0
    assert len(journal.Journal(folder / "ck" / checkpoints.LOG, 30)) > 3
    return folder


@pytest.fixture
def resumed(kept, tmp_path, monkeypatch):
    """A copy of the checkpoint elsewhere, where one works now."""
    shutil.copytree(kept / "ck", tmp_path / "ck")
    shutil.rmtree(tmp_path / "ck" / "model")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ck"


def noted(folder, **more):
    path = folder / checkpoints.HEADER
    header = json.loads(path.read_text())
    header["note"] |= more
    path.write_text(json.dumps(header))
    return header["note"]


def test_a_resumed_fit_is_shown_before_it_runs_and_writes_within_its_checkpoint(resumed, kept):
    words = noted(resumed)["words"]
    words[words.index("ck/model")] = str(resumed / "model")
    noted(resumed, words=words)
    result = run("fit", "--resume", resumed)
    assert result.exit_code == 0 and result.stdout == ""
    assert result.stderr.startswith(
        f"mixtura: resuming, in {kept}: mixtura fit rows.npy --components 2 --family full --subsample 5000 --checkpoint ck"
    )
    assert result.stderr.rstrip().endswith(f"the model goes to {resumed / 'model'}")
    assert sorted(os.listdir(resumed / "model")) == ["model.safetensors", "summary.json"]


def test_a_resumed_fit_without_an_output_writes_where_one_is(resumed, kept):
    noted(resumed, words=noted(resumed)["words"][:-3])
    assert run("fit", "--resume", resumed).exit_code == 0
    assert sorted(os.listdir()) == ["ck", "mixtura-output"] and not (kept / "mixtura-output").exists()


@pytest.mark.parametrize(
    "output",
    [["--output", "{there}"], ["--output={there}"], ["-o", "{there}"], ["-o{there}"], ["--output", "../there"], ["-o", "ck/x/../../../there"]],
)
def test_a_resumed_fit_writes_elsewhere_only_where_that_is_typed(resumed, kept, tmp_path, output):
    there = kept.parent / "there" if ".." in output[-1] else tmp_path / "there"
    before = everything(tmp_path)
    noted(resumed, words=[*noted(resumed)["words"][:-3], *(word.format(there=there) for word in output)])
    before |= {f"ck/{checkpoints.HEADER}": (resumed / checkpoints.HEADER).read_bytes()}
    told = refused("fit", "--resume", "ck")
    assert "its fit writes into" in told and f"try mixtura fit --resume {resumed} --output " in told
    assert everything(tmp_path) == before and not there.exists()
    assert run("fit", "--resume", "ck", "--output", "typed").exit_code == 0
    assert sorted(os.listdir()) == ["ck", "typed"] and not there.exists()


def test_what_is_shown_of_a_checkpoint_steers_nothing(resumed):
    noted(resumed, words=["x\x1b[31m\n\u202e.csv"])
    told = refused("fit", "--resume", "ck")
    assert r"x\x1b[31m" in told and r"\u202e" in told


NOTES = [
    {"words": one} for one in (None, 3, "fit", {}, [3], [None], [["x"]], ["--nonsense"], ["--components"], [], ["--resume", "ck"], ["--", "--quiet"])
]
NOTES += [{"folder": one} for one in (None, 3, [], "nowhere", "\x00", "x" * 10_000)] + [{"words": ["x.csv", "--columns", "a\rb"]}]
NOTES += [{"words": ["rows.npy", "--columns", "x" * 140_000]}, {"words": ["rows.npy", "--", "--output", "/tmp/there"]}, {"words": ["--help", "x"]}]


@pytest.mark.parametrize("note", NOTES, ids=lambda note: repr(note)[:40])
def test_a_note_that_was_tampered_with_is_refused(resumed, note):
    noted(resumed, **note)
    before = everything(resumed)
    run("fit", "--resume", "ck")
    assert everything(resumed) == before


@pytest.mark.parametrize("name", ["format", "versions", "source", "call", "entropy", "note"])
def test_a_header_that_was_tampered_with_is_refused(resumed, name):
    noted(resumed, words=noted(resumed)["words"][:-3])
    header = json.loads((resumed / checkpoints.HEADER).read_text())
    for junk in JUNK:
        (resumed / checkpoints.HEADER).write_text(json.dumps({**header, name: junk}))
        if not (name == "entropy" and junk is None):
            refused("fit", "--resume", "ck")
    for text in ("null", "[]", DEEP, "{", "\x00"):
        (resumed / checkpoints.HEADER).write_text(text)
        refused("fit", "--resume", "ck")


def rewritten(path, change):
    """The log with the content of each record changed, and every checksum right: what somebody who knows the format can do."""
    content = path.read_bytes()
    at, parts, number = len(journal.MAGIC), [journal.MAGIC], 0
    while at < len(content):
        digest, length = journal._HEAD.unpack_from(content, at)
        start = at + journal._START
        record = change(number, content[start : start + length])
        head = journal._HEAD.pack(digest, len(record))
        head += journal._HEAD_SUM.pack(zlib.crc32(head))
        parts += [head, record, hashlib.blake2b(head + record, digest_size=16).digest()]
        at, number = start + length + 16, number + 1
    path.write_bytes(b"".join(parts))
    return number


def outlined(outline, rest=b""):
    text = outline if isinstance(outline, bytes) else json.dumps(outline).encode()
    return struct.pack("<Q", len(text)) + text + rest


RECORDS = {
    "nothing": b"",
    "a length without end": struct.pack("<Q", 2**60),
    "no JSON": outlined(b"{"),
    "nested": outlined(DEEP.encode()),
    "null": outlined(b"null"),
    "a number": outlined(3),
    "a negative number": outlined(-3),
    "text": outlined("x"),
    "another kind": outlined({"nothing": []}),
    "two kinds": outlined({"tuple": [], "block": []}),
    "half a profile": outlined({"profile": [1]}),
    "a profile of text": outlined({"profile": [1, 2.0, "a", "b", "c", "d"]}),
    "half a block": outlined({"block": [1]}),
    "a block of nothing": outlined({"block": [0, None, None]}),
    "objects": outlined({"array": ["|O", [1], "C"]}, b"\0" * 8),
    "no dtype": outlined({"array": ["nonsense", [1], "C"]}, b"\0" * 8),
    "a dtype of no length": outlined({"array": ["|S0", [1], "C"]}, b"\0" * 8),
    "a shape that is none": outlined({"array": ["<f8", "x", "C"]}, b"\0" * 8),
    "a negative shape": outlined({"array": ["<f8", [-1], "C"]}, b"\0" * 8),
    "a shape beyond the record": outlined({"array": ["<f8", [2**40, 2**40], "C"]}, b"\0" * 8),
    "another order": outlined({"array": ["<f8", [1], "Z"]}, b"\0" * 8),
    "another shape": outlined({"array": ["<f8", [2], "C"]}, b"\0" * 16),
    "an array of text": outlined({"array": ["<U2", [2], "C"]}, b"\0" * 16),
    "a list of it all": outlined([{"array": ["<f8", [2], "C"]}, None, "x"], b"\0" * 16),
}


@pytest.mark.parametrize("case", RECORDS)
@pytest.mark.parametrize("which", [0, 1, 3])
def test_a_log_that_was_tampered_with_is_refused(resumed, case, which):
    noted(resumed, words=noted(resumed)["words"][:-3])
    assert rewritten(resumed / checkpoints.LOG, lambda number, record: RECORDS[case] if number == which else record) > 3
    run("fit", "--resume", "ck")


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.0, 1e300, 1e-300])
def test_a_log_of_other_numbers_ends_in_some_model_or_one_line(resumed, value):
    def other(number, record):
        found = records.decode(record)
        if isinstance(found, np.ndarray):
            return records.encode(np.full_like(found, value))
        return record

    noted(resumed, words=noted(resumed)["words"][:-3])
    rewritten(resumed / checkpoints.LOG, other)
    run("fit", "--resume", "ck")


# data


def npy(shape="(10, 2)", kind="'<f8'", order="False", content=bytes(160), version=1, length=None, header=None):
    text = (f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}" if header is None else header).encode("latin-1") + b"\n"
    count = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + count + text + content


HEADERS = {
    **{
        f"shape {one}": npy(one)
        for one in ("(-10, 2)", "(10, -2)", "(9" + "9" * 20 + ", 2)", "(2**60, 2)", "('a',)", "(1.5, 2)", "10", "[10, 2]", "(10, 2")
    },
    **{f"shape that wraps round {one}": npy(one) for one in ("(4611686018427387904, 4)", "(1099511627776, 1099511627776)", "(True, 20)", "(20, 2)")},
    **{f"nested {one[0]}": npy(one * 300) for one in ("(", "[")},
    **{
        f"kind {one}": npy(kind=one)
        for one in ("'|O'", "[('a', '|O')]", "'<c8'", "'|S8'", "'<f99'", "'x'", "3", "None", "{}", "'<M8[s]'", "'(2,)<f8'")
    },
    **{f"order {one}": npy(order=one) for one in ("3", "None", "'x'", "__import__('os').abort()")},
    "a length beyond the file": npy(length=65_535),
    "a length of four gigabytes": npy(version=2, length=2**32 - 1),
    "a header of a megabyte": npy(version=2, header="[" * 1_000_000),
    "no header": npy(header="", length=0),
    "a header of any bytes": npy(header="".join(map(chr, range(256)))),
    "a header that is not indented": npy(header="  {'descr'\n\t: 1"),
    "another version": npy(version=9),
    "keys that are none": npy(header="{'descr': '<f8', 'fortran_order': False, 'shape': (10, 2), 'x': 1}"),
    "a set": npy(header="{1, 2}"),
    **{f"{n} bytes": npy()[:n] for n in (6, 8, 9, 12, 40)},
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_of_numpy_that_is_corrupt_is_refused(place, case):
    Path("x.npy").write_bytes(HEADERS[case])
    told = refused("fit", "x.npy", "--components", "1", "--output", "out")
    assert "x.npy" in told
    with pytest.raises(MixturaError):
        mixtura.open("x.npy")
    assert not Path("out").exists()


CELL = "x" * 140_000  # csv.field_size_limit() is 131,072


@pytest.mark.parametrize("text", [f"a,b,t\n1,2,{CELL}\n3,4,y\n", f"a,b,{CELL}\n1,2,3\n3,4,5\n", f'a,b,t\n1,2,"{CELL}"\n3,4,y\n', f"{CELL}\n1\n2\n"])
@pytest.mark.parametrize("more", [[], ["--streamed"]])
def test_a_cell_that_is_too_long_is_refused(place, text, more):
    Path("x.csv").write_text(text)
    assert "field larger than field limit (131072)" in refused("fit", "x.csv", "--components", "1", "--output", "out", *more)
    assert "field limit" in refused("predict", "m.safetensors", "x.csv", "--output", "o.csv", "--keep", "all")


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
@pytest.mark.parametrize("more", [[], ["--streamed"]])
def test_a_column_whose_name_is_not_utf8_is_refused(place, suffix, more):
    table = pa.table({"a": [1.0, 2, 3, 5], "zzzz": [1.0, 4, 2, 2], "b": [3.0, 4, 1, 1]})
    path = place / f"x.{suffix}"
    parquet.write_table(table, path, store_schema=False) if suffix == "parquet" else feather.write_feather(table, path)
    path.write_bytes(path.read_bytes().replace(b"zzzz", b"\xff\xfe\xff\xfe"))
    assert f"cannot read {path.name}: 'utf-8' codec can't decode" in refused("fit", path.name, "--components", "1", "--output", "out", *more)
    refused("predict", "m.safetensors", path.name, "--output", "o.csv", "--keep", "all")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy"])
def test_a_file_whose_name_is_not_utf8_is_read_or_refused(place, suffix):
    name = os.fsdecode(b"x\xff\x1b[31m." + suffix.encode())
    try:
        Path(name).touch()
    except OSError:
        pytest.skip("this filesystem takes only UTF-8")
    files.write(place / f"plain.{suffix}", {"a": np.arange(9.0) % 4, "b": np.arange(9.0) ** 2})
    shutil.copy(place / f"plain.{suffix}", name)
    for more in ([], ["--streamed"]):
        told = run("fit", name, "--components", "1", "--family", "full", "--output", "out", *more)
        assert told.exit_code == 0 or r"x\udcff\x1b[31m" in told.stderr
    run("predict", "m.safetensors", "x.csv", "--output", name)
    assert run("fit", "x.csv", "--components", "1", "--family", "full", "--output", os.fsdecode(b"out\xff\x1b")).exit_code == 0
    assert run("show", os.fsdecode(b"out\xff\x1b")).exit_code == 0


# terminals

NAMES = [
    "red \x1b[31m",
    "link \x1b]8;;http://example.org\x07",
    "c1 \x9b31m",
    "del \x7f",
    "back \x08\x08",
    "turned \u202e",
    "two\nlines",
    "cr \rover",
    "\u2028",
]
MARKUP = ["[red]x[/red]", "[link=http://example.org]y[/link]", "[/]", ":smile:", "[bold", "\\[x]"]


@pytest.mark.parametrize("command", ["fit", "select", "test", "show", "predict", "report"])
def test_names_of_strangers_steer_no_terminal_and_stay_themselves(place, command):
    names = [*NAMES, *MARKUP]
    X = np.random.default_rng(0).normal(size=(60, len(names)))
    files.write(place / "names.parquet", {**dict(zip(names, X.T, strict=True)), "text \x1b[5m": np.array(["t"] * 60)})
    model = mixtura.Mixture([1.0], np.zeros((1, len(names))), np.ones((1, len(names))), "diag")
    model.save("n.safetensors", {"columns": names})
    words = {
        "fit": "fit names.parquet --components 1 --family EEI --output out",
        "select": "select names.parquet --components 1 --family EEI",
        "test": "test names.parquet --components 1 --family EEI --replicates 19",
        "show": "show n.safetensors",
        "predict": "predict n.safetensors names.parquet --output out.parquet --keep all",
        "report": "report n.safetensors names.parquet --output r.html",
    }[command]
    shown = run(*words.split())
    assert shown.exit_code == 0, shown.output
    if command in ("fit", "show"):
        assert all(terminal.visible(name)[:23] in shown.stdout for name in NAMES)
        assert all(name[:23] in shown.stdout for name in MARKUP)
    if command == "fit":
        assert json.loads(Path("out/summary.json").read_text())["data"]["columns"] == names
        assert mixtura.Mixture.load_with_metadata("out/model.safetensors")[1]["columns"] == names
        assert json.loads(run(*words.split(), "--json").stdout)["data"]["columns"] == names
    if command == "predict":
        assert set(names) < set(parquet.read_schema("out.parquet").names)


def test_cells_and_misuse_steer_no_terminal(place):
    Path("x.csv").write_text('a,b\n1,2\n3,"o\x1b[31mops\u202e"\n4,5\n')
    assert r"\x1b[31mops\u202e" in refused("fit", "x.csv", "--columns", "a,b", "--output", "out")
    run("fit", "x.csv", "--components", "1", "--family", "EEE", "--output", "out")  # which warns of the cell
    assert r"\x1b" in refused("show", "nothing\x1b[31m")
    assert r"\x1b" in refused("fit", "x.csv", "--family", "\x1b[31m")


@pytest.mark.parametrize("text", ["plain", "größe", "日本語", "می\u200cخواهم", "👩\u200d🔬", "a b"])
def test_letters_of_any_language_are_shown_as_they_are(text):
    assert terminal.visible(text) == text


@pytest.mark.parametrize("name", [*NAMES, "\U000e0001", "\udcff"])
def test_json_says_the_true_name_and_steers_nothing(name):
    text = storage.as_json({name: [name]})
    assert json.loads(text) == {name: [name]}
    assert not any(unicodedata.category(one) in terminal.STEERING for one in text.replace("\n", ""))


def test_a_file_error_is_one(place):
    with pytest.raises(FileError, match="there is no such file"):
        mixtura.open("nothing.csv")
