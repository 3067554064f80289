"""The formulas of docs/mathematics.md, by dense algebra that shares no code with the library.

Where both are exact, they agree to what rounding leaves of numbers of this size: 1e-9 relative, or
1e-8 where a mode is squared away from its tolerance of 1e-8.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from scipy.special import gammaln

import interlace
from interlace.data.request import ModelRequest
from interlace.diagnostics.recession import Cone
from interlace.fits import options_in_force, prepared
from interlace_approximations.agq import AdaptiveGaussHermite, VectorGaussHermite
from interlace_approximations.joint_mode import JointMode
from interlace_approximations.laplace import Laplace
from interlace_approximations.linear import MaximumLikelihood, RestrictedLikelihood

N, LEVELS_G, LEVELS_H = 60, 6, 5
PSI = np.array([0.7, -0.3, 0.5, 0.4, 0.3, -0.2])
"""Lower triangle of g's template by columns, h's standard deviation, and two coefficients."""


def table():
    """Return counts with a covariate and two crossed factors."""
    rng = np.random.default_rng(20)
    data = pd.DataFrame({"x": rng.normal(size=N)})
    data["g"] = np.resize(list("abcdef"), N)
    data["h"] = rng.permutation(np.resize(list("vwxyz"), N))
    data["y"] = rng.poisson(np.exp(0.4 + 0.5 * rng.normal(size=N)))
    data["z"] = 1.0 + data["x"] + rng.normal(size=N) + rng.normal(size=LEVELS_G)[np.arange(N) % 6]
    return data


DATA = table()
X = np.column_stack([np.ones(N), DATA["x"]])


def indicators(name):
    """Return which row is of which level, 0 or 1, n x L, levels in the order of their names."""
    return (DATA[name].to_numpy()[:, None] == np.unique(DATA[name])).astype(float)


G, H_ = indicators("g"), indicators("h")


def problem_of(formula, family="poisson"):
    """Return a problem as the library makes it."""
    return prepared(ModelRequest(formula, DATA, family), options_in_force()).model.problem


def z_lambda(T, sd=None):
    """Return Z Lambda of (1 + x | g), with (1 | h) where its standard deviation is given."""
    parts = [np.column_stack([G * X[:, [0]] * T[0, b] + G * X[:, [1]] * T[1, b]]) for b in (0, 1)]
    return np.column_stack(parts if sd is None else [*parts, sd * H_])


def lower(theta):
    """Return the template of three thetas."""
    return np.array([[theta[0], 0.0], [theta[1], theta[2]]])


class Dense:
    """Equations (2), (3) and (5) for Poisson counts with a logarithmic link."""

    def __init__(self, psi, terms=2):
        self.A = z_lambda(lower(psi), psi[3] if terms == 2 else None)
        self.beta = psi[-2:]
        self.y = DATA["y"].to_numpy(float)
        self.q = self.A.shape[1]

    def f(self, u, beta=None):
        eta = X @ (self.beta if beta is None else beta) + self.A @ u
        return -np.sum(self.y * eta - np.exp(eta) - gammaln(self.y + 1)) + u @ u / 2

    def mean(self, u, beta=None):
        return np.exp(X @ (self.beta if beta is None else beta) + self.A @ u)

    def H(self, u, beta=None):
        return self.A.T @ (self.mean(u, beta)[:, None] * self.A) + np.eye(self.q)

    def mode(self):
        u = np.zeros(self.q)
        for _ in range(60):
            gradient = u - self.A.T @ (self.y - self.mean(u))
            u = u - np.linalg.solve(self.H(u), gradient)
        return u

    def F(self):
        u = self.mode()
        return self.f(u) + np.linalg.slogdet(self.H(u))[1] / 2


def test_laplace_is_the_joint_density_with_the_curvature():
    """Equations (2), (3) and (5)."""
    problem = problem_of("y ~ x + (1 + x | g) + (1 | h)")
    assert Laplace().objective(problem)(PSI).value == pytest.approx(Dense(PSI).F(), rel=1e-10)


def test_the_gradient_follows_the_mode():
    """Equations (6) to (9), term by term, and the differences of (5)."""
    dense, found = Dense(PSI), Laplace().objective(problem_of("y ~ x + (1 + x | g) + (1 | h)"))(PSI)
    u = dense.mode()
    mean, inverse = dense.mean(u), np.linalg.inv(dense.H(u))
    leverage = np.einsum("ij,jk,ik->i", dense.A, inverse, dense.A)
    c = 0.5 * leverage * mean  # l_klm = -mean
    v = inverse @ (dense.A.T @ c)
    score = mean - dense.y + c - mean * (dense.A @ v)
    l_, WZL = dense.y - mean, mean[:, None] * (dense.A @ inverse)
    dT = np.zeros((2, 2))
    for a in range(2):
        for b in range(2):
            Za, own = G * X[:, [a]], slice(b * LEVELS_G, (b + 1) * LEVELS_G)
            moved = (Za.T @ score) @ u[own] + (Za.T @ l_) @ v[own]
            dT[a, b] = moved + np.trace(Za.T @ WZL[:, own])
    last = slice(2 * LEVELS_G, None)
    d_sd = (H_.T @ score) @ u[last] + (H_.T @ l_) @ v[last] + np.trace(H_.T @ WZL[:, last])
    expected = [dT[0, 0], dT[1, 0], dT[1, 1], d_sd, *(X.T @ score)]
    assert found.gradient == pytest.approx(expected, rel=1e-8)
    steps = 1e-5 * np.eye(PSI.size)  # of truncation 1e-10, and rounding of F over 1e-5
    differences = [(Dense(PSI + s).F() - Dense(PSI - s).F()) / 2e-5 for s in steps]
    assert found.gradient == pytest.approx(differences, abs=1e-6)


def test_standard_errors_are_those_of_the_hessian():
    """Equation (10): differences of (5) itself against those of the library's gradient."""
    formula = "y ~ x + (1 | h)"
    fit = interlace.glmer(formula, DATA, "poisson")

    def F(psi):
        return Dense(np.array([0.0, 0.0, 0.0, *psi])).F()

    psi, m = fit.fit.psi, fit.fit.psi.size
    steps = 1e-3 * np.eye(m)
    hessian = [
        [(F(psi + a + b) - F(psi + a - b) - F(psi - a + b) + F(psi - a - b)) / 4e-6 for b in steps]
        for a in steps
    ]
    # the library differences to 1e-5, this to the fourth derivative times 1e-6
    assert fit.fit.vcov == pytest.approx(np.linalg.inv(hessian), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("restricted", [False, True])
def test_linear_criteria_are_those_of_the_dense_covariance(restricted):
    """Equations (11) to (13), with precision weights."""
    w = np.random.default_rng(3).uniform(0.5, 2.0, N)
    problem = interlace.fit("z ~ x + (1 + x | g) + (1 | h)", DATA, weights=w).training.problem
    approximation = RestrictedLikelihood() if restricted else MaximumLikelihood()
    log_sigma = -0.2
    psi = np.array([0.7, -0.3, 0.5, 0.4, 0.0, 0.0, log_sigma])
    A, y = z_lambda(lower(psi), psi[3]), DATA["z"].to_numpy()
    V = A @ A.T + np.diag(np.exp(2 * log_sigma) / w)
    solved = np.linalg.solve(V, np.column_stack([X, y]))
    information = X.T @ solved[:, :2]
    beta = np.linalg.solve(information, X.T @ solved[:, 2])
    r = y - X @ beta
    twice = np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r)
    twice += (N - 2 if restricted else N) * np.log(2 * np.pi)
    twice += np.linalg.slogdet(information)[1] if restricted else 0.0
    found = approximation.objective(problem)(psi)
    assert found.value == pytest.approx(twice / 2, rel=1e-10)
    assert found.profiled.values == pytest.approx(beta, rel=1e-9)


