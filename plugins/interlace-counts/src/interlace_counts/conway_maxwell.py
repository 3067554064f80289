"""The Conway-Maxwell-Poisson distribution, parameterised by its mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import LINKS, Array, Derivatives, Family, IntArray, Parameter, Response
from interlace_core.families import positive_or_none, require_counts
from interlace_counts.conway_maxwell_rate import Rate, log_factorial_excess, solve_rate
from interlace_counts.conway_maxwell_slopes import Cumulants, cumulants, partial_derivatives
from interlace_counts.nb_density import average_and_excess
from interlace_counts.summation import draw_by_inversion, summation_grid
from interlace_counts.zeros.partials import cloglog_partials

MIN_LOG_MU, MAX_LOG_MU = -600.0, 300.0
"""Means are taken within these, so that they and their squares are ordinary numbers."""

MIN_LOG_PHI = -250.0
"""A dispersion below exp(-250) is taken as exp(-250): all other counts than the two next to mu have
a log-density below -1e108 there."""


@dataclass(frozen=True)
class ConwayMaxwellPoissonFamily(Family):
    """Counts with P(y) proportional to lambda^y / (y!)^nu, lambda such that the mean is mu.

    nu = 1 / phi. Counts vary more than Poisson for phi > 1 (geometric as phi grows), less for
    phi < 1 (two neighbouring counts as phi falls to 0).

    Parameters
    ----------
    phi : float, optional
        Dispersion, about variance over mean for large means; fixed when given, estimated (log
        scale) when not.
    """

    name = "compois"
    aliases = ("conway_maxwell_poisson", "com_poisson")
    r_family = "compois"
    support = "counts"

    phi: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "phi", self.phi)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the dispersion."""
        return (
            Parameter("mu", LINKS["log"], role="mean"),
            Parameter(
                "phi",
                LINKS["log"],
                self.phi,
                role="dispersion",
                at_lower="a distribution on two neighbouring counts",
                at_upper="the geometric distribution",
            ),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts."""
        require_counts(self, y)
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the log-density; on jets its Taylor polynomial, which is all they carry."""
        from interlace_core.families import expand, value_of

        values = [value_of(each) for each in eta]
        order = max(getattr(each, "order", 0) for each in eta)
        return expand(self.derivatives(y, values, order, (0, 1) if order else ()), eta)

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(-log P(Y = 0)), with all its digits where nearly all counts are 0."""
        from interlace_core.families import expand, value_of

        values = [np.asarray(value_of(each), np.float64) for each in eta]
        order = max(getattr(each, "order", 0) for each in eta)
        zeros = np.zeros(max(np.shape(each)[-1:] for each in values))
        found = self.derivatives(zeros, values, order, (0, 1) if order else ())
        return expand(_cloglog(values, found, order, (0, 1)), eta)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.exp(eta[0])

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance, by summation."""
        rate, index, shape = _solved(eta)
        x = rate.grid.offset - rate.grid.spread(rate.mu - rate.k)
        return rate.grid.sum(rate.mass * np.square(x))[index].reshape(shape)

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws by inversion of the summed probabilities."""
        rate, index, shape = _solved(eta)
        lower, upper = _range(rate)

        def log_mass(rows: IntArray, counts: Array) -> Array:
            return _log_probability(rate, rows, counts)

        draws = draw_by_inversion(log_mass, lower, upper, index, rng)
        return (rate.k[index] + draws).reshape(shape)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the distribution function, by summation."""
        shape = np.broadcast_shapes(np.shape(y), *(np.shape(each) for each in eta))
        rate, index, _ = _solved([np.broadcast_to(each, shape) for each in eta])
        lower, upper = (end[index] for end in _range(rate))
        j = np.floor(np.broadcast_to(y, shape).ravel()) - rate.k[index]
        below = j < lower
        end = np.clip(j, lower, upper)
        grid = summation_grid(rate.k[index], lower, end, (upper - lower + 1.0) / 8.0)
        mass = np.exp(_log_probability(rate, index[grid.row, None], grid.offset))
        return np.where(below, 0.0, np.minimum(grid.sum(mass), 1.0)).reshape(shape)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the average count and a moment estimate of phi, within [0.2, 20].

        From Var Y = mu (1 + mu) / (1 + nu mu), exact for nu = 0 and 1 and for large means.
        """
        average, excess = average_and_excess(y, weights)
        nu = (1.0 + average) / (average + excess) - 1.0 / average
        return np.log([average, 1.0 / np.clip(nu, 0.05, 5.0)])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives by cumulants, from one summation per distinct pair of predictors."""
        shape = np.broadcast_shapes(y.shape, *(np.shape(each) for each in eta))
        solved = _solved([np.broadcast_to(each, shape) for each in eta])
        return _derivatives(solved, y, eta, order, wrt)

    def derivatives_beside_zero(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> tuple[Derivatives, Derivatives]:
        """Return the derivatives, and those of log(-log P(Y = 0)), from the same summations."""
        values = [np.asarray(each, np.float64) for each in eta]
        shape = np.broadcast_shapes(y.shape, *(each.shape for each in values))
        solved = _solved([np.broadcast_to(each, shape) for each in values])
        own = _derivatives(solved, y, values, order, wrt)
        at_zero = _derivatives(solved, np.zeros(y.shape), values, order, wrt)
        return own, _cloglog(values, at_zero, order, wrt)


Solved = tuple[Rate, IntArray, tuple[int, ...]]
"""Distinct distributions, which of them each entry has, and the entries' shape."""


def _derivatives(
    solved: Solved, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Return the log-density of y under solved distributions, with its partials."""
    rate, index, shape = solved
    index = np.reshape(index, shape)
    j = y - rate.k[index]
    h = log_factorial_excess(rate.k[index], j)
    value = rate.delta[index] * j - rate.nu[index] * h - rate.log_sum[index]
    # where means are raised to exp(MIN_LOG_MU), log lambda is log mu to rounding
    value = value + y * np.minimum(np.asarray(eta[0]) - MIN_LOG_MU, 0.0)
    if order == 0 or not wrt:
        return Derivatives(value, {})
    c = cumulants(rate)
    return Derivatives(value, _partials(c.at(index), rate, index, j, h, order, wrt))


def _cloglog(
    eta: Sequence[Array], at_zero: Derivatives, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Return log(-log P(Y = 0)) from the log-density at 0, each with its partials."""
    exact = _minus_log_zero(eta, -at_zero.value)
    slopes = cloglog_partials(Derivatives(-exact, at_zero.partials), order, wrt)
    # below the smallest mean, log P(Y > 0) goes on like log mu
    beyond = np.minimum(eta[0] - MIN_LOG_MU, 0.0)
    return Derivatives(slopes.value + beyond, slopes.partials)


def _partials(
    c: Cumulants,
    rate: Rate,
    index: IntArray,
    j: Array,
    h: Array,
    order: int,
    wrt: tuple[int, ...],
) -> dict[tuple[int, ...], Array]:
    x = j - (rate.mu - rate.k)[index]
    f = rate.nu[index] * (h - c.mean_h - c.slope_h * x)
    return partial_derivatives(c, x, f, order, wrt)


def _solved(eta: Sequence[Array]) -> Solved:
    """Return the distinct distributions, which of them each entry has, and the entries' shape."""
    pairs = np.broadcast_arrays(*eta)
    key = np.empty(pairs[0].size, dtype=np.complex128)
    key.real = np.clip(pairs[0].ravel(), MIN_LOG_MU, MAX_LOG_MU)
    key.imag = np.clip(pairs[1].ravel(), MIN_LOG_PHI, np.inf)
    distinct, index = np.unique(key, return_inverse=True)
    rate = solve_rate(np.exp(distinct.real), np.exp(-distinct.imag))
    return rate, index.astype(np.intp), pairs[0].shape


def _minus_log_zero(eta: Sequence[Array], t: Array) -> Array:
    """Return -log P(Y = 0), from P(Y > 0) where that is small and t has lost its digits."""
    small = t < np.log(2.0)
    if not np.any(small):
        return t
    rate, index, _ = _solved([np.broadcast_to(each, t.shape)[small] for each in eta])
    counts = rate.grid.offset + rate.grid.spread(rate.k)
    positive = rate.grid.sum(np.where(counts > 0.0, rate.mass, 0.0))[index]
    exact = np.array(t)
    exact[small] = -np.log1p(-positive)
    return exact


def _range(rate: Rate) -> tuple[Array, Array]:
    """Return the ends of each distribution's range, relative to k."""
    last = np.append(rate.grid.first, rate.grid.row.size)[1:] - 1
    return rate.grid.offset[rate.grid.first, 0], np.floor(rate.grid.offset[last, -1])


def _log_probability(rate: Rate, rows: IntArray, j: Array) -> Array:
    h = log_factorial_excess(rate.k[rows], j)
    return rate.delta[rows] * j - rate.nu[rows] * h - rate.log_sum[rows]
