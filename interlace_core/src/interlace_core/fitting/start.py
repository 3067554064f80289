"""Where a fit starts: the model without random effects, and unit-size random effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interlace_core.calculus.links import Link
from interlace_core.contract.approximation import Shortcuts
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.engine.gram import weighted_gram
from interlace_core.engine.joint_density import weighted_derivatives
from interlace_core.engine.layout import layout_of
from interlace_core.fitting.exact import MEETS, Watch, leaves_nothing, refuse_exact
from interlace_core.records import Array, Derivatives

MAX_ITERATIONS = 25
START_SIZE = 0.5
"""Standard deviation of the random effects at the start, in natural units of eta."""

HOLDING_CURVATURE = 0.1
"""Curvature, per unit of eta, that holds a further parameter's predictor near the family's own
constant while coefficients are sought. Where the data tell next to nothing about a dispersion, a
likelihood may rise by a hair towards infinity, where nothing can be computed."""

TOL_DECREMENT = 1e-3
TOL_DECREMENT_ALONE = 1e-8
"""In log-likelihood units, before one last step; with random effects, where this is only a start,
also per unit gained so far. Without them it is the answer."""


@dataclass(frozen=True)
class Start:
    """Where to begin, and what counts as a large or a small effect.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
    units : ndarray, shape (K,)
        Natural size of an effect on each linear predictor: 1 on logarithmic and probability
        scales; where eta is in units of the data, the residual standard deviation.
    """

    psi: Array
    units: Array


def find_start(
    problem: Problem,
    given: Callable[[Array], Array] | None = None,
    shortcuts: Shortcuts | None = None,
    *,
    constants: bool = False,
) -> Start:
    """Return unit-size random effects and the coefficients without them, or what is given.

    Parameters
    ----------
    problem : Problem
    given : callable, optional
        From this start to the user's.
    shortcuts : Shortcuts, optional
        The approximation's own.
    constants : bool
        Whether the coefficients are those nearest to the family's own constants, far from any
        limit, and not those of the model without random effects.
    """
    if shortcuts is None:
        find = _first_coefficients if constants else _fit_coefficients
        beta = find(layout_of(problem).problem)
        units = natural_units(problem, beta)
    else:
        beginning = shortcuts.begin()
        beta, units = beginning.beta, beginning.units
    psi = np.concatenate([np.zeros(problem.n_theta), beta])
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        psi[place] = unit_theta(term, START_SIZE * term.own(units))
    return Start(psi if given is None else given(psi), units)


def random_start(problem: Problem, units: Array, rng: np.random.Generator) -> Start:
    """Return a start about the family's constants.

    Each predictor is moved by about one natural unit along its columns, and each term's random
    effects have a size between a seventh of and seven times the usual one (in 95%).
    """
    psi = np.concatenate([np.zeros(problem.n_theta), _first_coefficients(problem)])
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        size = START_SIZE * float(np.exp(rng.normal()))
        psi[place] = unit_theta(term, size * term.own(units))
    for k, (predictor, place) in enumerate(
        zip(problem.predictors, problem.beta_slices(), strict=True)
    ):
        p = place.stop - place.start
        if p:
            move = rng.normal(size=p) / np.sqrt(p)
            psi[place] += units[k] * np.linalg.solve(_root(predictor.X), move)
    return Start(psi, units)


def _root(X: Array) -> Array:
    """Return R, upper triangular, with R'R = X'X / n."""
    size = np.sqrt(np.einsum("ij,ij->j", X, X))
    unit = np.where(size > 0, size, 1.0)
    gram = (X.T @ X) / unit / unit[:, None]
    root = np.linalg.cholesky(gram + 1e-14 * np.eye(len(gram))).T
    return np.asarray(root * (unit / np.sqrt(len(X))))


def unit_theta(term: RandomTerm, size: Array) -> Array:
    """Return the theta whose every column moves eta by its `size`, (c,), in root mean square.

    Over the rows that it moves at all: of a factor's columns each row has one. Correlations are
    those of the structure's own start.
    """
    covariance = term.covariance
    T = covariance.template(covariance.start())
    sd = size / np.where(term.reach > 0, term.reach, 1.0)
    length = np.linalg.norm(T, axis=1)  # 0 of what is held at 0
    rows = (sd / np.where(length > 0.0, length, 1.0))[:, None] * T
    return covariance.nearest(rows @ rows.T)


def natural_units(problem: Problem, beta: Array) -> Array:
    """Return the natural size of an effect on each linear predictor, shape (K,); see `Start`."""
    units = np.ones(len(problem.predictors))
    in_units_of_data = [
        k for k in problem.active() if not on_own_scale(problem.predictors[k].parameter.link)
    ]
    if not in_units_of_data:
        return units
    derivatives = _evaluate(problem, beta)[1]
    for k in in_units_of_data:
        first, second = derivatives.get(k), derivatives.get(k, k)
        if first is None or second is None:
            continue
        information = float(np.mean(np.abs(second)))
        if np.isfinite(information) and information > 0.0:
            # the same at an estimated dispersion; a fixed one may be far below the spread of data
            spread = float(np.sqrt(np.mean(np.square(first)))) / information
            units[k] = max(1.0 / np.sqrt(information), spread)
    return units


def on_own_scale(link: Link) -> bool:
    """Return whether a link leads from a bounded scale to the whole line: log, logit."""
    return bool(np.any(np.isfinite(link.domain)) and not np.any(np.isfinite(link.eta_domain)))


def _fit_coefficients(problem: Problem) -> Array:
    """Return the coefficients of the model without random effects, by damped Newton steps."""
    beta = _first_coefficients(problem)
    if beta.size == 0:
        return beta
    holding, first = _holding_curvature(problem), beta
    value, derivatives = _evaluate(problem, beta)
    worst, damping, watch = value, 0.0, Watch(problem, value)
    for _ in range(MAX_ITERATIONS):
        watch.see(value)
        gradient, information = _gradient_information(problem, derivatives)
        gradient, information = gradient - holding @ (beta - first), information + holding
        step, decrement = _newton_step(gradient, information, damping)
        tol = TOL_DECREMENT * max(value - worst, 1.0) if problem.terms else TOL_DECREMENT_ALONE
        if decrement < tol:
            if leaves_nothing(derivatives):
                refuse_exact(problem)
            return beta + step if damping == 0.0 else beta
        for _ in range(20):
            candidate, moved = _evaluate(problem, beta + step)
            candidate -= 0.5 * float((beta + step - first) @ holding @ (beta + step - first))
            if candidate >= value:
                break
            damping = max(4.0 * damping, 1e-3)
            step, decrement = _newton_step(gradient, information, damping)
        else:
            return beta
        beta, value, derivatives = beta + step, candidate, moved
        damping = damping / 4.0 if damping > 1e-4 else 0.0
    return beta


def _holding_curvature(problem: Problem) -> Array:
    """Return the curvature that holds further predictors back, shape (n_beta, n_beta)."""
    curvature = np.zeros((problem.n_beta, problem.n_beta))
    for k, place in enumerate(problem.beta_slices()):
        if k > 0:
            X = problem.predictors[k].X
            here = slice(place.start - problem.n_theta, place.stop - problem.n_theta)
            curvature[here, here] = HOLDING_CURVATURE * (X.T @ X) / problem.n
    return curvature


def _first_coefficients(problem: Problem) -> Array:
    """Return coefficients whose predictors are near the family's own constants.

    Where the mean's predictor is in units of the response, the mean's coefficients are those of
    least squares, and constants are those of what these leave: offsets, effects and the distance
    of the response from 0 can be larger than the residual by as much as numbers have digits.
    """
    first, family = problem.predictors[0], problem.family
    y, parts, others = problem.y, [], problem.predictors
    if _in_units_of_response(problem):
        target = y - first.offset
        beta = _weighted_least_squares(first.X, target, problem.weights)
        y = target - first.X @ beta
        if np.ptp(y) <= MEETS * np.ptp(problem.y):
            refuse_exact(problem)
        if first.X.shape[1]:
            parts, others = [beta], problem.predictors[1:]
    constants = family.start(y, problem.weights) + _carried(problem)
    constants = constants[len(problem.predictors) - len(others) :]
    for predictor, constant in zip(others, constants, strict=True):
        if predictor.X.shape[1]:
            parts.append(least_squares(predictor.X, constant - predictor.offset))
    return np.concatenate(parts) if parts else np.zeros(0)


def _carried(problem: Problem) -> Array:
    """Return what an offset of the mean adds to the constants, shape (K,), if others carry it.

    A mean without an intercept has no column for the level of its offset. Where the family says
    that other predictors move with it (thresholds with a location), they do.
    """
    mean, moved = problem.predictors[0], np.zeros(len(problem.predictors))
    level = 0.0 if mean.parameter.intercept else float(np.mean(mean.offset))
    found = problem.family.recession_forms(problem.y) if level else None
    if found is None:
        return moved
    forms = np.unique(found[1], axis=0)
    ratio = np.linalg.lstsq(forms[:, 1:], -forms[:, 0], rcond=None)[0]
    if np.allclose(forms[:, 1:] @ ratio, -forms[:, 0]):
        moved[0], moved[1:] = level, ratio * level
    return moved


def _in_units_of_response(problem: Problem) -> bool:
    """Return whether the mean's predictor is the mean, which may lie anywhere."""
    y, mean = problem.y, problem.predictors[0].parameter
    ends = (*mean.link.domain, *mean.link.eta_domain)
    if y.ndim > 1 or problem.family.is_discrete or np.any(np.isfinite(ends)):
        return False
    return np.array_equal(problem.family.observed(y), y) and np.array_equal(mean.link.eta(y), y)


