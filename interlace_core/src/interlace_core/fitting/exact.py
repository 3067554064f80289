"""A response that the model predicts exactly: the residual is 0, and the likelihood has no maximum.

The log-density of every row then grows without end as its standard deviation falls. A search that
sees the log-likelihood rise by far more than data with a residual let it (`Watch`) asks whether the
response is a combination of the covariates and the groups' effects, and whether the density really
grows; only then is the model refused, in words. Covariates and effects that reach every row by
itself, such as those of a time series with one row at a time, give any response: that tells nothing
of this one, and the likelihood has a limit as the residual goes to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from interlace_core.contract.incidence import Incidence
from interlace_core.contract.parts import total
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.engine.joint_density import weighted_derivatives
from interlace_core.engine.parts import subset
from interlace_core.messages.errors import ExactResponseError
from interlace_core.records import Array, BoolArray, Derivatives, Evaluation, IntArray, Status

RISE = 4.0
"""Log-density per row above the first value at which one looks: a residual standard deviation of a
50th of what it was. Rare, so that it costs ordinary fits a comparison of two numbers."""

EXACT = 1e-13
"""Residual, relative to the response, that is rounding: of it, and of what it is made of."""

REACH = (10.0, 20.0)
"""Steps in a further parameter's predictor at which an unbounded density still grows."""

LEAST_GROWTH = 0.4
"""Log-density per row and unit of predictor that counts as growing: it is 1 where the predictor is
the logarithm of a standard deviation, and 1/2 where it is that of a variance or of a precision."""

NO_PULL = 1e-4
"""Squared slope of a row's log-density in the mean's predictor, relative to its curvature, at which
one looks closer: residuals of a 100th of their standard deviation in all rows are no residuals."""

END = 20.0
"""Predictor, beyond the others', that stands for a mean at the end of its range."""

MEETS = 1e-6
"""Residual, relative to the range of the response, at which one looks closer."""

SOLVES = 4
"""Least-squares solutions, each of the residual of the last, of as many digits as one gives."""

STEPS = 500
"""Steps for one of them; grouped data take some tens."""


NOISE = 1
"""Seed of the response that stands for any."""

FEW_ROWS = 4096
"""Rows that are asked before all: they nearly always tell, in a hundredth of the memory."""


class Watch:
    """Notices a log-likelihood that rises as it does where nothing is left to explain.

    Parameters
    ----------
    problem : Problem
    value : float
        Log-likelihood at the first point.
    copies : bool
        Whether a weight above 1 is copies of its row, and not a precision.
    """

    def __init__(self, problem: Problem, value: float, copies: bool = True) -> None:
        self._problem, self._copies = problem, copies
        effects = sum(term.n_effects for term in problem.terms)
        n = total(problem, _rows_told)
        rows = max(n - effects, n / 8.0)
        each = total(problem, _weight) / problem.n if copies else 1.0
        self.ceiling = value + RISE * rows * each

    def see(self, value: float) -> None:
        """Look at a log-likelihood; look closer, once, where it is too high.

        Raises
        ------
        ExactResponseError
            If the model predicts the response exactly.
        """
        if value > self.ceiling:
            self.ceiling = np.inf
            refuse_exact(self._problem, self._copies)


class Watched:
    """An objective that is watched from its first value on.

    Parameters
    ----------
    problem : Problem
    evaluate : callable
    copies : bool
        As in `Watch`.
    """

    def __init__(
        self, problem: Problem, evaluate: Callable[[Array], Evaluation], copies: bool = True
    ) -> None:
        self.problem, self.evaluate, self.copies = problem, evaluate, copies
        self._watch: Watch | None = None

    def __call__(self, psi: Array) -> Evaluation:
        """Return the evaluation at psi.

        Raises
        ------
        ExactResponseError
            If the model predicts the response exactly.
        """
        evaluation = self.evaluate(psi)
        if evaluation.status is Status.OK and np.isfinite(evaluation.value):
            if self._watch is None:
                self._watch = Watch(self.problem, -evaluation.value, self.copies)
            self._watch.see(-evaluation.value)
        return evaluation

    @property
    def floor(self) -> float:
        """The value below which one would look closer."""
        return -np.inf if self._watch is None else -self._watch.ceiling


def _rows_told(problem: Problem) -> int:
    """Return how many rows tell anything of the mean."""
    if problem.family.is_discrete or problem.family.linear_normal:
        return problem.n  # never refused, or all
    return int(np.count_nonzero(_told(problem)))


def _weight(problem: Problem) -> float:
    """Return the sum of the rows' weights."""
    return float(problem.n if problem.weights is None else np.sum(problem.weights))


