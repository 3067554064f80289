"""Coordinates in which the outer problem is nearly spherical.

`psi = origin + B z`, with B chosen so that a step of 1 in z is about one standard error: the
inverse root of the marginal information for the coefficients, a rough standard error for each
theta. Theta is only scaled, so that its bounds stay bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from interlace_core.calculus.dense import eigh
from interlace_core.contract.approximation import Approximation, Shortcuts
from interlace_core.contract.covariance import Covariance, response_slopes, template_slopes
from interlace_core.contract.kernels import CompiledObjective
from interlace_core.contract.parts import Sums, total
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.engine.across import point_of, reduced
from interlace_core.engine.across_search import AcrossSearch
from interlace_core.engine.gram import weighted_gram
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.known import has_across
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.engine.mode import Mode, ModeSettings, find_mode
from interlace_core.engine.parts import chunks, subset
from interlace_core.engine.shares import mode_at, objective_in
from interlace_core.fitting.constants import mean_gram
from interlace_core.fitting.start import Start
from interlace_core.records import Array, BoolArray, Information, IntArray

LOOSE = ModeSettings(tol_sq_decrement=1e-4)
"""Scales need no exact mode."""

SEVERAL = 6
"""Numbers of a structure from which a search is slow to find their scales by itself."""

MOST_WORK = 4e9
"""Numbers of a structure times the cube of its columns up to which its expected information is
made: seconds of products of matrices, where one evaluation takes as long."""

REL_FLOOR = 1e-13
"""Eigenvalue of the information, its diagonal 1, below which rounding is all that it holds.
Columns have a tenth of their own at least; what the data do not determine has less."""


LONGEST_STEP, LONGEST_REACH = 2.0, 0.5
"""Largest step of a search, in standard errors, or in natural units of a linear predictor where
that is more: with many rows the start is dozens of standard errors from the estimates."""


@dataclass(frozen=True)
class Coordinates:
    """An affine change of variables, psi = origin + B z.

    Attributes
    ----------
    origin : ndarray, shape (n_psi,)
    B : ndarray, shape (n_psi, m)
        Column j moves one theta alone, for the first `n_theta` columns, or coefficients only.
    lower, upper : ndarray, shape (m,)
        Bounds in z.
    n_theta : int
    reach : ndarray, shape (m,), or None
        By how much a step of 1 moves a linear predictor at the most, in natural units.
    """

    origin: Array
    B: Array
    lower: Array
    upper: Array
    n_theta: int
    reach: Array | None = None

    @cached_property
    def bounded(self) -> bool:
        """Whether some z has a bound."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    def psi(self, z: Array) -> Array:
        """Return psi at z."""
        return self.origin + self.B @ z

    def gradient(self, gradient_psi: Array) -> Array:
        """Return the gradient in z from that in psi."""
        return self.B.T @ gradient_psi

    def around(self, psi: Array) -> Coordinates:
        """Return the same scales with another origin."""
        shift = np.zeros(self.lower.size)
        shift[: self.n_theta] = (psi - self.origin)[: self.n_theta] / self.theta_scale()
        return replace(self, origin=psi, lower=self.lower - shift, upper=self.upper - shift)

    def longest(self) -> Array:
        """Return the largest step of a search in each entry of z, shape (m,)."""
        usual = np.full(self.lower.size, LONGEST_STEP)
        if self.reach is None:
            return usual
        return np.asarray(np.maximum(usual, LONGEST_REACH / np.maximum(self.reach, 1e-300)))

    def theta_scale(self) -> Array:
        """Return the step in each theta per unit of its z, shape (n_theta,)."""
        return np.diagonal(self.B)[: self.n_theta].copy()


