"""Frozen records that travel between the parts of a fit.

Shapes use the field's letters: n rows, p fixed effects, q random effects (all levels of all
terms), K distributional parameters. `eta` is the linear predictor, `u` the spherical random
effects (standard normal a priori), `b = Lambda u` the random effects on the scale of `eta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Response:
    """The response as a family's `log_density` wants it, with its weights.

    Attributes
    ----------
    y : ndarray, shape (n,) or (n, m)
        Response; a second axis where an observation is more than one number (successes and
        trials of a binomial).
    weights : ndarray, shape (n,), or None
        Multipliers of each row's log-density; None means 1.
    """

    y: Array
    weights: Array | None = None


@dataclass(frozen=True)
class Collapsed:
    """Rows that share every predictor, taken together: `m` of them where there were `n`.

    The log-density of a row times its weight, plus its constant, is the sum of the weighted
    log-densities of the rows it stands for, whatever the predictors are.

    Attributes
    ----------
    y : ndarray, shape (m,) or (m, columns)
        In the form of `Response.y`; need not be integers.
    weights : ndarray, shape (m,), or None
    constants : ndarray, shape (m,)
    """

    y: Array
    weights: Array | None
    constants: Array


@dataclass(frozen=True)
class RowKernel:
    """Compiled code that a family offers for its rows.

    Attributes
    ----------
    address : int
        Of a C function `int32 f(void *data, int64 n, double *columns, int64 ld_columns,
        double *eta, int64 ld, uint64 constant, uint8 *want, double *out)`. `eta` holds K columns
        and `out` one for each slot, each `ld` numbers from the next; bit k of `constant` says that
        predictor k is one number. There is a slot for the value and for each derivative up to the
        third, by length, then in the order of their predictors; `want` says by slot what is asked
        for. It returns 0, 2 for a slot that it does not offer, else a failure; it keeps no state,
        so that threads can share it.
    columns : ndarray, shape (n, m), in Fortran order
        What it wants to see of each row; of the rows of several responses, one after the other,
        what it would see of each response.
    data : object
        A buffer, or None: its address is `data`; kept alive with the record.
    abi : int
        Version of the signature above.
    """

    address: int
    columns: Array
    data: object = None
    abi: int = 1


@dataclass(frozen=True)
class Information:
    """How much the data tell about coefficients and about single random effects.

    Attributes
    ----------
    coefficients : ndarray, shape (n_beta, n_beta)
        Information about the coefficients with the random effects integrated out; of those that
        an approximation profiles out nothing need be said.
    effects : list of ndarray, shape (c, L), one per grouping factor
        That about each random effect on the scale of eta, all others known: the diagonal of
        Z'WZ. Factors are in the order of `layout_of(problem).structure.factors`.
    """

    coefficients: Array
    effects: list[Array]


@dataclass(frozen=True)
class CompiledFunction:
    """Compiled code for an objective as a function of psi, gradient and all.

    Attributes
    ----------
    address : int
        Of a C function `int32 f(void *context, double *psi, double *value, double *gradient,
        double *profiled, int64 *inner)`. It writes the value and its derivatives in psi, the
        entries of psi that the approximation profiles out (in their order), and the Newton steps
        of its mode. It returns 0, else there is no value. One thread is in it at a time.
    context : int
        Address of what it takes first.
    n_psi, n_profiled : int
    keep : object
        What must not be freed as long as the function is called.
    abi : int
        Version of the signature above.
    turn : int
        Of a C function `int32 t(void *context, int64 i)`, which points the objective to the i-th of
        the responses that it took (`CompiledObjective.take`), as if nothing had been evaluated
        before. It returns 0, else there is no such response. 0, the default, if there is none.
    hold : int
        Of a C function `void h(void *context, int32 back)`, which keeps what belongs to the last
        point, or brings it back: as if that had been evaluated last. 0, the default, if there is
        none.
    """

    address: int
    context: int
    n_psi: int
    n_profiled: int = 0
    keep: object = None
    abi: int = 1
    turn: int = 0
    hold: int = 0


@dataclass(frozen=True)
class CompiledPath:
    """What a compiled search did.

    Attributes
    ----------
    z : ndarray, shape (m,)
        The best point seen.
    value : float
    gradient : ndarray, shape (n_psi,)
        In psi.
    profiled : ndarray, shape (n_profiled,)
        Entries of psi that the objective determines itself; these three at z, where the function
        was evaluated last.
    reached : bool
        Whether the rule's own criterion was met.
    message : str
        How it ended, in words.
    path : ndarray, shape (k, 2)
        Value and largest entry of the gradient in z of each evaluation that succeeded, in order.
    n_searched : int
        Evaluations of the search alone.
    n_evaluations, n_failed, n_inner : int
        Of all: the search, the differences, and the last one.
    jacobian : ndarray, shape (m + n_profiled, m), or None
        Differences of [gradient in z, profiled entries] at z, by column of z; None where none were
        asked for, the search did not reach an end, or one of them has no value.
    """

    z: Array
    value: float
    gradient: Array
    profiled: Array
    reached: bool
    message: str
    path: Array
    n_searched: int
    n_evaluations: int
    n_failed: int = 0
    n_inner: int = 0
    jacobian: Array | None = None


@dataclass(frozen=True)
class CompiledEnds:
    """Where the compiled searches of many responses ended.

    Attributes
    ----------
    found : ndarray of bool, shape (count,)
        Whether there is an end; the rest means nothing where there is none.
    z : ndarray, shape (count, m)
    values : ndarray, shape (count,)
    slopes : ndarray, shape (count, m)
        Gradients in z there, evaluated when the search had ended.
    profiled : ndarray, shape (count, n_profiled)
        Entries of psi that the objective determines itself.
    hessians : ndarray, shape (count, m, m), or None
        In z, by central differences of the gradient, not made symmetric.
    counts : ndarray of int, shape (count, 3)
        Evaluations, those that failed, and Newton steps for modes.
    """

    found: BoolArray
    z: Array
    values: Array
    slopes: Array
    profiled: Array
    hessians: Array | None
    counts: IntArray


@dataclass(frozen=True)
class Derivatives:
    """Log-density per observation and its partial derivatives in the linear predictors.

    Attributes
    ----------
    value : ndarray, shape (..., n)
        Log-density with all constants.
    partials : mapping from sorted tuples of predictor indices to ndarray, shape (..., n)
        `partials[0, 0, 1]` is the third derivative, twice in `eta[0]` and once in `eta[1]`.
        A missing key is a derivative that is zero for every observation.
    """

    value: Array
    partials: Mapping[tuple[int, ...], Array]

    def get(self, *predictors: int) -> Array | None:
        """Return one partial derivative, or None where it is identically zero."""
        ordered = predictors if len(predictors) == 1 else tuple(sorted(predictors))
        return self.partials.get(ordered)


class Status(Enum):
    """How an evaluation or an optimisation ended."""

    OK = "ok"
    MODE_NOT_FOUND = "the conditional mode was not found"
    NOT_FINITE = "the objective is not finite"
    IMPOSSIBLE = "the log-likelihood is above 0, which no probability of discrete data can be"


@dataclass(frozen=True)
class Evaluation:
    """The objective at one point.

    Attributes
    ----------
    value : float
        Negative approximate log-likelihood, with all constants.
    gradient : ndarray, shape (n_psi,)
        Its exact derivative in psi; zero for entries that the approximation profiles out.
    mode : ndarray, shape (q,)
        Conditional mode of the spherical random effects u, laid out as in `Structure`.
    status : Status
        Whether value and gradient can be trusted.
    inner_iterations : int
        Newton steps that the mode took.
    profiled : Profiled, or None
        Where the approximation profiles some of psi out: their values here.
    """

    value: float
    gradient: Array
    mode: Array
    status: Status = Status.OK
    inner_iterations: int = 0
    profiled: Profiled | None = None


@dataclass(frozen=True)
class Profiled:
    """Entries of psi that an approximation determines itself, given the others.

    Attributes
    ----------
    values : ndarray, shape (m,)
        Their values, in the order of psi.
    covariance : ndarray, shape (m, m)
        Their covariance given the others.
    """

    values: Array
    covariance: Array


@dataclass(frozen=True)
class OptimizerResult:
    """Where an optimizer stopped and why.

    Attributes
    ----------
    x : ndarray
        The best point seen.
    value : float
        The objective there.
    success : bool
        Whether the optimizer's own criterion was met; never true for a spent budget or NaN.
    message : str
        The optimizer's words.
    n_evaluations : int
        Objective calls.
    """

    x: Array
    value: float
    success: bool
    message: str
    n_evaluations: int
