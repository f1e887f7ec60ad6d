"""What a mixture says of its rows, and the page of it: the numbers are right, the words agree with them, and no name breaks out of the page."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.feather
import pytest
from cases import overlapping, some_mixture, textbook
from pyarrow import parquet
from scipy.integrate import quad
from scipy.stats import norm
from test_cli import done, run

import mixtura
from mixtura import explaining
from mixtura.errors import DataError, FileError, MissingLibraryError, ParameterError
from mixtura.explaining import wording
from mixtura.explaining.surveying import rare, survey
from mixtura.families import ALL, factor, family_of, ppca
from mixtura.report import page, points, write
from mixtura.report.facts import CARD, LEAST, facts
from mixtura.report.page import render
from mixtura.report.subject import subject

FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"
HOSTILE = ("<script>alert(1)</script>", "a\"quote'd & </script><!--", "{{ 7 * 7 }}{% raw %}", "new\nline\u2028é", "")
LARGEST = 6_000_000
BIC = [(3, "full", -100.0), (2, "full", -105.0), (3, "tied", -103.0), (4, "full", -112.0)]


def lines(candidates=BIC, status="converged", rows=99, criterion="bic"):
    return [
        {"components": K, "family": name, "code": family_of(name).code, criterion: value, "status": status, "rows": rows}
        for K, name, value in candidates
    ]


@pytest.fixture(scope="module")
def selection():
    return mixtura.select(FAITHFUL, [1, 2, 3], ["full", "tied"], random_state=0)


@pytest.fixture(scope="module")
def rows():
    return overlapping(5_000, 3, 3, seed=2)


@pytest.fixture(scope="module")
def mixture(rows):
    return mixtura.GaussianMixture(3, random_state=0).fit(rows).mixture_


# ---- overlap and the least likely rows


def crossings(mixture, X, weights):
    """By the formula, row by row."""
    _, posterior = textbook(mixture, X)
    found = np.zeros((mixture.K, mixture.K))
    for row, weight in zip(posterior, weights, strict=True):
        found[:, row.argmax()] += weight * row
    return found


def test_overlap_is_the_formula_with_and_without_weights(rows, mixture, dtype):
    weights = np.random.default_rng(0).integers(0, 3, len(rows)).astype(float)
    tolerance = {"atol": 1e-12 if dtype is np.float64 else 1e-5}
    for given, counted in ((None, np.ones(len(rows))), (weights, weights)):
        expected = crossings(mixture, rows.astype(dtype), counted)
        seen = survey(mixture, rows.astype(dtype), given)
        np.testing.assert_allclose(seen.overlap, expected / expected.sum(axis=1, keepdims=True), **tolerance)
        np.testing.assert_allclose(seen.counts, expected.sum(axis=1), rtol=1e-5)
        assert seen.mistaken == pytest.approx(1 - np.trace(expected) / counted.sum(), abs=1e-5)
        assert seen.rows == np.count_nonzero(counted) and seen.weight == counted.sum()


def test_a_weight_of_two_is_a_row_twice(rows, mixture):
    twice = np.arange(len(rows)) % 2 + 1
    by_weight, by_row = survey(mixture, rows, twice), survey(mixture, np.repeat(rows, twice, axis=0))
    np.testing.assert_allclose(by_weight.crossings, by_row.crossings, rtol=1e-12)
    assert by_weight.log_likelihood == pytest.approx(by_row.log_likelihood, rel=1e-12)
    assert by_weight.log_likelihood == pytest.approx(mixture.log_likelihood(rows, twice)[0], rel=1e-12)
    assert by_weight.sure == by_row.sure


def test_overlap_of_rows_drawn_from_the_mixture_is_how_often_they_are_recognised(mixture):
    X, component = mixture.sample(200_000, random_state=1)
    seen = mixture.assign(X)
    truly = np.array([[np.mean(seen[component == k] == j) for j in range(3)] for k in range(3)])
    np.testing.assert_allclose(explaining.overlap(mixture, X), truly, atol=0.005)


def test_other_order_of_components_is_other_order_of_the_table(rows, mixture):
    order = [2, 0, 1]
    other = mixtura.Mixture(mixture.weights[order], mixture.means[order], mixture.covariances[order])
    np.testing.assert_allclose(explaining.overlap(other, rows), explaining.overlap(mixture, rows)[np.ix_(order, order)], atol=1e-12)


def stored(kind, X, folder):
    """The rows in a file, in many blocks, or in memory; as a source."""
    table = pyarrow.table({f"x{j}": X[:, j] for j in range(X.shape[1])})
    if kind == "parquet":
        parquet.write_table(table, folder / "rows.parquet", row_group_size=700)
        return mixtura.open(folder / "rows.parquet", in_memory=False)
    if kind == "feather":
        pyarrow.feather.write_feather(table, folder / "rows.feather", chunksize=700)
        return mixtura.open(folder / "rows.feather", in_memory=False)
    if kind == "arrays":
        return mixtura.open(lambda: (X[start : start + 999] for start in range(0, len(X), 999)))
    return mixtura.open(X, n_jobs=int(kind))


@pytest.mark.parametrize("kind", ["1", "3", "parquet", "feather", "arrays"])
def test_the_least_likely_rows_are_found_wherever_rows_lie(kind, rows, mixture, tmp_path):
    X = rows.copy()
    X[17] = 4 * np.abs(X).max(axis=0)
    X[100:110] = X[17] * 1.01  # equals, all less likely than row 17
    density, _ = textbook(mixture, X)
    found = explaining.least_likely(mixture, stored(kind, X, tmp_path), n=8)
    assert found.numbers.tolist() == np.lexsort((np.arange(len(X)), density.round(9)))[:8].tolist() == list(range(100, 108))
    np.testing.assert_allclose(found.log_density, density[found.numbers], rtol=1e-9)
    np.testing.assert_array_equal(found.values, X[found.numbers])
    np.testing.assert_array_equal(found.component, mixture.assign(X)[found.numbers])


def test_rows_without_weight_are_not_there(rows, mixture):
    density = mixture.log_density(rows)
    last = np.argsort(density)
    weights = np.ones(len(rows))
    weights[last[:3]] = 0
    seen = survey(mixture, rows, weights, least=4, drawn=len(rows))
    assert seen.least.numbers.tolist() == last[3:7].tolist()
    assert np.intersect1d(seen.drawn.numbers, last[:3]).size == 0 and len(seen.drawn.numbers) == len(rows) - 3


@pytest.mark.parametrize("n", [0, 1, 50])
def test_fewer_rows_than_asked_for_are_all_of_them(n, mixture):
    X = mixture.sample(max(n, 1), random_state=0)[0]
    assert len(explaining.least_likely(mixture, X, n=n + 100).numbers) == max(n, 1)
    assert len(explaining.least_likely(mixture, X, n=0).numbers) == 0


def test_rows_are_drawn_at_random_by_their_weights(rows, mixture):
    weights = np.where(np.arange(len(rows)) % 2, 3.0, 1.0)
    seen = survey(mixture, rows, weights, drawn=400, columns=[2, 0])
    numbers = seen.drawn.numbers
    assert len(np.unique(numbers)) == 400 and (np.diff(numbers) > 0).all()
    np.testing.assert_array_equal(seen.drawn.values, rows[numbers][:, [2, 0]])
    assert np.mean(numbers % 2) == pytest.approx(0.75, abs=0.07)  # three standard deviations
    assert np.mean(numbers < len(rows) / 2) == pytest.approx(0.5, abs=0.08)
    other = survey(mixture, rows, weights, drawn=400, random_state=1)
    assert not np.array_equal(other.drawn.numbers, numbers)


def test_a_value_that_is_no_number_is_named(rows, mixture):
    X = rows.copy()
    X[1234, 1] = np.nan
    with pytest.raises(DataError, match=r"got NaN in column 'x1', row 1234"):
        survey(mixture, X)


def test_rare_is_what_one_draw_in_a_thousand_falls_below(mixture):
    threshold = rare(mixture)
    X = mixture.sample(300_000, random_state=5)[0]
    seen = survey(mixture, X, threshold=threshold)
    assert seen.rare == np.count_nonzero(mixture.log_density(X) < threshold)
    assert seen.rare / len(X) == pytest.approx(0.001, rel=0.4)  # the threshold rests on about 50 draws


# ---- distinctive columns


@pytest.mark.parametrize(("apart", "ratio"), [(0.0, 1.0), (2.0, 1.0), (0.0, 5.0), (3.0, 0.2), (8.0, 1.0)])
def test_what_two_components_share_is_the_integral_of_the_lesser_density(apart, ratio):
    mixture = mixtura.Mixture([0.3, 0.7], [[1e6], [1e6 + apart]], [[1.0], [ratio**2]], "diag")
    expected = quad(lambda x: min(norm.pdf(x), norm.pdf(x, apart, ratio)), -40, 40, limit=500, points=[0, apart])[0]
    found = explaining.distinctive(mixture)
    np.testing.assert_allclose(found.shared[:, 0], expected, atol=5e-4)
    np.testing.assert_allclose(found.difference[:, 0], np.array([-1, 1]) * apart / np.sqrt((1 + ratio**2) / 2), atol=1e-6)
    np.testing.assert_allclose(found.ratio[:, 0], [1 / ratio, ratio], rtol=1e-6)


def test_the_rest_is_the_mixture_of_the_others_in_any_units(mixture):
    found = explaining.distinctive(mixture)
    factors, shift = np.array([1e-3, 50.0, 7.0]), np.array([1e3, -3.0, 0.0])
    other = mixtura.Mixture(mixture.weights, mixture.means * factors + shift, mixture.covariances * factors[:, None] * factors)
    again = explaining.distinctive(other)
    np.testing.assert_allclose(again.shared, found.shared, atol=1e-6)
    np.testing.assert_allclose(again.difference, found.difference, atol=1e-6)
    X, component = mixture.sample(400_000, random_state=3)
    for k in range(3):
        np.testing.assert_allclose(found.rest[k], X[component != k].mean(axis=0), atol=0.02 * X.std(axis=0).max())
        np.testing.assert_allclose(found.spread[k], X[component != k].std(axis=0), rtol=0.01)


def test_the_only_component_has_no_rest():
    with pytest.raises(ParameterError, match="got K = 1, expected at least 2"):
        explaining.distinctive(mixtura.Mixture([1.0], [[0.0]], [[[1.0]]]))


# ---- words


@pytest.mark.parametrize(
    ("difference", "words"),
    [(0.5, "not worth more than a bare mention"), (2.0, "not worth"), (2.1, "positive"), (6.1, "strong"), (10.1, "very strong")],
)
def test_evidence_has_the_words_of_kass_and_raftery(difference, words):
    found = explaining.evidence(lines([(3, "full", -100.0), (2, "full", -100.0 - difference)]), "bic")
    assert found.difference == pytest.approx(difference)
    assert found.strength.startswith(words)
    said = " ".join(wording.how_sure(found))
    assert ("hardly tells 3 from 2" in said) is (difference <= 2)
    assert found.strength in said


def test_evidence_compares_what_compares():
    found = explaining.evidence(lines(), "bic")
    assert (found.rival["components"], found.difference) == (2, 5.0)
    assert (found.relative["family"], found.family_difference) == ("tied", 3.0)
    assert found.tried == (2, 3, 4)
    for spoilt in ({"status": "spurious"}, {"rows": 50}, {"bic": None}):
        some = lines()
        some[1] |= spoilt
        assert explaining.evidence(some, "bic").rival["components"] == 4
    alone = explaining.evidence(lines(BIC[:1]), "bic")
    assert alone.rival is None and alone.strength is None and np.isnan(alone.difference)
    assert explaining.evidence(lines(criterion="icl"), "icl").strength is None


def test_sentences_claim_no_more_than_is_known():
    def said(some, criterion="bic"):
        return " ".join(wording.how_sure(explaining.evidence(some, criterion)))

    assert "not known here" in " ".join(wording.how_sure(None))
    assert "Only three components were tried" in said(lines([(3, "full", -1.0), (3, "tied", -2.0)]))
    assert "Only one component was tried" in said(lines([(1, "full", -1.0)]))
    assert "largest number that was tried" in said(lines([(4, "full", -1.0), (2, "full", -9.0)]))
    assert "largest number" not in said(lines())
    assert "not a regular one" in said([{**lines()[0], "status": "spurious"}, *lines()[1:]])
    assert "no agreed scale" in said(lines(criterion="icl"), "icl")
    assert "Burnham and Anderson" in said(lines(criterion="aic"), "aic")
    assert "left out of the fit" in said(lines(criterion="held_out"), "held_out")
    unfitted = [lines()[0], *({**one, "rows": 10} for one in lines()[1:])]
    assert "No candidate with another number of components can be compared" in said(unfitted)


def test_one_and_many_are_told_apart(rows, mixture):
    assert wording.opening(1, explaining.evidence(lines([(1, "full", 0.0), (2, "full", -9.0)]), "bic"), "9 rows").startswith(
        "One Gaussian component describes these 9 rows best, among 2 candidates with 1 and 2 components"
    )
    seen = survey(mixture, rows, threshold=-1e9)
    assert wording.unusual(seen).startswith("No row is less likely")
    assert wording.unusual(replace(seen, rare=1.0)).startswith("One row is less likely")
    assert "heavier tails" in wording.unusual(replace(seen, rare=100.0))
    assert "nothing out of the ordinary" in wording.unusual(replace(seen, rare=6.0))


def test_what_sets_components_apart_is_said_of_the_columns_that_do():
    mixture = mixtura.Mixture([0.4, 0.4, 0.2], [[0, 0, 5], [10, 0, 5], [5, 0, 5]], [[1, 1, 1], [1, 1, 1], [0.25, 100, 1]], "diag")
    first, second, third = explaining.apart(mixture, ["length", "width", "depth"])
    assert first.startswith("lower in length (0.00 against 8.33 in the rest)") and "depth" not in first
    assert second.startswith("higher in length (10.00 against 1.67")
    assert "more spread out in width (0.0 ± 10.0, the rest 0.0 ± 1.00)" in third and "closer together in length (5.000 ± 0.500" in third
    same = mixtura.Mixture([0.5, 0.5], [[0, 0], [0.1, 0]], np.ones((2, 2)), "diag")
    assert explaining.apart(same) == ["no column alone sets it apart from the rest"] * 2


# ---- facts


def everything(shown):
    """Every number in the facts."""
    return json.loads(json.dumps(asdict(shown), allow_nan=False))


def fitted(kind, selection):
    estimator = mixtura.GaussianMixture(2, random_state=0).fit(FAITHFUL)
    return {
        "Mixture": lambda: estimator.mixture_,
        "Fit": lambda: mixtura.fit(mixtura.open(FAITHFUL), mixtura.start(mixtura.open(FAITHFUL), 2, random_state=0)),
        "GaussianMixture": lambda: estimator,
        "BayesianGaussianMixture": lambda: mixtura.BayesianGaussianMixture(n_components=2, random_state=0).fit(FAITHFUL),
        "Selection": lambda: selection,
    }[kind]()


@pytest.mark.parametrize("kind", ["Mixture", "Fit", "GaussianMixture", "BayesianGaussianMixture", "Selection"])
def test_whatever_is_fitted_is_reported_and_what_is_not_known_is_left_out(kind, selection):
    shown = facts(subject(fitted(kind, selection)), mixtura.open(FAITHFUL))
    assert everything(shown)
    assert (shown.table is not None) is (shown.curve is not None) is (kind == "Selection")
    assert (shown.history is not None) is (kind != "Mixture")
    assert bool(shown.settings) is (kind not in ("Mixture", "Fit"))
    text = render(shown)
    for section, known in (("selection", shown.table), ("fit", shown.history), ("overlap", shown.overlap)):
        assert (f'<section id="{section}"' in text) is (known is not None)


def test_what_cannot_be_reported_is_refused():
    for nothing in (None, 3, mixtura.GaussianMixture(2), "model"):
        with pytest.raises(ParameterError, match="expected a Mixture, a Fit, a Selection or a fitted estimator"):
            subject(nothing)


def test_facts_of_old_faithful(selection):
    shown = facts(subject(selection), mixtura.open(FAITHFUL), "old_faithful.csv")
    best = selection.ranking[0]
    assert shown.title == "Three components in old_faithful.csv"
    assert "BIC prefers 3 to 2 components by 7.9: strong evidence" in " ".join(shown.verdict)
    assert [line["components"] for line in shown.table["best"]] == [one.components for one in selection.ranking]
    assert shown.table["best"][0]["figures"][0] == f"{best.bic:,.2f}"
    assert shown.curve["best"] == [3, best.bic]
    assert sorted(y for line in shown.curve["lines"] for y in line["y"]) == sorted(one.bic for one in selection.cells)
    assert shown.history["y"] == list(best.history)
    density = best.mixture.log_density(np.loadtxt(FAITHFUL, delimiter=",", skiprows=1))
    assert [int(line["number"]) for line in shown.least["lines"]] == np.argsort(density)[:LEAST].tolist()
    assert [line["density"] for line in shown.least["lines"]] == [f"{value:.2f}" for value in np.sort(density)[:LEAST]]
    assert [card["weight"] for card in shown.cards] == [f"{weight:.4f}" for weight in best.mixture.weights]
    assert shown.warnings == []


@pytest.mark.parametrize("family", [*ALL, factor(1), ppca(1)], ids=lambda family: family.name)
def test_every_family_has_a_report(family):
    if family.n_factors:
        A, noise = np.random.default_rng(0).normal(size=(3, 4, 1)), np.full((3,) if family.one_scale else (3, 4), 0.5)
        mixture = mixtura.Mixture.of_factors([0.2, 0.3, 0.5], some_mixture(ALL[0], 3, 4).means, A, noise)
    else:
        mixture = some_mixture(family, 3, 4)
    shown = facts(subject(mixture), mixtura.open(mixture.sample(500, random_state=0)[0]))
    assert everything(shown) and f"{mixture.n_parameters} parameters" in shown.summary
    correlations = unpacked(shown.scatter["correlations"]).reshape(3, 6)
    deviations = np.sqrt(mixture.variances)
    expected = (mixture.matrices / (deviations[:, :, None] * deviations[:, None]))[:, *np.tril_indices(4, -1)]
    np.testing.assert_allclose(correlations, expected, atol=1e-6)


def unpacked(value):
    return np.frombuffer(base64.b64decode(value["base64"]), np.dtype(value["dtype"]).newbyteorder("<"))


def test_points_come_back_to_half_a_step(rows, mixture, dtype):
    X = rows.astype(dtype)
    seen = survey(mixture, X, drawn=300)
    packed = points.points(mixture, seen.drawn, np.arange(3))
    for j, column in enumerate(packed["columns"]):
        back = column["low"] + column["step"] * unpacked(column["steps"])
        np.testing.assert_allclose(back, X[seen.drawn.numbers, j], atol=0.51 * column["step"])
    np.testing.assert_array_equal(unpacked(packed["numbers"]), seen.drawn.numbers)
    np.testing.assert_array_equal(unpacked(packed["component"]), seen.drawn.component)
    np.testing.assert_array_equal(unpacked(packed["means"]).reshape(3, 3), mixture.means)


@pytest.mark.parametrize(("D", "K"), [(1, 1), (1, 20), (2, 3), (10, 10), (60, 1), (60, 20), (400, 20)])
def test_the_page_stays_under_six_megabytes(D, K):
    rng = np.random.default_rng(0)
    mixture = mixtura.Mixture(np.full(K, 1 / K), rng.normal(size=(K, D)), np.ones((K, D)), "diag")
    source = mixtura.open(mixture.sample(22_000, random_state=0)[0], columns=[f"column {j} {'of a long name' * 20}" for j in range(D)])
    table = [
        {"components": k, "family": family.name, "code": family.code, "bic": -100.0 - k, "status": "converged", "rows": 22_000, "n_parameters": 5}
        for k in range(1, 31)
        for family in ALL
    ]
    known = replace(subject(mixture), criterion="bic", candidates=table, history=np.linspace(-3, -2, 50_000).tolist())
    shown = facts(known, source)
    assert everything(shown)
    assert len(render(shown).encode()) < LARGEST
    columns = len(shown.scatter["names"])
    assert columns == D or (D == 400 and 60 < columns < 100)
    drawn = len(unpacked(shown.scatter["component"]))
    assert drawn == 20_000 if D <= 10 else 2_000 <= drawn < 20_000
    assert f"{drawn:,} of 22,000 rows, drawn at random" in shown.scatter["note"]
    assert ("cannot be chosen" in shown.scatter["note"]) is (columns < D)
    assert all(len(card["lines"]) == min(D, CARD) and card["more"] == max(0, D - CARD) for card in shown.cards)


def test_constant_columns_few_rows_and_trouble_are_told(rows):
    X = rows[:6].copy()
    X[:, 1] = 4.0
    known = replace(
        subject(mixtura.Mixture([0.5, 0.5], rows[:2], np.stack([np.eye(3)] * 2) * rows.var())),
        warnings=["The fit did not converge in 3 steps."],
        events=[(4, "repair", "component 1 collapsed"), (5, "note", "a shorter step")],
    )
    told = facts(known, mixtura.open(X)).warnings
    assert told[:2] == ["The fit did not converge in 3 steps.", "Step 4: component 1 collapsed"]
    assert any("hold one value" in one and "'x1'" in one for one in told)
    assert any("Fewer rows than columns + 1" in one for one in told)
    assert not any("shorter" in one for one in told)


def test_rows_with_other_columns_are_refused(mixture, rows):
    known = replace(subject(mixture), columns=("a", "b", "c"))
    with pytest.raises(ParameterError, match="got column 'x' where it was fitted on 'b'"):
        facts(known, mixtura.open(rows, columns=["a", "x", "c"]))
    with pytest.raises(DataError, match="got 2 columns, expected 3"):
        facts(known, mixtura.open(rows[:, :2]))


# ---- the page


class Outline(HTMLParser):
    """The elements of a page, what they refer to, and the text of those that people read."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references, self.text, self.handlers, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.open.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data", "poster")]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


