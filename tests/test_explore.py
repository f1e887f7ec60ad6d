"""Exploring: who may ask, what is refused and how, that the newest question wins, and that what is saved is what `mixtura fit` writes."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import wait
from contextlib import closing
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from browser import until
from serving import TOKEN, Client, served
from typer.testing import CliRunner

import mixtura
from mixtura.cli import app
from mixtura.cli.explore import _keep
from mixtura.errors import DataError, MissingLibraryError, ParameterError
from mixtura.explore import Exploration, Place, Question, Superseded
from mixtura.explore.app import OWN, SHARED, listening
from mixtura.explore.guard import LARGEST, new_secret
from mixtura.explore.newest import Newest
from mixtura.families import ALL
from mixtura.pages.assets import _at_once

FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"
QUESTION = {"components": 2, "family": "full", "columns": [0, 1], "seed": 0, "x": 0, "y": 1}


def exploration_of(data, output="model", columns=None, weight=None, **more):
    place = Place(str(data), weight, str(output), columns)
    return Exploration(lambda names: mixtura.open(place.data, names or place.columns, place.weight), partial(_keep, place), place, **more)


def asked(one, **more):
    return Question.of({**QUESTION, **more}, len(one.columns))


def answer_of(one, **more):
    return one.ask(asked(one, **more)).result(60)


def rows(tmp_path, X, names="abcdefgh"):
    path = tmp_path / "rows.csv"
    np.savetxt(path, X, delimiter=",", header=",".join(names[: X.shape[1]]), comments="", fmt="%.17g")
    return path


def three(N=400, D=3, seed=0):
    """Three components, apart."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(N, D)) + 5 * generator.integers(0, 3, size=(N, 1)) * np.arange(1, D + 1) / D


@pytest.fixture(scope="module")
def faithful(tmp_path_factory):
    with closing(exploration_of(FAITHFUL, tmp_path_factory.mktemp("saved") / "model")) as one:
        yield one


@pytest.fixture(scope="module")
def client(faithful):
    with served(faithful) as client:
        yield client


PATHS = ("", "about", "explore.js", "explore.css", "scatter.js", "theme.js", "page.css", "plotly.js", "columns/0")


@pytest.mark.parametrize("path", PATHS)
def test_every_path_answers_with_the_token_and_not_without(client, path):
    assert client.get(f"/{TOKEN}/{path}").status == 200
    for wrong in (f"/{path}", f"/wrong/{path}", f"/{TOKEN}x/{path}", f"//{TOKEN}/{path}", f"/{TOKEN[:-1]}/{path}"):
        refused = client.get(wrong)
        assert refused.status == 403
        assert "token" in refused.json()["error"]


@pytest.mark.parametrize("path", ["fit", "save", "progress"])
def test_questions_want_the_token(client, faithful, path):
    assert client.post(f"/wrong/{path}", QUESTION).status == 403
    assert client.post(f"/{path}", QUESTION).status == 403
    assert not Path(faithful.place.output).exists()


@pytest.mark.parametrize("host", ["example.org", "example.org:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.example.org:{port}", ""])
@pytest.mark.parametrize("path", ["", "about"])
def test_other_hosts_are_refused(client, path, host):
    assert client.get(f"/{TOKEN}/{path}", headers={"host": host.format(port=client.port)}).status == 403


def test_localhost_is_a_name_of_this_machine(client):
    assert client.get(f"/{TOKEN}/", headers={"host": f"localhost:{client.port}"}).status == 200


