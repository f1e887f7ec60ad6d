"""Model files and checkpoints: made valid, then changed in their bytes or in what their JSON says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import mixtura
from benchmarks.fuzz import laws
from benchmarks.fuzz.cases import Case
from benchmarks.fuzz.tables import damaged

X = np.random.default_rng(0).normal(size=(40, 2)) + np.repeat([[0.0], [6.0]], 20, axis=0)
PLACE = "mixtura.mixture.1"
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2, 10**30, 1.5, float("nan"), "", "em", "full", "factor:99999999", "\x1b[31m", "x" * 5000, [], {}, [[]], [None],
    {"a": {}}, [1, 2],
    {"kind": "EM", "fields": {}}, {"kind": "exec", "fields": {}}, {"mixture": {}}, {"array": [[1], [2, 3]]}, {"array": "a"}, {"tuple": 5},
    {"mapping": []},
    {"family": {}}, ["a"] * 40, "__class__", "predict", "fit",
)  # fmt: skip


@cache
def _models() -> dict[str, bytes]:
    """A mixture, estimators, and one with a stream, as files."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        made = {}
        mixtura.Mixture([0.5, 0.5], [[0.0, 1.0], [2.0, 3.0]], [[1.0, 2.0], [0.5, 1.0]], "diag").save(path, {"columns": ["a", "b"]})
        made["mixture"] = path.read_bytes()
        fitted = mixtura.GaussianMixture(2, random_state=0).fit(X)
        fitted.save(path)
        made["estimator"] = path.read_bytes()
        stream = mixtura.GaussianMixture(2, random_state=0, rule=mixtura.rules.Online(batch_rows=7), means_init=[[0.0, 0.0], [6.0, 6.0]])
        stream.partial_fit(X).partial_fit(X).save(path)
        made["stream"] = path.read_bytes()
        return made