def named(names, hostile_name):
    X = np.column_stack([overlapping(300, 2, 2, seed=1), np.random.default_rng(0).normal(size=(300, 3))])
    known = replace(
        subject(mixtura.GaussianMixture(2, random_state=0).fit(X)),
        settings={hostile_name: hostile_name},
        warnings=[hostile_name],
        command=hostile_name,
        criterion="bic",
        candidates=[{**one, "family": hostile_name, "code": "XXX" + hostile_name} for one in lines()],
    )
    return render(facts(known, mixtura.open(X, columns=names), hostile_name))


def test_names_and_values_are_escaped_everywhere():
    plain, hostile = (Outline(named(names, name)) for names, name in ((list("abcde"), "name"), (HOSTILE, HOSTILE[0])))
    assert hostile.tags == plain.tags and hostile.references == plain.references and not hostile.handlers
    for name in HOSTILE[:4]:
        assert name in "".join(hostile.text)
    assert "".join(hostile.text).count(HOSTILE[0]) >= 10
    assert "49" not in [text.strip() for text in hostile.text]


def test_the_page_refers_to_nothing_outside_itself(selection):
    text = render(facts(subject(selection), mixtura.open(FAITHFUL)))
    outline = Outline(text)
    assert all(one.startswith(("#", "data:,")) for one in outline.references)
    assert {one[1:] for one in outline.references if one.startswith("#")} <= set(_ids(text))
    assert "default-src 'none'" in text
    assert "@import" not in text and "url(" not in page.asset("page.css")
    assert outline.tags.count("script") == 5


