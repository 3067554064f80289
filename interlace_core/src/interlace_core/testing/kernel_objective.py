"""The conformance checks of a compiled search, differences, and linear models' sums and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from interlace_core.contract.kernels import (
    CompiledObjective,
    Descent,
    Kernels,
    LinearProducts,
    LinearResponses,
    RowColumns,
)
from interlace_core.contract.optimizer import QuasiNewton
from interlace_core.contract.problem import Problem
from interlace_core.engine.joint_density import products_on_pattern, scatter
from interlace_core.engine.layout import layout_of
from interlace_core.records import Array, CompiledPath, Status
from interlace_core.testing.approximation_models import NORMAL_MODELS, typical_psi
from interlace_core.testing.bowls import Bowl, Bowls
from interlace_core.testing.differences import gradient
from interlace_core.testing.verdicts import Checks, build, collect, expect, expect_close, shown

TOL_REL_VALUE, TOL_REL_GRADIENT = 1e-10, 1e-6
"""Of a likelihood by its dense covariance, and of five-point differences of it."""


def kernel_objective_checks(
    kernels: Kernels | type[Kernels], *, expected_failures: dict[str, str] | None = None
) -> Checks:
    """Return the checks of what kernels offer beside rows, as pairs of name and callable.

    Of `search`, `search_each`, `at_each`, `products` and `linear_objective`, each where it is
    overridden; no pairs where no library was built.

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
        if kind.search_each is not Kernels.search_each:
            checks["searches of many responses are those of each"] = partial(_check_each, offered)
        if kind.at_each is not Kernels.at_each:
            checks["points are evaluated one by one"] = partial(_check_at_each, offered)
        if kind.products is not Kernels.products:
            checks["sums over rows and levels"] = partial(_check_products, offered)
        if kind.linear_objective is not Kernels.linear_objective:
            for restricted, word in ((False, "likelihood"), (True, "restricted likelihood")):
                checks[f"{word} of linear models"] = partial(_check_linear, offered, restricted)
            checks["linear models of other responses"] = partial(_check_responses, offered)
    return collect(shown(offered), checks, expected_failures)


def _searched(
    kernels: Kernels, bowl: Bowl, origin: Array, *, most: int = 200, floor: float = -np.inf,
    longest: float = 2.0, known: bool = False, step: float = 0.0, central: bool = True,
) -> CompiledPath | None:  # fmt: skip
    m = len(bowl.minimum)
    rule, first = QuasiNewton(1e-6, 0.0, most), bowl.at(origin) if known else None
    return kernels.search(
        Descent(
            bowl.function, rule, origin, _turned(m), floor, np.full(m, longest), first, step,
            central,
        )
    )  # fmt: skip


def _turned(m: int) -> Array:
    """Return coordinates that are not those of the function, and in which a first step fails."""
    return np.asarray(np.eye(m) + 0.1 * np.tri(m))


def _check_search(kernels: Kernels) -> None:
    for m in (1, 2, 5):
        for near in (np.inf, 1.0):
            bowl = Bowl.of(m)
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
    bowl = Bowl.of(2, 0.1)
    expect(
        _searched(kernels, bowl, np.zeros(2)) is None, "None where the first point has no value",
        "a path", "Another search then begins anew.",
    )  # fmt: skip
    bowl = Bowl.of(2)
    expect(
        _searched(kernels, bowl, np.zeros(2), floor=5.1) is None,
        "None where a value is below the floor", "a path", "Somebody else has to judge it.",
    )  # fmt: skip


def _check_limits(kernels: Kernels) -> None:
    """Require that evaluations, and steps, are no more than allowed."""
    bowl = Bowl.of(5)
    found = _found(_searched(kernels, bowl, np.zeros(5), most=3))
    expect(
        found.n_searched <= 3 and len(bowl.points) <= 4 and not found.reached,
        "3 evaluations, one where they ended, and no claim to have ended", found,
        "The rule says how many there may be.",
    )  # fmt: skip
    bowl = Bowl.of(5)
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


def _check_first(kernels: Kernels) -> None:
    """Require the same path where the first point is known, without an evaluation of it."""
    whole, shorter = Bowl.of(3), Bowl.of(3)
    found = _found(_searched(kernels, whole, np.zeros(3)))
    again = _found(_searched(kernels, shorter, np.zeros(3), known=True))
    same = len(shorter.points) == len(whole.points) - 1 == again.n_evaluations
    expect(
        same and np.array_equal(found.z, again.z) and np.array_equal(found.path[1:], again.path),
        "the same path from a point that is known, less one evaluation", again,
        "`first` has its value and its gradient in psi.",
    )  # fmt: skip


