"""Where a fit starts: the model without random effects, and unit-size random effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from math import isfinite
from operator import add

import numpy as np
from scipy.linalg import lapack

from interlace_core.calculus.links import Link
from interlace_core.contract.approximation import (
    Approximation,
    Curvature,
    Shortcuts,
    StartingValues,
)
from interlace_core.contract.covariance import column_sds, with_sds_times
from interlace_core.contract.kernels import Climb
from interlace_core.contract.parts import Sums, total
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.engine.compiled import (
    compiled_climb,
    compiled_rows,
    compiled_slopes,
    forget_slopes,
)
from interlace_core.engine.gram import weighted_gram
from interlace_core.engine.joint_density import weighted_derivatives
from interlace_core.engine.layout import layout_of
from interlace_core.engine.parts import chunks, subset
from interlace_core.fitting.constants import first_coefficients, mean_gram
from interlace_core.fitting.exact import NO_PULL, Watch, leaves_nothing, refuse_exact
from interlace_core.records import Array, Derivatives

MAX_ITERATIONS, MAX_HALVINGS = 25, 20
START_SIZE = 0.5
"""Standard deviation of the random effects at the start, in natural units of eta."""

MANY_COLUMNS = 64
"""Columns from which products of whole matrices are avoided."""

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
    sizes : sequence of (ndarray, shape (c,), or None), one per term
        Root mean square of what each of its columns moves eta by, where that is known better than
        by `START_SIZE` units.
    usual : ndarray, shape (n_theta,), or None
        The theta of effects of these sizes, where it was computed on the way here.
    near : bool
        Whether an optimum is so near that Newton steps lead there. The first steps of an optimizer,
        which knows no curvature yet, would lead past it.
    """

    psi: Array
    units: Array
    sizes: Sequence[Array | None] = ()
    usual: Array | None = None
    near: bool = False

    def usual_theta(self, term: RandomTerm, place: slice, size: Array) -> Array:
        """Return the theta of a term of the problem whose columns have such sizes."""
        return unit_theta(term, size) if self.usual is None else self.usual[place]

    def size(self, problem: Problem, term: int) -> Array:
        """Return what each column of a term moves eta by, in root mean square, shape (c,)."""
        known = self.sizes[term] if self.sizes else None
        return START_SIZE * problem.terms[term].own(self.units) if known is None else known


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
        beta = (first_coefficients if constants else _fit_coefficients)(problem)
        if problem.parts is None:
            forget_slopes(layout_of(problem).problem)
        begun = StartingValues(beta, natural_units(problem, beta))
    else:
        begun = shortcuts.begin()
    start = Start(np.append(np.zeros(problem.n_theta), begun.beta), begun.units, begun.sizes)
    for index, (term, place) in enumerate(
        zip(problem.terms, problem.theta_slices(), strict=True)
    ):  # fmt: skip
        start.psi[place] = unit_theta(term, start.size(problem, index))
    start = replace(start, usual=start.psi[: problem.n_theta].copy())
    return start if given is None else replace(start, psi=given(start.psi))


def shortcuts_of(approximation: Approximation, problem: Problem) -> Shortcuts | None:
    """Return an approximation's shortcuts to scales; none for rows in parts, which add them up."""
    return None if problem.parts is not None else approximation.shortcuts(problem)


def curvature_at(
    approximation: Approximation, problem: Problem
) -> Callable[[Array], Curvature | None]:
    """Return an approximation's second derivatives as a function of psi."""
    return partial(approximation.curvature, problem)


def random_start(problem: Problem, units: Array, rng: np.random.Generator) -> Start:
    """Return a start about the family's constants.

    Each predictor is moved by about one natural unit along its columns, and each term's random
    effects have a size between a seventh of and seven times the usual one (in 95%).
    """
    psi = np.concatenate([np.zeros(problem.n_theta), first_coefficients(problem)])
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        size = START_SIZE * float(np.exp(rng.normal()))
        psi[place] = unit_theta(term, size * term.own(units))
    for k, place in enumerate(problem.beta_slices()):
        p = place.stop - place.start
        if p:
            move = rng.normal(size=p) / np.sqrt(p)
            psi[place] += units[k] * np.linalg.solve(_root(mean_gram(problem, k)), move)
    return Start(psi, units)