def precondition(
    problem: Problem,
    start: Start,
    profiled: slice,
    u: Array,
    shortcuts: Shortcuts | None = None,
    informed: Callable[[Array], Information | None] | None = None,
    penalty: Array | None = None,
    summed: Approximation | None = None,
) -> Coordinates:
    """Return coordinates scaled by the information at the start, without the profiled entries.

    Parameters
    ----------
    problem, start, profiled
        Where the coordinates have their origin, and the entries of psi left out.
    u : ndarray, shape (q,)
        The conditional mode there, or a guess at it; not looked at where rows lie in parts.
    shortcuts : Shortcuts, optional
        The approximation's own.
    informed : callable, optional
        From psi to the information there, in compiled code; None for what it has no answer for.
    penalty : ndarray, shape (n_psi, n_psi), optional
        Curvature of what the objective holds beside the likelihood.
    summed : Approximation, optional
        Whose objectives of parts are added: they may have compiled code for the information.
    """
    psi = start.psi
    n_theta = problem.n_theta
    searched = np.ones(psi.size, dtype=bool)
    searched[:n_theta] = searched[profiled] = False
    beta = np.flatnonzero(searched)
    B = np.zeros((psi.size, n_theta + beta.size))
    sizes = [start.size(problem, index) for index in range(len(problem.terms))]
    sds = [size / _positive(t.sizes) for t, size in zip(problem.terms, sizes, strict=True)]
    ask = shortcuts.information if shortcuts else informed
    known = None if ask is None else ask(psi)
    if known is not None or shortcuts:
        told = _told(problem, known, sds)
    elif problem.parts is not None and has_across(problem):
        told = _told_across(problem, psi, sds)
    else:
        told = total(problem, _told_by_rows, psi, u, sds, summed)
    scales = [
        _theta_scale(term, size, each, own, start.usual_theta(term, place, size))
        for term, place, size, each, own in zip(
            problem.terms, problem.theta_slices(), sizes, told.counts(problem),
            told.of_effects(problem), strict=True,
        )
        if term.theta_of is None
    ]  # fmt: skip
    scale = np.concatenate([*scales, np.zeros(0)])
    if penalty is not None:
        scale = scale / np.sqrt(1.0 + np.square(scale) * np.diagonal(penalty)[:n_theta])
    np.fill_diagonal(B[:n_theta, :n_theta], scale)
    if beta.size:
        information = told.coefficients
        information = np.eye(problem.n_beta) if information is None else information
        information = _with_unseen(problem, information, searched)
        if penalty is not None:
            information = information + penalty[n_theta:, n_theta:]
        if beta.size < problem.n_beta:
            information = information[np.ix_(beta - n_theta, beta - n_theta)]
        B[beta[:, None], np.arange(n_theta, B.shape[1])[None, :]] = _inverse_root(information)
    return replace(_with_bounds(problem, psi, B), reach=reach_on_eta(problem, start.units, B))


def reach_on_eta(problem: Problem, units: Array, moves: Array) -> Array:
    """Return by how much moves of psi move a predictor at the most, in its natural units.

    Parameters
    ----------
    problem : Problem
    units : ndarray, shape (K,)
    moves : ndarray, shape (n_psi, m)

    Returns
    -------
    ndarray, shape (m,)
    """
    reach = np.full(moves.shape[1], 1e-300)
    for k, place in enumerate(problem.beta_slices()):
        if place.stop > place.start:
            own = moves[place]
            square = np.einsum("im,im->m", own, mean_gram(problem, k) @ own)
            reach = np.maximum(reach, np.sqrt(np.maximum(square, 0.0)) / units[k])
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        size = float(np.max(term.sizes / term.own(units), initial=0.0))
        reach = np.maximum(reach, size * np.max(np.abs(moves[place]), axis=0, initial=0.0))
    return reach


def coordinates_of(
    problem: Problem, psi: Array, searched: IntArray, covariance: Array
) -> Coordinates:
    """Return coordinates scaled by a known covariance of the entries that are searched.

    Parameters
    ----------
    problem : Problem
    psi : ndarray, shape (n_psi,)
        Their origin.
    searched : ndarray of intp, shape (m,)
        Theta, and the coefficients that are not profiled.
    covariance : ndarray, shape (m, m)
        Positive definite.
    """
    n_theta = problem.n_theta
    B = np.zeros((psi.size, searched.size))
    theta, beta = np.arange(n_theta), np.arange(n_theta, searched.size)
    B[theta, theta] = np.sqrt(np.diagonal(covariance)[:n_theta])
    root = np.linalg.cholesky(covariance[n_theta:, n_theta:])
    B[searched[beta][:, None], beta] = root
    return _with_bounds(problem, psi, B)


def _with_bounds(problem: Problem, psi: Array, B: Array) -> Coordinates:
    """Return coordinates within the bounds of the covariance parameters."""
    lower, upper = np.full(B.shape[1], -np.inf), np.full(B.shape[1], np.inf)
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        if term.covariance.crosses_bounds:
            continue
        low, high = term.covariance.bounds()
        scale = np.diagonal(B)[place]
        lower[place] = (low - psi[place]) / scale
        upper[place] = (high - psi[place]) / scale
    return Coordinates(psi, B, lower, upper, problem.n_theta)


