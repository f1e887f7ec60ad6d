"""The page of `mixtura explore` in Chromium: what a hand on the controls changes, what is said when something is wrong, what is kept of moves."""

from __future__ import annotations

import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from browser import opened, started, until
from serving import FAITHFUL, MOVED, TOKEN, Page, exploring, served

import mixtura
from mixtura.cli.explore import _keep
from mixtura.explore import Exploration, Place
from mixtura.explore.rows import Rows

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def chromium():
    """One browser for all pages here."""
    with started() as one:
        yield one


@pytest.fixture(scope="module")
def shared(chromium, tmp_path_factory):
    """One page for the tests that leave it as it was: two components, full, both columns."""
    with exploring(chromium, output=tmp_path_factory.mktemp("page") / "model", warm=True) as page:
        yield page


@pytest.fixture
def page(shared):
    yield shared
    shared.page.reload()
    until(shared.moves, "the first fit")


def data(tmp_path, N, D, names="abcdefgh"):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(N, D)) + 6 * generator.integers(0, 3, size=(N, 1)) * np.arange(1, D + 1) / D
    path = tmp_path / "rows.csv"
    np.savetxt(path, X, delimiter=",", header=",".join(names[:D]), comments="", fmt="%.17g")
    return path


def figure(value):
    return f"{value:,.2f}"


@pytest.mark.quick
def test_the_page_opens_with_a_fit_and_its_picture(page):
    best = mixtura.select(FAITHFUL, 2, "full", random_state=0).ranking[0]
    assert page.text("title") == "old_faithful.csv"
    assert page.text("about") == "272 rows, 2 columns"
    assert "2 components, full (VVV)" in page.text("status")
    assert page.figures()["BIC"] == figure(best.bic)
    assert page.figures()["status"] == "converged"
    assert page.weights() == pytest.approx(best.mixture.weights, abs=5e-5)
    assert page.traces("markers") == page.traces("lines") == 2
    assert page.axes() == ["eruptions", "waiting"]
    drawn = page.evaluate("document.getElementById('picture').data.filter((one) => one.mode === 'markers').map((one) => one.x.length)")
    assert sorted(drawn) == sorted(np.bincount(best.mixture.assign(np.loadtxt(FAITHFUL, delimiter=",", skiprows=1))))


def test_the_slider_changes_fit_picture_and_curve(page):
    for K in (5, 3, 1):
        page.slide(K)
        best = mixtura.select(FAITHFUL, K, "full", random_state=0).ranking[0]
        assert page.traces("markers") == page.traces("lines") == K
        assert len(page.weights()) == K
        assert page.figures()["BIC"] == figure(best.bic)
        assert page.page.input_value("#components-number") == str(K)
    assert page.page.locator("#curve [role=button]").count() == 4


def test_keys_move_the_slider(page):
    page.page.focus("#components")
    for key, K in (("ArrowRight", 3), ("ArrowRight", 4), ("ArrowLeft", 3), ("Home", 1), ("End", 20)):
        with page.moved():
            page.page.keyboard.press(key)
        assert len(page.weights()) == K
    reached = set()
    page.page.focus("#components-number")
    for _ in range(40):
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.value || document.activeElement.tagName"))
        page.page.keyboard.press("Tab")
    assert {"components", "family", "x", "y", "component", "seed", "another", "save", "criterion"} <= reached


def test_families_change_the_fit(page):
    for name, code in (("tied", "EEE"), ("vev", "VEV"), ("tied_spherical", "EII")):
        page.choose("family", name)
        assert f"{name} ({code})" in page.text("status")
        assert page.figures()["BIC"] == figure(mixtura.select(FAITHFUL, 2, name, random_state=0).ranking[0].bic)
    assert page.page.locator("#family option").count() == 14


def test_columns_of_the_fit(page):
    with page.moved():
        page.page.uncheck("#columns input >> nth=0")
    assert page.page.locator("#table thead th").all_inner_texts() == ["component", "weight", "waiting"]
    assert "eruptions: shown, not fitted" in page.page.inner_text(".key .note")
    assert "One column has no shape" in page.text("family-note")
    assert page.figures()["BIC"] == figure(mixtura.select(mixtura.open(FAITHFUL, ["waiting"]), 2, "full", random_state=0).ranking[0].bic)
    assert "--columns waiting" in page.text("command")
    page.page.uncheck("#columns input >> nth=1")
    until(lambda: page.page.is_visible("#trouble"), "the message")
    assert "No columns to fit" in page.text("trouble")
    with page.moved():
        page.page.check("#columns input >> nth=0")
    assert not page.page.is_visible("#trouble")


