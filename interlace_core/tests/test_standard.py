"""Problems in standard units: what is left alone, what changes, and that the way back is exact."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from models import Counts, random_problem

from interlace_core.calculus.links import LINKS
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Parameter
from interlace_core.contract.problem import Predictor
from interlace_core.covariances import Diagonal, Unstructured
from interlace_core.engine import columns
from interlace_core.engine.columns import NEAR_ONE, Rows, standard_columns
from interlace_core.fitting.psi_covariance import PsiCovariance, root_of
from interlace_core.fitting.standard import keep_standard, standard_of

N = 500
SHIFTS = (0.0, 5.0, 1e2, 1e4, 1e6, 1e7)


def far(shift, scale=1.0, n=N):
    """Return an intercept, a covariate far from 0, its square, a factor's level and another one."""
    rng = np.random.default_rng(3)
    v = scale * (rng.normal(size=n) + shift)
    level = (rng.integers(0, 3, n) == 1) * 1.0
    return np.column_stack([np.ones(n), v, v**2, level, rng.normal(size=n)])


def columns_of(X, **options):
    """Return what becomes of the columns of X, with Q; None for both where they stay."""
    found = standard_columns(Rows.here(X), X.shape[1], **options)
    return found, None if found is None else found.of(X)


def problem_of(Z=None, X=None, covariance=None, **options):
    """Return a problem of 20 groups with a design of its own."""
    problem = random_problem(groups=((20, 1),), n=N, **options)
    if X is not None:
        names = tuple(f"x{j}" for j in range(X.shape[1]))
        problem = replace(problem, predictors=(replace(problem.predictors[0], X=X, names=names),))
    if Z is not None:
        names = tuple(f"z{j}" for j in range(Z.shape[1]))
        covariance = covariance or Unstructured(Z.shape[1])
        term = replace(problem.terms[0], Z=Z, names=names, covariance=covariance)
        problem = replace(problem, terms=(term,))
    return problem


def some_psi(problem):
    """Return a psi inside all bounds."""
    rng = np.random.default_rng(5)
    psi = rng.normal(size=problem.n_psi)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] = term.covariance.start() + 0.1 * rng.uniform(size=place.stop - place.start)
    return psi


def exactly(Q, R, i, j):
    """Return an entry of Q R without rounding."""
    return sum(Fraction(float(q)) * Fraction(float(r)) for q, r in zip(Q[i], R[:, j], strict=True))


# Columns


@pytest.mark.ordinary
@pytest.mark.parametrize("from_last", [False, True])
@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_columns_times_their_factor_are_the_design(shift, scale, from_last):
    X = far(shift, scale)
    found, Q = columns_of(X, from_last=from_last)
    if found is None:
        assert shift <= 5.0
        assert scale == 1.0
        return
    R = found.R
    assert np.all(np.diagonal(R) > 0.0)
    assert np.array_equal(R, np.tril(R) if from_last else np.triu(R))
    ulp = np.spacing(np.max(np.abs(X), axis=0))
    for i in range(0, N, 50):
        for j in range(X.shape[1]):
            assert abs(exactly(Q, R, i, j) - Fraction(float(X[i, j]))) <= Fraction(4 * ulp[j])


@pytest.mark.ordinary
@pytest.mark.parametrize("shift", [1e2, 1e4])
def test_new_columns_have_sizes_near_1_and_much_of_their_own(shift):
    for from_last in (False, True):
        _, Q = columns_of(far(shift, 1e5), from_last=from_last)
        sizes = np.sqrt(np.mean(np.square(Q), axis=0))
        assert np.all((sizes > 1.0 / NEAR_ONE) & (sizes < NEAR_ONE))
        order = slice(None, None, -1) if from_last else slice(None)
        own = np.abs(np.diagonal(np.linalg.qr((Q / sizes)[:, order], mode="r")))
        assert np.all(own / np.sqrt(N) > columns.LEAST_SHARE)


@pytest.mark.ordinary
def test_columns_that_are_ordinary_stay_bit_for_bit():
    X = far(1e4)
    _, Q = columns_of(X)
    for kept in (0, 3, 4):  # the intercept, the factor and the covariate of mean 0
        assert np.array_equal(Q[:, kept], X[:, kept])
    assert columns_of(X[:, [0, 3, 4]])[0] is None


@pytest.mark.ordinary
def test_units_alone_are_powers_of_two():
    X = far(0.0, 1e9)[:, :2]
    found, Q = columns_of(X)
    power = np.log2(found.R[1, 1])
    assert power == np.round(power)
    assert np.array_equal(Q * np.diagonal(found.R), X)


def test_equal_rows_stay_equal():
    """Whoever takes equal rows together looks for rows that are equal bit for bit."""
    rng = np.random.default_rng(1)
    first = far(1e5, n=7)
    which = rng.integers(0, 7, 100_003)
    for from_last in (False, True):
        _, Q = columns_of(first[which], from_last=from_last)
        for row in range(7):
            assert len(np.unique(Q[which == row], axis=0)) == 1