def _root(gram: Array) -> Array:
    """Return R, upper triangular, with R'R = X'X / n, from that."""
    size = np.sqrt(np.diagonal(gram))
    unit = np.where(size > 0, size, 1.0)
    gram = gram / unit / unit[:, None]
    root = np.linalg.cholesky(gram + 1e-14 * np.eye(len(gram))).T
    return np.asarray(root * unit)


def unit_theta(term: RandomTerm, size: Array) -> Array:
    """Return the theta whose every column moves eta by its `size`, (c,), in root mean square.

    Over the rows that it moves at all: of a factor's columns each row has one. Correlations are
    those of the structure's own start.
    """
    covariance = term.covariance
    theta = covariance.start()
    sd = size / np.where(term.reach > 0, term.reach, 1.0)
    length = column_sds(covariance, theta)  # 0 of what is held at 0
    factor = sd / np.where(length > 0.0, length, 1.0)
    if covariance.chain(theta) is not None:
        return with_sds_times(covariance, theta, float(np.sqrt(np.mean(np.square(factor)))))
    # where T may be in other units, theta follows without the cube of the number of columns
    alike = factor.size >= MANY_COLUMNS and np.ptp(factor) <= 1e-6 * np.max(factor)
    change = None
    if alike or (factor.size < MANY_COLUMNS and np.all(factor > 0.0)):
        change = covariance.rescaled(np.diag(np.full(factor.size, factor[0]) if alike else factor))
    if change is not None:
        return np.asarray(change @ theta)
    rows = factor[:, None] * covariance.template(theta)
    return covariance.nearest(rows @ rows.T)


def natural_units(problem: Problem, beta: Array) -> Array:
    """Return the natural size of an effect on each linear predictor, shape (K,); see `Start`."""
    units = np.ones(len(problem.predictors))
    in_units_of_data = [
        k for k in problem.active() if not on_own_scale(problem.predictors[k].parameter.link)
    ]
    if not in_units_of_data:
        return units
    n, *spreads = total(problem, _spreads, beta, tuple(in_units_of_data))
    for k, (squares, curvature) in zip(in_units_of_data, spreads, strict=True):
        information = float(curvature) / n
        if np.isfinite(information) and information > 0.0:
            # the same at an estimated dispersion; a fixed one may be far below the spread of data
            spread = float(np.sqrt(squares / n)) / information
            units[k] = max(1.0 / np.sqrt(information), spread)
    return units


def _spreads(problem: Problem, beta: Array, predictors: tuple[int, ...]) -> Sums:
    """Return the number of rows and, for each predictor, sums of squared scores and curvatures."""
    return reduce(add, (_spread(part, beta, predictors) for part in _without_effects(problem)))


def _spread(problem: Problem, beta: Array, predictors: tuple[int, ...]) -> Sums:
    derivatives = _evaluate(problem, beta)[1]
    found = []
    for k in predictors:
        first, second = derivatives.get(k), derivatives.get(k, k)
        sums = np.zeros(2)
        if first is not None and second is not None:
            sums = np.array([np.sum(np.square(first)), np.sum(np.abs(second))])
        found.append(sums)
    return Sums(problem.n, *found)


def _without_effects(problem: Problem) -> Iterator[Problem]:
    """Yield the rows of a problem without its terms, a chunk of many at a time."""
    rows = chunks(problem)
    if len(rows) == 1:
        yield problem
        return
    bare = replace(problem, terms=())
    for each in rows:
        yield subset(bare, each)


def on_own_scale(link: Link) -> bool:
    """Return whether a link leads from a bounded scale to the whole line: log, logit."""
    return any(map(isfinite, link.domain)) and not any(map(isfinite, link.eta_domain))