def test_columns_of_the_picture(page):
    page.choose("x", "1")
    page.choose("y", "0")
    assert page.axes() == ["waiting", "eruptions"]
    page.choose("y", "")
    assert page.axes() == ["waiting", "density"]
    assert page.evaluate("document.getElementById('picture').data[0].type") == "histogram"


def test_rows_are_coloured_by_uncertainty(page):
    page.page.check("[name=colour][value=uncertainty]")
    until(lambda: page.traces("markers") == 1, "one trace")
    shades = page.evaluate("document.getElementById('picture').data[0].marker.color")
    X = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    posterior = mixtura.select(FAITHFUL, 2, "full", random_state=0).ranking[0].mixture.posterior(X)
    assert shades == pytest.approx(1 - posterior.max(axis=1), abs=0.5 / 255 + 1e-9)
    page.slide(3)
    assert page.traces("markers") == 1
    assert page.traces("lines") == 3


def test_another_start_is_another_seed(page):
    with page.moved():
        page.page.click("#another")
    assert page.page.input_value("#seed") == "1"
    assert "--seed 1" in page.text("command")


def test_the_curve_leads_back_to_what_was_seen(page):
    page.choose("family", "tied")
    page.slide(3)
    page.slide(8)
    assert "3 components, tied (EEE)" in page.text("best")
    with page.moved():
        page.page.click("#best button")
    assert len(page.weights()) == 3
    page.page.select_option("#criterion", "icl")
    until(lambda: "Highest ICL" in page.text("best"), "the other criterion")
    with page.moved():
        page.page.focus("#curve [role=button] >> nth=0")
        page.page.keyboard.press("Enter")


def test_saving_writes_the_model_and_says_where(page):
    page.choose("family", "vve")
    page.slide(3)
    page.page.click("#save")
    until(lambda: page.page.is_visible("#saved"), "the model to be saved")
    folder = Path(page.exploration.place.output)
    assert f"{folder}/model.safetensors" in page.text("saved")
    saved = mixtura.Mixture.load(folder / "model.safetensors")
    assert (saved.K, saved.family.name) == (3, "vve")
    assert page.weights() == pytest.approx(saved.weights, abs=5e-5)
    assert page.text("command").startswith("mixtura fit ")
    assert page.text("python").startswith("import mixtura\n")
    page.slide(4)
    assert not page.page.is_visible("#saved")


def test_what_cannot_be_fitted_is_said_and_the_page_goes_on(chromium, tmp_path):
    with exploring(chromium, data(tmp_path, 6, 2), but=("422",)) as page:
        page.evaluate("(() => { const s = document.getElementById('components'); s.value = 9; s.dispatchEvent(new Event('input')); })()")
        until(lambda: page.page.is_visible("#trouble"), "the message")
        assert "too few rows: got 6 rows for 9 components" in page.text("trouble")
        assert page.page.is_disabled("#save")
        page.slide(1)
        assert not page.page.is_visible("#trouble")
        assert len(page.weights()) == 1


def test_a_column_that_looks_like_a_script_is_a_name(chromium, tmp_path):
    name = "<script>document.title='gone'</script>"
    with exploring(chromium, data(tmp_path, 60, 2, [name, "<img src=x onerror=alert(1)>"])) as page:
        page.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        assert page.page.title() == "rows.csv · Mixtura"
        assert page.page.locator("#table thead th").all_inner_texts()[2] == name
        assert page.page.locator("#columns span").all_inner_texts() == [name, "<img src=x onerror=alert(1)>"]
        assert page.evaluate("document.querySelectorAll('#work script, #work img, #controls script, #controls img').length") == 0
        assert name in page.page.text_content("#picture .xtitle")


def test_one_column_is_seen_as_a_density(chromium, tmp_path):
    with exploring(chromium, data(tmp_path, 200, 1)) as page:
        assert page.axes() == ["a", "density"]
        page.slide(3)
        assert page.evaluate("document.getElementById('picture').data.filter((one) => one.meta?.kind === 'curve').length") == 3


def test_many_rows_are_fitted_in_part_and_then_all(chromium, tmp_path):
    path = data(tmp_path, 3000, 2)
    with exploring(chromium, path, at_once=500, shown=1500) as page:
        assert "1,500 of 3,000 rows, drawn at random" in page.page.inner_text(".key .note")
        assert page.evaluate("document.getElementById('picture').data[0].type") == "scattergl"
        assert page.evaluate("document.querySelectorAll('.no-webgl').length") == 0
        page.slide(3)
        assert "fitted to 500 of 3,000 rows, drawn at random" in page.text("status")
        until(lambda: "fitted to all 3,000 rows" in page.text("status"), "all rows")
        best = mixtura.select(path, 3, "full", subsample=500, random_state=0).ranking[0]
        assert page.figures()["BIC"] == figure(best.bic)
        page.page.uncheck("#all")
        page.slide(4)
        page.page.wait_for_timeout(1000)
        assert "fitted to 500 of 3,000 rows" in page.text("status")


