"""A model as arrays: the problem that a fit is of, its predictors and random terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace_core.contract.incidence import Covariates, numbers_used, sums_of_squares
from interlace_core.records import Array, BoolArray, IntArray

if TYPE_CHECKING:
    from interlace_core.contract.covariance import Covariance
    from interlace_core.contract.family import Family, Parameter
    from interlace_core.contract.kernels import Compiled
    from interlace_core.contract.level_covariance import Relation
    from interlace_core.contract.parts import Parts
    from interlace_core.contract.row_correlation import RowCorrelation


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
class ColumnSizes:
    """Sizes of the columns of Z over rows that lie elsewhere, each shape (c,).

    Attributes
    ----------
    sizes, reach : ndarray
        See `RandomTerm`.
    """

    sizes: Array
    reach: Array


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
    levels : sequence of str
        Level names, in order.
    Z : ndarray or Incidence, shape (n, c)
        Random-effects covariates (a column of ones for an intercept). An `Incidence` where each row
        is at one of the levels, times or places that the columns stand for; `np.asarray` makes the
        matrix.
    names : tuple of str, length c
        Names of the columns of Z.
    covariance : Covariance
        Structure of the c x c covariance.
    relation : Relation, or None
        Known covariance of the levels, the same for all terms of a group; None where they are
        independent.
    options : tuple of (str, object)
        What `covariance` was made with beside its columns.
    column_levels : tuple of str, length c
        Levels or points that the columns stand for; empty where they are covariates.
    points : mapping from str to ndarray, shape (c,)
        What `Covariance.from_columns` was told of them.
    theta_of : int, or None
        The term of the problem whose theta it shares; None if it has its own.
    measured : ColumnSizes, or None
        Sizes of the columns, where the rows of Z are not here.
    along : tuple of int, length c
        Index of the predictor that each column belongs to, where they belong to several (effects
        shared by parameters); empty where all belong to `predictor`, which is the first of them.
    across : bool
        Whether its levels are those of all parts, where rows lie in parts: of a part not every one
        has rows then, and its random effects are those of other parts too.
    """

    label: str
    predictor: int
    group: str
    codes: IntArray
    levels: Sequence[str]
    Z: Covariates
    names: tuple[str, ...]
    covariance: Covariance
    relation: Relation | None = None
    options: tuple[tuple[str, Any], ...] = ()
    column_levels: tuple[str, ...] = ()
    points: Mapping[str, Array] = field(default_factory=dict)
    theta_of: int | None = None
    measured: ColumnSizes | None = None
    along: tuple[int, ...] = ()
    across: bool = False

    @property
    def by_predictor(self) -> tuple[tuple[int, IntArray], ...]:
        """Its predictors, each with the places of its columns, shape (c_k,)."""
        return columns_by_predictor(self.predictor, self.along, len(self.names))

    @property
    def column_predictors(self) -> tuple[int, ...]:
        """The predictor of each column, length c."""
        return self.along or (self.predictor,) * int(self.Z.shape[1])

    def own(self, units: Array) -> Array:
        """Return what each column has of one number per predictor, shape (c,)."""
        return np.asarray(np.asarray(units)[list(self.column_predictors)], dtype=np.float64)

    @property
    def n_effects(self) -> int:
        """Number of its random effects: of all columns and levels."""
        return int(self.Z.shape[1]) * len(self.levels)

    @cached_property
    def sizes(self) -> Array:
        """Root mean square of each column of Z, times that of the levels, shape (c,)."""
        if self.measured is not None:
            return self.measured.sizes
        rms = np.sqrt(sums_of_squares(self.Z) / len(self.Z))
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
        if self.measured is not None:
            return self.measured.reach
        shares = numbers_used(self.Z) / len(self.Z)
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
    uninformative : int
        Rows in the fit that say nothing, see `Problem.informative`.
    """

    index: Any
    n_given: int
    n_used: int
    missing: Mapping[str, int] = field(default_factory=dict)
    uninformative: int = 0


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
    cache: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    """What was made of the problem and is asked for again, by who made it, such as its
    layout; a problem that is replaced by a changed one starts with none."""
    compiled: Compiled | None = None
    """Compiled code that may serve it; None leaves all to NumPy."""
    given: Array | None = None
    """The psi of the model as the user wrote it is `given @ psi`, shape (n_psi, n_psi), where
    this problem is the same model in other units and zero points of its columns; None where it is
    as written. Names are the user's either way. An approximation that interprets coefficients,
    as a penalty on them does, has to heed it."""
    parts: Parts | None = None
    """Where the rows are if they are not here: arrays then have no rows, and `parts.total` asks
    for sums over them. None, as in nearly all problems, where the arrays hold them."""

    @property
    def n(self) -> int:
        """Number of rows, those of all parts."""
        return int(self.y.shape[0]) if self.parts is None else self.parts.n

    @cached_property
    def informative(self) -> BoolArray:
        """Which rows say anything, shape (n,): not those of weight 0, nor those without trials."""
        return informative_rows(self.family, self.y, self.weights)

    @cached_property
    def n_theta(self) -> int:
        """Number of covariance parameters of all terms together."""
        return sum(term.covariance.n_theta for term in self.terms if term.theta_of is None)

    @cached_property
    def n_beta(self) -> int:
        """Number of coefficients of all predictors together."""
        return sum(predictor.X.shape[1] for predictor in self.predictors)

    @property
    def n_psi(self) -> int:
        """Number of outer parameters."""
        return self.n_theta + self.n_beta

    def theta_slices(self) -> tuple[slice, ...]:
        """Return the place of each term's theta within psi."""
        return self._thetas

    @cached_property
    def _thetas(self) -> tuple[slice, ...]:
        own = [term.covariance.n_theta if term.theta_of is None else 0 for term in self.terms]
        places = _slices(0, own)
        return tuple(
            places[t if term.theta_of is None else term.theta_of]
            for t, term in enumerate(self.terms)
        )

    def beta_slices(self) -> tuple[slice, ...]:
        """Return the place of each predictor's beta within psi."""
        return self._betas

    @cached_property
    def _betas(self) -> tuple[slice, ...]:
        return _slices(self.n_theta, [predictor.X.shape[1] for predictor in self.predictors])

    def active(self) -> tuple[int, ...]:
        """Return the predictors that are not fixed by the user."""
        return self._active

    @cached_property
    def _active(self) -> tuple[int, ...]:
        return tuple(
            k for k, predictor in enumerate(self.predictors) if predictor.parameter.fixed is None
        )

    def given_psi(self, psi: Array) -> Array:
        """Return psi in the units of the model as the user wrote it, shape (n_psi,)."""
        return psi if self.given is None else np.asarray(self.given @ psi)

    def fixed_part(self, psi: Array) -> list[Array]:
        """Return `X_k beta_k + offset_k` of every predictor, a list of K arrays, shape (n,)."""
        return [
            predictor.offset + predictor.X @ psi[place]
            if predictor.X.shape[1]
            else predictor.offset
            for predictor, place in zip(self.predictors, self.beta_slices(), strict=True)
        ]


def columns_by_predictor(
    predictor: int, along: tuple[int, ...], size: int
) -> tuple[tuple[int, IntArray], ...]:
    """Return the predictors of a term, each with the places of its columns.

    Parameters
    ----------
    predictor : int
        The one that all columns belong to, where `along` is empty.
    along : tuple of int, length size
    size : int
        Number of columns.
    """
    if not along:
        return ((predictor, np.arange(size)),)
    return tuple((k, np.flatnonzero(np.array(along) == k)) for k in sorted(set(along)))


def random_predictors(problem: Problem) -> tuple[int, ...]:
    """Return the predictors that have random effects, in order."""
    return tuple(sorted({k for term in problem.terms for k, _ in term.by_predictor}))


def informative_rows(family: Family, y: Array, weights: Array | None) -> BoolArray:
    """Return which rows say anything, shape (n,), from what a family's `check_response` gives."""
    with np.errstate(all="ignore"):
        seen = np.isfinite(family.observed(y))
    return seen if weights is None else seen & (weights > 0.0)


def _slices(start: int, sizes: list[int]) -> tuple[slice, ...]:
    places = []
    for size in sizes:
        places.append(slice(start, start + size))
        start += size
    return tuple(places)
