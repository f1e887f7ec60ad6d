"""Pictures: every plot by every kind of mixture and rows, and laws of what is drawn: legible, whole, honest about what is left out."""

from __future__ import annotations

import importlib.util
import itertools
import pickle
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import reference, some_mixture
from matplotlib import pyplot
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mixtura
from mixtura import plots
from mixtura.errors import DataError, MissingLibraryError, ParameterError, RepairWarning
from mixtura.estimators.history import History
from mixtura.families import factor, family_of
from mixtura.plots import canvas, regions
from mixtura.plots.shown import separation, telling
from mixtura.rules import EM, Event
from mixtura.showing import COLOURS

mpl.use("Agg")
FULL = family_of("full")
PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
UGLY = ["länge_in_µm", "cost $ per $ unit", "_hidden_", "<script>alert(1)</script>", r"a\b{c}^2_3", "$", "λ̄ строка", "two\nlines", "", "x" * 80]
TOUCH = 1.0  # pixels: glyphs keep some room of their own

# what is drawn, told by the renderer


class Written:
    """Every text that a figure drew, where, and the figure's size."""

    def __init__(self, figure: Any):
        self.texts: list[tuple[str, Any]] = []
        draw = Text.draw
        seen: set[int] = set()

        def spy(text: Text, renderer: Any) -> None:
            if text.get_visible() and text.get_text().strip() and id(text) not in seen:
                seen.add(id(text))
                self.texts.append((text.get_text(), Text.get_window_extent(text, renderer)))
            draw(text, renderer)

        figure.canvas.draw()  # the layout settles
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Text, "draw", spy)
            figure.canvas.draw()
        self.width, self.height = figure.bbox.width, figure.bbox.height

    @property
    def all(self) -> str:
        return " ".join(" ".join(text.split()) for text, _ in self.texts)

    def require_legible(self) -> None:
        for text, box in self.texts:
            assert box.x0 >= -TOUCH and box.y0 >= -TOUCH and box.x1 <= self.width + TOUCH and box.y1 <= self.height + TOUCH, f"{text!r} is cut"
        for (first, one), (second, other) in itertools.combinations(self.texts, 2):
            apart = one.x1 <= other.x0 + TOUCH or other.x1 <= one.x0 + TOUCH or one.y1 <= other.y0 + 2 * TOUCH or other.y1 <= one.y0 + 2 * TOUCH
            assert apart, f"{first!r} runs into {second!r}"


def axes_of(drawn: Any) -> list[Any]:
    return list(np.asarray(drawn, dtype=object).ravel())


def figure_of(drawn: Any) -> Any:
    return axes_of(drawn)[0].get_figure(root=True)


def written(drawn: Any) -> Written:
    return Written(figure_of(drawn))


def legends(drawn: Any) -> list[str]:
    return [text.get_text() for ax in figure_of(drawn).axes if ax.get_legend() for text in ax.get_legend().get_texts()]


def points(drawn: Any) -> int:
    return sum(len(one.get_offsets()) for ax in figure_of(drawn).axes for one in ax.collections if isinstance(one, PathCollection))


# the tables: plots, mixtures, rows

WITH_ROWS = {"pairs": plots.pairs, "density": plots.density, "uncertainty": plots.uncertainty}
OF_MIXTURES = {
    **WITH_ROWS,
    "profile": lambda mixture, X=None, **options: plots.profile(mixture, **options),
    "lines": lambda mixture, X=None, **options: plots.profile(mixture, kind="lines", **options),
}
ROWS = {"array": "mixture", "frame": "estimator", "parquet": "bayesian", "csv": "mixture", "source": "estimator"}  # each with one kind of mixture
NAMES = ("Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width")


@pytest.fixture(scope="module")
def iris() -> Any:
    return pd.DataFrame(reference("iris"), columns=NAMES)


@pytest.fixture(params=ROWS)
def rows(request: pytest.FixtureRequest, iris: Any, tmp_path: Path) -> Any:
    if request.param == "array":
        return iris.to_numpy()
    if request.param == "parquet":
        iris.to_parquet(tmp_path / "iris.parquet")
        return tmp_path / "iris.parquet"
    if request.param == "csv":
        iris.to_csv(tmp_path / "iris.csv", index=False)
        return str(tmp_path / "iris.csv")
    return mixtura.open(iris) if request.param == "source" else iris


