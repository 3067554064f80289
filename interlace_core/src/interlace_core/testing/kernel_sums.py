"""The conformance checks of sums over compiled rows: a start's slopes, a search's information."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from interlace_core.contract.kernels import Climb, CompiledObjective, CompiledSlopes, Kernels
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.covariances import Unstructured
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.engine.mode import DEFAULT_SETTINGS, Mode, find_mode
from interlace_core.records import Array, Derivatives
from interlace_core.registry.registry import default_registry
from interlace_core.testing.family_sample import Sample
from interlace_core.testing.verdicts import expect, expect_close

TOL_REL = 1e-10
"""Agreement with sums of `derivatives`, of their largest entry: rows agree to this."""

TOL_REL_AT_MODE = 1e-7
"""The same at a mode, each found to the search's own tolerance."""

COPIES = 300
"""Times that the sample's rows are there: more than a block of any kernel."""

HOPEFUL = 1e3
"""Size of a log-density beyond which rows are left out: they would be all that a sum holds."""

LEVELS = 7


def check_sums(kernels: Kernels, sample: Sample) -> None:
    """Hold the slopes of the model without random effects against sums of `derivatives`."""
    whole = _hopeful(sample)
    for problem in (_problem(whole, 1), _problem(whole, COPIES), _problem(_constant(whole), 2)):
        made = kernels.rows(problem.family, problem.y)
        assert made is not None
        slopes = kernels.slopes(problem, made, 0)
        if slopes is None:
            return
        beta = 0.01 * np.cos(np.arange(problem.n_beta))
        found = slopes(beta)
        expect(
            found is not None, "sums where every row has a value", found,
            "None is for rows that have none.",
        )  # fmt: skip
        assert found is not None
        derivatives = _derivatives(problem, beta)
        wanted = _slopes(problem, derivatives)
        for name, one, other in (
            ("log-likelihood", found.value, float(np.sum(derivatives.value))),
            ("gradient", found.gradient, wanted[0]),
            ("information", found.information, wanted[1]),
            ("largest squared slope over curvature", found.pull, wanted[2]),
        ):
            expect_close(
                one, other, what=f"{name} of {problem.n} rows", tol=TOL_REL,
                scale=1.0 + float(np.max(np.abs(other))),
                advice="Sum over all rows, with weights and constants, in all predictors.",
            )  # fmt: skip


def check_climb(kernels: Kernels, sample: Sample) -> None:
    """Require that a climb ends where the slope is what holds the coefficients, and its limits."""
    problem = _problem(_hopeful(sample), 3)
    made = kernels.rows(problem.family, problem.y)
    assert made is not None
    slopes = kernels.slopes(problem, made, 0)
    if not isinstance(slopes, CompiledSlopes):
        return
    first = 0.01 * np.cos(np.arange(problem.n_beta))
    holding = 10.0 * problem.n * np.eye(problem.n_beta)  # enough for any family to have an end
    climb = Climb(first, holding, 1e-12, False, np.inf, -1.0, 50, 20)
    end = slopes.climb(climb)
    expect(
        end is not None, "an end of the climb", end, "None is for points without a value.",
    )  # fmt: skip
    assert end is not None
    gradient, information, _ = _slopes(problem, _derivatives(problem, end))
    left = np.linalg.solve(information + holding, gradient - holding @ (end - first))
    expect_close(
        left, np.zeros(left.size), what="Newton step at the end of a climb", tol=1e-5, scale=1.0,
        advice="Damped Newton steps on the log-likelihood less d'Hd / 2.",
    )  # fmt: skip
    for what, told in (
        ("rise", replace(climb, rise=-1.0)), ("pull", replace(climb, no_pull=np.inf))
    ):  # fmt: skip
        found = slopes.climb(told)
        expect(
            found is None, f"None where the {what} asks for a closer look", found,
            "Somebody else has to judge it.",
        )  # fmt: skip


def check_information(kernels: Kernels, sample: Sample) -> None:
    """Hold the information at a mode against dense matrices of the same rows."""
    for c in (1, 2):
        problem = _problem(_hopeful(sample), 5, c)
        layout = layout_of(problem)
        made = kernels.rows(layout.problem.family, layout.problem.y)
        assert made is not None
        if not layout.log_concave:
            return
        found_by = (
            kernels.objective(name, layout, made, DEFAULT_SETTINGS, None) for name in _usual()
        )
        objective = next((each for each in found_by if each is not None), None)
        if not isinstance(objective, CompiledObjective):
            return
        theta = np.resize([0.05, 0.01, 0.04], problem.n_theta)
        psi = np.append(theta, np.zeros(problem.n_beta))
        found = objective.information(psi)
        if found is None:
            return
        coefficients, effects = _dense(layout, psi)
        for name, one, other in (
            ("information about the coefficients", found.coefficients, coefficients),
            ("diagonal of Z'WZ", found.effects[0], effects),
        ):
            expect_close(
                one, other, what=f"{name} with {c} effects of a level", tol=TOL_REL_AT_MODE,
                scale=float(np.max(np.abs(other))),
                advice="It is that at the conditional mode, with second derivatives of all rows.",
            )  # fmt: skip