@pytest.mark.parametrize("path", [f"/{TOKEN}/", f"/{TOKEN}/about", "/", f"/{TOKEN}/nothing"])
def test_headers_keep_the_page_to_itself(client, path):
    headers = client.get(path, headers={"origin": "https://example.org"}).headers
    assert "access-control-allow-origin" not in headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|\*|unsafe-eval", policy)
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "fit", 404),
        ("POST", "about", 405),
        ("GET", "nothing.js", 404),
        ("GET", "page.html", 404),
        ("GET", "..%2fapp.py", 404),
        ("GET", "columns/9", 422),
        ("GET", "columns/-1", 404),
        ("GET", "columns/../../etc/passwd", 404),
    ],
)
def test_paths_that_are_none(client, method, path, status):
    told = client.post(f"/{TOKEN}/{path}", QUESTION) if method == "POST" else client.get(f"/{TOKEN}/{path}")
    assert told.status == status


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"components=3", "application/x-www-form-urlencoded", 415),
        (b" " * 100_001, "application/json", 413),
        (b"{", "application/json", 422),
        (b"\xff", "application/json", 422),
        (b"[1]", "application/json", 422),
        (b"[" * 50_000 + b"]" * 50_000, "application/json", 422),
        (b'{"a":' * 15_000 + b"1" + b"}" * 15_000, "application/json", 422),
        (b"9" * 99_000, "application/json", 422),
    ],
)
def test_what_is_no_question(client, content, kind, status):
    assert client.request("POST", f"/{TOKEN}/fit", content, {"content-type": kind}).status == status