@pytest.mark.parametrize("name", OF_MIXTURES)
def test_every_plot_takes_every_mixture_and_rows(name: str, rows: Any, request: pytest.FixtureRequest) -> None:
    kind = ROWS[request.node.callspec.params["rows"]]
    estimator = mixtura.BayesianGaussianMixture if kind == "bayesian" else mixtura.GaussianMixture
    model = estimator(n_components=3, covariance_type="diag", random_state=0, max_iter=200).fit(rows)
    drawn = OF_MIXTURES[name](model.mixture_ if kind == "mixture" else model, rows)
    seen = written(drawn)
    seen.require_legible()
    assert all(label for label in (axes_of(drawn)[0].get_ylabel(), axes_of(drawn)[-1].get_xlabel()))
    assert legends(drawn) or len(figure_of(drawn).axes) == 4  # maps have bars of colours instead
    named = not isinstance(rows, np.ndarray) and not (kind == "mixture" and name in ("profile", "lines"))
    assert ("Petal.Width" in seen.all) is named and ("x3" in seen.all) is not named


@pytest.mark.parametrize("name", OF_MIXTURES)
@pytest.mark.parametrize(("K", "D"), [(1, 1), (20, 1), (8, 2), (20, 3), (2, 4), (9, 7), (20, 30)])
def test_every_shape_is_legible(name: str, K: int, D: int) -> None:
    mixture = some_mixture(FULL, K, D, seed=K + D, centre=1e6 if D in (3, 7) else 0.0)
    names = [UGLY[j % len(UGLY)] + str(j) * (j >= len(UGLY)) for j in range(D)]
    drawn = OF_MIXTURES[name](mixture, mixture.sample(200, 0)[0], names=names)
    written(drawn).require_legible()


@pytest.mark.parametrize("scale", [1e-9, 1e5, 1e12])
@pytest.mark.parametrize("name", OF_MIXTURES)
def test_every_unit_is_legible(name: str, scale: float) -> None:
    mixture = some_mixture(FULL, 3, 3, seed=1)
    scaled = mixtura.Mixture(mixture.weights, scale * (mixture.means + 3), scale**2 * mixture.covariances)
    written(OF_MIXTURES[name](scaled, scaled.sample(200, 0)[0])).require_legible()


@pytest.mark.parametrize("style", ["dark_background", "ggplot"])
@pytest.mark.parametrize("name", OF_MIXTURES)
def test_every_style_is_legible(name: str, style: str) -> None:
    mixture = some_mixture(FULL, 3, 4, seed=1)
    with pyplot.style.context(style):
        written(OF_MIXTURES[name](mixture, mixture.sample(200, 0)[0])).require_legible()


# names


@pytest.mark.parametrize("name", UGLY)
def test_names_stand_as_they_are(name: str) -> None:
    mixture = some_mixture(FULL, 2, 1)
    ax = plots.density(mixture, names=[name])
    label = ax.xaxis.label
    ax.figure.canvas.draw()
    shown, is_mathematics = label._preprocess_math(label.get_text())
    assert not is_mathematics
    assert shown == " ".join(name.split()) or "…" in shown


def test_long_names_keep_their_ends_and_are_told_apart() -> None:
    mixture = some_mixture(FULL, 2, 4)
    names = [f"the temperature of engine number {j} in the middle of the night" for j in range(4)]
    ax = plots.profile(mixture, names=names, kind="lines")
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert len(set(labels)) == 4
    assert all(label.startswith(f"{j}: the temp") and label.endswith("night") and "…" in label for j, label in enumerate(labels))


def test_names_come_from_the_caller_then_the_rows_then_the_estimator(iris: Any) -> None:
    model = mixtura.GaussianMixture(2, random_state=0).fit(iris)
    assert plots.density(model, columns=0).get_xlabel() == "Sepal.Length"
    assert plots.density(model.mixture_, columns=0).get_xlabel() == "x0"
    assert plots.density(model.mixture_, iris.rename(columns={"Sepal.Length": "length"}), columns=0).get_xlabel() == "length"
    assert plots.density(model, iris, columns=0, names=["a", "b", "c", "d"]).get_xlabel() == "a"


# axes


