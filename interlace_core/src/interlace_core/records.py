"""Frozen records that travel between the parts of a fit.

Shapes use the field's letters: n rows, p fixed effects, q random effects (all levels of all
terms), K distributional parameters. `eta` is the linear predictor, `u` the spherical random
effects (standard normal a priori), `b = Lambda u` the random effects on the scale of `eta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from interlace_core.contracts import Covariance, Family, Parameter
    from interlace_core.numerics.conditional import Layout
    from interlace_core.numerics.relation import Relation
    from interlace_core.numerics.rowwise import RowCorrelation

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
        return self.partials.get(tuple(sorted(predictors)))


@dataclass(frozen=True)
class Predictor:
    """The linear predictor of one distributional parameter: `eta_k = X beta + offset + Z b`.

    Attributes
    ----------
    parameter : Parameter
        What it predicts, with its link.
    X : ndarray, shape (n, p_k)
        Fixed-effects design; p_k = 0 for a parameter fixed by the user.
    names : tuple of str, length p_k
        Coefficient names.
    offset : ndarray, shape (n,)
        Known part of the predictor, on the scale of eta; for a fixed parameter its value there.
    """

    parameter: Parameter
    X: Array
    names: tuple[str, ...]
    offset: Array


@dataclass(frozen=True)
class RandomTerm:
    """One random-effects term, such as `(1 + x | g)`.

    Attributes
    ----------
    label : str
        The term as written or as expanded, `1 + x | g`.
    predictor : int
        Index of the predictor it belongs to.
    group : str
        Name of the grouping factor, such as `herd` or `a:b`. Terms with the same name share
        levels and codes.
    codes : ndarray of intp, shape (n,)
        Level of each row, 0 to len(levels) - 1; every level occurs.
    levels : tuple of str
        Level names, in order.
    Z : ndarray, shape (n, c)
        Random-effects covariates (a column of ones for an intercept).
    names : tuple of str, length c
        Names of the columns of Z.
    covariance : Covariance
        Structure of the c x c covariance.
    relation : Relation, or None
        Known covariance of the levels, the same for all terms of a group; None where they are
        independent.
    options : tuple of (str, object)
        What `covariance` was made with beside the number of columns.
    """

    label: str
    predictor: int
    group: str
    codes: IntArray
    levels: tuple[str, ...]
    Z: Array
    names: tuple[str, ...]
    covariance: Covariance
    relation: Relation | None = None
    options: tuple[tuple[str, Any], ...] = ()

    @cached_property
    def sizes(self) -> Array:
        """Root mean square of each column of Z, times that of the levels, shape (c,)."""
        rms = np.sqrt(np.einsum("ij,ij->j", self.Z, self.Z) / len(self.Z))
        return np.asarray(self.level_size * rms)

    @cached_property
    def level_size(self) -> float:
        """Root mean square of the levels' known standard deviations; 1 where they have none."""
        if self.relation is None:
            return 1.0
        return float(np.sqrt(np.mean(np.sum(np.square(self.relation.root), axis=1))))

    @cached_property
    def reach(self) -> Array:
        """Root mean square of each column of Z over the rows where it is not 0, shape (c,)."""
        shares = np.count_nonzero(self.Z, axis=0) / len(self.Z)
        return np.asarray(self.sizes / np.sqrt(np.maximum(shares, 1e-300)))


@dataclass(frozen=True)
class RowReport:
    """What became of the user's rows.

    Attributes
    ----------
    index : object
        Index of the rows that were kept (a pandas Index).
    n_given, n_used : int
        Rows in the data and rows in the fit.
    missing : mapping from str to int
        Missing values per variable, for the variables that had any.
    """

    index: Any
    n_given: int
    n_used: int
    missing: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Problem:
    """A model and its data as immutable arrays: all that an approximation needs.

    The outer parameters are `psi = (theta, beta_1, ..., beta_K)`: the covariance parameters
    of all terms in order, then the coefficients of all predictors in order.
    """

    y: Array
    weights: Array | None
    family: Family
    predictors: tuple[Predictor, ...]
    terms: tuple[RandomTerm, ...]
    constants: Array | None = None
    """Added to each row's weighted log-density, shape (n,); None means 0."""
    correlation: RowCorrelation | None = None
    """Correlation of the rows' errors within groups; None means independent rows."""

    @cached_property
    def layout(self) -> Layout:
        """Rows sorted, structure and elimination plan: the symbolic work, done once."""
        from interlace_core.numerics.conditional import Layout

        return Layout.of(self)

    def with_response(self, y: Array) -> Problem:
        """Return the same model of another response; the symbolic work done so far is kept.

        Parameters
        ----------
        y : ndarray, of the shape of its own
        """
        changed = replace(self, y=y, family=self.family.bind_part(y))
        if "layout" in self.__dict__:
            # where a cached property keeps its value
            changed.__dict__["layout"] = self.layout.with_response(changed)
        return changed

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.y.shape[0])

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters of all terms together."""
        return sum(term.covariance.n_theta for term in self.terms)

    @property
    def n_beta(self) -> int:
        """Number of coefficients of all predictors together."""
        return sum(predictor.X.shape[1] for predictor in self.predictors)

    @property
    def n_psi(self) -> int:
        """Number of outer parameters."""
        return self.n_theta + self.n_beta

    def theta_slices(self) -> tuple[slice, ...]:
        """Return the place of each term's theta within psi."""
        return _slices(0, [term.covariance.n_theta for term in self.terms])

    def beta_slices(self) -> tuple[slice, ...]:
        """Return the place of each predictor's beta within psi."""
        return _slices(self.n_theta, [predictor.X.shape[1] for predictor in self.predictors])

    def active(self) -> tuple[int, ...]:
        """Return the predictors that are not fixed by the user."""
        return tuple(
            k for k, predictor in enumerate(self.predictors) if predictor.parameter.fixed is None
        )

    def fixed_part(self, psi: Array) -> list[Array]:
        """Return `X_k beta_k + offset_k` of every predictor, a list of K arrays, shape (n,)."""
        return [
            predictor.offset + predictor.X @ psi[place]
            if predictor.X.shape[1]
            else predictor.offset
            for predictor, place in zip(self.predictors, self.beta_slices(), strict=True)
        ]


def _slices(start: int, sizes: list[int]) -> tuple[slice, ...]:
    places = []
    for size in sizes:
        places.append(slice(start, start + size))
        start += size
    return tuple(places)


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