@pytest.mark.parametrize(
    ("quadrature", "formula", "psi"),
    [
        (AdaptiveGaussHermite, "y ~ x + (1 | h)", [0.4, 0.3, -0.2]),
        (VectorGaussHermite, "y ~ x + (1 + x | g)", [0.7, -0.3, 0.5, 0.3, -0.2]),
    ],
)
def test_quadrature_with_one_point_is_laplace(quadrature, formula, psi):
    """Equation (14) with one node, value and gradient."""
    problem, psi = problem_of(formula), np.array(psi)
    one, laplace = (each.objective(problem)(psi) for each in (quadrature(points=1), Laplace()))
    assert one.value == pytest.approx(laplace.value, rel=1e-12)
    assert one.gradient == pytest.approx(laplace.gradient, rel=1e-8)


def test_quadrature_is_the_sum_over_nodes_around_the_mode():
    """Equation (14) for one scalar effect, group by group."""
    psi, points = np.array([0.4, 0.3, -0.2]), 7
    x, w = np.polynomial.hermite.hermgauss(points)
    nodes, log_w = np.sqrt(2) * x, np.log(w / np.sqrt(np.pi)) + x**2
    dense = Dense(np.array([0.0, 0.0, 0.0, *psi]))
    mode = dense.mode()[2 * LEVELS_G :]
    total = 0.0
    for level, u in enumerate(mode):
        rows = H_[:, level] > 0
        y, fixed = dense.y[rows], X[rows] @ psi[1:]

        def q(at, y=y, fixed=fixed):
            eta = fixed + psi[0] * at
            return np.sum(y * eta - np.exp(eta) - gammaln(y + 1)) - at**2 / 2

        H = 1 + psi[0] ** 2 * np.sum(np.exp(fixed + psi[0] * u))
        terms = [log + q(u + node / np.sqrt(H)) for node, log in zip(nodes, log_w, strict=True)]
        total += -np.log(H) / 2 + np.log(np.sum(np.exp(terms)))
    found = AdaptiveGaussHermite(points=points).objective(problem_of("y ~ x + (1 | h)"))(psi)
    assert found.value == pytest.approx(-total, rel=1e-10)


