"""The report in Chromium: that it loads, and what a hand, a key and a printer do with it."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from browser import opened, started, until
from cases import overlapping

import mixtura
from mixtura.showing import outlines

pytestmark = pytest.mark.long

FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"
HOSTILE = ("<script>alert(1)</script>", '"quotes" & </script><b>', "{{ 7 * 7 }} %{x}")
TRACES = """() => document.getElementById("scatter").data.map((one) => ({
    kind: one.meta.kind, component: one.meta.component ?? null, type: one.type, visible: one.visible ?? true,
    x: Array.from(one.x ?? []), y: Array.from(one.y ?? []) }))"""


@pytest.fixture(scope="module")
def look():
    """A page, in one browser for all of them here: to start one takes longer than what is looked at."""
    with started() as browser:
        yield partial(opened, browser=browser)


@pytest.fixture(scope="module")
def faithful(tmp_path_factory):
    path = tmp_path_factory.mktemp("reports") / "faithful.html"
    selection = mixtura.select(FAITHFUL, [1, 2, 3], "usual", random_state=0)
    mixtura.report.write(selection, FAITHFUL, path, name="old_faithful.csv")
    return path, selection.ranking[0].mixture


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    path = tmp_path_factory.mktemp("reports") / "hostile.html"
    X = overlapping(600, 3, 2, seed=4)
    model = mixtura.GaussianMixture(2, random_state=0).fit(X)
    mixtura.report.write(model, mixtura.open(X, columns=HOSTILE), path, name="<img src=x onerror=alert(1)>")
    return path


def shown(page, path):
    """The page, once all its pictures are drawn."""
    page.goto(path.as_uri())
    drawn(page, "all")
    return page


def drawn(page, what):
    until(lambda: page.evaluate("document.documentElement.dataset.drawn") in (what, "all"), "the pictures")


def traces(page, kind):
    return [one for one in page.evaluate(TRACES) if one["kind"] == kind]


def title(page, axis):
    return page.evaluate(f"document.getElementById('scatter').layout.{axis}axis.title.text")


def changed(page, act):
    """What the scatter shows once `act` has changed it."""
    before = page.evaluate(TRACES)
    act()
    until(lambda: page.evaluate(TRACES) != before, "the picture to change")
    return page.evaluate(TRACES)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_the_page_loads_and_fits_its_window_in_light_and_dark(look, faithful, width, dark):
    with look(width, dark=dark) as page:
        shown(page, faithful[0])
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 3 * 128) is dark
        ink = page.evaluate("document.getElementById('scatter').layout.font.color")
        assert (sum(map(int, re.findall(r"\d+", ink)[:3])) > 3 * 128) is dark
        assert "Three Gaussian components describe these 272 rows best" in page.inner_text(".lead")
        for name in ("scatter", "curve", "history"):
            assert page.locator(f"#{name} svg.main-svg").first.bounding_box()["width"] <= width


@pytest.mark.quick
def test_points_and_ellipses_are_those_of_the_mixture(look, faithful):
    path, mixture = faithful
    X = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    component = mixture.assign(X)
    with look() as page:
        shown(page, path)
        assert (title(page, "x"), title(page, "y")) == ("eruptions", "waiting")
        for k, (points, outline) in enumerate(zip(traces(page, "points"), traces(page, "outline"), strict=True)):
            assert points["type"] == "scattergl"
            np.testing.assert_allclose(np.transpose([points["x"], points["y"]]), X[component == k], atol=0.001)  # steps of 1/65535 of a range
            ours = np.transpose([outline["x"], outline["y"]])
            np.testing.assert_allclose(ours, outlines(mixture, 0, 1)[k], rtol=1e-5)  # the same angles; correlations travel as float32
        assert len(traces(page, "marked")[0]["x"]) == 10


def test_menus_buttons_and_the_swap_change_the_picture(look, faithful):
    with look() as page:
        shown(page, faithful[0])
        before = traces(page, "points")
        changed(page, lambda: page.click("#swap"))
        assert (title(page, "x"), title(page, "y")) == ("waiting", "eruptions")
        assert [one["x"] for one in traces(page, "points")] == [one["y"] for one in before]
        changed(page, lambda: page.select_option("#y", "1"))  # one column twice: its density
        assert {one["kind"] for one in page.evaluate(TRACES)} == {"rows", "total", "curve"}
        x, curves = traces(page, "total")[0]["x"], traces(page, "curve")
        assert [np.trapezoid(one["y"], one["x"]) for one in curves] == pytest.approx(faithful[1].weights, rel=1e-3)
        assert np.trapezoid(traces(page, "total")[0]["y"], x) == pytest.approx(1, rel=1e-3)
        changed(page, lambda: page.select_option("#x", "0"))
        assert traces(page, "points")[0]["x"] == before[0]["x"]
        changed(page, lambda: page.locator("#rows .key button").first.click())
        assert [one["visible"] for one in traces(page, "points")] == [False, True, True]
        assert page.locator("#rows .key button").first.get_attribute("aria-pressed") == "false"


def test_the_keyboard_reaches_every_control_and_works_them(look, faithful):
    with look() as page:
        shown(page, faithful[0])
        met = []
        for _ in range(30):
            page.keyboard.press("Tab")
            met.append(page.evaluate("document.activeElement.id || document.activeElement.className || document.activeElement.textContent"))
            if met[-1] == "y":
                break
        assert met[0] == "theme screen" and met[-2:] == ["x", "y"] and "Components" in met
        changed(page, lambda: page.keyboard.press("ArrowUp"))  # the menu of the upward axis: from waiting to eruptions
        assert {one["kind"] for one in page.evaluate(TRACES)} == {"rows", "total", "curve"}
        changed(page, lambda: page.keyboard.press("ArrowDown"))
        page.keyboard.press("Tab")
        changed(page, lambda: page.keyboard.press("Enter"))
        assert title(page, "x") == "waiting"
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.hasAttribute('aria-pressed')"):
                break
        changed(page, lambda: page.keyboard.press("Space"))
        assert not traces(page, "points")[0]["visible"]


def test_the_button_turns_light_into_dark_and_the_pictures_with_it(look, faithful):
    with look() as page:
        shown(page, faithful[0])
        before = page.evaluate("document.getElementById('scatter').layout.font.color")
        page.click("button.theme")
        until(lambda: page.evaluate("document.getElementById('scatter').layout.font.color") != before, "the picture to follow")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.inner_text("button.theme") == "Light"


def test_names_are_text_whatever_they_look_like(look, hostile):
    with look() as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a name was run: {dialog.message}"))
        shown(page, hostile)
        assert page.locator("#x option").all_inner_texts() == list(HOSTILE)
        for i, name in enumerate(HOSTILE):
            for j in range(3):
                page.select_option("#x", str(i))
                page.select_option("#y", str(j))
            assert name in page.inner_text("#components")
        page.select_option("#x", "0")
        page.select_option("#y", "1")
        until(lambda: page.locator("#scatter .g-xtitle").text_content() == HOSTILE[0], "the title of the axis")
        assert page.locator("#scatter .g-ytitle").text_content() == HOSTILE[1]
        assert "<img src=x onerror=alert(1)>" in page.inner_text("h1")
        assert page.locator("img, b:not(.apart b)").count() == 0


def test_on_paper_it_is_light_and_holds_the_scatter(look, faithful, tmp_path):
    with look(dark=True) as page:
        shown(page, faithful[0])
        pdf = page.pdf(format="A4", print_background=True)
        images = [int(width) * int(height) for width, height in re.findall(rb"/Width (\d+)\s*/Height (\d+)", pdf)]
        assert max(images, default=0) > 300 * 200  # the points, which WebGL drew
        assert 3 <= len(re.findall(rb"/Type /Page\b", pdf)) <= 9
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("#choose").is_hidden() and page.locator("button.theme").is_hidden()
        assert page.evaluate("getComputedStyle(document.querySelector('.card')).breakInside") == "avoid"


def test_of_many_rows_20_000_are_drawn_and_the_note_says_so(look, tmp_path):
    rng = np.random.default_rng(0)
    mixture = mixtura.Mixture([0.5, 0.3, 0.2], rng.normal(scale=3, size=(3, 4)), np.stack([np.eye(4)] * 3))
    path = tmp_path / "large.html"
    mixtura.report.write(mixture, mixture.sample(30_000, random_state=0)[0], path)
    with look() as page:
        shown(page, path)
        assert sum(len(one["x"]) for one in traces(page, "points")) == 20_000
        assert "20,000 of 30,000 rows" in page.inner_text("#rows .key .note")
        assert page.evaluate("performance.getEntriesByName('mixtura:drawn').length") == 1