@pytest.mark.parametrize("name", ["density", "lines"])
def test_one_picture_is_drawn_into_the_axes_given(name: str) -> None:
    mixture = some_mixture(FULL, 2, 2)
    figure = pyplot.figure(layout="constrained")
    left, right = figure.subplots(1, 2)
    assert OF_MIXTURES[name](mixture, ax=right) is right
    assert right.has_data() and not left.has_data() and pyplot.get_fignums() == [figure.number]


@pytest.mark.parametrize(("name", "shape"), [("pairs", (3, 3)), ("uncertainty", (1, 2)), ("profile", (1, 2))])
def test_several_pictures_are_drawn_into_the_figure_or_axes_given(name: str, shape: tuple[int, int]) -> None:
    mixture = some_mixture(FULL, 2, 3)
    X = mixture.sample(50, 0)[0]
    figure = Figure(figsize=(12, 8), layout="constrained")
    left, right = figure.subfigures(1, 2)
    drawn = OF_MIXTURES[name](mixture, X, ax=right)
    assert not left.axes and drawn.size == shape[0] * shape[1] and all(ax in right.axes for ax in drawn.flat)
    given = Figure(layout="constrained").subplots(*shape)
    assert all(one is other for one, other in zip(axes_of(OF_MIXTURES[name](mixture, X, ax=given)), axes_of(given), strict=True))
    assert not pyplot.get_fignums()
    for wrong in (Figure().subplots(), "axes"):
        with pytest.raises(ParameterError, match="ax does not fit: got .*; try ax="):
            OF_MIXTURES[name](mixture, X, ax=wrong)


def test_a_picture_can_be_pickled() -> None:
    mixture = some_mixture(FULL, 2, 3)
    for draw in OF_MIXTURES.values():
        pickle.dumps(figure_of(draw(mixture, mixture.sample(50, 0)[0])))


# what is wrong


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda mixture: plots.density([1.0]), "a plot needs a mixture: got 'list'"),
        (lambda mixture: plots.profile(mixtura.GaussianMixture()), "got an estimator that is not fitted"),
        (lambda mixture: plots.density(mixture, columns="z"), "there is no such column: got 'z'"),
        (lambda mixture: plots.density(mixture, columns=[3]), "there is no such column: got 3"),
        (lambda mixture: plots.density(mixture, columns=[0, 1, 2]), "columns are not usable: got 3, expected 1 to 2"),
        (lambda mixture: plots.pairs(mixture, columns=[]), "columns are not usable: got 0"),
        (lambda mixture: plots.pairs(mixture, columns=[0, -3]), "a column stands twice"),
        (lambda mixture: plots.pairs(mixture, names=["a"]), "names do not fit the mixture: got 1, expected 3"),
        (lambda mixture: plots.pairs(mixture, share=1.0), "share is not usable: got 1.0"),
        (lambda mixture: plots.pairs(mixture, np.ones((5, 3)), points=0), "points is not usable: got 0"),
        (lambda mixture: plots.density(mixture, shares=[0.5, 2]), "shares is not usable: got 2"),
        (lambda mixture: plots.density(mixture, shares=[]), "there is no region to draw"),
        (lambda mixture: plots.profile(mixture, kind="cold"), "kind is unknown: got 'cold'"),
        (lambda mixture: plots.profile(mixture, order="up"), "order is unknown: got 'up'"),
        (lambda mixture: plots.convergence([]), "there is no history to draw: got list"),
        (lambda mixture: plots.convergence({"a": [-1.0], "b": "nothing"}), "there is no history to draw: got dict"),
        (lambda mixture: plots.convergence(mixture), "there is no history to draw: got Mixture"),
    ],
)
def test_misuse_is_told(call: Any, says: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(says)) as caught:
        call(some_mixture(FULL, 2, 3))
    assert "expected" in str(caught.value) and "; try " in str(caught.value)
    assert not pyplot.get_fignums()


@pytest.mark.parametrize("name", WITH_ROWS)
def test_rows_that_are_not_finite_or_do_not_fit_are_refused(name: str) -> None:
    mixture = some_mixture(FULL, 2, 3)
    with pytest.raises(DataError, match="NaN in column 'x1', row 2"):
        WITH_ROWS[name](mixture, np.where(np.arange(12).reshape(4, 3) == 7, np.nan, 1.0))
    with pytest.raises(DataError, match="got 2 columns, expected 3"):
        WITH_ROWS[name](mixture, np.ones((4, 2)))
    assert not pyplot.get_fignums()


