"""What a covariance structure of random effects must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from interlace_core.records import Array, BoolArray

if TYPE_CHECKING:
    from interlace_core.contract.residual_correlation import ResidualCorrelation


class Covariance(ABC):
    """Structure of the c x c covariance `T T'` of one random-effects term.

    The template `T` is relative to unit variance of `u`; parameterised so that a variance of
    zero is an ordinary point, not a limit at infinity.
    """

    name: ClassVar[str]
    contract_version: ClassVar[int] = 1
    crosses_bounds: ClassVar[bool] = False
    """Whether `template` is defined beyond the bounds and gives the covariance of a mirrored
    point there. The objective is then flat at the bound, where a bounded search would stick:
    optimizers get no bounds, and `canonical` brings the answer back inside."""
    takes_levels_only: ClassVar[bool] = False
    """Whether its columns have to be the levels of one factor, as times in their order, or as
    exchangeable units: a term with an intercept or a numeric covariate is then refused."""

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    @abstractmethod
    def n_theta(self) -> int:
        """Number of parameters."""

    @abstractmethod
    def template(self, theta: Array) -> Array:
        """Return T, shape (c, c)."""

    @abstractmethod
    def pullback(self, theta: Array, dT: Array) -> Array:
        """Return dF/dtheta, shape (n_theta,), from dF/dT, shape (c, c)."""

    @abstractmethod
    def start(self) -> Array:
        """Return a theta with template near the identity, shape (n_theta,)."""

    @abstractmethod
    def bounds(self) -> tuple[Array, Array]:
        """Return lower and upper bounds, each shape (n_theta,)."""

    def canonical(self, theta: Array) -> Array:
        """Return the theta within bounds that gives the same covariance."""
        return theta

    @abstractmethod
    def nearest(self, covariance: Array) -> Array:
        """Return the theta whose `T T'` is closest to a given c x c covariance."""

    @classmethod
    def residuals(cls) -> type[ResidualCorrelation] | None:
        """Return the structure of this name for residuals within groups, or None."""
        return None

    @classmethod
    def from_columns(
        cls, names: Sequence[str], levels: Sequence[str], frame: Mapping[str, Any], **options: Any
    ) -> Self:
        """Return the structure for the columns of a term; by default from their number.

        For a structure that depends on what its columns are: on the distances of times or places.

        Parameters
        ----------
        names : sequence of str, length c
            Of the columns.
        levels : sequence of str
            Levels of the factor that the columns stand for; empty if they are of none.
        frame : mapping from str to ndarray, shape (n,)
            The variables of the term.
        **options
            Further arguments of its constructor.
        """
        return cls(len(names), **options)

    def rescaled(self, L: Array) -> Array | None:
        """Return M with `template(M theta) = L template(theta)` for every theta, or None.

        Other units and zero points of the term's columns are then a linear map of theta. None,
        the default, says that the structure is not closed under it.

        Parameters
        ----------
        L : ndarray, shape (c, c)
            Lower triangular with a positive diagonal. Whoever asks tries a diagonal one, and a
            multiple of the identity, where the answer is None.

        Returns
        -------
        ndarray, shape (n_theta, n_theta), or None
        """
        return None

    @property
    def mixes_columns(self) -> bool:
        """Whether `rescaled` follows every triangular L, so that columns have no identity."""
        return self.rescaled(np.tril(np.ones((self.size, self.size)))) is not None

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the name of each number that `natural` returns, such as `sd(Days)`.

        By default `theta_1`, `theta_2` and so on.

        Parameters
        ----------
        columns : sequence of str, length c
            Names of the term's columns.

        Returns
        -------
        tuple of str, length n_theta
        """
        return tuple(f"theta_{k + 1}" for k in range(self.n_theta))

    def natural(self, theta: Array) -> Array:
        """Return theta as users read it: standard deviations and correlations, shape (n_theta,).

        The same for all theta of one covariance; a correlation with what does not vary is 0. By
        default theta within its bounds.
        """
        return self.canonical(theta)

    def at_bound(self, theta: Array, sizes: Array, tol_sd_eta: float) -> BoolArray:
        """Return which entries of theta are at a bound for practical purposes.

        By default those from which a bound is less than the tolerance away.

        Parameters
        ----------
        theta : ndarray, shape (n_theta,)
        sizes : ndarray, shape (c,)
            Root mean square of each random-effects covariate, in natural units of eta.
        tol_sd_eta : float
            Standard deviation on the scale of eta, in the same units, that counts as 0.
        """
        lower, upper = self.bounds()
        near = tol_sd_eta / _reach(self, theta, sizes)
        return np.asarray((theta - lower < near) | (upper - theta < near))

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return theta with what is next to a lower bound put on it; arguments as `at_bound`.

        Called at a candidate optimum, and kept if it costs no likelihood. A structure for which
        several thetas give the same singular covariance returns the one from which every
        covariance nearby is reached along a slope.
        """
        lower = self.bounds()[0]
        near = theta - lower < tol_sd_eta / _reach(self, theta, sizes)
        return np.where(near & np.isfinite(lower), lower, theta)

    def restarts(self, theta: Array, sizes: Array) -> tuple[Array, ...]:
        """Return thetas to search from again if a search ended here short of an optimum.

        Arguments as for `at_bound`. By default none: for structures with points at which
        searches are known to crawl.
        """
        return ()


def _reach(covariance: Covariance, theta: Array, sizes: Array) -> Array:
    """Return how far each entry moves eta per unit, in root mean square; infinite for not at all.

    The largest over the covariates, by the template's response to the entry.
    """
    c = sizes.size
    reach = np.zeros(theta.size)
    for a in range(c):
        unit = np.zeros((c, c))
        unit[a] = 1.0
        reach = np.maximum(reach, sizes[a] * np.abs(covariance.pullback(theta, unit)))
    return np.where(reach > 0, reach, np.inf)