@dataclass(frozen=True)
class _Slopes:
    """The model without random effects at some coefficients: sums over rows.

    Attributes
    ----------
    value : float
        The log-likelihood.
    gradient, information : ndarray, shape (n_beta,), (n_beta, n_beta)
    exact : bool
        Whether no row pulls at its mean.
    """

    value: float
    gradient: Array
    information: Array
    exact: bool

    @classmethod
    def at(cls, problem: Problem, beta: Array) -> _Slopes:
        rows = layout_of(problem).problem
        found = compiled_slopes(rows, beta)
        if found is not None:
            value = found.value if np.isfinite(found.value) else -np.inf
            return cls(value, found.gradient, found.information, found.pull <= NO_PULL)
        return reduce(add, [cls._of(part, beta) for part in _without_effects(rows)])

    @classmethod
    def _of(cls, rows: Problem, beta: Array) -> _Slopes:
        value, derivatives = _evaluate(rows, beta)
        gradient, information = _gradient_information(rows, derivatives)
        return cls(value, gradient, information, leaves_nothing(derivatives))

    def __add__(self, other: _Slopes) -> _Slopes:
        return _Slopes(
            self.value + other.value,
            self.gradient + other.gradient,
            self.information + other.information,
            self.exact and other.exact,
        )


def _fit_coefficients(problem: Problem) -> Array:
    """Return the coefficients of the model without random effects, by damped Newton steps."""
    beta = first_coefficients(problem)
    if beta.size == 0:
        return beta
    holding = _holding_curvature(problem)
    found = _climbed(problem, beta, holding)
    if found is not None:
        return found
    here: _Slopes = total(problem, _Slopes.at, beta)
    if not np.isfinite(here.value):
        beside = first_coefficients(problem, beside_offsets=True)
        there: _Slopes = total(problem, _Slopes.at, beside)
        beta, here = (beside, there) if np.isfinite(there.value) else (beta, here)
    first, value = beta, here.value
    worst, damping, watch = value, 0.0, Watch(problem, value)
    for _ in range(MAX_ITERATIONS):
        watch.see(value)
        gradient = here.gradient - holding @ (beta - first)
        information = here.information + holding
        step, decrement = _newton_step(gradient, information, damping)
        tol = TOL_DECREMENT * max(value - worst, 1.0) if problem.terms else TOL_DECREMENT_ALONE
        if decrement < tol:
            if here.exact:
                refuse_exact(problem)
            return beta + step if damping == 0.0 else beta
        for _ in range(MAX_HALVINGS):
            moved: _Slopes = total(problem, _Slopes.at, beta + step)
            candidate = moved.value
            candidate -= 0.5 * float((beta + step - first) @ holding @ (beta + step - first))
            if candidate >= value:
                break
            damping = max(4.0 * damping, 1e-3)
            step, decrement = _newton_step(gradient, information, damping)
        else:
            return beta
        beta, value, here = beta + step, candidate, moved
        damping = damping / 4.0 if damping > 1e-4 else 0.0
    return beta


def _climbed(problem: Problem, beta: Array, holding: Array) -> Array | None:
    """Return where the same steps end in compiled code; None where it has no answer."""
    if problem.parts is not None:
        return None
    rows = layout_of(problem).problem
    if compiled_rows(rows) is None:
        return None
    random = bool(problem.terms)
    rise = Watch(problem, 0.0).ceiling
    tol = TOL_DECREMENT if random else TOL_DECREMENT_ALONE
    return compiled_climb(
        rows, Climb(beta, holding, tol, random, rise, NO_PULL, MAX_ITERATIONS, MAX_HALVINGS)
    )


def _holding_curvature(problem: Problem) -> Array:
    """Return the curvature that holds further predictors back, shape (n_beta, n_beta)."""
    curvature = np.zeros((problem.n_beta, problem.n_beta))
    for k, place in enumerate(problem.beta_slices()):
        if k > 0:
            here = slice(place.start - problem.n_theta, place.stop - problem.n_theta)
            curvature[here, here] = HOLDING_CURVATURE * mean_gram(problem, k)
    return curvature


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
    while damping < 1e12:
        damped = information
        if damping:
            damped = information + damping * np.diag(np.abs(np.diag(information)) + 1e-10)
        _, step, failed = lapack.dposv(damped, gradient)
        if failed:
            damping = max(10.0 * damping, 1e-3)
            continue
        return np.asarray(step), 0.5 * float(gradient @ step)
    return np.zeros_like(gradient), 0.0
