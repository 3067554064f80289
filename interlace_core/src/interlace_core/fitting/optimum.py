"""The optimum that a search has reached: its curvature, what is left to gain, its covariance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interlace_core.calculus.dense import eigh
from interlace_core.contract.approximation import Curvature
from interlace_core.contract.problem import Problem
from interlace_core.fitting.objective import Objective
from interlace_core.fitting.precondition import Coordinates
from interlace_core.records import Array, BoolArray, Evaluation, Profiled

FLAT_CURVATURE = 1e-6
FLAT_SLOPE = 1e-4
"""Curvature and slope, in standard errors at the start of the fit, below which the likelihood no
longer depends on a direction: a parameter that went to infinity (separated data, a Poisson
limit). Its standard error is then reported as infinite, and harms no other."""


MANY_NUMBERS = 20
"""Parameters from which a Hessian takes longer than a search: what some more evaluations can tell
is then asked of them first."""

Spectrum = tuple[Array, Array]
"""Eigenvalues, in ascending order, and eigenvectors in columns."""


@dataclass(frozen=True)
class Search:
    """What stays the same while a fit looks for its optimum.

    Attributes
    ----------
    problem : Problem
    units : ndarray, shape (K,)
        Natural size of an effect on each linear predictor.
    objective : Objective
        Remembers the best point seen.
    coordinates : Coordinates
        Scaled at the start.
    curvature : callable, or None
        From psi to the approximation's exact second derivatives there, or None.
    """

    problem: Problem
    units: Array
    objective: Objective
    coordinates: Coordinates
    curvature: Callable[[Array], Curvature | None] | None = None


@dataclass(frozen=True)
class Optimum:
    """A verified stationary point in scaled coordinates.

    Attributes
    ----------
    psi : ndarray, shape (n_psi,)
    evaluation : Evaluation
        The objective there.
    gradient, hessian : ndarray, shape (m,), (m, m)
        In z.
    free : ndarray of bool, shape (m,)
        False for a theta at its bound.
    decrement : float
        What the log-likelihood still has to gain, by the quadratic model.
    profiled_slope : ndarray, shape (m_profiled, m), or None
        Derivative of the profiled entries in z.
    coordinates : Coordinates
        The scales of z.
    asymmetry : float
        Largest difference of two entries of the Hessian that should be equal, before it was made
        symmetric, relative to its diagonal. One-sided differences have truncation errors of other
        directions in the two, so that this is what the error is like.
    is_rough : bool
        Whether the Hessian's differences serve to take a step, and no longer.
    is_refined : bool
        Whether central differences were taken along directions of little curvature, one-sided
        ones along others.
    is_central : bool
        Whether the Hessian is of psi itself, exact or by central differences of the right width.
    spectrum : (ndarray, ndarray), or None
        Eigenvalues and eigenvectors of the Hessian over the free coordinates; None where an entry
        is not finite, or nothing is free.
    held : int, or None
        Place in psi of the logarithm of a residual's standard deviation that is held next to 0.
    """

    psi: Array
    evaluation: Evaluation
    gradient: Array
    hessian: Array
    free: BoolArray
    decrement: float
    profiled_slope: Array | None
    coordinates: Coordinates
    asymmetry: float = 0.0
    is_rough: bool = False
    is_refined: bool = False
    is_central: bool = False
    spectrum: Spectrum | None = None
    held: int | None = None

    @property
    def value(self) -> float:
        """The objective's value."""
        return self.evaluation.value


def covariance_of_psi(
    optimum: Optimum, profiled: Profiled | None, place: slice
) -> tuple[Array, BoolArray]:
    """Return the covariance of psi, and which of its entries the data do not determine.

    NaN in the rows and columns of parameters at a bound. Along a flat direction the variance is
    enormous rather than infinite, so that what does not depend on it can be computed.

    Parameters
    ----------
    optimum : Optimum
    profiled : Profiled, or None
        The entries that the approximation determined there.
    place : slice
        Of these in psi.

    Returns
    -------
    vcov : ndarray, shape (n_psi, n_psi)
    undetermined : ndarray of bool, shape (n_psi,)
        Entries whose variance is that of flat directions, for the most part.
    """
    free, spectrum, B = optimum.free, optimum.spectrum, optimum.coordinates.B
    if profiled is not None and optimum.profiled_slope is not None:
        B = B.copy()
        B[place] = optimum.profiled_slope
    roots, flat = np.full((len(B), 1), np.nan if free.any() else 0.0), None
    if spectrum is not None and np.all(spectrum[0] > -FLAT_CURVATURE):
        values, vectors = spectrum
        own = B if free.all() else B[:, free]
        roots = own @ (vectors / np.sqrt(np.maximum(values, 1e-3 * FLAT_CURVATURE)))
        flat = is_flat(values, vectors.T @ optimum.gradient[free])
    vcov = roots @ roots.T
    if profiled is not None:
        vcov[place, place] += profiled.covariance
    undetermined = np.zeros(len(B), dtype=bool)
    if flat is not None and flat.any():
        with np.errstate(invalid="ignore"):
            of_flat = np.einsum("ij,ij->i", roots[:, flat], roots[:, flat])
            undetermined = np.asarray(of_flat > 0.5 * np.diagonal(vcov))
    if not free.all():
        bound = np.flatnonzero(~free[: optimum.coordinates.n_theta])
        vcov[bound, :] = vcov[:, bound] = np.nan
    return vcov, undetermined


def remaining_gain(gradient: Array, spectrum: Spectrum | None, free: BoolArray) -> float:
    """Return g' H^-1 g / 2 over the free coordinates; infinite where H is not positive definite.

    A direction without curvature and without slope has nothing to gain and is left out.

    Parameters
    ----------
    gradient : ndarray, shape (m,)
    spectrum : (ndarray, ndarray), or None
        Of H over the free coordinates.
    free : ndarray of bool, shape (m,)
    """
    if not np.any(free):
        return 0.0
    if spectrum is None:
        return np.inf
    values, vectors = spectrum
    slopes = vectors.T @ gradient[free]
    flat = is_flat(values, slopes)
    if np.any(values[~flat] <= 0.0):
        return np.inf
    return 0.5 * float(np.sum(np.square(slopes[~flat]) / values[~flat]))


def flat_directions(optimum: Optimum) -> Array:
    """Return the directions in z on which the likelihood no longer depends, shape (m, k)."""
    free, spectrum = np.flatnonzero(optimum.free), optimum.spectrum
    if spectrum is None:
        return np.zeros((optimum.free.size, 0))
    flat = is_flat(spectrum[0], spectrum[1].T @ optimum.gradient[free])
    directions = np.zeros((optimum.free.size, int(flat.sum())))
    directions[free] = spectrum[1][:, flat]
    return directions


def is_flat(curvature: Array, slopes: Array) -> BoolArray:
    """Return which directions have neither curvature nor slope, of these in scaled coordinates."""
    return np.asarray((np.abs(curvature) < FLAT_CURVATURE) & (np.abs(slopes) < FLAT_SLOPE))


def spectrum_of(hessian: Array, free: BoolArray) -> Spectrum | None:
    """Return eigenvalues and eigenvectors over the free coordinates.

    None where an entry is not finite, or nothing is free.
    """
    block = hessian if free.all() else hessian[np.ix_(free, free)]
    if not block.size or not np.all(np.isfinite(block)):
        return None
    return eigh(block)