@pytest.mark.ordinary
def test_a_column_without_anything_of_its_own_is_left_where_it_is():
    X = far(1e5)
    X = np.column_stack([X[:, :2], 3.0 * X[:, 1] - 2.0, np.zeros(N)])
    found, Q = columns_of(X)
    assert found.R[0, 2] == found.R[1, 2] == 0.0
    assert np.array_equal(Q[:, 2] * found.R[2, 2], X[:, 2])
    assert not np.any(Q[:, 3])
    assert found.R[3, 3] == 1.0


def test_numbers_whose_squares_are_none():
    X = far(10.0)[:, :2] * [1.0, 1e200]
    found, Q = columns_of(X)
    assert np.all(np.isfinite(found.R))
    assert np.max(np.abs(Q)) < 100.0


# Problems


@pytest.mark.ordinary
@pytest.mark.parametrize("groups", [((20, 1),), ((20, 2),), ((20, 3), (6, 1))])
def test_an_ordinary_problem_is_its_own_standard(groups):
    problem = random_problem(groups=groups)
    standard = standard_of(problem)
    assert standard.problem is problem
    psi = some_psi(problem)
    assert standard.psi(psi) is psi


@pytest.mark.parametrize("shift", [1e2, 1e5])
@pytest.mark.parametrize("covariance", [Unstructured, Diagonal])
def test_predictors_and_effects_are_the_same_at_the_same_u(shift, covariance):
    Z = far(shift, 1e4)[:, [0, 1, 4]]
    problem = problem_of(Z, far(shift, 1e4), covariance(3))
    standard = standard_of(problem)
    psi = some_psi(problem)
    psi[problem.beta_slices()[0]] /= np.max(np.abs(problem.predictors[0].X), axis=0)
    inside = standard.psi(psi)
    np.testing.assert_allclose(standard.given_psi(inside), psi, rtol=1e-9)
    fixed = (each.fixed_part(at)[0] for each, at in ((problem, psi), (standard.problem, inside)))
    np.testing.assert_allclose(*fixed, rtol=0, atol=1e-9)
    m = problem.n_theta
    pairs = ((problem.terms[0], psi[:m]), (standard.problem.terms[0], inside[:m]))
    effects = [term.Z @ term.covariance.template(theta) for term, theta in pairs]
    np.testing.assert_allclose(*effects, rtol=1e-9, atol=1e-9 * np.max(np.abs(effects[0])))


@pytest.mark.parametrize("shift", [1e2, 1e4, 1e6])
def test_the_maps_are_each_others_inverse(shift):
    problem = problem_of(far(shift)[:, :2], far(shift))
    standard = standard_of(problem)
    product = standard.forth @ standard.back
    noise = np.abs(standard.forth) @ np.abs(standard.back)
    assert np.all(np.abs(product - np.eye(problem.n_psi)) <= 1e-15 * noise)
    assert np.array_equal(standard.problem.given, standard.back)


def test_singular_covariances_are_the_same_ones():
    problem = problem_of(far(1e4)[:, :2])
    standard = standard_of(problem)
    theta = np.array([1.3, -0.2, 0.0])
    inside = standard.psi(np.append(theta, np.zeros(problem.n_beta)))
    assert inside[2] == 0.0
    V = np.diag([1.0, 2.0, np.nan, 3.0, 4.0])
    V[2, :] = V[:, 2] = np.nan
    given = PsiCovariance(V, standard.back)
    assert standard.covariance(given) is V
    for mapped in (given.given, standard.covariance(PsiCovariance(V))):
        assert np.array_equal(np.isnan(mapped), np.isnan(V))


def test_covariances_go_back_and_forth():
    """Of this problem, of one in other units, and as written; the last has lost the most digits."""
    rng = np.random.default_rng(3)
    standard, other = (
        standard_of(problem_of(far(shift)[:, :2], far(shift))) for shift in (1e2, 2e2)
    )
    root = rng.normal(size=standard.back.shape)
    V = root @ root.T
    given = PsiCovariance(V, standard.back)
    expected = standard.back @ V @ standard.back.T
    np.testing.assert_allclose(given.given, expected, rtol=1e-9, atol=1e-9 * np.max(expected))
    np.testing.assert_allclose(standard.covariance(PsiCovariance(given.given)), V, atol=1e-3)
    elsewhere = PsiCovariance(other.covariance(given), other.back)
    np.testing.assert_allclose(standard.covariance(elsewhere), V, rtol=1e-7, atol=1e-7)