def _weighted_least_squares(X: Array, target: Array, weights: Array | None) -> Array:
    if weights is not None:
        root = np.sqrt(weights)
        X, target = X * root[:, None], target * root
    if not X.shape[1]:
        return np.zeros(0)
    # the response's mean apart: the products below would lose the digits that it has more
    centre = float(np.mean(target))
    beta = least_squares(X, np.full(len(X), centre))
    for _ in range(2):
        beta = beta + least_squares(X, target - X @ beta)
    return beta


def least_squares(X: Array, target: Array) -> Array:
    """Return the coefficients nearest to a target, whatever the units of the columns."""
    if not X.shape[1]:
        return np.zeros(0)
    size = np.sqrt(np.einsum("ij,ij->j", X, X))
    unit = np.where(size > 0, size, 1.0)
    gram = (X.T @ X) / unit / unit[:, None]
    return np.asarray(np.linalg.lstsq(gram, X.T @ target / unit, rcond=None)[0] / unit)


def _evaluate(problem: Problem, beta: Array) -> tuple[float, Derivatives]:
    psi = np.concatenate([np.zeros(problem.n_theta), beta])
    eta = problem.fixed_part(psi)
    derivatives = weighted_derivatives(problem, eta, 2, problem.active())
    value = float(np.sum(derivatives.value))
    return (value if np.isfinite(value) else -np.inf), derivatives