def information_of_rows(problem: Problem, psi: Array, u: Array) -> Information | None:
    """Return the information at psi from the mode of the random effects; None if not found."""
    conditional = Conditional(layout_of(problem, chains=True), psi)
    mode = find_mode(conditional, u, LOOSE)
    if mode is None:
        return None
    effects = [
        np.einsum("aal->al", mode.information[f, f])
        for f in range(len(conditional.layout.structure.factors))
    ]
    return Information(marginal_information(conditional, mode), conditional.layout.by_term(effects))


@dataclass(frozen=True)
class _Told:
    """What rows tell about coefficients and about the sizes of effects; adds up.

    Attributes
    ----------
    coefficients : ndarray, shape (n_beta, n_beta), or None
        Information about them; None where some rows have no mode.
    levels : list of ndarray, shape (c,), one per term
        Levels that tell about each column: one with information w about its effect, of standard
        deviation t, tells as much about t as r^2 levels whose effects are known, with r = t^2 w /
        (1 + t^2 w) its reliability.
    effects : list of ndarray, shape (c,), one per term
        w summed over levels; shape (0,) where that is not known.
    """

    coefficients: Array | None
    levels: list[Array]
    effects: list[Array]

    def __add__(self, other: _Told) -> _Told:
        if self.coefficients is None or other.coefficients is None:
            return _Told(None, [], [])
        levels = [a + b for a, b in zip(self.levels, other.levels, strict=True)]
        effects = [a + b for a, b in zip(self.effects, other.effects, strict=True)]
        return _Told(self.coefficients + other.coefficients, levels, effects)

    def of_effects(self, problem: Problem) -> list[Array | None]:
        """Return the information about each column's effect of a usual level, (c,) per term.

        None where nothing is known.
        """
        if self.coefficients is None:
            return [None] * len(problem.terms)
        return [
            each * term.level_size**2 / max(len(term.levels), 1) if each.size else None
            for term, each in zip(problem.terms, self.effects, strict=True)
        ]

    def counts(self, problem: Problem) -> list[Array]:
        """Return the number of levels that tell about each column, at least 1, (c,) per term."""
        if self.coefficients is None:
            return [np.full(t.Z.shape[1], float(len(t.levels))) for t in problem.terms]
        return [np.maximum(each, 1.0) for each in self.levels]


def _told(problem: Problem, known: Information | None, sds: list[Array]) -> _Told:
    """Return what information tells, at standard deviations of each term's columns."""
    if known is None:
        return _Told(None, [], [])
    levels = [np.zeros(term.Z.shape[1]) for term in problem.terms]
    effects = list(levels)
    for own, factor in zip(
        known.effects, layout_of(problem, rows="any").structure.factors, strict=True
    ):
        for index, place in factor.terms:
            levels[index] = _reliable(own[place], sds[index] * problem.terms[index].level_size)
            effects[index] = np.sum(np.maximum(own[place], 0.0), axis=1)
    return _Told(known.coefficients, levels, effects)


def _told_by_rows(
    problem: Problem, psi: Array, u: Array, sds: list[Array], summed: Approximation | None = None
) -> _Told:
    """Return what the rows of a problem, or of a part of one, tell."""
    objective = None if summed is None else objective_in(problem, summed)
    known = objective.information(psi) if isinstance(objective, CompiledObjective) else None
    if known is not None:
        return _told(problem, known, sds)
    layout = layout_of(problem)
    if u.size != layout.structure.q:
        u = mode_at(problem, psi)
    found = None
    for part, own in _divided(layout, u):
        told = _told(part, information_of_rows(part, psi, own), sds)
        part.cache.clear()  # refers to itself, and to all rows
        found = told if found is None else found + told
    return _told(problem, information_of_rows(problem, psi, u), sds) if found is None else found


def _divided(layout: Layout, u: Array) -> Iterator[tuple[Problem, Array]]:
    """Yield the levels of one factor of many rows by parts, with their u; nothing of other models.

    Levels are independent given psi: what they tell adds up.
    """
    factors, problem = layout.structure.factors, layout.problem
    if len(factors) != 1 or not factors[0].independent or problem.correlation is not None:
        return
    starts = factors[0].rows.starts
    if starts is None or len(rows := chunks(problem, starts)) < 2:
        return
    u = u.reshape(factors[0].shape)
    for each in rows:
        levels = slice(*np.searchsorted(starts, (each.start, each.stop)))
        yield subset(problem, each), u[:, levels].ravel()


