"""The covariance families: their parameters, their maximisers against anything else in the family, what contains what, and mclust's figures."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
from cases import overlapping, reference, some_mixture

import mixtura
from mixtura.errors import MixturaWarning, ParameterError
from mixtura.families import ALL, FAMILIES, Family, family_of
from mixtura.families.constraint import Constraint
from mixtura.moments import MATRIX
from mixtura.regularisation import Floor, Ridge
from mixtura.rules import EM, MAP, NaturalGradient, Online, Squarem, Variational

RULES = [EM(), Squarem(EM(), patience=2), MAP(), NaturalGradient(0.5), Online(batch_rows=50)]


def scatters(K: int, D: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Whole scatter matrices (K, D, D) of components with nothing in common, and their counts."""
    rng = np.random.default_rng(seed)
    factors = np.eye(D) + 0.5 * rng.normal(size=(K, D, D))
    counts = rng.uniform(5.0, 50.0, size=K)
    return factors @ factors.swapaxes(1, 2) * (counts * rng.uniform(0.3, 3.0, size=K))[:, None, None], counts


def maximised(family: Family, scatter: np.ndarray, counts: np.ndarray, previous: np.ndarray | None = None) -> np.ndarray:
    kept = family.moment.keep(scatter)
    return family.maximise(kept.sum(axis=0) if family.pooled else kept, counts, scatter.shape[-1], previous)


def expected(family: Family, covariances: np.ndarray, scatter: np.ndarray, counts: np.ndarray) -> float:
    """sum_k n_k (-log|Sigma_k| - tr(Sigma_k^-1 W_k / n_k)) / 2, in plain NumPy."""
    matrices = family.matrices(covariances, len(counts), scatter.shape[-1])
    traces = np.trace(np.linalg.solve(matrices, scatter), axis1=1, axis2=2)
    return float(-(counts * np.linalg.slogdet(matrices)[1] + traces).sum() / 2)


