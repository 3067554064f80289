"""Checks of an approximation's objective as a function: invariant, pure, portable, polite."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from interlace_core.contract.approximation import Method
from interlace_core.contract.problem import Problem
from interlace_core.messages.errors import UnsupportedModelError
from interlace_core.records import Array, Evaluation, Status
from interlace_core.testing.approximation_case import ApproximationCase, Trial
from interlace_core.testing.approximation_models import (
    MODELS,
    NORMAL_MODELS,
    reflected,
    relabelled,
    reordered,
    written_out,
)
from interlace_core.testing.verdicts import NotMetError, expect, expect_close

TOL_REL_INVARIANT = 1e-9
"""Sums in another order differ by rounding; the mode is found to 1e-8 and enters quadratically."""

TOL_REL_HISTORY = 1e-8

TOL_REL_GRADIENT = 1e-6

LEAST_WORDS = 8
"""A refusal names the model's trouble and what to do instead: it takes a sentence."""


def check_refusals(case: ApproximationCase) -> None:
    """Require that models are accepted or refused by UnsupportedModelError, in a sentence."""
    plans = [*MODELS.items(), *NORMAL_MODELS.items()]
    problems = {name: plan.problem() for name, plan in plans}
    for name, problem in problems.items():
        try:
            case.approximation.check(problem)
        except UnsupportedModelError as error:
            expect(
                len(str(error).split()) >= LEAST_WORDS,
                f"a refusal of the model {name!r} in a sentence that says what to do instead",
                str(error),
                "Say what the model has, what is supported and what to use instead.",
            )
        except Exception as error:
            raise NotMetError(
                f"expected check() to accept the model {name!r} or to raise "
                f"UnsupportedModelError, got {type(error).__name__}: {error}. Refuse in words."
            ) from error
    expect(
        any(map(case.accepts, problems.values())),
        "at least one of the kit's models to be accepted",
        "refusals of all",
        "Offer what single scalar effects need, at least.",
    )


def check_named(case: ApproximationCase) -> None:
    """Require that name and nAGQ lead to an instance."""
    kind = type(case.approximation)
    expect(kind().name == kind.name, f"{kind.__name__}() to work", kind.name, "Give defaults.")
    for nAGQ in list(kind.serves_nAGQ or ())[:: max(1, len(kind.serves_nAGQ or ()) - 1)]:
        got = kind.from_nAGQ(nAGQ)
        expect(
            isinstance(got, kind),
            f"from_nAGQ({nAGQ}) to return a {kind.__name__}",
            type(got).__name__,
            "Serve every value of serves_nAGQ.",
        )


def check_words(case: ApproximationCase) -> None:
    """Require a Method that says what it is, and yes or no to what it takes."""
    approximation = case.approximation
    method = approximation.method
    expect(
        isinstance(method, Method) and method.name == approximation.name,
        f"`method`, a Method named {approximation.name!r}",
        method,
        "Change what Approximation.method returns by dataclasses.replace().",
    )
    expect(
        method.restricted == (approximation.unrestricted() is not None),
        "`method.restricted` where unrestricted() offers the likelihood itself, and only there",
        method.restricted,
        "A restricted likelihood cannot be compared with others; say where the likelihood is.",
    )
    given = {
        "takes_relations": approximation.takes_relations,
        "takes_correlation": approximation.takes_correlation,
        "precision_weights": approximation.precision_weights,
    }
    for name, answer in given.items():
        expect(isinstance(answer, bool), f"`{name}` to be True or False", answer, "Say which.")


def check_evaluation(trial: Trial) -> None:
    """Require a finite value and gradient, and one mode per random effect."""
    evaluation, problem = trial.evaluation(), trial.problem
    q = sum(len(term.levels) * term.Z.shape[1] for term in problem.terms)
    expect(
        isinstance(evaluation, Evaluation) and isinstance(evaluation.value, float),
        f"an Evaluation with a float value for the model {trial.name!r}",
        f"{type(evaluation).__name__} with {type(evaluation.value).__name__}",
        "See interlace_core.records.Evaluation.",
    )
    expect(
        bool(np.isfinite(evaluation.value) and np.all(np.isfinite(evaluation.gradient))),
        f"a finite value and gradient for the model {trial.name!r} with status OK",
        (evaluation.value, evaluation.gradient),
        "Say NOT_FINITE where it is not.",
    )
    shape = np.shape(evaluation.mode)
    expect(shape == (q,), f"a mode of shape {(q,)}", shape, "One entry per random effect.")