def _told_across(problem: Problem, psi: Array, sds: list[Array]) -> _Told:
    """Return what rows in parts tell that share random effects."""
    found = AcrossSearch(problem, LOOSE)(psi)
    if found is None:
        return _Told(None, [], [])
    assert problem.parts is not None
    active = tuple(k for k in problem.active() if problem.predictors[k].X.shape[1])
    _, _, _, below, _ = problem.parts.total(reduced, LOOSE, psi, found.u, active)
    beside, own = below[:, : found.u.size], below[:, found.u.size :]
    coefficients = own - beside @ found.curvature.solve(beside.T)
    found_levels, found_effects = problem.parts.total(_told_of_levels, psi, found.u, sds)
    levels, effects = list(found_levels), list(found_effects)
    for index, (term, sd) in enumerate(zip(problem.terms, sds, strict=True)):
        if term.across:
            levels[index] = _reliable(effects[index], sd * term.level_size)
    return _Told(coefficients, levels, [np.zeros(0)] * len(levels))


def _told_of_levels(part: Problem, psi: Array, u: Array, sds: list[Array]) -> Sums:
    """Return what a part's own levels tell, and the information about effects of all parts."""
    at = point_of(part, LOOSE, psi, u)
    levels, effects = [np.zeros(0)] * len(part.terms), [np.zeros((0, 0))] * len(part.terms)
    for f, factor in enumerate(at.conditional.layout.structure.factors):
        own = np.einsum("aal->al", at.information[f, f])
        for index, place in factor.terms:
            size = sds[index] * part.terms[index].level_size
            levels[index] = _reliable(own[place], size)
            effects[index] = own[place] if factor.across else np.zeros((0, 0))
    return Sums(Sums(*levels), Sums(*effects))


def _reliable(information: Array, sd: Array) -> Array:
    """Return how many levels tell about each column, (c,), from information, shape (c, L)."""
    pull = np.square(sd)[:, None] * np.maximum(information, 0.0)
    return np.asarray(np.sum(np.square(pull / (1.0 + pull)), axis=1))


def marginal_information(conditional: Conditional, mode: Mode) -> Array:
    """Return X'WX - X'WZ Lambda H^-1 Lambda'Z'WX over all coefficients, shape (n_beta, n_beta).

    The information about beta with the random effects integrated out at fixed theta, up to the
    curvature of log|H|.
    """
    problem, structure = conditional.layout.problem, conditional.layout.structure
    derivatives = mode.point.derivatives
    active = [k for k in problem.active() if problem.predictors[k].X.shape[1]]
    if not active:
        return np.zeros((0, 0))
    blocks: list[list[Array]] = []
    for k in active:
        X = problem.predictors[k].X
        row = []
        for m in active:
            second = derivatives.get(k, m)
            zero = np.zeros((X.shape[1], problem.predictors[m].X.shape[1]))
            Y = problem.predictors[m].X
            row.append(zero if second is None else -weighted_gram(X, second, Y))
        blocks.append(row)
    information = np.block(blocks)
    cross, solved = [], []
    for k in active:
        for x in problem.predictors[k].X.T:
            rows = {
                r: None if (d := derivatives.get(r, k)) is None else d * x
                for r in structure.random_predictors
            }
            pulled = conditional.pull(rows)
            cross.append(pulled)
            solved.append(structure.join(mode.factorisation.solve(structure.split(pulled))))
    if structure.q:
        information = information - np.array(cross) @ np.array(solved).T
    return np.asarray(information)


def _with_unseen(problem: Problem, information: Array, searched: BoolArray) -> Array:
    """Return the information with one unit per row on predictors of which no row tells by itself.

    Such as a correlation of rows: pairs of rows tell of it, one pair about as much as this.
    """
    for k in problem.active():
        place = problem.beta_slices()[k]
        here = slice(place.start - problem.n_theta, place.stop - problem.n_theta)
        if searched[place].any() and not np.any(information[here, here]):
            information[here, here] = problem.n * mean_gram(problem, k)
    return information


