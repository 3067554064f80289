"""The conformance checks of a compiled search, of differences, and of linear models' likelihood."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from interlace_core.contract.kernels import Kernels, LinearProducts
from interlace_core.contract.optimizer import QuasiNewton
from interlace_core.contract.problem import Problem
from interlace_core.engine.joint_density import products_on_pattern, scatter
from interlace_core.engine.layout import layout_of
from interlace_core.records import Array, CompiledFunction, CompiledPath, Status
from interlace_core.testing.approximation_models import NORMAL_MODELS, typical_psi
from interlace_core.testing.differences import gradient
from interlace_core.testing.verdicts import Checks, build, collect, expect, expect_close, shown

SIGNATURE = (ctypes.c_int32, *(ctypes.c_void_p,) * 6)
"""Of `CompiledFunction`."""

TOL_REL_VALUE, TOL_REL_GRADIENT = 1e-10, 1e-6
"""Of a likelihood by its dense covariance, and of five-point differences of it."""


def kernel_objective_checks(
    kernels: Kernels | type[Kernels], *, expected_failures: dict[str, str] | None = None
) -> Checks:
    """Return the checks of what kernels offer beside rows, as pairs of name and callable.

    Of `search`, `at_each` and `linear_objective`, each where it is overridden; no pairs where no
    library was built.

    Parameters
    ----------
    kernels : Kernels or its class
    expected_failures
        As for `family_checks`.
    """
    offered = build(kernels)
    checks: dict[str, Callable[[], None]] = {}
    if offered.build:
        kind = type(offered)
        if kind.search is not Kernels.search:
            checks |= {name: partial(check, offered) for name, check in _SEARCH.items()}
        if kind.at_each is not Kernels.at_each:
            checks["points are evaluated one by one"] = partial(_check_at_each, offered)
        if kind.linear_objective is not Kernels.linear_objective:
            for restricted, word in ((False, "likelihood"), (True, "restricted likelihood")):
                checks[f"{word} of linear models"] = partial(_check_linear, offered, restricted)
    return collect(shown(offered), checks, expected_failures)


@dataclass
class _Bowl:
    """A function in C whose minimum is known: z'Az / 2 in x - minimum, without a value far out.

    Attributes
    ----------
    A : ndarray, shape (m, m)
    minimum : ndarray, shape (m,)
    radius : float
        Distance from the minimum beyond which there is no value.
    points : list of ndarray
        That were asked for.
    """

    A: Array
    minimum: Array
    radius: float = np.inf
    points: list[Array] = field(default_factory=list)

    @classmethod
    def of(cls, m: int, radius: float = np.inf) -> _Bowl:
        rng = np.random.default_rng(m)
        turn = np.linalg.qr(rng.normal(size=(m, m)))[0]
        A = turn @ np.diag(np.geomspace(4.0, 0.4, m)) @ turn.T
        return cls(A, 1.0 + rng.uniform(size=m), radius)

    def at(self, x: Array) -> tuple[float, Array]:
        away = x - self.minimum
        return 5.0 + 0.5 * float(away @ self.A @ away), self.A @ away

    @property
    def function(self) -> CompiledFunction:
        m = len(self.minimum)

        def call(_: int, psi: int, value: int, slope: int, profiled: int, inner: int) -> int:
            x = _view(psi, m).copy()
            self.points.append(x)
            if np.linalg.norm(x - self.minimum) > self.radius:
                return 1
            found, g = self.at(x)
            _view(value, 1)[0], _view(slope, m)[:], _view(profiled, 1)[0] = found, g, x[0]
            ctypes.c_int64.from_address(inner).value = 2
            return 0

        made = ctypes.CFUNCTYPE(*SIGNATURE)(call)
        address = ctypes.cast(made, ctypes.c_void_p).value
        assert address is not None
        return CompiledFunction(address, 0, m, 1, made)


def _view(address: int, size: int) -> Array:
    kind = ctypes.POINTER(ctypes.c_double)
    return np.ctypeslib.as_array(ctypes.cast(address, kind), (size,))


def _searched(
    kernels: Kernels, bowl: _Bowl, origin: Array, *, most: int = 200, floor: float = -np.inf,
    longest: float = 2.0,
) -> CompiledPath | None:  # fmt: skip
    m = len(bowl.minimum)
    rule = QuasiNewton(1e-6, 0.0, most)
    return kernels.search(bowl.function, rule, origin, _turned(m), floor, np.full(m, longest))


def _turned(m: int) -> Array:
    """Return coordinates that are not those of the function, and in which a first step fails."""
    return np.asarray(np.eye(m) + 0.1 * np.tri(m))


def _check_search(kernels: Kernels) -> None:
    for m in (1, 2, 5):
        for near in (np.inf, 1.0):
            bowl = _Bowl.of(m)
            # with steps as long as these one of the first lands where there is no value
            bowl.radius = near * float(np.linalg.norm(bowl.minimum) * (1.0 + 1e-9))
            found = _found(_searched(kernels, bowl, np.zeros(m), longest=20.0))
            x = _turned(m) @ found.z
            expect_close(
                x, bowl.minimum, what=f"minimum of a bowl in {m} directions", tol=1e-4, scale=1.0,
                advice="psi is origin + B z, and the gradient in z is B' times that in psi.",
            )  # fmt: skip
            expect(
                found.reached and found.n_evaluations == len(bowl.points)
                and len(found.path) == found.n_evaluations - found.n_failed
                and found.n_inner == 2 * len(found.path),
                "a path of every evaluation that succeeded, all of them counted",
                found,
                "Count what was asked, what failed, and the steps for modes.",
            )  # fmt: skip
            best = float(np.min(found.path[:, 0]))
            expect_close(
                best, bowl.at(x)[0], what="value at the best point", tol=1e-12, scale=1.0,
                advice="z is the best point that was seen.",
            )  # fmt: skip


def _check_declines(kernels: Kernels) -> None:
    """Require None where the first point has no value, or one is below the floor."""
    bowl = _Bowl.of(2, 0.1)
    expect(
        _searched(kernels, bowl, np.zeros(2)) is None, "None where the first point has no value",
        "a path", "Another search then begins anew.",
    )  # fmt: skip
    bowl = _Bowl.of(2)
    expect(
        _searched(kernels, bowl, np.zeros(2), floor=5.1) is None,
        "None where a value is below the floor", "a path", "Somebody else has to judge it.",
    )  # fmt: skip


def _check_limits(kernels: Kernels) -> None:
    """Require that evaluations, and steps, are no more than allowed."""
    bowl = _Bowl.of(5)
    found = _found(_searched(kernels, bowl, np.zeros(5), most=3))
    expect(
        len(bowl.points) <= 3 and not found.reached, "3 evaluations, and no claim to have ended",
        found, "The rule says how many there may be.",
    )  # fmt: skip
    bowl = _Bowl.of(5)
    found = _found(_searched(kernels, bowl, np.zeros(5), most=2, longest=0.01))
    step = float(np.max(np.abs(found.z)))
    expect(
        0.0 < step <= 0.01 * (1.0 + 1e-9), "a first step of at most 0.01 in each z", step,
        "`longest` bounds the entries of a step.",
    )  # fmt: skip


def _found(path: CompiledPath | None) -> CompiledPath:
    expect(path is not None, "a path", path, "A function with values has a search.")
    assert path is not None
    return path


_SEARCH: dict[str, Callable[[Kernels], None]] = {
    "a search finds the minimum": _check_search,
    "a search leaves to others what it cannot judge": _check_declines,
    "a search keeps to its limits": _check_limits,
}


def _check_at_each(kernels: Kernels) -> None:
    bowl = _Bowl.of(3, 2.5)
    psi = bowl.minimum + np.array([[0.0, 0.0, 0.0], [1.0, -0.5, 0.2], [9.0, 0.0, 0.0], [0, 2, 0]])
    found = kernels.at_each(bowl.function, psi)
    expect(found is not None, "values at the points", found, "Evaluate the function at each.")
    assert found is not None
    values, gradients, profiled, inner = found
    expect(
        bool(np.isnan(values[2])) and inner >= 6, "NaN where there is no value, and steps counted",
        (values, inner), "A function that does not return 0 has none.",
    )  # fmt: skip
    for i in (0, 1, 3):
        value, slope = bowl.at(psi[i])
        expect_close(
            np.concatenate([[values[i]], gradients[i], profiled[i]]),
            np.concatenate([[value], slope, [psi[i, 0]]]),
            what=f"value, gradient and profiled entries at point {i}", tol=1e-12, scale=1.0,
            advice="A row of each array for each point.",
        )  # fmt: skip


def _check_linear(kernels: Kernels, restricted: bool) -> None:
    """Hold value, gradient and coefficients against the dense covariance of all rows."""
    for name, plan in NORMAL_MODELS.items():
        if plan.weighted or not plan.problem().predictors[1].X.shape[1]:
            continue  # precisions of rows, which products have in them
        problem = _of_one_deviation(plan.problem())
        products = _products(problem)
        evaluate = kernels.linear_objective(layout_of(problem), products, restricted)
        if evaluate is None:
            continue
        psi = typical_psi(problem)
        found = evaluate(psi)
        expect(
            found.status is Status.OK and found.profiled is not None,
            f"a value and the coefficients of the model {name!r}", found,
            "The mean's coefficients are profiled out.",
        )  # fmt: skip
        assert found.profiled is not None
        value, beta, covariance = _dense(problem, psi, restricted)
        scale = 1.0 + abs(value)
        for one, other, what in (
            (found.value, value, "value"),
            (found.profiled.values, beta, "coefficients"),
            (found.profiled.covariance, covariance, "their covariance"),
        ):
            expect_close(
                one, other, what=f"{what} of the model {name!r}, by its dense covariance,",
                tol=TOL_REL_VALUE, scale=scale, advice="Keep all constants.",
            )  # fmt: skip
        free = np.delete(np.arange(psi.size), problem.beta_slices()[0])
        wanted = _slopes(problem, psi, restricted)[free]
        expect_close(
            found.gradient[free], wanted, what=f"gradient of the model {name!r}, by differences,",
            tol=TOL_REL_GRADIENT, scale=1.0 + float(np.max(np.abs(wanted))),
            advice="It is that in psi, with the coefficients at their estimates.",
        )  # fmt: skip


def _slopes(problem: Problem, psi: Array, restricted: bool) -> Array:
    """Return the gradient by differences; 0 in the coefficients, which are profiled out."""
    return gradient(lambda moved: _dense(problem, moved, restricted)[0], psi, 1e-3)


def _of_one_deviation(problem: Problem) -> Problem:
    """Return a problem whose residual standard deviation is one number."""
    mean, dispersion = problem.predictors
    one, none = np.ones((problem.n, 1)), np.zeros(problem.n)
    constant = replace(dispersion, X=one, names=("Intercept",), offset=none)
    return replace(problem, predictors=(mean, constant))


def _products(problem: Problem) -> LinearProducts:
    layout = layout_of(problem)
    structure, problem = layout.structure, layout.problem  # its rows are in another order
    X, y = problem.predictors[0].X, problem.y - problem.predictors[0].offset
    Q, R = np.linalg.qr(X)
    beta = np.linalg.solve(R, Q.T @ y)
    S = np.vstack([Q.T, y - X @ beta])
    columns = [scatter(structure, dict.fromkeys(structure.random_predictors, s)) for s in S]
    return LinearProducts(
        products_on_pattern(structure, lambda k, m: np.ones(problem.n)),
        [np.stack(parts, axis=1) for parts in zip(*columns, strict=True)],
        S @ S.T, R, beta, problem.n, 0.0, True,
    )  # fmt: skip


def _dense(problem: Problem, psi: Array, restricted: bool) -> tuple[float, Array, Array]:
    """Return the negative (restricted) log-likelihood, the coefficients, and their covariance."""
    X, y = problem.predictors[0].X, problem.y - problem.predictors[0].offset
    eta = problem.fixed_part(psi)[1]
    V = np.diag(np.broadcast_to(np.exp(2.0 * eta), problem.n).astype(float))
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        effects = np.asarray(term.Z) @ term.covariance.template(psi[place])
        V += (effects @ effects.T) * (term.codes[:, None] == term.codes)
    precision = np.linalg.inv(V)
    information = X.T @ precision @ X
    beta = np.linalg.solve(information, X.T @ precision @ y)
    r, p = y - X @ beta, X.shape[1] if restricted else 0
    total = (problem.n - p) * np.log(2.0 * np.pi) + np.linalg.slogdet(V)[1] + r @ precision @ r
    if restricted:
        total += np.linalg.slogdet(information)[1]
    return 0.5 * float(total), np.asarray(beta), np.asarray(np.linalg.inv(information))