def _check_differences(kernels: Kernels) -> None:
    """Hold differences, and what was evaluated last, against the bowl where the search ended."""
    m, B = 3, _turned(3)
    for central, step, profiles in (
        (True, 1e-3, True), (True, 1e-3, False), (False, 1e-3, False), (True, 0.0, True)
    ):  # fmt: skip
        bowl = replace(Bowl.of(m), profiles=profiles)
        path = _found(_searched(kernels, bowl, np.zeros(m), step=step, central=central))
        asked = bool(step)
        sides = (2 if central else 1) * m if asked else 0
        x = B @ path.z
        value, slope = bowl.at(x)
        expect(
            path.n_evaluations == path.n_searched + sides + 1 and
            np.allclose(bowl.points[-1], x, rtol=0.0, atol=1e-12),
            f"{sides} evaluations for differences, and one more where the search ended", path,
            "What the function keeps is of the last point, which is to be that of the search.",
        )  # fmt: skip
        expect_close(
            np.concatenate([[path.value], path.gradient, path.profiled]),
            np.concatenate([[value], slope, x[: len(path.profiled)]]),
            what="value, gradient in psi and profiled entries where it ended", tol=1e-12, scale=1.0,
            advice="The last evaluation is at z.",
        )  # fmt: skip
        expect(
            (path.jacobian is None) == (not asked), "differences where they are asked for",
            path.jacobian, "None where they are not, or not all have values.",
        )  # fmt: skip
        if path.jacobian is not None:
            expect_close(
                path.jacobian, np.concatenate([B.T @ bowl.A @ B, B[: len(path.profiled)]]),
                what="differences of the gradient in z, and of the profiled entries", tol=1e-8,
                scale=1.0, advice="A column for each z; both sides where they are central.",
            )  # fmt: skip
    bowl = Bowl.of(m)
    path = _found(_searched(kernels, bowl, np.zeros(m), most=2, step=1e-3))
    expect(
        not path.reached and path.jacobian is None, "no differences where no end was reached",
        path, "They would be those of any point.",
    )  # fmt: skip


def _check_hold(kernels: Kernels) -> None:
    """Require that differences around a point that is held leave it the last one."""
    m, B = 3, _turned(3)
    for known, most in ((False, 200), (True, 200), (False, 2)):
        bowl = replace(Bowl.of(m), holds=True)
        path = _found(
            _searched(kernels, bowl, np.zeros(m), step=1e-3, known=known, most=most)
        )  # fmt: skip
        x, sides = B @ path.z, 2 * m if path.reached else 0
        expect(
            bowl.held == ([len(bowl.points) - sides, len(bowl.points)] if sides else [])
            and path.n_evaluations <= path.n_searched + sides + 1,
            "a point that is held before the differences, and comes back after them", bowl.held,
            "`hold` takes 0 before the first of them, and 1 after the last.",
        )  # fmt: skip
        expect_close(
            bowl.points[len(bowl.points) - sides - 1], x, what="the point that is held", tol=1e-12,
            scale=1.0, advice="Evaluate at z before, unless that was evaluated last.",
        )  # fmt: skip
        value, slope = bowl.at(x)
        expect_close(
            np.concatenate([[path.value], path.gradient, path.profiled]),
            np.concatenate([[value], slope, x[:1]]),
            what="value, gradient in psi and profiled entries where it ended", tol=1e-12,
            scale=1.0, advice="They are those of the point that is held.",
        )  # fmt: skip


_SEARCH: dict[str, Callable[[Kernels], None]] = {
    "a search finds the minimum": _check_search,
    "a search begins where it is told": _check_first,
    "a search leaves to others what it cannot judge": _check_declines,
    "a search keeps to its limits": _check_limits,
    "a search tells the curvature where it ends": _check_differences,
    "a search holds the point where it ends": _check_hold,
}