def _theta_scale(
    term: RandomTerm, sizes: Array, levels: Array, effects: Array | None, theta: Array
) -> Array:
    """Return a rough standard error of each theta: relative, times the start.

    L levels with known effects tell a standard deviation to about 1 / sqrt(2 L) relative; a
    parameter's reach on the scale of eta is the template's response to it times the covariate's
    root mean square. A theta that moves many entries of the template at once, as that of a
    correlation of many levels does, has the standard error of the expected information.

    Parameters
    ----------
    term : RandomTerm
    sizes : ndarray, shape (c,)
        On eta, at the start.
    levels : ndarray, shape (c,)
        Levels that tell about each column.
    effects : ndarray, shape (c,), or None
        Information about the effects of a usual level, where it is known.
    theta : ndarray, shape (n_theta,)
        At the start's size: the reach of a correlation's parameter is that of the deviations.
    """
    # in the size of the first column: of one predictor all are that as a rule
    size = term.sizes / (sizes / sizes[0]) * np.sqrt(2.0 * levels)
    covariance = term.covariance
    placed, reach = covariance.placement(), np.zeros(covariance.n_theta)
    if placed is not None:  # each theta moves the columns where it stands by itself
        np.add.at(reach, placed[:, 0], size[placed[:, 1]])
        return np.asarray(sizes[0] / _positive(reach))
    work = covariance.n_theta * float(covariance.size) ** 3
    asked = effects is not None and covariance.n_theta >= SEVERAL and work <= MOST_WORK
    # loadings turn about one another, and alone each is told much more of than together
    if asked and covariance.full_rank and covariance.chain(theta) is None:
        assert effects is not None
        return _expected_errors(covariance, len(term.levels), effects, theta)
    reach[:] = [float(np.sum(size * each)) for each in _responses(covariance, theta)]
    return np.asarray(sizes[0] / _positive(reach))


def _expected_errors(covariance: Covariance, n_levels: int, effects: Array, theta: Array) -> Array:
    """Return the standard error of each theta with all others known, shape (n_theta,).

    By the expected information `L / 2 tr(B dS B dS)` about S = T T' of levels with information A,
    a diagonal, about their effects: B = A - A T V^-1 T' A with V = I + T' A T. At the most as much
    as changes a column by its own size.
    """
    T = covariance.template(theta)
    AT = effects[:, None] * T
    V_inverse = np.linalg.inv(np.eye(len(T)) + T.T @ AT)
    TB = V_inverse @ AT.T
    B, TBT = np.diag(effects) - AT @ TB, np.eye(len(T)) - V_inverse
    largest = float(np.max(np.linalg.norm(T, axis=1), initial=0.0))
    found = np.ones(theta.size)
    for k, slope in enumerate(template_slopes(covariance, theta)):
        half = TB @ slope
        information = np.sum(half * half.T) + np.sum((B @ slope) * (slope @ TBT))
        most = float(np.max(np.linalg.norm(slope, axis=1), initial=0.0))
        usual = largest / most if most > 0.0 and largest > 0.0 else 1.0
        found[k] = usual / np.sqrt(1.0 + n_levels * max(float(information), 0.0) * usual**2)
    return found


def _responses(covariance: Covariance, theta: Array) -> Iterator[Array]:
    """Yield how far each column's effect goes with each theta, shape (c,)."""
    if covariance.chain(theta) is None:
        return (np.sum(np.abs(slope), axis=1) for slope in template_slopes(covariance, theta))
    return (np.abs(slope) for slope in response_slopes(covariance, theta))


def _positive(values: Array) -> Array:
    """Return the values with 1 in place of those that are not positive."""
    return np.where(values > 0, values, 1.0)


def _inverse_root(information: Array) -> Array:
    """Return R^-1 with R'R the information, directions without information left short.

    The information is brought to a diagonal of 1 first, so that units and zero points of the
    columns do not decide which directions count as empty: (mean / sd)^2 of a column would.
    """
    own = np.abs(np.diagonal(information))
    size = np.sqrt(np.where(own > 0, own, 1.0))
    values, vectors = eigh(information / size / size[:, None])
    floor = REL_FLOOR * float(np.abs(values).max())
    # the start can lie where the likelihood is not concave: its curvature is still a scale
    return np.asarray(vectors / np.sqrt(np.maximum(np.abs(values), floor)) / size[:, None])
