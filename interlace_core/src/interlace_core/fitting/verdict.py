"""A plain verdict on a fit: optimum, boundary (and which), or not reached (and by how much)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from interlace_core.contract.covariance import column_sds, marginal_slopes
from interlace_core.contract.incidence import Incidence
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.engine.columns import NOTHING_LEFT
from interlace_core.messages.names import listed
from interlace_core.records import Array, BoolArray, OptimizerResult

TOL_REL_BOUNDARY = 1e-3
"""A template's diagonal entry counts as zero when the effect it scales moves eta by less than
this in root mean square, in natural units: a standard deviation of 0.001 on a log scale."""


MANY_NAMES = 8
"""Columns from which a term is called by what was written, and not by all of them."""


@dataclass(frozen=True)
class Verdict:
    """How a fit ended.

    Attributes
    ----------
    status : str
        "optimum", "boundary", "not determined", "not reached" or "stopped".
    converged : bool
        True for the first three.
    remaining_gain : float
        What the log-likelihood still has to gain, by the exact gradient and the Hessian.
    boundary : tuple of str
        The variances (or correlations) at their bound, in words.
    message : str
        One sentence for the user.
    undetermined : tuple of str
        The parameters on which the likelihood does not depend there, in words.
    """

    status: str
    converged: bool
    remaining_gain: float
    boundary: tuple[str, ...]
    message: str
    undetermined: tuple[str, ...] = ()


class Bounds:
    """Whether covariances of a problem are at a bound for practical purposes, at any psi.

    Parameters
    ----------
    problem : Problem
    units : ndarray, shape (K,)
        Natural size of an effect on each linear predictor.
    """

    def __init__(self, problem: Problem, units: Array) -> None:
        self._n_theta = problem.n_theta
        self._terms = [
            (term.covariance, place, term.sizes / term.own(units))
            for term, place in zip(problem.terms, problem.theta_slices(), strict=True)
        ]

    def at(self, psi: Array) -> BoolArray:
        """Return which thetas are at a bound, shape (n_theta,)."""
        at = np.zeros(self._n_theta, dtype=bool)
        for covariance, place, sizes in self._terms:
            at[place] = covariance.at_bound(psi[place], sizes, TOL_REL_BOUNDARY)
        return at

    def any(self, psi: Array) -> bool:
        """Return whether one is."""
        return any(
            bool(covariance.at_bound(psi[place], sizes, TOL_REL_BOUNDARY).any())
            for covariance, place, sizes in self._terms
        )


def boundary_thetas(problem: Problem, psi: Array, units: Array) -> BoolArray:
    """Return which thetas are at a bound for practical purposes, shape (n_theta,)."""
    return Bounds(problem, units).at(psi)


def snapped_psi(problem: Problem, psi: Array, units: Array) -> Array:
    """Return psi with each covariance that is next to a bound on it, shape (n_psi,)."""
    moved = psi.copy()
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        sizes = term.sizes / term.own(units)
        moved[place] = term.covariance.snapped(psi[place], sizes, TOL_REL_BOUNDARY)
    return moved


def restart_points(problem: Problem, psi: Array, units: Array) -> Iterator[Array]:
    """Yield what the structures know of points from which a search may get further, (n_psi,)."""
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        if term.theta_of is not None:
            continue
        for theta in term.covariance.restarts(psi[place], term.sizes / term.own(units)):
            moved = psi.copy()
            moved[place] = theta
            yield moved


def judge(
    boundary: tuple[str, ...], decrement: float, tol_decrement: float, result: OptimizerResult
) -> Verdict:
    """Return the verdict from the remaining gain and what is at a bound, in words."""
    if not decrement <= tol_decrement:
        gain = "an unknown amount" if not np.isfinite(decrement) else f"about {decrement:.2g}"
        message = (
            f"not reached: the log-likelihood could still gain {gain} "
            f"(tolerance {tol_decrement:g}); the optimizer said: {result.message}"
        )
        return Verdict("not reached", False, decrement, boundary, message)
    if boundary:
        message = "boundary: " + "; ".join(boundary) + f" (remaining gain {decrement:.1e})"
        return Verdict("boundary", True, decrement, boundary, message)
    return Verdict("optimum", True, decrement, (), f"optimum (remaining gain {decrement:.1e})")


def stopped(reason: str, reached: Verdict | None) -> Verdict:
    """Return the verdict on a fit that was asked to end.

    Parameters
    ----------
    reason : str
        Why it ended, from `Stopping`.
    reached : Verdict, or None
        Where a search had ended before; None if none had.
    """
    if reached is None or not reached.converged:
        message = f"stopped {reason}: the point is the best so far, and no optimum"
        return Verdict("stopped", False, float("nan"), (), message)
    message = (
        f"stopped {reason}: one search ended at an optimum (remaining gain "
        f"{reached.remaining_gain:.1e}), further ones were not made or not ended"
    )
    return replace(reached, status="stopped", converged=False, message=message)


def boundary_words(problem: Problem, psi: Array, at: BoolArray, units: Array) -> tuple[str, ...]:
    """Return what is at a bound, in words.

    Parameters
    ----------
    problem : Problem
        As the user wrote it.
    psi : ndarray, shape (n_psi,)
    at : ndarray of bool, shape (n_theta,)
        Thetas at a bound, those of a term with others of the term.
    units : ndarray, shape (K,)
        Natural size of an effect on each linear predictor.
    """
    words = []
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        if not np.any(at[place]):
            continue
        gone = vanished(term, psi[place], term.own(units))
        zero = [name for name, is_gone in zip(term.names, gone, strict=True) if is_gone]
        if zero:
            words.append(f"the variance of {', '.join(zero)} | {term.group} is 0")
        else:
            words.append(
                f"the covariance of {_columns_of(term)} is singular "
                "(a correlation of 1 or -1 among them)"
            )
    return tuple(words)


def with_ceiling(verdict: Verdict, value: float, tol_decrement: float) -> Verdict:
    """Return a verdict that knows that no log-likelihood of discrete data is above 0.

    Where a response is separated completely, no curvature is left that tells what is left to gain.

    Parameters
    ----------
    verdict : Verdict
    value : float
        Negative log-likelihood.
    tol_decrement : float
        What an optimum may have left to gain.
    """
    left = max(value, 0.0)
    if verdict.converged or not left <= tol_decrement:
        return verdict
    status = "boundary" if verdict.boundary else "optimum"
    bounds = ": " + "; ".join(verdict.boundary) if verdict.boundary else ""
    message = f"{status}{bounds} (remaining gain {left:.1e})"
    return replace(verdict, status=status, converged=True, remaining_gain=left, message=message)


def vanished(term: RandomTerm, theta: Array, units: Array) -> BoolArray:
    """Return which columns of a term have a standard deviation of 0 for practical purposes.

    A column moves eta by what it has of its own beside those before it: with an intercept, by its
    standard deviation, wherever its zero point is.

    Parameters
    ----------
    term : RandomTerm
    theta : ndarray, shape (n_theta,)
    units : ndarray, shape (c,)
        Natural unit of each column's predictor.
    """
    sd = column_sds(term.covariance, theta)
    return np.asarray(sd * _own_sizes(term) / units < TOL_REL_BOUNDARY)


def _own_sizes(term: RandomTerm) -> Array:
    """Return the root mean square of what each column has beside those before it, shape (c,)."""
    n, c = term.Z.shape
    if n < c or isinstance(term.Z, Incidence):
        return term.sizes
    own = np.zeros(c)
    for _, columns in term.by_predictor:
        R = np.linalg.qr(term.Z[:, columns], mode="r")
        own[columns] = term.level_size * np.abs(np.diagonal(R)) / np.sqrt(n)
    return np.where(own > NOTHING_LEFT * term.sizes, own, term.sizes)


def with_undetermined(
    verdict: Verdict, problem: Problem, psi: Array, undetermined: BoolArray, looked: bool
) -> Verdict:
    """Return a verdict that names the parameters on which the likelihood does not depend.

    An optimum stays one if each of them went to a limit that its family names.

    Parameters
    ----------
    verdict : Verdict
    problem : Problem
    psi : ndarray, shape (n_psi,)
    undetermined : ndarray of bool, shape (n_psi,)
    looked : bool
        Whether there were searches from elsewhere: only then is their outcome said.
    """
    if verdict.boundary:
        undetermined = undetermined & ~_without_effect(problem, psi, undetermined)
    if not np.any(undetermined):
        return verdict
    names, all_at_limits = _named(problem, psi, undetermined)
    words = ", ".join(names)
    found = "; nothing higher was found from elsewhere" if looked else ""
    if not verdict.converged:
        message = f"{verdict.message}; the data do not determine {words} there"
        return replace(verdict, message=message, undetermined=names)
    if all_at_limits:
        what = "optimum at a limit" if verdict.status == "optimum" else "boundary, at a limit"
        at_bound = "".join(f"; {each}" for each in verdict.boundary)
        message = (
            f"{what}: {words} is not determined by the data beyond it{found}{at_bound} "
            f"(remaining gain {verdict.remaining_gain:.1e})"
        )
        return replace(verdict, message=message, undetermined=names)
    message = (
        f"not determined: the log-likelihood does not change with {words}{found} "
        f"(remaining gain {verdict.remaining_gain:.1e})"
    )
    at_bound = "".join(f"; {each}" for each in verdict.boundary)
    return replace(verdict, status="not determined", message=message + at_bound, undetermined=names)


def _without_effect(problem: Problem, psi: Array, asked: BoolArray) -> BoolArray:
    """Return which of the thetas asked for move nothing of their term's covariance, shape (n_psi,).

    At a bound some structures have numbers to spare: of correlations with what does not vary, or
    beyond one of 1. The covariance is determined all the same.
    """
    found = np.zeros(psi.size, dtype=bool)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        if not np.any(asked[place]):
            continue
        found[place] = [
            float(np.max(np.abs(slope), initial=0.0)) <= TOL_REL_BOUNDARY * largest
            for slope, largest in marginal_slopes(term.covariance, psi[place])
        ]
    return found


def with_lower_optima(verdict: Verdict, lower: int, searches: int) -> Verdict:
    """Return a verdict that says that the likelihood has several optima, where searches found some.

    Parameters
    ----------
    verdict : Verdict
    lower : int
        Searches that ended at an optimum lower than this one.
    searches : int
        All of them.
    """
    if not lower or not verdict.converged:
        return verdict
    message = (
        f"{verdict.message}; there are several optima: {lower} of {searches} searches ended at a "
        "lower one, and a higher one may exist (starts= makes more searches)"
    )
    return replace(verdict, message=message)


def _columns_of(term: RandomTerm) -> str:
    """Return a term by its columns, or of many, as by times and places, as it is written."""
    if len(term.names) <= MANY_NAMES:
        return f"{listed(term.names)} | {term.group}"
    return term.label


def _named(problem: Problem, psi: Array, undetermined: BoolArray) -> tuple[tuple[str, ...], bool]:
    """Return parameters in words, and whether each of them is at a limit with a name."""
    names, all_at_limits = [], True
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        if np.any(undetermined[place]):
            names.append(f"the covariance of {_columns_of(term)}")
            all_at_limits = False
    for k, (predictor, place) in enumerate(
        zip(problem.predictors, problem.beta_slices(), strict=True)
    ):
        parameter = predictor.parameter
        for name, estimate, vague in zip(
            predictor.names, psi[place], undetermined[place], strict=True
        ):
            if not vague:
                continue
            alone = predictor.names == ("Intercept",)
            of = "" if k == 0 else f" of {parameter.name}"
            names.append(parameter.name if alone and k else f"the coefficient {name!r}{of}")
            limit = parameter.at_upper if estimate > 0 else parameter.at_lower
            all_at_limits &= bool(limit) and name == "Intercept" and (alone or k == 0)
    return tuple(names), all_at_limits