def leaves_nothing(derivatives: Derivatives) -> bool:
    """Return whether no row pulls at its mean: each is where its own density is highest."""
    first, second = derivatives.get(0), derivatives.get(0, 0)
    if first is None or second is None:
        return False
    return bool(np.all(np.square(first) <= NO_PULL * np.abs(second)))


def refuse_exact(problem: Problem, copies: bool = True) -> None:
    """Refuse a response that the model predicts exactly, if its density is then unbounded.

    Never one of discrete data, whose probability is at most 1, nor where covariates and effects
    give any response. Of rows in parts every part has to be predicted exactly.

    Parameters
    ----------
    problem : Problem
    copies : bool
        Whether a weight above 1 is copies of its row, which share its effects, and not a precision.

    Raises
    ------
    ExactResponseError
        Names the parameter that goes to its limit.
    """
    found = _Exact() if problem.family.is_discrete else total(problem, _Exact.of, copies)
    if found.growing is None:
        return
    name = problem.predictors[found.growing].parameter.name
    hint = " Weights above 1 are copies of a row." if found.weighted else ""
    raise ExactResponseError(
        f"family {problem.family.name!r} needs a residual to estimate {name} from, but this model "
        "predicts the response exactly: a combination of its covariates and groups gives every "
        "row's value, to rounding, and the log-likelihood grows without end as the residual goes "
        "to 0. Check how the response was made (a copy, a sum or a mean of other columns, one "
        f"value for each group?), leave out the terms that it was made of, or fix {name}.{hint}"
    )


@dataclass(frozen=True)
class _Exact:
    """The predictor along which the density grows without end; None if rows leave a residual."""

    growing: int | None = None
    weighted: bool = False

    @classmethod
    def of(cls, problem: Problem, copies: bool) -> _Exact:
        if not copies and problem.weights is not None:
            problem = replace(problem, weights=None)  # precisions leave the answer as it is
        told = _told(problem)
        if not np.all(told):
            problem = subset(problem, np.flatnonzero(told).astype(np.intp))
        eta = _best_predictor(problem) if problem.n else None
        if eta is None or not _may_be_predicted(problem, eta):
            return cls()
        growing = _growing(problem, eta)
        if growing is None or not _is_predicted(problem, eta, _has_random_effects(problem)):
            return cls()
        if _give_any_response(problem, eta) and not _is_predicted(problem, eta, False):
            return cls()
        return cls(growing, problem.weights is not None)

    def __add__(self, other: _Exact) -> _Exact:
        return self if self.growing == other.growing else _Exact()


def _told(problem: Problem) -> BoolArray:
    """Return which rows tell anything of the mean, shape (n,): not the zeros of a hurdle."""
    start = problem.family.start(problem.y, problem.weights)
    eta = [np.full(problem.n, each) for each in start]
    with np.errstate(all="ignore"):
        found = problem.family.derivatives(problem.y, eta, 2, (0,))
    parts = [each for each in (found.get(0), found.get(0, 0)) if each is not None]
    return np.asarray(np.any([np.broadcast_to(each != 0.0, problem.n) for each in parts], axis=0))


def _best_predictor(problem: Problem) -> Array | None:
    """Return the mean's predictor that gives the response, shape (n,); None if there is none.

    Where the response is at an end of its range, which no predictor gives, one far out.
    """
    observed = problem.family.observed(problem.y)
    if observed.shape != (problem.n,):
        return None
    with np.errstate(all="ignore"):
        eta = np.asarray(problem.predictors[0].parameter.link.eta(observed))
    inside = np.isfinite(eta)
    if np.any(np.isnan(eta)) or not np.any(inside):
        return None
    far = float(np.max(np.abs(eta[inside]))) + END
    return np.where(inside, eta, np.sign(eta) * far)


def _growing(problem: Problem, eta: Array) -> int | None:
    """Return the further predictor along which the density at its best mean grows without end."""
    start = problem.family.start(problem.y, problem.weights)
    at = [
        np.full(problem.n, constant) if predictor.X.shape[1] else predictor.offset
        for predictor, constant in zip(problem.predictors, start, strict=True)
    ]
    at[0] = eta
    least = LEAST_GROWTH * (REACH[1] - REACH[0]) * _weight_inside(problem)
    for k in problem.active():
        for sign in (-1.0, 1.0) if k else ():
            near, far = (_density(problem, at, k, sign * step) for step in REACH)
            if far - near > least:
                return k
    return None