def told_of(client, *parts, more=b""):
    """The status of an answer to raw bytes, which may say anything of their length; `more` is sent until nobody listens."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as sender:
        head = f"POST /{TOKEN}/fit HTTP/1.1\r\nhost: 127.0.0.1:{client.port}\r\ncontent-type: application/json\r\n".encode()
        sender.sendall(head + b"".join(parts))
        sent = 0
        sender.settimeout(0.01)
        while more and sent < 50 * LARGEST:
            try:
                sent += sender.send(more)
            except (TimeoutError, ConnectionError):
                break
        sender.settimeout(30)
        return sender.makefile("rb").readline(), sent


CHUNK = b"fff\r\n" + b" " * 0xFFF + b"\r\n"


@pytest.mark.parametrize("said", [b"", b"content-length: 5\r\n"], ids=["no length", "a length that lies"])
def test_a_body_is_measured_and_not_believed(client, said):
    question = b'{"components": 0}'
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(question), question)
    status, _ = told_of(client, said, b"transfer-encoding: chunked\r\n\r\n", chunk)
    assert status.split()[1] in (b"422", b"400")  # it is read, and no good question; or both headers at once are refused
    status, sent = told_of(client, said, b"transfer-encoding: chunked\r\n\r\n", more=CHUNK)
    assert status.split()[1:2] in ([b"413"], [b"400"], [])  # [] where the connection ended before the answer was read
    assert sent < 50 * LARGEST


@pytest.mark.parametrize("length", [b"100001", b"9" * 5000, b"-1", b"x"])
def test_a_length_that_is_too_much_is_refused_before_anything_is_read(client, length):
    status, _ = told_of(client, b"content-length: " + length + b"\r\n\r\n")
    assert status.split()[1] in (b"413", b"400")


def test_a_key_opens_the_page_once_and_goes_on_doing_so_in_that_browser(client):
    key = client.keys.new()
    assert client.request("HEAD", f"/open/{key}").status == 405  # which does not use it up
    opened = client.get(f"/open/{key}")
    assert (opened.status, opened.headers["location"]) == (303, f"/{TOKEN}/")
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/open/" in cookie and TOKEN not in cookie
    assert client.get(opened.headers["location"]).status == 200
    mine = {"cookie": cookie.split(";")[0]}
    assert client.get(f"/open/{key}", headers=mine).status == 303
    for other in ({}, {"cookie": mine["cookie"][:-1]}, {"cookie": "mixtura"}, {"cookie": '"\\;='}):
        refused = client.get(f"/open/{key}", headers=other)
        assert refused.status == 403 and "used already" in refused.json()["error"] and TOKEN not in refused.text


def test_a_cookie_that_was_put_there_by_another_page_is_not_taken(client):
    key = client.keys.new()
    planted = {"cookie": f"mixtura-{client.port}=planted"}
    assert "planted" not in client.get(f"/open/{key}", headers=planted).headers["set-cookie"]
    assert client.get(f"/open/{key}", headers=planted).status == 403


@pytest.mark.parametrize("path", ["/open/", "/open/wrong", "/open", f"/open/{TOKEN}", f"/open/{TOKEN}/", "/open/a/b"])
def test_other_keys_open_nothing(client, path):
    assert client.get(path).status == 403


def test_a_key_is_for_this_host_alone(client):
    key = client.keys.new()
    assert client.get(f"/open/{key}", headers={"host": f"example.org:{client.port}"}).status == 403
    assert client.get(f"/open/{key}").status == 303


BAD = [
    ({"components": 0}, "components is not usable: got 0, expected an integer from 1 to 20"),
    ({"components": 21}, "components is not usable: got 21"),
    ({"components": "3"}, "components is not usable: got '3'"),
    ({"components": 2.5}, "components is not usable: got 2.5"),
    ({"components": True}, "components is not usable: got True"),
    ({"family": "nonsense"}, "unknown family: got 'nonsense', expected one of tied_spherical"),
    ({"family": None}, "unknown family: got None"),
    ({"family": ["full"]}, "unknown family"),
    ({"columns": []}, r"no columns to fit: got \[\], expected a list of numbers; try ticking a column"),
    ({"columns": [0, 2]}, "a column is not usable: got 2, expected an integer from 0 to 1"),
    ({"columns": [-1]}, "a column is not usable: got -1"),
    ({"columns": ["eruptions"]}, "a column is not usable: got 'eruptions'"),
    ({"columns": 0}, "no columns to fit: got 0"),
    ({"seed": -1}, "seed is not usable: got -1"),
    ({"seed": 2**32}, "seed is not usable"),
    ({"x": 2}, "x is not usable: got 2"),
    ({"x": None}, "x is not usable: got None"),
    ({"y": 2}, "y is not usable: got 2"),
]


@pytest.mark.parametrize(("more", "message"), BAD)
@pytest.mark.parametrize("path", ["fit", "save", "progress"])
def test_bad_questions_are_told_in_one_line(client, path, more, message):
    told = client.post(f"/{TOKEN}/{path}", {**QUESTION, **more})
    assert told.status == 422
    assert re.search(message, told.json()["error"])
    assert "\n" not in told.json()["error"]


def test_too_few_rows_are_told_and_the_next_question_is_answered(tmp_path):
    with closing(exploration_of(rows(tmp_path, three(5, 2)))) as one, served(one) as client:
        told = client.post(f"/{TOKEN}/fit", {**QUESTION, "components": 9})
        assert told.status == 422
        assert "too few rows: got 5 rows for 9 components" in told.json()["error"]
        assert client.post(f"/{TOKEN}/fit", {**QUESTION, "components": 1}).status == 200


def test_identical_rows_are_told(tmp_path):
    with closing(exploration_of(rows(tmp_path, np.ones((10, 2))))) as one, pytest.raises(DataError, match="10 identical rows"):
        answer_of(one, components=1)


def test_a_column_with_a_nan_is_named_and_the_others_can_be_fitted(tmp_path):
    X = three()
    X[7, 1] = np.nan
    with closing(exploration_of(rows(tmp_path, X))) as one:
        with pytest.raises(DataError, match="'b'"):
            answer_of(one, columns=[0, 1, 2])
        assert answer_of(one, columns=[0, 2])["names"] == ("a", "c")


def test_a_column_of_one_value_is_noted(tmp_path):
    X = three()
    X[:, 1] = 3.0
    with closing(exploration_of(rows(tmp_path, X))) as one:
        assert answer_of(one, columns=[0, 1])["notes"] == ["column 'b' holds one value: it tells no components apart"]
        assert answer_of(one, columns=[0, 2])["notes"] == []


def test_what_goes_wrong_inside_is_told_and_not_left_blank(client, faithful, monkeypatch):
    def broken(question):
        raise RuntimeError("a slip\nof two lines")

    monkeypatch.setattr(faithful, "ask", broken)
    told = client.post(f"/{TOKEN}/fit", QUESTION)
    assert told.status == 500
    assert told.json()["error"] == "something went wrong: RuntimeError: a slip of two lines"


@pytest.mark.parametrize("family", [one.name for one in ALL])
def test_an_answer_is_what_select_finds(faithful, family):
    told = answer_of(faithful, components=3, family=family)
    best = mixtura.select(FAITHFUL, 3, family, random_state=0).ranking[0]
    assert told["figures"]["bic"] == best.bic
    assert told["figures"]["status"] == best.status
    assert told["weights"] == best.mixture.weights.tolist()
    assert told["means"] == best.mixture.means.tolist()
    X = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    found = faithful._found[asked(faithful, components=3, family=family).key].result()
    np.testing.assert_array_equal(found.component, best.mixture.assign(X))
    np.testing.assert_allclose(found.uncertainty / 255, 1 - best.mixture.posterior(X).max(axis=1), atol=0.5 / 255 + 1e-12)


def test_fits_do_not_depend_on_those_before(tmp_path):
    path = rows(tmp_path, three())
    with closing(exploration_of(path)) as one, closing(exploration_of(path)) as other:
        for K in (5, 1, 3):
            answer_of(one, components=K, columns=[0, 1, 2])
        assert answer_of(one, components=4, columns=[0, 1, 2])["means"] == answer_of(other, components=4, columns=[0, 1, 2])["means"]
        assert answer_of(one, seed=1)["figures"]["bic"] == mixtura.select(mixtura.open(path, ["a", "b"]), 2, "full", random_state=1).ranking[0].bic


def test_another_seed_draws_other_rows_of_many(tmp_path):
    with closing(exploration_of(rows(tmp_path, three()), at_once=100)) as one:
        first, second = answer_of(one), answer_of(one, seed=1)
        assert first["figures"]["rows"] == second["figures"]["rows"] == 100
        assert first["figures"]["bic"] != second["figures"]["bic"]


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({}, "outlines"),
        ({"y": None}, "curves"),
        ({"columns": [1]}, None),
        ({"columns": [1], "y": None}, None),
        ({"columns": [0], "y": None}, "curves"),
        ({"y": 0}, None),
    ],
)
def test_components_are_drawn_in_the_columns_that_are_fitted(faithful, more, shown):
    told = answer_of(faithful, **more)
    assert {name for name in ("outlines", "curves") if told[name] is not None} == ({shown} if shown else set())


def test_densities_hold_the_weight_of_their_component(faithful):
    told = answer_of(faithful, y=None)
    for weight, curve in zip(told["weights"], told["curves"], strict=True):
        assert np.trapezoid(curve["y"], curve["x"]) == pytest.approx(weight, abs=1e-3)


def test_neighbours_are_fitted_ahead(faithful):
    wanted = {asked(faithful, components=K, family="evv").key for K in (6, 7, 8)}
    assert not answer_of(faithful, components=7, family="evv")["known"]
    faithful._aside.submit(lambda: None).result(60)
    assert wanted <= set(faithful._found)
    assert answer_of(faithful, components=8, family="evv")["known"]


def test_the_newest_question_wins_and_those_that_wait_are_dropped():
    newest, begun, go = Newest(), threading.Event(), threading.Event()
    done = []

    def long(go_on):
        begun.set()
        assert go.wait(30)
        go_on()
        done.append("long")

    with closing(newest):
        first = newest.ask(long)
        assert begun.wait(30)
        waiting = [newest.ask(lambda go_on, k=k: done.append(k)) for k in range(5)]
        go.set()
        wait([first, *waiting], 30)
    for dropped in (first, *waiting[:-1]):
        with pytest.raises(Superseded):
            dropped.result()
    assert waiting[-1].exception() is None
    assert done == [4]


def test_a_question_that_was_dropped_has_a_status_of_its_own(client, faithful, monkeypatch):
    def dropped(question):
        raise Superseded

    monkeypatch.setattr(faithful, "ask", dropped)
    assert client.post(f"/{TOKEN}/fit", QUESTION).status == 409


def test_a_fit_to_all_rows_ends_for_a_newer_question_and_can_be_asked_again(tmp_path):
    with closing(exploration_of(rows(tmp_path, three(3000)), at_once=200)) as one:
        fits, begun, go = one._rows_of(asked(one)), threading.Event(), threading.Event()
        to_all = type(fits).to_all

        def slow(self, candidate, on_step=None):
            def told(step):
                begun.set()
                assert go.wait(30)
                on_step(step)

            return to_all(self, candidate, told)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(fits), "to_all", slow)
            long = one.ask(asked(one, all_rows=True))
            assert begun.wait(30)
            short = one.ask(asked(one, components=3))
            go.set()
            assert short.result(30)["figures"]["rows"] == 200
            with pytest.raises(Superseded):
                long.result(30)
        assert one.so_far(asked(one, all_rows=True)) is None
        assert answer_of(one, all_rows=True)["figures"]["rows"] == 3000


def test_neighbours_are_fitted_while_all_rows_are(tmp_path):
    with closing(exploration_of(rows(tmp_path, three(3000)), at_once=200)) as one:
        fits, begun, go = one._rows_of(asked(one)), threading.Event(), threading.Event()
        to_all = type(fits).to_all

        def slow(self, candidate, on_step=None):
            begun.set()
            assert go.wait(30)
            return to_all(self, candidate, on_step)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(fits), "to_all", slow)
            long = one.ask(asked(one, components=4, all_rows=True))
            assert begun.wait(30)
            one._aside.submit(lambda: None).result(30)
            assert {asked(one, components=K).key for K in (3, 5)} <= set(one._found)
            go.set()
            assert long.result(30)["figures"]["rows"] == 3000


@pytest.mark.long
def test_a_fit_to_all_rows_can_be_looked_at_on_its_way(tmp_path):
    """After each step: the mixture of the greatest likelihood so far, which never falls, and none for another question or once it has arrived."""
    path = rows(tmp_path, three(3000))
    with closing(exploration_of(path, at_once=200)) as one:
        fits, whole, seen = one._rows_of(asked(one)), asked(one, components=5, all_rows=True), []
        to_all = type(fits).to_all

        def watched(self, candidate, on_step=None):
            def told(step):
                on_step(step)
                seen.append(one.so_far(whole))
                assert one.so_far(asked(one, all_rows=True)) is None

            return to_all(self, candidate, told)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(fits), "to_all", watched)
            last = one.ask(whole).result(60)
        assert one.so_far(whole) is None
    assert [told["steps"] for told in seen] == list(range(len(seen)))
    reached = [told["figures"]["log_likelihood"] for told in seen]
    assert len(seen) > 10 and reached == sorted(reached)
    assert reached[-1] == last["figures"]["log_likelihood"] and seen[-1]["means"] == last["means"]
    assert seen[3]["figures"]["rows"] == 3000 and "steps" not in last
    best = mixtura.select(mixtura.open(path, ["a", "b"]), 5, "full", subsample=200, random_state=0).ranking[0]
    assert (seen[0]["means"], last["means"]) == (best.before.mixture.means.tolist(), best.mixture.means.tolist())


SAVED = [
    ({"components": 3, "family": "tied"}, {}, None),
    ({"components": 2, "family": "full", "columns": [1], "seed": 7}, {}, None),
    ({"components": 3, "family": "vev", "columns": [0, 2]}, {"at_once": 300}, None),
    ({"components": 3, "family": "full", "columns": [0, 1, 2]}, {"at_once": 300}, None),
    ({"components": 2, "family": "diag", "columns": [0, 1]}, {}, "c, d"),
    ({"components": 2, "family": "diag"}, {"columns": ("b", "a")}, None),
]


@pytest.mark.parametrize(("more", "how", "weight"), SAVED)
def test_what_is_saved_is_what_the_command_and_the_lines_of_python_give(tmp_path, monkeypatch, more, how, weight):
    """The same bytes, summary and all: of few rows, of a part first, of some columns, weighed."""
    monkeypatch.chdir(tmp_path)
    X = three(1000)
    X[:, 2] = np.abs(X[:, 2]) + 0.1
    np.savetxt("my rows.csv", X, delimiter=",", header=f'a,b,"{weight or "c"}"', comments="", fmt="%.17g")
    with closing(exploration_of("my rows.csv", "from the page", weight=weight, **how)) as one:
        told = one.save(asked(one, **more)).result(60)["answer"]
    words = shlex.split(told["command"])
    assert words[:2] == ["mixtura", "fit"]
    assert words[-2:] == ["--output", "from the page"]
    done = CliRunner().invoke(app, [*words[1:-1], "from the command", "--quiet"])
    assert done.exit_code == 0, done.stderr
    for name in ("model.safetensors", "summary.json"):
        assert Path("from the page", name).read_bytes() == Path("from the command", name).read_bytes()
    namespace = {}
    exec(told["python"], namespace)  # noqa: S102
    saved = mixtura.Mixture.load("from the page/model.safetensors")
    for part in ("weights", "means", "covariances"):
        np.testing.assert_array_equal(getattr(saved, part), getattr(namespace["mixture"], part))
    assert told["weights"] == saved.weights.tolist()
    assert told["figures"]["rows"] == 1000


def test_saving_over_http_says_where(client, faithful):
    told = client.post(f"/{TOKEN}/save", {**QUESTION, "output": "/tmp/elsewhere", "path": "../elsewhere"})
    assert told.status == 200
    assert told.json()["output"] == faithful.place.output
    assert sorted(path.name for path in Path(faithful.place.output).iterdir()) == ["model.safetensors", "summary.json"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with closing(exploration_of(FAITHFUL, tmp_path / "file" / "model")) as one, served(one) as client:
        told = client.post(f"/{TOKEN}/save", QUESTION)
        assert told.status == 422
        assert "try another --output" in told.json()["error"]


def test_columns_travel_as_numbers_and_names_as_text(tmp_path):
    name = "</script><script>alert(1)</script>&"
    path = tmp_path / "rows.csv"
    np.savetxt(path, three(50, 2), delimiter=",", header=f"{name},b", comments="", fmt="%.17g")
    with closing(exploration_of(path)) as one, served(one) as client:
        about = client.get(f"/{TOKEN}/about")
        assert about.json()["columns"] == [name, "b"]
        assert "<" not in about.text
        np.testing.assert_array_equal(
            np.frombuffer(client.get(f"/{TOKEN}/columns/0").content, "<f8"), np.loadtxt(path, delimiter=",", skiprows=1)[:, 0]
        )


def test_many_rows_are_shown_in_part(tmp_path):
    with closing(exploration_of(rows(tmp_path, three(500)), shown=100)) as one:
        assert one.about()["shown"] == len(one.column(0)) == 100
        assert not one.webgl
        told = answer_of(one, columns=[0, 1, 2])
        assert told["figures"]["rows"] == told["of"] == 500
        assert len(one._found[asked(one, columns=[0, 1, 2]).key].result().component) == 100


def test_rows_that_webgl_draws_allow_what_it_needs(tmp_path):
    with closing(exploration_of(rows(tmp_path, three(1001)))) as one, served(one) as client:
        assert "script-src 'self' 'unsafe-eval';" in client.get(f"/{TOKEN}/").headers["content-security-policy"]


def test_it_listens_on_this_machine_alone_and_says_when_it_cannot():
    with listening() as place:
        name, port = place.getsockname()
        assert name == "127.0.0.1"
        other = socket.socket()
        with other, pytest.raises(ParameterError, match=f"cannot listen on port {port}: .*; try another --port"):
            listening(port).close()


def test_tokens_are_long_and_never_the_same():
    assert len({new_secret() for _ in range(100)}) == 100
    assert min(len(new_secret()) for _ in range(100)) >= 43  # 256 bits in base64


PLOTLY = '(\n function(root, factory) {\n  root.moduleName = factory();\n} (typeof self !== "undefined" ? self : this, %s {\nreturn 1;\n}));'


def test_only_plotly_of_the_known_form_is_rewritten():
    ours = PLOTLY.replace("{\nreturn 1;\n}", "{\nreturn 1;\n})") % "(() =>"
    assert _at_once(PLOTLY % "() =>") == ours + "\n"
    assert _at_once(PLOTLY % "() =>" + "\n") == ours + "\n"
    twice = PLOTLY.replace("return 1", '(typeof self !== "undefined" ? self : this, () => {\n})')
    for other in (
        "",
        "\n",
        PLOTLY % "function()",
        PLOTLY % "() =>" + "\n// more",
        PLOTLY.replace("self : this", "self : null") % "() =>",
        twice % "() =>",
    ):
        assert _at_once(other) == other


@pytest.mark.parametrize("name", ["page.html", *OWN])
def test_the_page_is_in_the_package(name):
    assert (files("mixtura.explore") / name).is_file()


@pytest.mark.parametrize("name", SHARED)
def test_what_pages_share_is_in_the_package(name):
    assert (files("mixtura.pages") / name).is_file()


def test_a_missing_library_is_named_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "mixtura.explore.app")
    with pytest.raises(MissingLibraryError, match=r"got no uvicorn, .*try pip install 'mixtura\[explore\]'"):
        import mixtura.explore.app  # noqa: F401


@pytest.mark.parametrize(("signalled", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_command_prints_the_address_serves_and_ends_with_a_signal(tmp_path, signalled, code):
    command = [sys.executable, "-m", "mixtura", "explore", str(FAITHFUL), "--no-browser", "--output", str(tmp_path / "model")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=dict(os.environ)) as process:
        try:
            address = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/open/[\w-]{43}", address)
            port, key = re.findall(r":(\d+)/open/(.*)", address)[0]
            client = Client(int(port))
            assert client.get(f"/{key}/").status == 403
            token = client.get(f"/open/{key}").headers["location"].strip("/")
            assert token != key and client.get(f"/{token}/").status == 200
            assert client.get(f"/open/{key}").status == 403
            assert client.get("/").status == 403
            assert client.post(f"/{token}/fit", QUESTION).json()["figures"]["components"] == 2
            process.send_signal(signalled)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == code, err
    assert out == ""
    assert err.splitlines()[-1] == "mixtura: the page is closed"
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.csv",), "nowhere.csv"),
        ((FAITHFUL, "--columns", "nothing"), "nothing"),
        ((FAITHFUL, "--weight", "nothing"), "nothing"),
    ],
)
def test_data_that_cannot_be_opened_are_told_before_there_is_a_page(words, message, tmp_path):
    done = CliRunner().invoke(app, ["explore", *map(str, words), "--no-browser", "--output", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr.startswith("mixtura: error:")
    assert message in done.stderr


BROWSER = """#!/bin/sh
printf '%s\\n' "$@" > opened
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_the_browser_is_given_a_key_of_its_own_and_no_token(tmp_path):
    """What stands in the command line of the browser is of no use once it was used."""
    (tmp_path / "browser").write_text(BROWSER)
    (tmp_path / "browser").chmod(0o755)
    command = [sys.executable, "-m", "mixtura", "explore", str(FAITHFUL)]
    environment = {**os.environ, "BROWSER": f"{tmp_path / 'browser'} %s"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment, cwd=tmp_path) as process:
        try:
            printed = process.stdout.readline().strip()
            until(lambda: (tmp_path / "opened").exists() and (tmp_path / "opened").read_text().endswith("\n"), "the browser")
            given = (tmp_path / "opened").read_text().strip()
            client = Client(int(re.findall(r":(\d+)/", printed)[0]))
            first, second = (client.get(address.partition(str(client.port))[2]) for address in (given, printed))
            assert given != printed and first.status == second.status == 303
            token = first.headers["location"]
            assert second.headers["location"] == token and token.strip("/") not in given + printed
        finally:
            process.kill()
