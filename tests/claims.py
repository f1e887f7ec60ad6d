"""What pages claim in words beside what they print: a function a page, of the names that its blocks left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Names = dict[str, Any]


def _textbook_loop(names: Names) -> None:
    """By hand, by GradientAscent and by EM: the log-likelihood that mclust and scikit-learn know for two full components."""
    reached = names["reached"]
    assert set(reached) == {"by hand", "GradientAscent", "EM"}
    assert all(value == pytest.approx(-1130.26396, abs=1e-3) for value in reached.values())


def _old_faithful(names: Names) -> None:
    """The mixture predicts the next eruption better than a line: smaller errors, and more density where it came."""
    errors, densities = names["errors"], names["densities"]
    assert errors["mixture"] < errors["line"] < errors["mean"]
    assert densities["mixture"] > densities["line"] > densities["mean"]


def _anomaly_detection(names: Names) -> None:
    """For every digit left out, the mixture tells it from the others better than a single Gaussian does, and better than the forest."""
    areas = names["areas"]
    assert (areas["mixture"] > areas["one Gaussian"]).all()
    assert (areas["mixture"] > areas["isolation forest"]).all()
    wrong = names["false_alarms"]
    assert abs(wrong["unseen rows"] - 0.05) < abs(wrong["rows fitted to"] - 0.05)


def _colour_quantisation(names: Names) -> None:
    """K-means has the best hard palette; soft colours have less error than it, and drawn ones from a step away, most of all in the sky."""
    errors, seen, sky = names["errors"], names["seen"], names["sky"]
    assert errors["soft"] < 0.8 * errors["k-means"] < errors["drawn"]
    assert names["error"](names["hard"]) > errors["k-means"]
    assert seen["soft"] < seen["drawn"] < seen["k-means"]
    assert sky["drawn"] < 0.85 * sky["k-means"]
    assert len(np.unique(names["quantised"]["drawn"], axis=0)) <= 16


def _adaptation(names: Names) -> None:
    """For every length, adapting the background beats each way of fitting the speaker alone, in both kinds of error."""
    identified, verified = names["identified"], names["verified"]
    for seconds in names["LENGTHS"]:
        assert identified["adapted", seconds] < min(identified[way, seconds] for way in names["ALONE"])
        assert verified["adapted", seconds] < min(verified[way, seconds] for way in names["ALONE"])
    assert identified["adapted", names["LENGTHS"][-1]] > 0  # not a caricature in which all is found


def _ten_million_rows(names: Names) -> None:
    """The sparsest rows are the faulty ones that were put in, and a fit to all rows is worth more than one to a sample."""
    assert names["found"] > 0.5
    assert names["likelihoods"]["all rows"] > names["likelihoods"]["sample"]
    assert np.isfinite(names["lowest"]).all()


CLAIMS: dict[str, Callable[[Names], None]] = {
    "docs/textbook-loop.md": _textbook_loop,
    "docs/examples/old-faithful.md": _old_faithful,
    "docs/examples/anomaly-detection.md": _anomaly_detection,
    "docs/examples/colour-quantisation.md": _colour_quantisation,
    "docs/examples/adaptation.md": _adaptation,
    "docs/examples/ten-million-rows.md": _ten_million_rows,
}