def _weight_inside(problem: Problem) -> float:
    """Return the weight of the rows whose response is not at an end of its range."""
    with np.errstate(all="ignore"):
        eta = problem.predictors[0].parameter.link.eta(problem.family.observed(problem.y))
    inside = np.isfinite(eta)
    if problem.weights is None:
        return float(np.count_nonzero(inside))
    return float(np.sum(problem.weights[inside]))


def _density(problem: Problem, at: list[Array], k: int, step: float) -> float:
    moved = [each + step if j == k else each for j, each in enumerate(at)]
    value = weighted_derivatives(problem, moved, 0, ()).value
    return float(np.sum(value)) if np.all(np.isfinite(value)) else -np.inf


def _may_be_predicted(problem: Problem, eta: Array) -> bool:
    """Return whether some rows, of whole groups, can be eta: where they cannot, all cannot."""
    if problem.n <= FEW_ROWS or not problem.terms:
        return True
    largest = max(problem.terms, key=lambda term: len(term.levels))
    rows = np.flatnonzero(largest.codes < len(largest.levels) * FEW_ROWS // problem.n + 1)
    part = subset(problem, rows)
    return _is_predicted(part, eta[rows], _has_random_effects(problem))


def _is_predicted(problem: Problem, eta: Array, random: bool) -> bool:
    """Return whether fixed effects of the mean, and random ones if asked, can be eta, to rounding.

    As many effects as rows give any response, at no gain: the joint density of the effects falls
    by as much as that of the rows rises, but for rows of a weight above 1.
    """
    mean = problem.predictors[0]
    rest = _least_squares_rest(_columns(problem, random), eta - mean.offset)
    mu, slope = (np.abs(np.asarray(each)) for each in mean.parameter.link.derivatives(eta)[:2])
    size = np.max(np.abs(eta)) + np.max(np.abs(mean.offset))
    return bool(np.all(np.abs(rest) <= EXACT * (size + mu / slope)))


def _of_mean(problem: Problem) -> list[tuple[RandomTerm, IntArray]]:
    """Return the terms of the mean, each with the places of its columns there."""
    found = [(term, dict(term.by_predictor).get(0)) for term in problem.terms]
    return [(term, columns) for term, columns in found if columns is not None]


def _has_random_effects(problem: Problem) -> bool:
    """Return whether the mean has random effects too few to give any response."""
    effects = sum(columns.size * len(term.levels) for term, columns in _of_mean(problem))
    return effects > 0 and min(effects, problem.n) < _weight_inside(problem)


def _give_any_response(problem: Problem, eta: Array) -> bool:
    """Return whether fixed and random effects together can be other values than eta too.

    Noise of the size of eta is asked for: what gives that gives anything. A weight above 1 is
    copies of a row, which share its effects.
    """
    effects = sum(_n_reached(term, columns) for term, columns in _of_mean(problem))
    most = min(effects + problem.predictors[0].X.shape[1], problem.n)
    if not effects or most < problem.n or most < _weight_inside(problem):
        return False
    noise = np.random.default_rng(NOISE).normal(size=problem.n)
    return _is_predicted(problem, noise * np.max(np.abs(eta)), True)


def _n_reached(term: RandomTerm, columns: IntArray) -> int:
    """Return how many effects of the mean have a row, of a term."""
    Z = term.Z[:, columns]
    if isinstance(Z, Incidence):
        return int(np.unique(Z.cells(term.codes, len(term.levels))[Z.z != 0.0]).size)
    return sum(int(np.unique(term.codes[z != 0.0]).size) for z in Z.T)


def _columns(problem: Problem, random: bool) -> Any:
    """Return the mean's fixed, and random effects' columns, sparse, shape (n, effects).

    Orthonormal by design matrix: what they span together with a level's indicator is the same,
    and columns are of like size.
    """
    from scipy.sparse import csr_array, hstack

    blocks = [csr_array(np.linalg.qr(problem.predictors[0].X)[0])]
    for term, columns in _of_mean(problem) if random else ():
        shape = problem.n, len(term.levels)
        for q in np.linalg.qr(term.Z[:, columns])[0].T * np.sqrt(len(term.levels)):
            blocks.append(csr_array((q, (np.arange(problem.n), term.codes)), shape))
    return hstack(blocks, "csr")


def _least_squares_rest(columns: Any, rest: Array) -> Array:
    """Return what a least-squares fit leaves.

    Begun anew a few times: what is left is then computed from effects, and not carried along.
    """
    from scipy.sparse.linalg import lsqr

    for _ in range(SOLVES if columns.shape[1] else 0):
        solved = lsqr(columns, rest, atol=1e-15, btol=1e-15, conlim=0.0, iter_lim=STEPS)
        rest = rest - columns @ solved[0]
    return rest