def test_variances_of_combinations_keep_their_digits():
    """Of the value at a place far from 0, against exact fractions."""
    standard = standard_of(problem_of(far(1e7)[:, :2], far(1e7)))
    B, n = standard.back, len(standard.back)
    rng = np.random.default_rng(4)
    C = rng.normal(size=(n, n))
    covariance = PsiCovariance(C @ C.T, B)
    L = np.zeros((2, n))
    place = standard.given.beta_slices()[0]
    L[:, place][:, 0] = 1.0
    L[:, place][:, 1] = standard.given.predictors[0].X[:2, 1]
    exact = [[Fraction(x) for x in row] for row in B.tolist()]
    rows = [
        [
            float(sum(Fraction(a) * row[j] for a, row in zip(each, exact, strict=True)))
            for j in range(n)
        ]
        for each in L.tolist()
    ]
    expected = np.sum(np.square(np.array(rows) @ C), axis=1)
    np.testing.assert_allclose(covariance.variances(L), expected, rtol=1e-7)
    assert covariance.variance(L[0]) == pytest.approx(expected[0], rel=1e-7)
    # the covariance as written has few digits of it left
    assert abs(L[0] @ covariance.given @ L[0] / expected[0] - 1.0) > 1e-4


def test_roots_leave_out_what_is_rounding_in_any_units():
    units = np.array([1e-9, 1.0, 1e9])
    V = np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) * np.outer(units, units)
    root = root_of(V)
    np.testing.assert_allclose(root @ root.T, V, rtol=1e-12)
    assert np.linalg.matrix_rank(root / units[:, None], tol=1e-12) == 1
    unknown = PsiCovariance(np.array([[np.nan, np.nan], [np.nan, 4.0]]))
    assert np.isnan(unknown.variances(np.eye(2))).tolist() == [True, False]
    assert unknown.variance(np.array([0.0, 3.0])) == pytest.approx(36.0)


class Stubborn(Covariance):
    """A structure that follows no other units: all variances equal, theta their logarithm."""

    name = "stubborn"
    n_theta = 1

    def template(self, theta):
        return np.exp(theta[0]) * np.eye(self.size)

    def pullback(self, theta, dT):
        return np.array([np.exp(theta[0]) * np.trace(dT)])

    def start(self):
        return np.zeros(1)

    def bounds(self):
        return np.array([-np.inf]), np.array([np.inf])

    def nearest(self, covariance):
        return np.array([0.5 * np.log(np.mean(np.diagonal(covariance)))])


def test_a_structure_that_follows_nothing_keeps_its_columns():
    problem = problem_of(far(1e4)[:, :2], covariance=Stubborn(2))
    assert not problem.terms[0].covariance.mixes_columns
    assert standard_of(problem).problem.terms[0].Z is problem.terms[0].Z


@pytest.mark.ordinary
def test_columns_that_do_not_mix_are_divided_by_their_sizes_alone():
    Z = far(1.0, 1e5)[:, :2]
    standard = standard_of(problem_of(Z, covariance=Diagonal(2)))
    ratio = Z[:, 1] / standard.problem.terms[0].Z[:, 1]
    assert np.ptp(ratio) == 0.0
    assert np.array_equal(standard.problem.terms[0].Z[:, 0], Z[:, 0])


class Shifted(Counts):
    """Counts whose mean has no intercept: a further parameter takes its place."""

    name = "test-shifted"
    parameters = (
        Parameter("mu", LINKS["log"], role="mean", intercept=False),
        Parameter("level", LINKS["identity"]),
    )

    def log_density(self, y, eta):
        return super().log_density(y, [eta[0] + eta[1]])

    def intercept_stand_in(self):
        return np.array([-1.0])


@pytest.mark.ordinary
@pytest.mark.parametrize("shift", [5.0, 1e2, 1e6])
def test_columns_are_centred_where_another_parameter_is_the_intercept(shift):
    problem = problem_of()
    family, ones = Shifted(), np.ones((N, 1))
    X = far(shift)[:, [1, 3]]
    predictors = (
        Predictor(family.parameters[0], X, ("v", "f"), np.zeros(N)),
        Predictor(family.parameters[1], ones, ("Intercept",), np.zeros(N)),
    )
    problem = replace(problem, family=family, predictors=predictors)
    standard = standard_of(problem)
    assert (standard.problem is problem) == (shift < 10.0)
    psi = some_psi(problem)
    psi[-1] = 0.4 - shift * psi[-3]
    at = (problem, psi), (standard.problem, standard.psi(psi))
    densities = [family.log_density(problem.y, each.fixed_part(x)) for each, x in at]
    np.testing.assert_allclose(*densities, rtol=1e-8, atol=1e-8)
    if shift > 10.0:
        assert abs(np.mean(standard.problem.predictors[0].X[:, 0])) < 1e-9
        np.testing.assert_allclose(standard.given_psi(standard.psi(psi)), psi, rtol=1e-9)


def test_another_response_keeps_the_columns():
    problem = problem_of(far(1e4)[:, :2])
    inside = standard_of(problem).problem
    changed = replace(problem, y=problem.y + 1.0)
    keep_standard(problem, changed, lambda each: replace(each, y=each.y + 1.0))
    again = standard_of(changed)
    assert again.problem.terms[0].Z is inside.terms[0].Z
    assert np.array_equal(again.problem.y, changed.y)


def test_a_standard_problem_is_not_changed_again():
    inside = standard_of(problem_of(far(1e4)[:, :2])).problem
    assert standard_of(inside).problem is inside