def check_rows(trial: Trial) -> None:
    """Require the same value and gradient with the rows in another order."""
    _expect_same(trial, reordered(trial.problem), trial.psi, "with rows in another order")


def check_labels(trial: Trial) -> None:
    """Require the same value and gradient with the levels numbered in another order."""
    _expect_same(trial, relabelled(trial.problem), trial.psi, "with levels in another order")


def check_signs(trial: Trial) -> None:
    """Require the same value with covariates negated and the template's columns with them."""
    problem, psi = reflected(trial.problem, trial.psi)
    _expect_same(trial, problem, psi, "with negated covariates", gradient=False)


def check_incidence(trial: Trial) -> None:
    """Require the same value and gradient with covariates told by row alone written out."""
    _expect_same(trial, written_out(trial.problem), trial.psi, "with all covariates as arrays")


def check_units(trial: Trial) -> None:
    """Require the same value with covariates in other units, and coefficients with them.

    But for the volume of coefficients that are integrated out, by `restricted_volume`.
    """
    problem, approximation = trial.problem, trial.case.approximation
    factors = np.ones(problem.n_psi)
    places = problem.beta_slices()
    for place in places:
        factors[place] = 2.0 ** np.arange(1, 1 + place.stop - place.start)
    predictors = tuple(
        replace(predictor, X=predictor.X * factors[place])
        for predictor, place in zip(problem.predictors, places, strict=True)
    )
    changed = replace(problem, predictors=predictors)
    volume = float(np.sum(np.log(factors[approximation.restricted_volume(problem)])))
    wanted = trial.evaluation().value + volume
    expect_close(
        trial.case.evaluate(changed, trial.psi / factors).value,
        wanted,
        what=f"value of the model {trial.name!r} with covariates in other units",
        tol=TOL_REL_INVARIANT,
        scale=1.0 + abs(wanted),
        advice="Say by restricted_volume() which coefficients are integrated out.",
    )


def check_history(trial: Trial) -> None:
    """Require the same evaluation whatever was evaluated before, far points included."""
    objective = trial.case.approximation.objective(trial.problem)
    for psi in _detour(trial.problem, trial.psi):
        # what happens at a far point itself is judged elsewhere
        with np.errstate(all="ignore"), suppress(Exception):
            objective(psi)
    _expect_equal(
        objective(trial.psi.copy()),
        trial.evaluation(),
        f"of the model {trial.name!r} after other points, as from a fresh objective,",
        TOL_REL_HISTORY,
        "A start for the mode may save steps; it must not show in the value.",
    )


def check_given_mode(trial: Trial) -> None:
    """Require the same evaluation from a given mode: it is a start, not an answer."""
    objective = trial.case.approximation.objective_from(trial.problem, trial.evaluation().mode)
    _expect_equal(
        objective(trial.psi.copy()),
        trial.evaluation(),
        f"of the model {trial.name!r} by objective_from() its own mode, as by objective(),",
        TOL_REL_HISTORY,
        "Only the first search for the mode may begin elsewhere.",
    )


def check_penalty(trial: Trial) -> None:
    """Require that what is said of a penalty, and of other minima, is of the shape of psi."""
    approximation, problem, psi = trial.case.approximation, trial.problem, trial.psi
    curvature = approximation.penalty_curvature(problem, psi.copy())
    if curvature is not None:
        square = curvature.shape == (psi.size, psi.size) and bool(np.all(np.isfinite(curvature)))
        lowest = float(np.min(np.linalg.eigvalsh(curvature), initial=0.0)) if square else np.nan
        expect(
            square and lowest >= -1e-9 * float(np.max(np.abs(curvature), initial=0.0)),
            f"penalty_curvature() positive semidefinite, of shape ({psi.size}, {psi.size})",
            f"shape {curvature.shape}, least eigenvalue {lowest:.3g}",
            "Leave out what is negative, or return None.",
        )
    for each in approximation.rivals(problem, psi.copy(), np.eye(psi.size)):
        good = len(each) == 2 and isinstance(each[0], str) and np.shape(each[1]) == psi.shape
        expect(
            good and bool(np.all(np.isfinite(each[1]))),
            f"rivals() of words and a finite psi, shape ({psi.size},)",
            shown_rival(each),
            "Return (words, psi) for each.",
        )


def shown_rival(each: object) -> str:
    """Return what was given for a rival, in words."""
    return f"{type(each).__name__} of {each!r}"[:200]


