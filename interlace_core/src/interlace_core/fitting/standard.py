"""A problem in units and zero points of its own: what is fitted, and the way back.

In exact arithmetic a fit does not depend on the units and zero points of its covariates; in 16
digits a year beside an intercept costs six of them, and a random slope on it twelve. So `X = Q R`
and `Z = Z~ L`, with columns of Q and Z~ of size near 1 that are no near combinations of others
(`interlace_core.engine.columns`). Q is made from the first column on, Z~ from the last: L is then
lower triangular, and so is `T~ = L T` where T is. Hence

    beta~ = R beta,   theta~ linear in theta,   b = T u,  b~ = T~ u  with the same u,

and a covariance is singular in both or in none. Where another parameter stands in for an intercept
(thresholds), columns are centred too and it moves by their centre. All maps are linear, `psi~ = F
psi`, so that gradients, covariances and priors go back and forth exactly. A problem whose columns
are ordinary is its own standard, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

import numpy as np
from scipy.linalg import solve_triangular

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.parts import Sums, total
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.engine.columns import (
    Columns,
    Reach,
    Rows,
    divided,
    powers_of_two,
    products,
    standard_columns,
)
from interlace_core.engine.gram import Triangle
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.outline import measured
from interlace_core.fitting.psi_covariance import PsiCovariance, mapped
from interlace_core.records import Array, BoolArray, Evaluation


@dataclass(frozen=True, eq=False)
class Standard:
    """A problem in standard units, and the maps of its parameters.

    `problem` is for evaluating. A model with other columns or terms is made of `given`.

    Attributes
    ----------
    given : Problem
    problem : Problem
        The same model in other columns; `given` itself where its columns are ordinary.
    forth, back : ndarray, shape (n_psi, n_psi), or None
        psi of `problem` from that of `given`, and the inverse; None where they are the same.
    """

    given: Problem
    problem: Problem
    forth: Array | None = None
    back: Array | None = None

    def psi(self, given: Array) -> Array:
        """Return the standard psi from the given one; of several, from the rows."""
        return given if self.forth is None else np.asarray(given @ self.forth.T)

    def given_psi(self, psi: Array) -> Array:
        """Return the given psi from the standard one; of several, from the rows."""
        return psi if self.back is None else np.asarray(psi @ self.back.T)

    def gradient(self, given: Array) -> Array:
        """Return derivatives in the standard psi from those in the given one (the last axis)."""
        return given if self.back is None else np.asarray(given @ self.back)

    def given_gradient(self, gradient: Array) -> Array:
        """Return derivatives in the given psi from those in the standard one (the last axis)."""
        return gradient if self.forth is None else np.asarray(gradient @ self.forth)

    def inside(self, change: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """Return what a function from psi to psi does to the standard one."""
        return lambda psi: self.psi(change(self.given_psi(psi)))

    def covariance(self, given: PsiCovariance) -> Array:
        """Return the covariance of the standard psi from that of the given one; NaN stays."""
        if given.back is None:
            return given.inner if self.forth is None else mapped(self.forth, given.inner)
        if self.back is not None and np.array_equal(given.back, self.back):
            return given.inner
        # of a fit to other rows, say, in other units: the product of both maps is near 1
        change = given.back if self.forth is None else self.forth @ given.back
        return mapped(change, given.inner)

    def given_fit(self, fit: Fit) -> Fit:
        """Return a fit of `problem` as one of `given`; its value is that of `given` already."""
        if self.back is None:
            return fit
        covariance = PsiCovariance(fit.uncertainty.inner, self.back)
        return replace(
            fit,
            psi=self.given_psi(fit.psi),
            gradient=self.given_gradient(fit.gradient),
            uncertainty=covariance,
            undetermined=self._undetermined(fit, covariance.given),
        )

    def objective(
        self,
        approximation: Approximation,
        evaluate: Callable[[Array], Evaluation] | None = None,
    ) -> Callable[[Array], Evaluation]:
        """Return an approximation's objective for `given`, computed in standard units.

        From that for `problem`, if one has been made already.
        """
        if evaluate is None:
            here = self.problem.parts is None
            evaluate = (approximation.objective if here else approximation.over_parts)(self.problem)
        if self.back is None:
            return evaluate
        volume, back = log_volume(approximation, self.problem), self.back
        place = approximation.profiled(self.problem)

        def at(psi: Array) -> Evaluation:
            found = evaluate(self.psi(psi))
            profiled = found.profiled
            if profiled is not None:
                B = back[place, place]
                profiled = replace(
                    profiled,
                    values=B @ profiled.values,
                    covariance=B @ profiled.covariance @ B.T,
                )
            return replace(
                found,
                value=found.value + volume,
                gradient=self.given_gradient(found.gradient),
                profiled=profiled,
            )

        return at

    def _undetermined(self, fit: Fit, vcov: Array) -> BoolArray:
        """Return which given parameters have a variance that is that of undetermined ones."""
        assert self.back is not None
        which = fit.undetermined
        if not np.any(which):
            return which
        B, V = self.back[:, which], fit.uncertainty.inner[np.ix_(which, which)]
        with np.errstate(invalid="ignore"):
            return np.asarray(np.diagonal(B @ V @ B.T) > 0.5 * np.diagonal(vcov))


def standard_of(problem: Problem) -> Standard:
    """Return a problem in standard units, made once; the problem itself if it is so already."""
    if problem.given is not None:
        return Standard(problem, problem)
    if Standard not in problem.cache:
        problem.cache[Standard] = _changed(problem)
    known = problem.cache[Standard]
    return Standard(problem, problem) if known is None else Standard(problem, *known)


def keep_standard(problem: Problem, changed: Problem, make: Callable[[Problem], Problem]) -> None:
    """Let a problem that differs in its response alone have the standard columns of another.

    Parameters
    ----------
    problem, changed
        The one whose standard is known, if it is, and the other.
    make : callable
        Changes the response of any problem of this model.
    """
    if Standard in problem.cache:
        known = problem.cache[Standard]
        changed.cache[Standard] = None if known is None else (make(known[0]), *known[1:])


def log_volume(approximation: Approximation, problem: Problem) -> float:
    """Return what a given problem's objective is higher by than that of its standard, `problem`.

    The logarithm of the volume of what is integrated out, as coefficients are by REML.
    """
    if problem.given is None:
        return 0.0
    place = approximation.restricted_volume(problem)
    return -float(np.linalg.slogdet(problem.given[place, place])[1])


@dataclass(frozen=True)
class _Part:
    """What becomes of the columns of one predictor or one term, and of their parameters.

    Attributes
    ----------
    columns : Columns
        By which X, or Z, is changed.
    forth, back : ndarray, shape (m, m)
        Maps of beta, or of theta, and the inverse.
    """

    columns: Columns
    forth: Array
    back: Array


@dataclass(frozen=True, eq=False)
class Units:
    """Other columns of a problem's designs: from any rows of it to the same rows in these.

    Attributes
    ----------
    predictors, terms : tuple of (Columns or None)
        What becomes of each X and each Z; None where it stays.
    back : ndarray, shape (n_psi, n_psi)
        psi as given from that of the changed problem.
    key : str
        The same in every process.
    """

    predictors: tuple[Columns | None, ...]
    terms: tuple[Columns | None, ...]
    back: Array
    key: str = field(default_factory=lambda: uuid4().hex)

    def __call__(self, problem: Problem) -> Problem:
        """Return a part in these units, made once."""
        if self.key not in problem.cache:
            problem.cache[self.key] = self.of(problem)
        changed: Problem = problem.cache[self.key]
        return changed

    def of(self, problem: Problem) -> Problem:
        """Return the rows of a problem in these units."""
        return replace(
            problem,
            predictors=tuple(
                each if columns is None else replace(each, X=columns.of(each.X))
                for each, columns in zip(problem.predictors, self.predictors, strict=True)
            ),
            terms=tuple(
                each if columns is None else replace(each, Z=columns.of(each.Z))
                for each, columns in zip(problem.terms, self.terms, strict=True)
            ),
            given=self.back,
        )


def _changed(problem: Problem) -> tuple[Problem, Array, Array] | None:
    """Return the problem in other columns with both maps; None where columns are ordinary."""
    shift = _stand_in(problem)
    designs = _designs(problem, centred=shift is not None)
    shared = {term.theta_of for term in problem.terms}
    terms = [
        # of two terms with one theta neither can have units of its own
        None if term.theta_of is not None or t in shared else _of_term(term, rows)
        for t, (term, rows) in enumerate(
            zip(problem.terms, designs[len(problem.predictors) :], strict=True)
        )
    ]
    predictors = [
        _of_predictor(each, rows)
        for each, rows in zip(problem.predictors, designs[: len(problem.predictors)], strict=True)
    ]
    if all(each is None for each in (*terms, *predictors)):
        return None
    forth, back = _whole_maps(problem, [*terms, *predictors])
    mean = predictors[0]
    if mean is not None and shift is not None:
        first, *others = problem.beta_slices()
        here = np.ix_([place.start for place in others], np.arange(first.start, first.stop))
        forth[here] = -np.outer(shift, mean.columns.centre)
        back[here] = np.outer(shift, mean.columns.centre @ mean.back)
    units = Units(
        tuple(None if each is None else each.columns for each in predictors),
        tuple(None if each is None else each.columns for each in terms),
        back,
    )
    inside = units.of(problem)
    if problem.parts is not None:
        inside = measured(replace(inside, parts=problem.parts.changed(units)))
    return inside, forth, back


def _designs(problem: Problem, centred: bool) -> list[Rows]:
    """Return how the rows of all designs answer: of predictors, then of terms.

    The first question, which nearly always is the last, is put for all of them at once.
    """
    if problem.parts is None:
        predictors = [
            Rows.here(each.X, centred and k == 0) for k, each in enumerate(problem.predictors)
        ]
        return predictors + [Rows.here(term.Z) for term in problem.terms]
    found = list(problem.parts.total(_products, centred))
    return [_elsewhere(problem, d, centred and d == 0, first) for d, first in enumerate(found)]


def _elsewhere(problem: Problem, d: int, intercept: bool, first: Array) -> Rows:
    """Return how the rows of a design in parts answer, the first products known."""

    def mean_products(units: Array) -> Array:
        if np.all(units == 1.0):
            return np.asarray(first / problem.n)
        return np.asarray(total(problem, _products_in, d, units, intercept) / problem.n)

    def triangle(units: Array) -> Array:
        root = total(problem, _triangle_in, d, units, intercept).root
        return np.asarray(root / np.sqrt(problem.n))

    return Rows(
        mean_products, lambda: np.asarray(total(problem, _reach_in, d).sizes), triangle, intercept
    )


def _design(problem: Problem, d: int) -> Array:
    K = len(problem.predictors)
    return problem.predictors[d].X if d < K else np.asarray(problem.terms[d - K].Z)


def _products(problem: Problem, centred: bool) -> Sums:
    designs = range(len(problem.predictors) + len(problem.terms))
    return Sums(*(products(_design(problem, d), centred and d == 0) for d in designs))


def _products_in(problem: Problem, d: int, units: Array, intercept: bool) -> Array:
    return products(divided(_design(problem, d), units), intercept)


def _triangle_in(problem: Problem, d: int, units: Array, intercept: bool) -> Triangle:
    return Triangle.of(divided(_design(problem, d), units), intercept)


def _reach_in(problem: Problem, d: int) -> Reach:
    return Reach.of(_design(problem, d))


def _whole_maps(problem: Problem, parts: Sequence[_Part | None]) -> tuple[Array, Array]:
    """Return the maps of psi from those of its parts: of each term, then of each predictor."""
    forth, back = np.eye(problem.n_psi), np.eye(problem.n_psi)
    for part, place in zip(parts, (*problem.theta_slices(), *problem.beta_slices()), strict=True):
        if part is not None:
            forth[place, place], back[place, place] = part.forth, part.back
    return forth, back


def _stand_in(problem: Problem) -> Array | None:
    """Return how constants of further predictors do what an intercept of the mean would."""
    first, *others = problem.predictors
    if first.parameter.intercept or any(each.names != ("Intercept",) for each in others):
        return None
    return problem.family.intercept_stand_in()


def _of_predictor(predictor: Predictor, rows: Rows) -> _Part | None:
    found = standard_columns(rows, predictor.X.shape[1])
    if found is None:
        return None
    return _Part(found, found.R, np.asarray(solve_triangular(found.R, np.eye(len(found.R)))))


def _of_term(term: RandomTerm, rows: Rows) -> _Part | None:
    """Return a term in other columns, as far as the structure of its covariance follows."""
    c = term.Z.shape[1]
    if not c:
        return None
    if term.covariance.mixes_columns:
        own = _apart(rows, term) if term.along else rows
        found = standard_columns(own, c, factor=term.level_size, from_last=True)
        return None if found is None else _in_columns(term, found)
    sizes = term.level_size * rows.reach()
    common = np.exp(np.mean(np.log(np.where(sizes > 0.0, sizes, 1.0))))
    for each in (sizes, np.full(c, common)):
        units = powers_of_two(each)
        if np.any(units != 1.0):
            part = _in_columns(term, Columns(np.diag(units), units, np.arange(c), np.zeros(c)))
            if part is not None:
                return part
    return None


def _apart(rows: Rows, term: RandomTerm) -> Rows:
    """Return the rows of a term of several predictors, whose columns mix within each alone."""
    along = np.array(term.column_predictors)

    def triangle(units: Array) -> Array:
        root, R = rows.triangle(units), np.zeros((along.size, along.size))
        for _, own in term.by_predictor:
            part = np.linalg.qr(root[:, own], mode="r")
            R[np.ix_(own, own)] = part * np.where(np.diagonal(part) < 0.0, -1.0, 1.0)[:, None]
        return R

    alike = np.equal.outer(along, along)
    return replace(rows, products=lambda units: rows.products(units) * alike, triangle=triangle)


def _in_columns(term: RandomTerm, columns: Columns) -> _Part | None:
    """Return a term in columns with `Z = Z~ L`; None if its structure does not follow."""
    L = columns.R
    back = np.asarray(solve_triangular(L, np.eye(len(L)), lower=True))
    maps = [term.covariance.rescaled(each) for each in (L, back)]
    if maps[0] is None or maps[1] is None:
        return None
    return _Part(columns, maps[0], maps[1])