@pytest.mark.parametrize("name", [*OF_MIXTURES, "convergence"])
def test_without_matplotlib_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = some_mixture(FULL, 2, 2)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingLibraryError, match=re.escape("pip install mixtura[plot]")):
        plots.convergence([-2.0, -1.0]) if name == "convergence" else OF_MIXTURES[name](mixture, np.ones((3, 2)))


# rows: many, weighted, where they lie


@pytest.fixture(scope="module")
def million() -> tuple[mixtura.Mixture, np.ndarray]:
    mixture = some_mixture(FULL, 3, 3, seed=2)
    return mixture, mixture.sample(1_000_000, 0)[0]


@pytest.mark.long
@pytest.mark.parametrize("name", WITH_ROWS)
def test_a_million_rows_are_no_million_points_and_that_is_said(name: str, million: tuple[mixtura.Mixture, np.ndarray]) -> None:
    drawn = WITH_ROWS[name](*million)
    seen = written(drawn)
    seen.require_legible()
    assert points(drawn) <= 3 * 5000
    assert "1,000,000 rows" in seen.all
    assert re.search(r"drawn as points, at random|mean uncertainty in 64 x 64 cells", seen.all)
    few = WITH_ROWS[name](million[0], million[1][:300])
    assert "300 rows" in written(few).all and "at random" not in written(few).all


def test_histograms_count_all_rows_by_weight(million: tuple[mixtura.Mixture, np.ndarray]) -> None:
    mixture, X = million
    weights = np.where(X[:, 0] > 0, 3.0, 1.0)
    (stairs,) = plots.pairs(mixture, X, weight=weights, columns=[0])[0, 0].patches
    heights, edges, _ = stairs.get_data()
    inside = (X[:, 0] >= edges[0]) & (X[:, 0] <= edges[-1])
    expected, _ = np.histogram(X[inside, 0], edges, weights=weights[inside])
    assert heights * np.diff(edges) * weights.sum() == pytest.approx(expected, abs=3.0)  # a row on an edge
    assert (heights * np.diff(edges)).sum() == pytest.approx(weights[inside].sum() / weights.sum())


@pytest.mark.parametrize("name", WITH_ROWS)
def test_a_row_of_weight_two_is_a_row_twice(name: str, iris: Any) -> None:
    mixture = mixtura.GaussianMixture(3, random_state=0).fit(iris).mixture_
    X = iris.to_numpy()
    weights = np.arange(len(X)) % 3
    once, twice = (WITH_ROWS[name](mixture, *rows) for rows in ((X,), (np.repeat(X, weights, axis=0),)))
    weighted = WITH_ROWS[name](mixture, X, weight=weights)
    assert points(weighted) <= points(once)
    sums = [[patch.get_width() for patch in axes_of(drawn)[0].patches if hasattr(patch, "get_width")] for drawn in (weighted, twice)]
    assert sums[0] == pytest.approx(sums[1])


def test_marks_are_as_large_as_rows_weigh() -> None:
    mixture = some_mixture(FULL, 2, 2)
    X = mixture.sample(100, 0)[0]
    weights = np.repeat([0.0, 1.0, 3.0], [20, 40, 40])
    (marks,) = [one for one in plots.pairs(mixture, X, weight=weights)[1, 0].collections if isinstance(one, PathCollection)]
    assert np.asarray(marks.get_offsets()) == pytest.approx(X[20:])
    sizes = marks.get_sizes()
    assert sizes[40:] == pytest.approx(3 * sizes[:40])


@pytest.mark.parametrize("name", WITH_ROWS)
def test_rows_in_passes_give_the_picture_of_rows_in_memory(name: str, tmp_path: Path) -> None:
    mixture = some_mixture(FULL, 3, 4, seed=3)
    X = mixture.sample(20_000, 0)[0]
    pq.write_table(pa.table({f"x{j}": X[:, j] for j in range(4)}), tmp_path / "rows.parquet", row_group_size=3000)
    pictures = []
    for rows in (mixtura.open(X), mixtura.open(tmp_path / "rows.parquet", in_memory=False), lambda: iter(np.array_split(X, 7))):
        figure = figure_of(WITH_ROWS[name](mixture, rows, columns=[0, 2]))
        figure.canvas.draw()
        pictures.append(np.asarray(figure.canvas.buffer_rgba()).copy())
    assert (pictures[0] == pictures[1]).all() and (pictures[0] == pictures[2]).all()