def test_a_fit_to_all_rows_is_drawn_on_its_way(chromium, tmp_path, monkeypatch):
    go, to_all = threading.Event(), Rows.to_all

    def slow(self, candidate, on_step=None):
        return to_all(self, candidate, lambda step: (on_step(step), step.number < 3 or candidate.components < 5 or go.wait(30)))

    monkeypatch.setattr(Rows, "to_all", slow)
    with exploring(chromium, data(tmp_path, 3000, 2), at_once=500) as page:
        page.slide(5, "underway")
        assert "on its way to all 3,000 rows: step 3" in page.text("status")
        assert (page.figures()["status"], page.figures()["ICL"]) == ("on its way", "–")
        assert page.traces("lines") == 5
        assert "of fits to 500 rows" in page.text("best")  # the curve is of fits that have arrived
        with page.moved("all"):
            go.set()
        assert "fitted to all 3,000 rows" in page.text("status")
        assert "of fits" not in page.text("best")
        assert page.moves("underway")[-1]["steps"] == 3


def test_a_server_that_is_gone_is_said_to_be(chromium, tmp_path):
    place = Place(str(FAITHFUL))
    with (
        closing(Exploration(lambda names: mixtura.open(FAITHFUL, names), partial(_keep, place), place)) as one,
        opened(but=("ERR_", "failed: http://127.0.0.1"), browser=chromium) as browser,
    ):
        with served(one) as client:
            browser.goto(f"http://127.0.0.1:{client.port}/{TOKEN}/")
            page = Page(browser, one)
            until(page.moves, "the first fit")
        until(lambda: page.page.is_visible("#trouble"), "the message")
        assert "The server is gone: start mixtura explore again" in page.text("trouble")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (768, False), (1280, True)])
def test_nothing_sticks_out(chromium, tmp_path, width, dark):
    names = ["a", "b", "c of a long name that goes on", "d", "e"]
    with exploring(chromium, data(tmp_path, 100, 5, names), width=width, height=844, dark=dark) as page:
        page.slide(12)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light dark"
        red = int(page.evaluate("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")[0])
        assert (red < 128) == dark


def test_every_move_is_a_fit_of_its_own_and_is_recorded(chromium, tmp_path):
    """By the browser's own clock, from the slider's event to the picture: `benchmarks.pages` reads the same. Of many rows also the picture of all."""
    with exploring(chromium, warm=True) as few, exploring(chromium, data(tmp_path, 3000, 5), at_once=500, warm=True) as many:
        for page in (few, many):
            before = len(page.moves())
            for K in MOVED:
                page.slide(K)
                assert page.traces("lines") == K
            told = page.moves()[before:]
            assert [one["components"] for one in told] == list(MOVED)
            assert not any(one["known"] for one in told)
            assert all(one["took"] > one["request"] > one["server"] > 0 for one in told)
        with many.moved("all"):
            many.slide(3)
        assert "fitted to all 3,000 rows" in many.text("status")
        assert many.moves("all")[-1]["took"] > many.moves()[-1]["took"]


def test_the_address_opens_the_page_once_and_the_page_has_one_of_its_own(chromium, tmp_path):
    place = Place(str(FAITHFUL), None, str(tmp_path / "model"))
    with closing(Exploration(lambda names: mixtura.open(FAITHFUL, names), partial(_keep, place), place)) as one, served(one) as client:
        address = f"http://127.0.0.1:{client.port}/open/{client.keys.new()}"
        with opened(browser=chromium, but=("/fit", "/progress")) as page:
            page.goto(address)
            until(Page(page, one).moves, "the first fit")
            assert page.url == f"http://127.0.0.1:{client.port}/{TOKEN}/"
            page.reload()
            until(Page(page, one).moves, "the fit after a reload")
            page.goto(address)  # typed again, in the same browser
            until(Page(page, one).moves, "the fit of the same address")
            tab = page.context.new_page()
            tab.goto(page.url)
            until(Page(tab, one).moves, "the fit in a second tab")
        with opened(browser=chromium, but=("403",)) as page:  # a context of its own is another browser
            assert page.goto(address).status == 403
            assert "used already" in page.inner_text("body")