def _usual() -> list[str]:
    """Return the approximations that are asked for by one point."""
    known = (each.cls for each in default_registry().classes("approximation"))
    return [cls.name for cls in known if cls.serves_nAGQ is not None and 1 in cls.serves_nAGQ]


def _hopeful(sample: Sample) -> Sample:
    """Return the rows of a sample whose density is worth agreeing on."""
    value = sample.log_density()
    rows = np.isfinite(value) & (np.abs(value) < HOPEFUL)
    family = sample.family.bind_part(sample.y[rows])
    return Sample(family, sample.y[rows], sample.eta[:, rows])


def _constant(sample: Sample) -> Sample:
    """Return rows whose last predictor is the same, where their density is then worth it."""
    eta = sample.eta.copy()
    eta[-1] = eta[-1, 0]
    return _hopeful(Sample(sample.family, sample.y, eta))


def _problem(sample: Sample, copies: int, c: int = 0) -> Problem:
    """Return a model of the sample's rows with covariates in each predictor, weights and levels."""
    rng = np.random.default_rng(copies)
    y = np.concatenate([sample.y] * copies)
    n, K = len(y), len(sample.eta)
    family = sample.family.bind_part(y)
    predictors = []
    for k, parameter in enumerate(family.parameters):
        X = np.column_stack([np.ones(n), 0.3 * rng.normal(size=(n, 1 + (k == 0)))])
        X = X[:, : 1 if k == K - 1 > 0 else 3]
        names = tuple(f"x{j}" for j in range(X.shape[1]))
        offset = np.resize(sample.eta[k], n)
        predictors.append(Predictor(parameter, X, names, offset))
    terms: tuple[RandomTerm, ...] = ()
    if c:
        codes = np.arange(n) % LEVELS
        Z = np.column_stack([np.ones(n), rng.normal(size=n)])[:, :c]
        names = ("Intercept", "x")[:c]
        levels = tuple(map(str, range(LEVELS)))
        terms = (RandomTerm("g", 0, "g", codes, levels, Z, names, Unstructured(c)),)
    weights = np.resize([1.0, 2.0], n)
    return Problem(y, weights, family, tuple(predictors), terms)


def _derivatives(problem: Problem, beta: Array) -> Derivatives:
    """Return the weighted derivatives of the rows, by the family."""
    eta = problem.fixed_part(np.append(np.zeros(problem.n_theta), beta))
    found = problem.family.derivatives(problem.y, eta, 2, problem.active())
    w = problem.weights
    assert w is not None
    return Derivatives(found.value * w, {key: part * w for key, part in found.partials.items()})


def _slopes(problem: Problem, derivatives: Derivatives) -> tuple[Array, Array, float]:
    X = [each.X for each in problem.predictors]
    rows = range(len(X))
    gradient = np.concatenate([X[k].T @ _part(problem, derivatives, k) for k in rows])
    information = np.block(
        [
            [-(X[k].T * _part(problem, derivatives, *sorted((k, m)))) @ X[m] for m in rows]
            for k in rows
        ]
    )
    first, second = (_part(problem, derivatives, *key) for key in ((0,), (0, 0)))
    with np.errstate(all="ignore"):
        pull = float(np.max(np.where(first == 0.0, 0.0, np.square(first) / np.abs(second))))
    return gradient, information, pull


def _part(problem: Problem, derivatives: Derivatives, *key: int) -> Array:
    found = derivatives.get(*key)
    return np.zeros(problem.n) if found is None else np.broadcast_to(found, problem.n)


def _dense(layout: Layout, psi: Array) -> tuple[Array, Array]:
    """Return the information with Z and W as matrices, and the diagonal of Z'WZ, shape (c, L)."""
    problem = layout.problem
    mode: Any = find_mode(Conditional(layout, psi), np.zeros(layout.structure.q), DEFAULT_SETTINGS)
    assert isinstance(mode, Mode)
    (term,), X = problem.terms, [each.X for each in problem.predictors]
    c, L = term.Z.shape[1], len(term.levels)
    Z = np.zeros((problem.n, c * L))
    for a in range(c):
        Z[np.arange(problem.n), a * L + term.codes] = term.Z[:, a]
    T = np.kron(term.covariance.template(psi[: problem.n_theta]), np.eye(L))
    ZT, derivatives = Z @ T, mode.point.derivatives
    W = -_part(problem, derivatives, 0, 0)
    H = np.eye(c * L) + (ZT.T * W) @ ZT
    cross = np.concatenate(
        [(x.T * _part(problem, derivatives, 0, k)) @ ZT for k, x in enumerate(X)]
    )
    information = _slopes(problem, derivatives)[1] - cross @ np.linalg.solve(H, cross.T)
    return information, np.reshape(np.diagonal((Z.T * W) @ Z), (c, L))
