"""What a covariance structure of random effects must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

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
        return entries_at_bound(self, theta, sizes, tol_sd_eta)

    def snapped(self, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
        """Return theta with what is next to a lower bound put on it; arguments as `at_bound`.

        Called at a candidate optimum, and kept if it costs no likelihood. A structure for which
        several thetas give the same singular covariance returns the one from which every
        covariance nearby is reached along a slope.
        """
        return snap_entries(self, theta, sizes, tol_sd_eta)

    def restarts(self, theta: Array, sizes: Array) -> tuple[Array, ...]:
        """Return thetas to search from again if a search ended here short of an optimum.

        Arguments as for `at_bound`. By default none: for structures with points at which
        searches are known to crawl.
        """
        return ()


def entries_at_bound(
    covariance: Covariance, theta: Array, sizes: Array, tol_sd_eta: float
) -> BoolArray:
    """Return which entries are nearer to a bound than moves eta by the tolerance.

    Parameters
    ----------
    covariance, theta, sizes, tol_sd_eta
        As for `Covariance.at_bound`.
    """
    lower, upper = covariance.bounds()
    near = tol_sd_eta / _reach(covariance, theta, sizes)
    return np.asarray((theta - lower < near) | (upper - theta < near))


def snap_entries(covariance: Covariance, theta: Array, sizes: Array, tol_sd_eta: float) -> Array:
    """Return theta with the entries next to a finite lower bound on it; arguments as above."""
    lower = covariance.bounds()[0]
    near = theta - lower < tol_sd_eta / _reach(covariance, theta, sizes)
    return np.where(near & np.isfinite(lower), lower, theta)


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
