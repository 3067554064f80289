"""Derivatives of the Conway-Maxwell-Poisson log-density in the logarithms of mean and dispersion.

The distribution is an exponential family in (y, g) with g = log y! and natural parameters
(log lambda, -nu). In the coordinates (mu, -nu), with f = nu (g - E g - b (y - mu)) the part of g
that y does not explain, scaled by nu,

    d log p / d log mu = a (y - mu),  a = mu / Var Y,       d log p / d log phi = f,

and their derivatives follow from the joint cumulants of Y and F: differentiating an expectation
in log phi at a fixed mean is taking a covariance with F (Barndorff-Nielsen 1978, section 9.8, on
mixed parameterisations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.contract import Array, IntArray
from interlace_counts.conway_maxwell_rate import Rate

MIN_DISPERSION = 1e-30
"""A variance below this share of the mean belongs to a distribution on one count, whose slopes are
infinite."""


@dataclass(frozen=True)
class Cumulants:
    """Joint cumulants of Y and F = nu (g - E g - b (Y - mu)), one entry per distribution.

    Attributes
    ----------
    mu, a : ndarray, shape (rows,)
        Mean, and mean over variance.
    mean_h, slope_h : ndarray, shape (rows,)
        E h and its regression coefficient on Y: what makes f from h.
    yyy, yyyy : ndarray, shape (rows,)
        Third and fourth cumulant of Y over its variance.
    yyf, yff, yyyf, yyff, yfff : ndarray, shape (rows,)
        Joint cumulants over the variance of Y.
    ff, fff : ndarray, shape (rows,)
        Cumulants of F.
    """

    mu: Array
    a: Array
    mean_h: Array
    slope_h: Array
    yyy: Array
    yyyy: Array
    yyf: Array
    yff: Array
    yyyf: Array
    yyff: Array
    yfff: Array
    ff: Array
    fff: Array

    def at(self, rows: IntArray) -> Cumulants:
        """Return the entries for each observation."""
        return Cumulants(**{name: values[rows] for name, values in vars(self).items()})


def cumulants(rate: Rate) -> Cumulants:
    """Return the cumulants by sums over the grid of each distribution."""
    grid = rate.grid
    x = grid.offset - grid.spread(rate.mu - rate.k)
    moment = _Moments(rate)
    v = np.maximum(moment(np.square(x)), MIN_DISPERSION * rate.mu)
    # moments are taken in this unit, in which no power can overflow
    unit = np.sqrt(np.maximum(v, 1.0))
    ratio = np.square(unit) / v
    z = x / grid.spread(unit)
    zz = np.square(z)
    mean_h = moment(rate.h)
    h = rate.h - grid.spread(mean_h)
    slope_h = moment(h * z) * ratio / unit
    f = grid.spread(rate.nu) * (h - grid.spread(slope_h) * x)
    f = np.where(rate.mass > 0.0, f, 0.0)  # nu may be so large that its cube overflows
    ff = np.square(f)
    var_f = moment(ff)
    return Cumulants(
        mu=rate.mu,
        a=rate.mu / v,
        mean_h=mean_h,
        slope_h=slope_h,
        yyy=unit * ratio * moment(zz * z),
        yyyy=np.square(unit) * ratio * moment(np.square(zz)) - 3.0 * v,
        yyf=ratio * moment(zz * f),
        yff=ratio / unit * moment(z * ff),
        yyyf=unit * ratio * moment(zz * z * f),
        yyff=ratio * moment(zz * ff) - var_f,
        yfff=ratio / unit * moment(z * ff * f),
        ff=var_f,
        fff=moment(ff * f),
    )


class _Moments:
    """Expectations under the distributions of a `Rate`."""

    def __init__(self, rate: Rate) -> None:
        self._weights = rate.mass * rate.grid.weight
        self._first = rate.grid.first

    def __call__(self, values: Array) -> Array:
        blocks = np.einsum("ij,ij->i", values, self._weights)
        return np.asarray(np.add.reduceat(blocks, self._first))


def partial_derivatives(
    c: Cumulants, x: Array, f: Array, order: int, wrt: tuple[int, ...]
) -> dict[tuple[int, ...], Array]:
    """Return the partials in log mu (0) and log phi (1).

    Parameters
    ----------
    c : Cumulants
        One entry per observation.
    x, f : ndarray
        y - mu, and F at y.
    order, wrt
        As for `Family.derivatives`.
    """
    m, p = c.a * x, f
    skew, information = c.a * c.yyy, c.a * c.mu
    mm = m - information - skew * m
    mp = -c.yyf * m
    # second and third derivative in -nu, times nu^2 and nu^3
    second, third = -c.ff - c.yff * x, -c.fff + (3.0 * c.yff * c.yyf - c.yfff) * x
    mmm = 2.0 * skew * information + m * (3.0 * np.square(skew) - c.a * (c.a * c.yyyy))
    partials = {
        (0,): m,
        (1,): p,
        (0, 0): mm,
        (0, 1): mp,
        (1, 1): second - p,
        (0, 0, 0): mmm + 3.0 * mm - 2.0 * m,
        (0, 0, 1): information * c.yyf + m * (3.0 * skew * c.yyf - c.a * c.yyyf) + mp,
        (0, 1, 1): m * (2.0 * np.square(c.yyf) + c.yff * c.yyy - c.yyff) - mp,
        (1, 1, 1): third - 3.0 * second + p,
    }
    return {k: v for k, v in partials.items() if len(k) <= order and set(k) <= set(wrt)}