def test_plotly_is_compiled_at_once():
    script = page.plotly_js()
    assert ", (() => {\n" in script and script.endswith("\n})));\n")  # where it is not, plotly.js has another form, and pages open later


def _ids(text):
    class Ids(HTMLParser):
        found: tuple[str, ...] = ()

        def handle_starttag(self, tag, attributes):
            self.found += tuple(value for name, value in attributes if name == "id")

    parser = Ids()
    parser.feed(text)
    assert len(set(parser.found)) == len(parser.found)
    return parser.found


def test_what_a_page_carries_is_json_without_nan(selection):
    text = render(facts(subject(selection), mixtura.open(FAITHFUL)))
    carried = text.partition('id="data">')[2].partition("</script>")[0]
    data = json.loads(carried, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(data) == {"scatter", "curve", "history"}


def test_writing_is_all_or_nothing(tmp_path, mixture, rows, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(DataError):
        write(mixture, np.full((4, 3), np.nan), path)
    monkeypatch.setattr(page, "render", lambda shown: "\ud800")  # which cannot be written
    with pytest.raises(UnicodeEncodeError):
        write(mixture, rows, path)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    with pytest.raises(FileError, match="cannot write"):
        write(mixture, rows, tmp_path / "none" / "report.html")
    write(mixture, rows, path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("library", ["jinja2", "plotly"])
def test_a_missing_library_is_named_with_its_extra(library, monkeypatch, mixture, rows, tmp_path):
    find = page.importlib.util.find_spec
    monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: None if name == library else find(name))
    with pytest.raises(MissingLibraryError, match=rf"needs {library}, .* try pip install mixtura\[report\]"):
        write(mixture, rows, tmp_path / "report.html")
    told = run("fit", FAITHFUL, "--components", "2", "--family", "full", "--report", "--output", tmp_path / "model")
    assert told.exit_code == 2 and f"needs {library}" in told.stderr and not (tmp_path / "model").exists()


# ---- the command


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    printed = done("fit", FAITHFUL, "--components", "1:3", "--family", "full,EEE", "--report", "--output", folder).stdout
    return folder, printed


def told(path):
    """What people read on a page."""
    return " ".join("".join(Outline(path.read_text(encoding="utf-8")).text).split())


def test_fit_writes_the_report_that_report_writes(model, tmp_path):
    folder, printed = model
    assert printed.endswith(f"written to {folder}: model.safetensors, summary.json, report.html\n")
    assert done("report", folder, FAITHFUL, "-o", tmp_path / "again.html").stdout == f"written to {tmp_path / 'again.html'}\n"
    assert (tmp_path / "again.html").read_bytes() == (folder / "report.html").read_bytes()
    text = told(folder / "report.html")
    assert "Three Gaussian components describe these 272 rows best, among 6 candidates with 1 to 3 components, by BIC." in text
    command = f"mixtura fit {FAITHFUL} --columns eruptions,waiting --components 1:3 --family full,tied --subsample 50000 --criterion bic"
    assert f"{command} --folds 5 --rule em --tol 1e-06 --max-iter 1000 --seed 0" in text


def test_a_model_alone_has_a_report_without_a_selection(model, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((model[0] / "model.safetensors").read_bytes())
    done("report", tmp_path / "model.safetensors", FAITHFUL, "-o", tmp_path / "report.html")
    assert "How it compares with other numbers of components is not known here" in told(tmp_path / "report.html")
    summary = json.loads((model[0] / "summary.json").read_text())
    summary["best"]["bic"] -= 1  # of another fit
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    done("report", tmp_path, FAITHFUL, "-o", tmp_path / "report.html")
    assert "not known here" in told(tmp_path / "report.html")


def test_a_saved_estimator_has_a_report(tmp_path):
    mixtura.GaussianMixture(2, random_state=0, max_iter=400).fit(FAITHFUL).save(tmp_path / "model.safetensors")
    done("report", tmp_path / "model.safetensors", FAITHFUL, "-o", tmp_path / "report.html")
    text = told(tmp_path / "report.html")
    assert "Two components in old_faithful.csv" in text and "The fit" in text and "max_iter400" in text


def test_weights_are_those_of_the_fit_unless_others_are_named(tmp_path):
    X = overlapping(400, 2, 2, seed=3)
    data = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"a": X[:, 0], "often": np.arange(400) % 3, "b": X[:, 1]}), data)
    done("fit", data, "--weight", "often", "--components", "2", "--family", "full", "--report", "--output", tmp_path / "m")
    assert "266 rows of weight 399" in told(tmp_path / "m" / "report.html")
    done("report", tmp_path / "m", data, "--weight", "", "-o", tmp_path / "all.html")
    assert "400 rows, two columns" in told(tmp_path / "all.html")
    done("report", tmp_path / "m", data, "--streamed", "-o", tmp_path / "streamed.html")
    assert "266 rows of weight 399" in told(tmp_path / "streamed.html")
    refused = run("report", tmp_path / "m", FAITHFUL, "-o", tmp_path / "no.html")
    assert refused.exit_code == 2 and "does not fit" in refused.stderr and not (tmp_path / "no.html").exists()