def _check_each(kernels: Kernels) -> None:
    """Hold ends, values and Hessians against the bowls, of which the third has no start."""
    m, step = 3, 1e-3
    bowls = [replace(Bowl.of(m), minimum=np.full(m, 0.5 * k), points=[]) for k in range(1, 5)]
    bowls[2].radius = 0.1
    rule, B, longest = QuasiNewton(1e-7, 0.0, 200), _turned(m), np.full(m, 2.0)
    function = Bowls(bowls).function
    descent = Descent(function, rule, np.zeros(m), B, -np.inf, longest)
    for wanted in (step, 0.0):
        found = kernels.search_each(replace(descent, step=wanted), len(bowls))
        expect(found is not None, "ends of the searches", found, "There is a function and a turn.")
        assert found is not None
        expect(
            found.found.tolist() == [True, True, False, True],
            "no end where the start has no value", found.found, "Others are found all the same.",
        )  # fmt: skip
        expect(
            (found.hessians is None) == (not wanted), "Hessians where a step is given, else None",
            found.hessians, "They take two evaluations in each direction.",
        )  # fmt: skip
        for i in (0, 1, 3):
            bowl, x = bowls[i], B @ found.z[i]
            value, slope = bowl.at(x)
            every = [(x, bowl.minimum, 1e-5), (found.values[i], value, 1e-12)]
            every += [(found.slopes[i], B.T @ slope, 1e-9), (found.profiled[i], x[:1], 1e-12)]
            if found.hessians is not None:
                every.append((found.hessians[i], B.T @ bowl.A @ B, 1e-8))
            for one, other, tol in every:
                expect_close(
                    one, other, what=f"an end of response {i}", tol=tol, scale=1.0,
                    advice="Turn to it, search from z = 0, and evaluate where that ended.",
                )  # fmt: skip
            alone = _found(kernels.search(replace(descent, function=bowl.function)))
            expect(
                np.array_equal(alone.z, found.z[i]), "the point that `search` reaches", found.z[i],
                "One search may not depend on what was searched before.",
            )  # fmt: skip


def _check_responses(kernels: Kernels) -> None:
    """Hold the likelihood of another response against an objective made of it."""
    for name, plan in NORMAL_MODELS.items():
        if plan.weighted or not plan.problem().predictors[1].X.shape[1]:
            continue
        problem = _of_one_deviation(plan.problem())
        layout, psi = layout_of(problem), typical_psi(problem)
        evaluate = kernels.linear_objective(layout, _products(problem), False)
        rng = np.random.default_rng(1)
        others = [replace(problem, y=problem.y + rng.normal(size=problem.n)) for _ in range(2)]
        made = [_products(each) for each in others]
        responses = LinearResponses(
            [np.stack([each.Zs[f][:, -1] for each in made]) for f in range(len(made[0].Zs))],
            np.stack([each.SS[-1] for each in made]), np.stack([each.beta for each in made]),
        )  # fmt: skip
        if not isinstance(evaluate, CompiledObjective) or not evaluate.take_linear(responses):
            continue
        found, whole = evaluate(psi), kernels.linear_objective(layout, made[0], False)
        assert whole is not None and found.profiled is not None
        wanted = whole(psi)
        assert wanted.profiled is not None
        for one, other, what in (
            (found.value, wanted.value, "value"),
            (found.gradient, wanted.gradient, "gradient"),
            (found.profiled.values, wanted.profiled.values, "coefficients"),
        ):
            expect_close(
                one, other, what=f"{what} of another response of the model {name!r}",
                tol=TOL_REL_VALUE, scale=1.0 + abs(wanted.value),
                advice="The first of those taken is evaluated from then on.",
            )  # fmt: skip


def _check_at_each(kernels: Kernels) -> None:
    bowl = Bowl.of(3, 2.5)
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


def _check_products(kernels: Kernels) -> None:
    """Hold sums against products of all columns, with rows in no order and columns with strides."""
    rng = np.random.default_rng(20)
    served = 0
    for n, p, weighted in ((3, 0, False), (257, 1, True), (1000, 9, False), (1300, 3, True)):
        X, Z = rng.normal(size=(n, p)), rng.normal(size=(n, 3))
        y, beta = rng.normal(size=n), rng.normal(size=p)
        offset = np.broadcast_to(0.5, n) if p == 1 else rng.normal(size=n)
        w = rng.uniform(0.5, 2.0, n) if weighted else None
        codes = [rng.permutation(np.arange(n) % L) for L in (min(n, 90), 2)]
        factors = (codes[0], min(n, 90), (None, Z[:, 0])), (codes[1], 2, (Z[:, 2],))
        found = kernels.products(RowColumns(X, y, offset, beta, w, factors))
        if found is None:
            continue
        served += 1
        S = np.column_stack([X, y - offset - X @ beta])
        wS = S if w is None else S * w[:, None]
        pairs = [("sums over all rows", found.SS, S.T @ wS)]
        for (level, L, columns), own in zip(factors, found.levels, strict=True):
            z = np.array([np.ones(n) if each is None else each for each in columns])
            here = np.equal.outer(np.arange(L), level).astype(float)
            zw = z if w is None else z * w
            pairs += [
                ("Z'wZ of each level", own.A, np.einsum("an,bn,ln->abl", zw, z, here)),
                ("Z'w[X r] of each level", own.Zs, np.einsum("an,nj,ln->ajl", zw, S, here)),
            ]
        for what, one, other in pairs:
            expect_close(
                one, other, what=f"{what}, of {n} rows and {p} columns,", tol=1e-12, scale=float(n),
                advice="Rows are in any order; a column may be every second number, or one number.",
            )  # fmt: skip
    expect(served > 0, "sums of some rows", None, "Serve a few columns and effects.")


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