def test_the_joint_mode_is_least_in_both():
    """Equations (16) and (17)."""
    dense = Dense(PSI)
    u, beta = np.zeros(dense.q), np.zeros(2)
    B = np.column_stack([dense.A, X])
    ridge = np.diag([*np.ones(dense.q), 0.0, 0.0])
    for _ in range(60):
        mean = dense.mean(u, beta)
        gradient = ridge @ np.append(u, beta) - B.T @ (dense.y - mean)
        whole = B.T @ (mean[:, None] * B) + ridge
        step = np.linalg.solve(whole, gradient)
        u, beta = u - step[: dense.q], beta - step[dense.q :]
    expected = dense.f(u, beta) + np.linalg.slogdet(dense.H(u, beta))[1] / 2
    found = JointMode().objective(problem_of("y ~ x + (1 + x | g) + (1 | h)"))(PSI)
    assert found.value == pytest.approx(expected, rel=1e-10)
    assert found.profiled.values == pytest.approx(beta, rel=1e-8)
    covariance = np.linalg.inv(whole)[dense.q :, dense.q :]
    assert found.profiled.covariance == pytest.approx(covariance, rel=1e-8)


@pytest.mark.parametrize("seed", range(20))
def test_separation_is_the_linear_programme(seed):
    """Equation (20) as it stands on the page, for binary rows of small designs."""
    rng = np.random.default_rng(seed)
    D = np.column_stack([np.ones(9), rng.integers(-2, 3, (9, 2))])
    a = np.where(rng.random(9) < 0.5, 1.0, -1.0)[:, None] * D
    best = linprog(-a.sum(axis=0), -a, np.zeros(9), bounds=(-1, 1)).fun
    assert Cone(a, np.zeros((0, 3))).has_direction([0, 1, 2]) == (best < -1e-6)


def test_both_answers_about_separation_occur():
    """Of the designs above: a test of one answer alone would show nothing."""
    answers = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        D = np.column_stack([np.ones(9), rng.integers(-2, 3, (9, 2))])
        a = np.where(rng.random(9) < 0.5, 1.0, -1.0)[:, None] * D
        answers.add(linprog(-a.sum(axis=0), -a, np.zeros(9), bounds=(-1, 1)).fun < -1e-6)
    assert answers == {True, False}
