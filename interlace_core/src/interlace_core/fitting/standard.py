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
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.engine.columns import powers_of_two, reach, standard_columns
from interlace_core.fitting.fitted import Fit
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

    def covariance(self, given: Array) -> Array:
        """Return the covariance of the standard psi from that of the given one; NaN stays."""
        return given if self.forth is None else _mapped(self.forth, given)

    def given_covariance(self, covariance: Array) -> Array:
        """Return the covariance of the given psi from that of the standard one; NaN stays."""
        return covariance if self.back is None else _mapped(self.back, covariance)

    def given_fit(self, fit: Fit) -> Fit:
        """Return a fit of `problem` as one of `given`; its value is that of `given` already."""
        if self.back is None:
            return fit
        vcov = self.given_covariance(fit.vcov)
        return replace(
            fit,
            psi=self.given_psi(fit.psi),
            gradient=self.given_gradient(fit.gradient),
            vcov=vcov,
            undetermined=self._undetermined(fit, vcov),
        )

    def objective(self, approximation: Approximation) -> Callable[[Array], Evaluation]:
        """Return an approximation's objective for `given`, computed in standard units."""
        evaluate = approximation.objective(self.problem)
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
        B, V = self.back[:, which], fit.vcov[np.ix_(which, which)]
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


def _mapped(B: Array, V: Array) -> Array:
    """Return B V B', NaN in the rows that B takes from rows with NaN."""
    unknown = np.isnan(np.diagonal(V))
    with np.errstate(invalid="ignore"):
        found = B @ np.where(np.isnan(V), 0.0, V) @ B.T
    reached = (B[:, unknown] != 0.0).any(axis=1)
    found[reached, :] = found[:, reached] = np.nan
    return np.asarray(found)


@dataclass(frozen=True)
class _Part:
    """What became of the columns of one predictor or one term, and of their parameters.

    Attributes
    ----------
    columns : ndarray, shape (n, p)
        Instead of X, or of Z.
    forth, back : ndarray, shape (m, m)
        Maps of beta, or of theta, and the inverse.
    centre : ndarray, shape (p,)
        What an intercept that is no column of X takes of each column.
    """

    columns: Array
    forth: Array
    back: Array
    centre: Array


def _changed(problem: Problem) -> tuple[Problem, Array, Array] | None:
    """Return the problem in other columns with both maps; None where columns are ordinary."""
    shift = _stand_in(problem)
    shared = {term.theta_of for term in problem.terms}
    terms = [
        # of two terms with one theta neither can have units of its own
        None if term.theta_of is not None or t in shared else _of_term(term)
        for t, term in enumerate(problem.terms)
    ]
    predictors = [
        _of_predictor(each, centred=k == 0 and shift is not None)
        for k, each in enumerate(problem.predictors)
    ]
    if all(each is None for each in (*terms, *predictors)):
        return None
    forth, back = _whole_maps(problem, [*terms, *predictors])
    mean = predictors[0]
    if mean is not None and shift is not None:
        first, *others = problem.beta_slices()
        here = np.ix_([place.start for place in others], np.arange(first.start, first.stop))
        forth[here] = -np.outer(shift, mean.centre)
        back[here] = np.outer(shift, mean.centre @ mean.back)
    inside = replace(
        problem,
        predictors=tuple(
            each if part is None else replace(each, X=part.columns)
            for each, part in zip(problem.predictors, predictors, strict=True)
        ),
        terms=tuple(
            each if part is None else replace(each, Z=part.columns)
            for each, part in zip(problem.terms, terms, strict=True)
        ),
        given=back,
    )
    return inside, forth, back


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


def _of_predictor(predictor: Predictor, centred: bool) -> _Part | None:
    found = standard_columns(predictor.X, centred=centred)
    if found is None:
        return None
    back = np.asarray(solve_triangular(found.R, np.eye(len(found.R))))
    return _Part(found.Q, found.R, back, found.centre)


def _of_term(term: RandomTerm) -> _Part | None:
    """Return a term in other columns, as far as the structure of its covariance follows."""
    c = term.Z.shape[1]
    if not c:
        return None
    if term.covariance.mixes_columns and not term.along:
        found = standard_columns(term.Z, factor=term.level_size, from_last=True)
        return None if found is None else _in_columns(term, found.Q, found.R)
    if term.covariance.mixes_columns and _are_blocks(term):
        return _of_blocks(term)
    sizes = term.level_size * reach(term.Z)
    common = np.exp(np.mean(np.log(np.where(sizes > 0.0, sizes, 1.0))))
    for each in (sizes, np.full(c, common)):
        units = powers_of_two(each)
        if np.any(units != 1.0):
            part = _in_columns(term, np.asfortranarray(term.Z / units), np.diag(units))
            if part is not None:
                return part
    return None


def _are_blocks(term: RandomTerm) -> bool:
    """Return whether columns of one predictor follow each other."""
    return all(np.ptp(places) == places.size - 1 for _, places in term.by_predictor)


def _of_blocks(term: RandomTerm) -> _Part | None:
    """Return a term of several predictors, whose columns mix within each alone."""
    Z, L, changed = term.Z.copy(order="F"), np.eye(term.Z.shape[1]), False
    for _, places in term.by_predictor:
        columns = term.Z[:, places]
        found = standard_columns(columns, factor=term.level_size, from_last=True)
        if found is not None:
            Z[:, places], L[np.ix_(places, places)], changed = found.Q, found.R, True
    return _in_columns(term, Z, L) if changed else None


def _in_columns(term: RandomTerm, Z: Array, L: Array) -> _Part | None:
    """Return a term in columns with `term.Z = Z L`; None if its structure does not follow."""
    back = np.asarray(solve_triangular(L, np.eye(len(L)), lower=True))
    maps = [term.covariance.rescaled(each) for each in (L, back)]
    if maps[0] is None or maps[1] is None:
        return None
    return _Part(Z, maps[0], maps[1], np.zeros(len(L)))