def _gradient_information(problem: Problem, derivatives: Derivatives) -> tuple[Array, Array]:
    """Return X'l_k and the blocks -X_k' l_kl X_l over all coefficients."""
    places = [
        slice(s.start - problem.n_theta, s.stop - problem.n_theta) for s in problem.beta_slices()
    ]
    gradient = np.zeros(problem.n_beta)
    information = np.zeros((problem.n_beta, problem.n_beta))
    for k in problem.active():
        X = problem.predictors[k].X
        score = derivatives.get(k)
        if score is not None:
            gradient[places[k]] = X.T @ score
        for m in problem.active():
            second = derivatives.get(k, m)
            if m >= k and second is not None:
                block = -weighted_gram(X, second, problem.predictors[m].X)
                information[places[k], places[m]] = block
                information[places[m], places[k]] = block.T
    return gradient, information


def _newton_step(gradient: Array, information: Array, damping: float) -> tuple[Array, float]:
    """Return an ascent step and half its predicted gain; damped until positive definite."""
    scale = np.diag(np.abs(np.diag(information)) + 1e-10)
    while damping < 1e12:
        try:
            factor = np.linalg.cholesky(information + damping * scale)
        except np.linalg.LinAlgError:
            damping = max(10.0 * damping, 1e-3)
            continue
        step = np.linalg.solve(factor.T, np.linalg.solve(factor, gradient))
        return step, 0.5 * float(gradient @ step)
    return np.zeros_like(gradient), 0.0