def test_rows_far_out_do_not_shrink_the_others_and_that_is_said() -> None:
    mixture = some_mixture(FULL, 2, 2)
    X = np.vstack([mixture.sample(10_000, 0)[0], [[1e6, 0.0]]])
    drawn = plots.pairs(mixture, X)
    assert drawn[1, 0].get_xlim()[1] < 100
    assert "< 0.1 % of rows lie beyond the axes" in written(drawn).all


@pytest.mark.parametrize("name", WITH_ROWS)
def test_columns_of_one_value_and_one_row_are_drawn(name: str) -> None:
    mixture = some_mixture(FULL, 2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written(WITH_ROWS[name](mixture, np.array([[1.0, 2.0, 3.0]]))).require_legible()
        written(WITH_ROWS[name](mixture, np.column_stack([np.ones(50), np.arange(50.0), np.zeros(50)]))).require_legible()


# which columns


def test_columns_that_tell_components_apart_are_chosen_and_that_is_said() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(scale=0.1, size=(3, 12))
    means[:, [2, 5]] += [[0.0, 9.0], [4.0, 0.0], [8.0, 5.0]]
    mixture = mixtura.Mixture(np.full(3, 1 / 3), means, np.ones(3), "spherical")
    assert telling(mixture, 2) == [2, 5]
    ax = plots.density(mixture)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x2", "x5") and "the 2 of 12 columns that tell components apart most" in written(ax).all
    grid = plots.pairs(mixture)
    assert grid.shape == (6, 6) and "the 6 of 12 columns" in written(grid).all
    assert plots.pairs(mixture, columns=["x7", 1]).shape == (2, 2)
    assert plots.profile(mixture, order="separation", kind="lines").get_yticklabels()[0].get_text() in ("x2", "x5")
    wide = some_mixture(FULL, 2, 40)
    assert "the 30 of 40 columns" in written(plots.profile(wide)).all and "the 30 of 40 columns" in written(plots.profile(wide, kind="lines")).all


def test_separation_is_the_share_of_variance_between_components() -> None:
    mixture = some_mixture(FULL, 4, 5, seed=1)
    X, component = mixture.sample(400_000, 0)
    means = np.array([X[component == k].mean(axis=0) for k in range(4)])
    between = np.bincount(component) / len(X) @ (means - X.mean(axis=0)) ** 2
    assert separation(mixture) == pytest.approx(between / X.var(axis=0), abs=0.01)


# colours


@pytest.mark.parametrize("K", [2, 7, 20, 35])
def test_components_look_different(K: int) -> None:
    signs = canvas.signs(K)
    assert len({(one.colour, one.marker) for one in signs}) == K == len({(one.colour, str(one.line)) for one in signs})
    assert [one.colour for one in signs[:7]] == list(COLOURS[:K])
    figure = figure_of(plots.pairs(some_mixture(FULL, K, 2)))
    labels = [text.get_text() for ax in figure.axes if ax.get_legend() for text in ax.get_legend().get_texts()]
    assert len(labels) == min(K, 21) + 1 and (K <= 21) == (not any("more" in label for label in labels))


def test_points_have_the_colour_of_their_component(iris: Any) -> None:
    model = mixtura.GaussianMixture(3, random_state=0).fit(iris)
    (marks,) = [one for one in plots.pairs(model, iris)[2, 1].collections if isinstance(one, PathCollection)]
    palette = {mpl.colors.to_hex(colour): k for k, colour in enumerate(COLOURS)}
    assert [palette[mpl.colors.to_hex(colour)] for colour in marks.get_facecolors()] == model.predict(iris).tolist()


# highest-density regions


@pytest.mark.parametrize("D", [1, 2, 5])
@pytest.mark.parametrize("K", [1, 4])
def test_regions_hold_their_share_and_are_the_smallest(D: int, K: int) -> None:
    mixture = some_mixture(FULL, K, D, seed=K)
    shares = [0.5, 0.8, 0.95]
    density = np.exp(mixture.log_density(mixture.sample(200_000, 7)[0]))
    held = [(density >= level).mean() for level in regions.levels(mixture, shares)]
    assert held == pytest.approx(shares, abs=0.008)  # four standard errors of both samples, at a half


def test_the_line_of_a_region_is_where_it_should_be() -> None:
    ax = plots.density(mixtura.Mixture([1.0], [[3.0]], [[[4.0]]]))
    ends = [np.concatenate([path.vertices[:, 0] for path in one.get_paths()]) for one in ax.collections]
    reach = [(edges.min(), edges.max()) for edges in ends]
    normal = [1.959964, 1.281552, 0.674490]
    assert np.array(reach) == pytest.approx(np.array([(3 - 2 * z, 3 + 2 * z) for z in normal]), abs=0.06)


@pytest.mark.parametrize("family", [FULL, family_of("diag"), factor(1)])
def test_filled_contours_hold_their_share(family: Any) -> None:
    mixture = some_mixture(FULL, 3, 4, seed=5) if family.name == "full" else None
    if mixture is None:
        X = some_mixture(FULL, 3, 4, seed=5).sample(2000, 0)[0]
        mixture = mixtura.fit(X, mixtura.start(X, 3, family, random_state=0), tol=1e-3).mixture
    (contours,) = [one for one in plots.density(mixture, columns=[0, 3]).collections if hasattr(one, "levels")]
    sample = mixture.sample(40_000, 3)[0][:, [0, 3]]
    within = [path.contains_points(sample).mean() for path in contours.get_paths()]  # of a ring's outer line
    assert within == pytest.approx([0.95, 0.8, 0.5], abs=0.02)


def test_a_narrow_component_is_not_lost_between_points() -> None:
    mixture = mixtura.Mixture([0.5, 0.5], [[0.37], [5000.0]], [1e-4, 1e6], "spherical")
    ax = plots.density(mixture)
    assert ax.get_ylim()[1] > 0.9 * 0.5 / (1e-2 * np.sqrt(2 * np.pi))


# uncertainty


def test_uncertainty_is_that_of_the_posterior(iris: Any) -> None:
    for model in (
        mixtura.GaussianMixture(3, random_state=0).fit(iris),
        mixtura.BayesianGaussianMixture(n_components=3, random_state=0, max_iter=500).fit(iris),
    ):
        bars, _ = plots.uncertainty(model, iris)
        posterior = model.predict_proba(iris)
        doubt, component = 1 - posterior.max(axis=1), model.predict(iris)
        expected = []
        for chosen in (component >= 0, *(component == k for k in range(3))):
            counts = np.histogram(doubt[chosen], [-1, 0.01, 0.05, 0.2, 1])[0]
            expected.append(100 * counts / max(chosen.sum(), 1))
        widths = np.array([patch.get_width() for patch in bars.patches]).reshape(4, 4).T
        assert widths == pytest.approx(np.array(expected))
        assert bars.get_title(loc="left") == f"expected to be assigned wrongly: {canvas.percent(doubt.mean())} of rows"


def test_cells_hold_the_mean_uncertainty(million: tuple[mixtura.Mixture, np.ndarray]) -> None:
    mixture, X = million
    _, right = plots.uncertainty(mixture, X, columns=[0, 1])
    (mesh,) = [one for one in right.collections if isinstance(one, QuadMesh)]
    corners = mesh.get_coordinates()
    x, y = corners[0, :, 0], corners[:, 0, 1]
    doubt = 1 - mixture.posterior(X).max(axis=1)
    counts, sums = (np.histogram2d(X[:, 1], X[:, 0], [y, x], weights=weights)[0] for weights in (None, doubt))
    values = np.ma.filled(mesh.get_array().reshape(64, 64), 0.0)
    crowded = counts > 100
    assert crowded.sum() > 100
    assert values[crowded] == pytest.approx((sums / np.maximum(counts, 1))[crowded], abs=0.01)


# profile


def test_a_profile_shows_standardised_means_and_spreads(iris: Any) -> None:
    model = mixtura.GaussianMixture(3, random_state=0).fit(iris)
    means, deviations = (np.asarray(ax.images[0].get_array()).T for ax in plots.profile(model))
    m, s = iris.to_numpy().mean(axis=0), iris.to_numpy().std(axis=0)  # at EM's optimum mean and variance of mixture and rows agree
    assert means == pytest.approx((model.means_ - m) / s, abs=1e-2)
    assert deviations == pytest.approx(np.sqrt(np.diagonal(model.covariances_, axis1=1, axis2=2)) / s, abs=1e-2)
    ax = plots.profile(model, kind="lines")
    assert np.array([line.get_xdata() for line in ax.lines[:3]]) == pytest.approx(means)


# convergence


@pytest.fixture(scope="module")
def fits() -> dict[str, mixtura.Fit]:
    X = reference("iris")
    starts = {f"seed {seed}": mixtura.start(X, 3, random_state=seed) for seed in (0, 1)}
    return {name: mixtura.fit(X, start, EM(), tol=1e-9) for name, start in starts.items()}


@contextmanager
def one_line(history: Any) -> Iterator[tuple[Any, np.ndarray]]:
    ax = plots.convergence(history)
    written(ax).require_legible()
    yield ax, ax.lines[0].get_ydata()


def test_convergence_takes_every_history(fits: dict[str, mixtura.Fit], iris: Any) -> None:
    fit = fits["seed 0"]
    model = mixtura.GaussianMixture(2, random_state=0).fit(iris)
    candidate = mixtura.select(iris, [2], "full", random_state=0).ranking[0]
    for history, trace in (
        (fit, fit.objectives),
        (fit.log_likelihoods, fit.log_likelihoods),
        (model, model.history_.objectives),
        (model.history_, model.history_.objectives),
        (candidate, candidate.history),
        (candidate.history, candidate.history),
    ):
        with one_line(history) as (ax, gaps):
            assert len(gaps) == len(trace)
            known = gaps[np.isfinite(gaps)]
            assert np.diff(known) == pytest.approx(-np.diff(trace)[: len(known) - 1], abs=1e-12)
            assert ax.get_yscale() == "log" and "nats per row" in ax.get_ylabel()
    for several in (fits, list(fits.values())):
        ax = plots.convergence(several)
        written(ax).require_legible()
        assert len(legends(ax)) == 2 and (several is not fits or legends(ax)[1].startswith("seed 1: "))


def test_the_last_mark_is_what_was_left_to_gain() -> None:
    with one_line([-8.0, -4.0, -2.0, -1.0]) as (ax, gaps):  # halving: 1 more to gain
        assert gaps == pytest.approx([8.0, 4.0, 2.0, 1.0])
        assert ax.get_legend().get_title().get_text().startswith("estimated optimum: 0 nats") and legends(ax) == ["1 nats per row, after 3 steps"]
    with one_line([-8.0, -4.0, -4.0, -4.0]) as (ax, gaps):
        assert np.isnan(gaps[1:]).all() and legends(ax) == ["nothing, after 3 steps"]
        assert ax.lines[1].get_ydata()[0] == pytest.approx(ax.get_ylim()[0])  # an arrow at the edge
    with one_line([-8.0, -4.0, np.nextafter(-4.0, -8.0), -4.0]) as (_, gaps):  # rounding is no distance
        assert gaps[0] == pytest.approx(4.0) and np.isnan(gaps[1:]).all()
    with one_line([-1.0]) as (ax, _):
        assert legends(ax) == ["not known, after 0 steps"]


def test_repairs_and_notes_are_marked() -> None:
    events = (
        (1, Event("repair", "component 3 collapsed and was held at the floor $ " * 9)),
        (2, Event("note", "a step of 4 aimed too far and was taken back")),
    )
    history = History((-3.0, -2.0, -2.5, -1.5), (-3.0, -2.0, -2.5, -1.5), 0.5, (*events, (3, events[0][1])), "kmeans", 0, (-1.5,))
    with one_line(history) as (ax, gaps):
        marks = {line.get_marker(): line.get_xydata().tolist() for line in ax.lines[2:]}
        assert marks == {"x": [[1, gaps[1]], [3, gaps[3]]], "o": [[2, gaps[2]]]}
        texts = [" ".join(text.split()) for text in legends(ax)]
        assert texts[1].startswith("repair at step 1 (and 1 more): component 3 collapsed") and texts[1].endswith("…")
        assert texts[2] == "note at step 2: a step of 4 aimed too far and was taken back"


def test_events_of_a_real_fit_are_marked() -> None:
    X = np.vstack([np.random.default_rng(0).normal(size=(60, 2)), np.full((6, 2), 5.0)])
    with pytest.warns(RepairWarning):
        fit = mixtura.fit(X, mixtura.start(X, 3, random_state=0), EM())
    with one_line(fit) as (ax, _):
        assert any(text.startswith("repair at step") for text in legends(ax))


def test_a_prior_counts_in_what_is_climbed() -> None:
    X = reference("iris")
    fit = mixtura.fit(X, mixtura.start(X, 2, random_state=0), mixtura.rules.MAP())
    assert fit.objectives != fit.log_likelihoods
    with one_line(fit) as (_, gaps):
        known = np.isfinite(gaps)
        assert gaps[known] == pytest.approx(max(fit.objectives) + fit.remaining - np.array(fit.objectives)[known], abs=1e-9)


# selection


@pytest.mark.parametrize("families", [["full"], "usual", "all"])
@pytest.mark.parametrize("criterion", ["bic", "icl", "held_out"])
def test_selections_are_legible(families: Any, criterion: str) -> None:
    selection = mixtura.select(reference("faithful"), range(1, 4), families, criterion=criterion, random_state=0, max_iter=20)
    ax = plots.selection(selection)
    written(ax).require_legible()
    assert "the best" in legends(ax)
    assert selection.plot(ax=Figure(layout="constrained").subplots()).get_ylabel() == ax.get_ylabel()


# notebooks


def test_a_mixture_in_a_notebook_is_a_table() -> None:
    mixture = mixtura.Mixture([0.25, 0.75], [[4.466, -1e9], [2.038, 0.0]], [[0.0778, 4.0], [0.09, 1.0]], "diag")
    html = mixture._repr_html_()
    assert "Mixture: 2 components, 2 columns, family diag (VVI)" in html
    assert "<td>0.2500</td><td>4.466 ± 0.279</td><td>−1e+09 ± 2</td>" in html and "<th>x1</th>" in html
    many = some_mixture(FULL, 25, 11)._repr_html_()
    assert "… and 3 more" in many and "… and 5 more components" in many and many.count("<tr>") == 21
    assert "<script" not in mixture.html(["<script>", "&"]) and "&lt;script&gt;" in mixture.html(["<script>", "&"])


@pytest.mark.parametrize("kind", [mixtura.GaussianMixture, mixtura.BayesianGaussianMixture])
def test_an_estimator_in_a_notebook_is_a_diagram_and_the_table(kind: Any, iris: Any) -> None:
    model = kind(n_components=2, random_state=0, max_iter=500)
    assert "standard deviation" not in model._repr_html_() and "sk-top-container" in model._repr_html_()
    model.fit(iris.rename(columns={"Sepal.Width": "<b>width"}))
    for html in (model._repr_html_(), model._repr_mimebundle_()["text/html"]):
        assert "sk-top-container" in html and "Mixture: 2 components, 4 columns" in html and "<th>&lt;b&gt;width</th>" in html
    assert model._repr_mimebundle_()["text/plain"] == repr(model)
    with config_context(display="text"):
        assert not hasattr(model, "_repr_html_") and set(model._repr_mimebundle_()) == {"text/plain"}
    assert "sk-top-container" in make_pipeline(StandardScaler(), model)._repr_html_()


# the manual


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("make", PICTURES / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_the_script_draws_every_picture_of_the_page(tmp_path: Path) -> None:
    script = _script()
    (page,) = script.PAGES
    named = re.findall(r"\(pictures/([^)]+)\)", (PICTURES.parent / page).read_text(encoding="utf-8"))
    assert len(named) == len(set(named)) >= 6 and named == script.pictures(page)
    script.main(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(named)
    for name in named:
        kept, made = (mpl.image.imread(folder / name) for folder in (PICTURES, tmp_path))
        assert (PICTURES / name).stat().st_size < 150_000 and kept.shape[1] >= 900
        assert abs(np.array(kept.shape) - made.shape).max() <= 40, f"{name} is not what the page draws: try python docs/pictures/make.py"