def parts(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Volumes (K,) and shapes (K, D) of matrices."""
    values = np.linalg.eigvalsh(matrices)
    volumes = np.exp(np.log(values).mean(axis=1))
    return volumes, values / volumes[:, None]


def member(family: Family, K: int, D: int, seed: int) -> np.ndarray:
    """Covariances of the family made of its definition: volumes, shapes and orientations, equal, variable or none."""
    rng = np.random.default_rng(seed)

    def of(letter: str, drawn: np.ndarray, none: np.ndarray) -> np.ndarray:
        return {"E": np.broadcast_to(drawn[:1], drawn.shape), "V": drawn, "I": np.broadcast_to(none, drawn.shape)}[letter]

    volume, shape, orientation = family.code
    volumes = of(volume, rng.uniform(0.2, 5.0, size=K), np.ones(1))
    logs = rng.normal(size=(K, D))
    shapes = np.exp(of(shape, logs - logs.mean(axis=1, keepdims=True), np.zeros(D)))
    axes = of(orientation, np.linalg.qr(rng.normal(size=(K, D, D)))[0], np.eye(D))
    matrices = volumes[:, None, None] * (axes * shapes[:, None, :]) @ axes.swapaxes(1, 2)
    kept = family.moment.keep((matrices + matrices.swapaxes(1, 2)) / 2) / family.moment.divisor(D)
    return kept[0] if family.pooled else kept


def nudged(family: Family, covariances: np.ndarray, K: int, D: int, size: float, rng: np.random.Generator) -> np.ndarray:
    """Another member nearby: volumes, shapes and orientations each changed by about `size`, together where they are equal."""
    matrices = family.matrices(covariances, K, D)
    volume, shape, orientation = family.code

    def change(letter: str, *of_one: int) -> np.ndarray:
        draws = {"E": 1, "V": K, "I": 1}[letter]
        drawn = size * rng.normal(size=(draws, *of_one)) * (letter != "I")
        return np.broadcast_to(drawn, (K, *of_one))

    scale = change(volume)
    if orientation == "E":  # the axes that all have, those of a sum in which none is lost
        axes = np.broadcast_to(np.linalg.eigh((matrices / np.trace(matrices, axis1=1, axis2=2)[:, None, None]).sum(axis=0))[1], matrices.shape)
        spectra = np.einsum("kji,kjl,kli->ki", axes, matrices, axes)
    elif orientation == "I":
        axes, spectra = np.broadcast_to(np.eye(D), matrices.shape), np.diagonal(matrices, axis1=1, axis2=2)
    else:
        spectra, axes = np.linalg.eigh(matrices)
    spectra = spectra * np.exp(scale[:, None] + (lambda logs: logs - logs.mean(axis=1, keepdims=True))(change(shape, D)))
    skew = change(orientation, D, D)
    turned = axes @ np.linalg.qr(np.eye(D) + skew - skew.swapaxes(1, 2))[0]
    moved = (turned * spectra[:, None, :]) @ turned.swapaxes(1, 2)
    kept = family.moment.keep((moved + moved.swapaxes(1, 2)) / 2) / family.moment.divisor(D)
    return kept[0] if family.pooled else kept


PARAMETERS = {
    "EII": lambda K, D, o: 1,
    "VII": lambda K, D, o: K,
    "EEI": lambda K, D, o: D,
    "VEI": lambda K, D, o: K + D - 1,
    "EVI": lambda K, D, o: 1 + K * (D - 1),
    "VVI": lambda K, D, o: K * D,
    "EEE": lambda K, D, o: D + o,
    "VEE": lambda K, D, o: K + D - 1 + o,
    "EVE": lambda K, D, o: 1 + K * (D - 1) + o,
    "VVE": lambda K, D, o: K * D + o,
    "EEV": lambda K, D, o: D + K * o,
    "VEV": lambda K, D, o: K + D - 1 + K * o,
    "EVV": lambda K, D, o: 1 + K * (D - 1) + K * o,
    "VVV": lambda K, D, o: K * (D + o),
}


def test_free_parameters(family: Family) -> None:
    """The table of shared/reference: o angles make an orientation."""
    for K, D in itertools.product((1, 2, 5, 9), (1, 2, 3, 7, 20)):
        covariances = PARAMETERS[family.code](K, D, D * (D - 1) // 2)
        assert family.n_covariance_parameters(K, D) == covariances
        assert family.n_parameters(K, D) == covariances + K * D + K - 1


def test_all_fourteen_have_two_names() -> None:
    assert [family.code for family in ALL] == list(PARAMETERS)
    assert all(family_of(family.name) is family_of(family.code) is family for family in ALL)
    assert family_of("E").code == "EII" and family_of("V").code == "VII"
    for one, other in itertools.combinations(ALL, 2):
        assert not one.nests(other), "the special come before the general"


def test_what_contains_what() -> None:
    contained = {general.code: {special.code for special in ALL if general.nests(special) and special is not general} for general in ALL}
    assert contained["EII"] == set() and contained["VVV"] == set(PARAMETERS) - {"VVV"}
    assert contained["VEE"] == {"EII", "VII", "EEI", "VEI", "EEE"}
    assert contained["EVE"] == {"EII", "EEI", "EVI", "EEE"}
    assert contained["EEV"] == {"EII", "EEI", "EEE"}
    assert contained["VVI"] == {"EII", "VII", "EEI", "VEI", "EVI"}


@pytest.mark.parametrize(("K", "D"), [(2, 2), (3, 4), (6, 3)])
def test_the_maximiser_beats_all_around_it(family: Family, K: int, D: int) -> None:
    scatter, counts = scatters(K, D)
    best = maximised(family, scatter, counts)
    top, rng = expected(family, best, scatter, counts), np.random.default_rng(1)
    for size in (1e-3, 1e-1):
        for _ in range(100):
            assert expected(family, nudged(family, best, K, D, size, rng), scatter, counts) <= top + 1e-9
    for seed in range(20):  # and what is far away
        assert expected(family, member(family, K, D, seed), scatter, counts) <= top


@pytest.mark.parametrize(("K", "D"), [(1, 3), (2, 2), (3, 4), (6, 3)])
def test_members_are_their_own_maximisers(family: Family, K: int, D: int) -> None:
    counts = np.random.default_rng(0).uniform(5.0, 50.0, size=K)
    for seed in range(10):
        covariances = member(family, K, D, seed)
        scatter = family.matrices(covariances, K, D) * counts[:, None, None]
        for previous in (None, member(family, K, D, seed + 100)):
            np.testing.assert_allclose(maximised(family, scatter, counts, previous), covariances, rtol=0, atol=1e-7 * np.abs(covariances).max())
        mixtura.Mixture(counts / counts.sum(), np.zeros((K, D)), covariances, family)  # and the mixture takes them


def test_members_share_what_the_letters_say(family: Family) -> None:
    scatter, counts = scatters(4, 3)
    volumes, shapes = parts(family.matrices(maximised(family, scatter, counts), 4, 3))
    volume, shape, orientation = family.code
    equal = np.ptp(volumes) < 1e-8 * volumes.max()
    alike = np.abs(shapes - shapes[0]).max() < 1e-8
    matrices = family.matrices(maximised(family, scatter, counts), 4, 3)
    commute = max(np.abs(a @ b - b @ a).max() for a, b in itertools.combinations(matrices, 2)) < 1e-8
    assert equal == (volume == "E")
    assert alike == (shape != "V") and (shape == "I") == (np.abs(shapes - 1).max() < 1e-8)
    assert commute == (orientation != "V")
    assert (orientation == "I") == (np.abs(matrices - matrices * np.eye(3)).max() < 1e-12)


def test_the_general_is_never_worse(family: Family) -> None:
    for seed in range(5):
        scatter, counts = scatters(4, 3, seed)
        top = expected(family, maximised(family, scatter, counts), scatter, counts)
        for special in ALL:
            if family.nests(special):
                assert top >= expected(special, maximised(special, scatter, counts), scatter, counts) - 1e-9, special.code


def test_a_known_way_is_no_worse_and_never_falls(family: Family) -> None:
    """From any previous covariances: not below them, however they were."""
    for seed in range(10):
        scatter, counts = scatters(4, 3, seed)
        previous = member(family, 4, 3, seed)
        found = maximised(family, scatter, counts, previous)
        assert expected(family, found, scatter, counts) >= expected(family, previous, scatter, counts)


def test_maps_carry_the_maximiser_along(family: Family) -> None:
    """Near a member, where common axes have one optimum: far from any, the columns' own, which they begin at, may lead to another."""
    noise, counts = scatters(3, 3)
    scatter = family.matrices(member(family, 3, 3, 1), 3, 3) * counts[:, None, None] + 0.05 * noise
    rng = np.random.default_rng(5)
    maps = {"similarities": 3.7 * np.linalg.qr(rng.normal(size=(3, 3)))[0], "scales": np.diag([1e-2, 5.0, 70.0]), "linear": rng.normal(size=(3, 3))}
    carried = {}
    for name, A in maps.items():
        here = family.matrices(maximised(family, scatter, counts), 3, 3)
        there = family.matrices(maximised(family, A @ scatter @ A.T, counts), 3, 3)
        carried[name] = np.allclose(A @ here @ A.T, there, rtol=0, atol=1e-6 * np.abs(there).max())
    assert carried[family.equivariance]
    assert not carried["linear"] or family.equivariance == "linear"
    assert not carried["scales"] or family.equivariance != "similarities"


def test_many_problems_at_once_are_each_alone(family: Family) -> None:
    problems = [scatters(3, 2, seed) for seed in range(6)]
    kept = np.stack([family.moment.keep(scatter) for scatter, _ in problems])
    counts = np.stack([counts for _, counts in problems])
    together = family.maximise(kept.sum(axis=1) if family.pooled else kept, counts, 2)
    for one, (scatter, n) in zip(together, problems, strict=True):
        np.testing.assert_allclose(one, maximised(family, scatter, n), rtol=1e-12)


def test_a_projection_is_the_nearest_member(family: Family) -> None:
    if family.constraint is None:
        covariances = some_mixture(family, 3, 3).covariances
        assert family.project(covariances, np.ones(3), 3) is covariances
        return
    kept = family.moment.keep(scatters(3, 3)[0])
    weights = np.array([0.2, 0.3, 0.5])
    once = family.project(kept, weights, 3)
    np.testing.assert_allclose(family.project(once, weights, 3), once, rtol=0, atol=1e-8 * np.abs(once).max())
    whole = family.moment.matrices(kept, 3) * weights[:, None, None]
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert expected(family, nudged(family, once, 3, 3, 0.05, rng), whole, weights) <= expected(family, once, whole, weights)


def test_strangers_are_refused(family: Family) -> None:
    if family.constraint is None:
        return
    covariances = family.moment.keep(scatters(3, 2)[0])
    with pytest.raises(ParameterError, match=f"not of family {family.code}.*try family.project"):
        mixtura.Mixture([0.2, 0.3, 0.5], np.zeros((3, 2)), covariances, family)


def test_variational_inference_refuses_what_components_share(family: Family) -> None:
    if family.constraint is None:
        Variational().check(family, 2)
    else:
        with pytest.raises(ParameterError, match=f"does not know family {family.code}.*try 'full'"):
            Variational().check(family, 2)


# the floor


@pytest.mark.parametrize("regularisation", [Floor(), Floor(1e-3), Ridge(1e-9)], ids=str)
def test_held_covariances_are_in_the_family_and_above_the_floor(family: Family, regularisation: Floor | Ridge) -> None:
    """Scatters of a row, of two, of rows on a line, of none: whatever becomes of them."""
    rng = np.random.default_rng(0)
    base = np.cov(rng.normal(size=(50, 3)).T) * np.outer([1.0, 5.0, 0.2], [1.0, 5.0, 0.2])
    line = np.outer([1.0, 5.0, 0.2], [1.0, 5.0, 0.2])
    reference = family.moment.keep(base) / family.moment.divisor(3)
    for degenerate in ([base, 0 * base, base], [base, line, 1e-9 * base], [0 * base, 0 * base, 0 * base], [line, line, line]):
        counts = np.array([10.0, 10.0, 1e-9])
        scatter = np.stack(degenerate) * counts[:, None, None]
        kept = family.moment.keep(scatter)
        held, low = regularisation.maximise(family, kept.sum(axis=0) if family.pooled else kept, counts, 3, reference)
        relative = regularisation.relative if isinstance(regularisation, Floor) else 1e-12
        below = family.moment.floor(held, reference, relative * (1 - 1e-5))[1]
        assert np.isfinite(held).all() and not below.any()
        if family.constraint is not None and isinstance(regularisation, Floor):
            again = family.project(held, counts, 3)
            deviations = np.sqrt(np.diagonal(family.matrices(held, 3, 3), axis1=1, axis2=2))
            apart = family.matrices(again - held, 3, 3) / (deviations[:, :, None] * deviations[:, None, :])
            assert np.abs(apart).max() < 1e-5
        assert low.shape == (() if family.pooled else (3,))


def test_held_fits_do_not_depend_on_units(family: Family) -> None:
    """With a component at the floor, changing the units as the family allows changes nothing.

    Its rows lie on an ellipse a millionth as large as the data: rows that are all the same have no axes, and rounding would choose some.
    """
    turn = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    X = np.vstack([overlapping(60, 2, 1, seed=3), np.column_stack([30 + 1e-5 * np.cos(turn), 900 + 3e-4 * np.sin(turn + 0.5)])])
    A = {"similarities": 50.0 * np.eye(2), "scales": np.diag([1e3, 1e-2]), "linear": np.diag([1e3, 1e-2])}[family.equivariance]
    start = mixtura.Mixture([0.8, 0.2], [X[:60].mean(axis=0), X[-1]], family.project(member(family, 2, 2, 0), np.full(2, 0.5), 2), family)
    start = next(itertools.islice(mixtura.iterate(X, _about(start, X)), 1, None)).mixture
    kept = family.moment.keep(A @ (start.matrices[0] if family.pooled else start.matrices) @ A.T) / family.moment.divisor(2)
    mapped = mixtura.Mixture(start.weights, start.means @ A.T, kept, family)
    here, there = (list(itertools.islice(mixtura.iterate(Y, one), 6))[-1] for Y, one in ((X, start), (X @ A.T, mapped)))
    assert here.log_likelihood - np.linalg.slogdet(A)[1] == pytest.approx(there.log_likelihood, abs=1e-6)


def _about(mixture: mixtura.Mixture, X: np.ndarray) -> mixtura.Mixture:
    """The same with covariances of the size of the data's."""
    covariance = mixture.family.moment.keep(np.cov(X.T)[None].repeat(2, axis=0)) / mixture.family.moment.divisor(2)
    covariances = covariance[0] if mixture.family.pooled else mixture.family.project(covariance, mixture.weights, 2)
    return mixtura.Mixture(mixture.weights, mixture.means, covariances, mixture.family)


# rules and figures


@pytest.mark.parametrize(
    "rule", [EM(), Squarem(EM(), patience=2), MAP(), NaturalGradient(0.5), Online(batch_rows=50)], ids=lambda one: type(one).__name__
)
def test_rules_stay_in_the_family(family: Family, rule: mixtura.rules.Rule) -> None:
    X = overlapping(200, 2, 3, seed=7)
    start = mixtura.start(X, 3, family, random_state=0)
    shaken = mixtura.Mixture(start.weights, start.means + 0.5 * X.std(axis=0), start.covariances, family)
    for step in itertools.islice(mixtura.iterate(X, shaken, rule), 25):
        mixtura.Mixture(step.mixture.weights, step.mixture.means, step.mixture.covariances, family)  # looks


@pytest.mark.parametrize(
    ("name", "code", "K", "log_likelihood"),
    [
        ("iris", "VEV", 2, -215.725972),
        ("iris", "VEV", 3, -186.073283),
        ("iris", "VEE", 3, -237.560163),
        ("iris", "VVI", 3, -307.177572),
        ("faithful", "VVE", 2, -1132.187446),
        ("faithful", "VEE", 3, -1124.528182),
        ("banknote", "VVE", 3, -663.381410),
    ],
)
def test_converged_figures(name: str, code: str, K: int, log_likelihood: float) -> None:
    """Reached or bettered: our axes of VVE turn until they are still, see below."""
    X = reference(name)
    result = mixtura.fit(X, mixtura.start(X, K, code, random_state=0), tol=1e-12, max_steps=5000)
    assert result.log_likelihood * len(X) >= log_likelihood - 1e-4
    if code not in ("VVE", "VVI"):
        assert result.log_likelihood * len(X) <= log_likelihood + 1e-4


def test_common_axes_of_two_columns_are_the_best_of_all_angles() -> None:
    """In the plane an orientation is one angle: diagonal mixtures of rows turned by each, and none beats the common axes found."""
    X = reference("faithful")
    best = mixtura.fit(X, mixtura.start(X, 2, "VVE", random_state=0), tol=1e-12)
    for angle in np.linspace(0.0, np.pi / 2, 46):
        Q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turned = FAMILIES["VVI"].moment.keep(Q.T @ best.mixture.matrices @ Q)
        start = mixtura.Mixture(best.mixture.weights, best.mixture.means @ Q, turned, "diag")
        assert mixtura.fit(X @ Q, start, tol=1e-9).log_likelihood <= best.log_likelihood + 1e-9


@pytest.mark.parametrize("code", list(PARAMETERS))
def test_every_family_by_every_door(code: str) -> None:
    X = reference("faithful")
    model = mixtura.GaussianMixture(2, covariance_type=code, random_state=0).fit(X)
    assert model.mixture_.family.code == code
    assert mixtura.start(X, 2, code.lower() if code.lower() in FAMILIES else code, random_state=0).family.code == code
    assert mixtura.select(X, [2], code, random_state=0).ranking[0].family.code == code


class OneVariance(Constraint):
    """Sigma_k = s I for all k as whole matrices: `tied_spherical` by another name, which is the oracle."""

    one_scale = True

    def maximise(self, scatter: np.ndarray, counts: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
        D = scatter.shape[-1]
        variance = np.trace(scatter, axis1=-2, axis2=-1).sum(axis=-1) / (D * counts.sum(axis=-1))
        return np.broadcast_to(variance[..., None, None, None] * np.eye(D), scatter.shape).copy()

    def n_parameters(self, K: int, D: int) -> int:
        return 1


OWN = Family("one_variance", "one_variance", MATRIX, pooled=False, constraint=OneVariance())


def test_a_family_from_elsewhere_goes_wherever_ours_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, OWN.name, OWN)
    X = overlapping(300, 3, 2, seed=0)
    cells = {one.family: one for one in mixtura.select(X, [1, 2, 3], [OWN, "tied_spherical", "full"], random_state=0).cells if one.components == 2}
    own, ours = cells[OWN], cells[FAMILIES["EII"]]
    assert own.n_parameters == ours.n_parameters and own.bic == pytest.approx(ours.bic, abs=1e-3)
    mixture = cells[OWN].mixture
    mixture.save(tmp_path / "own.safetensors")
    assert mixtura.Mixture.load(tmp_path / "own.safetensors").family is OWN
    assert mixture.to_family("full").score(X) == pytest.approx(mixture.score(X), abs=1e-12)
    fitted = mixtura.GaussianMixture(2, covariance_type="one_variance", random_state=0).fit(X)
    theirs = mixtura.GaussianMixture(2, covariance_type="tied_spherical", random_state=0).fit(X)
    assert fitted.score(X) == pytest.approx(theirs.score(X), abs=1e-3)


def test_a_family_from_elsewhere_nests_itself_alone_and_full_nests_it() -> None:
    assert not OWN.lettered and all(one.lettered for one in ALL)
    assert OWN.nests(OWN) and FAMILIES["full"].nests(OWN)
    assert not any(OWN.nests(one) for one in ALL) and not any(one.nests(OWN) for one in ALL if one.code != "VVV")


@pytest.mark.parametrize("rows", [np.ones((40, 2)), np.c_[np.arange(40.0), np.zeros(40)], np.c_[np.arange(40.0), 1e-9 * np.arange(40.0) ** 2]])
def test_a_family_from_elsewhere_is_kept_where_covariances_collapse(rows: np.ndarray) -> None:
    rows = np.r_[rows, np.array([[3.0, 5.0]])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MixturaWarning)
        fitted = mixtura.GaussianMixture(2, covariance_type=OWN, random_state=0).fit(rows)
    covariances = fitted.covariances_
    assert np.isfinite(covariances).all()
    assert np.allclose(covariances, covariances[0, 0, 0] * np.eye(2), rtol=1e-9, atol=0)


def test_a_constraint_that_does_not_count_its_parameters_says_so() -> None:
    class Uncounted(Constraint):
        def maximise(self, scatter: np.ndarray, counts: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
            return scatter / counts[..., None, None]

    with pytest.raises(ParameterError, match="got Uncounted without n_parameters"):
        Family("uncounted", "uncounted", MATRIX, pooled=False, constraint=Uncounted()).n_parameters(2, 2)