@cache
def _checkpoint() -> dict[str, bytes]:
    """What a finished fit leaves in its folder."""
    with TemporaryDirectory() as folder:
        _kept(Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


def _kept(folder: Path) -> mixtura.GaussianMixture:
    return mixtura.GaussianMixture(2, random_state=0, tol=1e-4).fit(X, checkpoint=folder)


def model(case: Case) -> None:
    """A model file that was changed: refused, or a mixture as any other."""
    name = case.one_of("file", _models())
    content = _models()[name]
    content = damaged(case, content) if case.chance(0.35) else _rewritten(case, content)
    path = case.folder / "model.safetensors"
    path.write_bytes(content)
    if case.note("as estimator", name != "mixture" and case.chance(0.7)):
        loaded = mixtura.GaussianMixture.load(path)
        laws.mixture(case, loaded.mixture_)
        wide = np.zeros((3, loaded.mixture_.D))
        laws.answers(case, wide, 3, loaded.mixture_.K, loaded.predict(wide), loaded.predict_proba(wide), loaded.score_samples(wide))
        repr(loaded)
        if case.chance(0.5):
            laws.mixture(case, loaded.fit(X).mixture_)
        elif hasattr(loaded, "partial_fit"):
            laws.mixture(case, loaded.partial_fit(X).mixture_)
        loaded.save(case.folder / "again.safetensors")
    else:
        one, metadata = mixtura.Mixture.load_with_metadata(path)
        laws.mixture(case, one)
        laws.asked(case, one, np.zeros((3, one.D)), 3)
        case.require(isinstance(metadata, dict), f"metadata are a dictionary: got {type(metadata)}")


def _rewritten(case: Case, content: bytes) -> bytes:
    """The file with another header: of the format itself, or of what it keeps for us."""
    length = int.from_bytes(content[:8], "little")
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    if case.chance(0.5):
        kept = _changed(case, json.loads(header["__metadata__"][PLACE]))
        header["__metadata__"][PLACE] = json.dumps(kept)
        if case.chance(0.05):
            header["__metadata__"][PLACE] = case.one_of("text", ["[" * 100_000, "null", "", "{", '{"a":' * 50_000, "NaN", '"x"', "1e999"])
    elif case.chance(0.4):
        header = _changed(case, header)
    else:
        _reshaped(case, header)
    written = json.dumps(header).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written + rest


def _reshaped(case: Case, header: dict[str, Any]) -> None:
    """One tensor has another shape, dtype or place, or another name."""
    name = case.one_of("tensor", [key for key in header if key != "__metadata__"])
    one, what = header[name], case.one_of("change", ["shape", "flat", "dtype", "offsets", "gone", "name", "swapped"])
    if what == "shape":
        one["shape"] = case.one_of("shape", [[], [0], [1], [2], [4], [2, 2, 1], [1, 4], [-1, 2], [10**18, 10**18], [2, 0]])
    elif what == "flat":
        one["shape"] = [int(np.prod(one["shape"]))]
    elif what == "dtype":
        one["dtype"] = case.one_of("dtype", ["F32", "I64", "U8", "BOOL", "BF16", "F16", "X9", "", None, "F8_E4M3", "C64"])
    elif what == "offsets":
        one["data_offsets"] = case.one_of("offsets", [[0, 0], [8, 0], [0, 10**12], [-8, 8], [None, None], [], [0.5, 8]])
    elif what == "gone":
        del header[name]
    elif what == "name":
        header[case.one_of("name", ["", "weights", "stream.weights", "__metadata__", "x"])] = header.pop(name)
    else:
        other = case.one_of("other", [key for key in header if key != "__metadata__"])
        header[name], header[other] = header[other], header[name]


def _changed(case: Case, value: Any) -> Any:
    """The same with one thing in it changed: another value, nothing, one more, or one level deeper."""
    paths = list(_paths(value))
    path = paths[int(case.draw.integers(len(paths)))]
    what = case.one_of("change", ["value", "value", "value", "gone", "more", "deeper", "key", "deepest"])
    case.note("at", "/".join(map(str, path)))
    new = VALUES[int(case.draw.integers(len(VALUES)))]
    case.note("new", repr(new)[:80])
    if not path:
        return new if what == "value" else value
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    if what == "value":
        holder[key] = new
    elif what == "gone":
        del holder[key]
    elif what == "more" and isinstance(holder, dict):
        holder[str(case.draw.choice(["extra", "__class__", "fit", "predict", "mixture_", "_read", "weights", "verbose"]))] = new
    elif what == "more":
        holder.append(new)
    elif what == "deeper":
        holder[key] = [holder[key]] if case.chance(0.5) else {"a": holder[key]}
    elif what == "key" and isinstance(holder, dict):
        holder[str(case.draw.choice(["__init__", "", "n_components", "predict", "\x1b"]))] = holder.pop(key)
    elif what == "deepest":
        deep: Any = []
        for _ in range(400):
            deep = [deep]
        holder[key] = deep
    return value


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield from _paths(one, (*path, key))


def checkpoint(case: Case) -> None:
    """A folder of which a file was changed: refused, or the fit ends as an undisturbed one does."""
    files = dict(_checkpoint())
    name = case.one_of("file", [one for one in files if one != "lock"])
    what = case.one_of("what", ["bytes", "bytes", "gone", "json", "json"])
    if what == "gone":
        del files[name]
    elif what == "json" and name == "checkpoint.json":
        files[name] = json.dumps(_changed(case, json.loads(files[name]))).encode()
    else:
        files[name] = damaged(case, files[name])
    folder = case.folder / "kept"
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    fitted = _kept(folder)
    laws.mixture(case, fitted.mixture_)
    case.require(np.array_equal(fitted.mixture_.means, _undisturbed()), "a fit that goes on ends as an undisturbed one does")


@cache
def _undisturbed() -> np.ndarray:
    return mixtura.GaussianMixture(2, random_state=0, tol=1e-4).fit(X).mixture_.means