def test_a_subsampled_selection_compares_what_saw_the_same_rows(tmp_path):
    np.savetxt(tmp_path / "rows.csv", overlapping(3_000, 2, 3, seed=6), delimiter=",", header="a,b", comments="")
    words = ("--components", "1:5", "--family", "full,EEE", "--subsample", "500", "--report", "--output", tmp_path)
    done("fit", tmp_path / "rows.csv", *words)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    curve = json.loads(text.partition('id="data">')[2].partition("</script>")[0])["curve"]
    assert curve["names"][1] == "BIC, of 500 rows"
    assert [line["x"] for line in curve["lines"]] == [[1, 2, 3, 4, 5]] * 2


def test_a_place_that_cannot_be_written_is_told_before_the_work(model, tmp_path):
    for place, why in ((tmp_path, "got a directory"), (tmp_path / "none" / "report.html", "a folder that does not exist")):
        refused = run("report", model[0], FAITHFUL, "-o", place)
        assert refused.exit_code == 2 and why in refused.stderr


def test_a_report_that_fails_costs_no_model(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise FileError("cannot write report.html: got a full disk, expected room; try another")

    monkeypatch.setattr("mixtura.report.page.write", fails)
    failed = run("fit", FAITHFUL, "--components", "2", "--family", "full", "--report", "--output", tmp_path)
    assert failed.exit_code == 2 and "full disk" in failed.stderr
    assert failed.stdout.endswith(f"written to {tmp_path}: model.safetensors, summary.json\n")
    assert mixtura.Mixture.load(tmp_path / "model.safetensors").K == 2


def test_a_resumed_fit_writes_its_report(tmp_path):
    words = ("fit", FAITHFUL, "--components", "1:2", "--family", "full", "--report", "--output", tmp_path / "m", "--checkpoint", tmp_path / "c")
    done(*words)
    before = (tmp_path / "m" / "report.html").read_bytes()
    (tmp_path / "m" / "report.html").unlink()
    done("fit", "--resume", tmp_path / "c", "--output", tmp_path / "m")
    assert (tmp_path / "m" / "report.html").read_bytes() == before