def check_far(trial: Trial) -> None:
    """Require a status, not an exception, where the likelihood cannot be evaluated."""
    objective = trial.case.approximation.objective(trial.problem)
    for psi in _detour(trial.problem, trial.psi):
        with np.errstate(all="ignore"):
            evaluation = objective(psi)
        finite = np.isfinite(evaluation.value) and np.all(np.isfinite(evaluation.gradient))
        expect(
            bool(finite) or evaluation.status is not Status.OK,
            f"a finite evaluation or a status other than OK far out, psi = {psi.tolist()}",
            f"value {evaluation.value}, status {evaluation.status}",
            "Report NOT_FINITE or MODE_NOT_FOUND.",
        )


def check_pickle(trial: Trial) -> None:
    """Require that an objective survives pickling, fresh and used."""
    objective = trial.case.approximation.objective(trial.problem)
    wanted = trial.evaluation()
    for when in ("before it was called", "after it was called"):
        copy: Callable[[Array], Evaluation] = pickle.loads(pickle.dumps(objective))
        _expect_equal(
            copy(trial.psi.copy()),
            wanted,
            f"of the model {trial.name!r}, pickled {when},",
            TOL_REL_HISTORY,
            "Use a class with arrays instead of a closure.",
        )
        objective(trial.psi.copy())


def check_inputs(trial: Trial) -> None:
    """Require that psi and the problem's arrays stay as they are."""
    problem, psi = trial.problem, trial.psi.copy()
    before = [array.copy() for array in _arrays(problem)]
    trial.case.approximation.objective(problem)(psi)
    same = all(np.array_equal(a, b) for a, b in zip(before, _arrays(problem), strict=True))
    expect(same, f"the arrays of the model {trial.name!r} as they were", "changes", "Copy them.")
    expect(np.array_equal(psi, trial.psi), "psi as it was", psi, "Work on a copy.")


def check_profiled(trial: Trial) -> None:
    """Require that entries which the approximation determines do not matter when given."""
    place = trial.case.approximation.profiled(trial.problem)
    psi = trial.psi.copy()
    psi[place] += 0.5
    first, moved = trial.evaluation(), trial.evaluation(psi)
    given = first.profiled
    count = np.arange(psi.size)[place].size
    expect(
        given is not None
        and given.values.shape == (count,)
        and given.covariance.shape == (count, count),
        f"profiled values and their covariance, {count} of them",
        given,
        "Every evaluation carries them.",
    )
    _expect_equal(
        moved,
        first,
        f"of the model {trial.name!r} with other profiled entries given, the same,",
        TOL_REL_HISTORY,
        "Determine them at each call, from anywhere.",
    )


def _detour(problem: Problem, psi: Array) -> list[Array]:
    """Return points of all kinds: no effects, huge ones, mirrored ones, coefficients far out."""
    scales = np.ones((5, psi.size))
    scales[:, : problem.n_theta] = np.array([0.0, 20.0, -1.0, 1.0, 1.0])[:, None]
    scales[3:, problem.n_theta :] = np.array([20.0, 2000.0])[:, None]
    return [psi * scale for scale in scales]


def _expect_same(
    trial: Trial, problem: Problem, psi: Array, how: str, *, gradient: bool = True
) -> None:
    got = trial.case.evaluate(problem, psi)
    wanted = trial.evaluation()
    if not gradient:
        got = replace(got, gradient=wanted.gradient)
    _expect_equal(
        got,
        wanted,
        f"of the model {trial.name!r} {how}, the same,",
        TOL_REL_INVARIANT,
        "Nothing may depend on how the data are written down.",
    )


def _expect_equal(
    got: Evaluation, wanted: Evaluation, what: str, tol_rel_value: float, advice: str
) -> None:
    expect_close(
        got.value,
        wanted.value,
        what=f"value {what}",
        tol=tol_rel_value,
        scale=1.0 + abs(wanted.value),
        advice=advice,
    )
    expect_close(
        got.gradient,
        wanted.gradient,
        what=f"gradient {what}",
        tol=TOL_REL_GRADIENT,
        scale=1.0 + np.max(np.abs(wanted.gradient)),
        advice=advice,
    )


def _arrays(problem: Problem) -> list[Array]:
    arrays = [problem.y, *([] if problem.weights is None else [problem.weights])]
    arrays += [a for p in problem.predictors for a in (p.X, p.offset)]
    return arrays + [np.asarray(a, np.float64) for t in problem.terms for a in (t.codes, t.Z)]
