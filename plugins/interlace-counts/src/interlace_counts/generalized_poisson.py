"""The generalised Poisson distribution of Consul and Jain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import LINKS, Array, Derivatives, Family, IntArray, Parameter, Response
from interlace_core.families import (
    draw_counts,
    has_large_counts,
    log_factorial,
    poisson_log_density,
    positive_or_none,
    require_counts,
)
from interlace_counts.nb_density import average_and_excess
from interlace_counts.summation import draw_by_inversion, summation_grid
from interlace_counts.zeros.partials import compose_partials

MAX_LOG_RATE = 600.0
"""theta is taken within exp(+-600), so that it and its products are ordinary numbers."""

MOST_LOG_IMMIGRANTS = 43.6
"""Draws begin with at most exp(43.6) = 9e18 immigrants: more would take generations without end."""

LARGEST_SPREAD = 1e90
"""Derivatives of W in units of W are taken within this, so that their cubes are numbers: where W is
as small as exp(-600), next to the end of the distribution."""

BOREL = "the Borel distribution on the positive counts"
"""What it becomes, truncated at 0, where its untruncated mean vanishes: theta is 0, and counts are
the total progeny of one ancestor."""

SPREADS = 40.0
"""Length of a tail in standard deviations: beyond it less than exp(-40) is left."""


@dataclass(frozen=True)
class GeneralizedPoissonFamily(Family):
    """Counts with variance mu phi.

    P(y) = theta W^(y - 1) exp(-W) / y! with W = theta + lambda y, theta = mu / sqrt(phi) and
    lambda = 1 - 1 / sqrt(phi) (Consul and Jain 1973). phi = 1 is Poisson.

    Limit: for phi < 1 the distribution ends at the last count with W > 0, and its probabilities
    add up to 1 only nearly; like elsewhere they are used as they are. Larger counts have
    probability 0, and mean and variance are then approximate.

    Parameters
    ----------
    phi : float, optional
        Variance over mean; fixed when given, estimated (log scale) when not.
    """

    name = "genpois"
    aliases = ("generalized_poisson",)
    r_family = "genpois"
    support = "counts"
    limit_without_zeros = BOREL

    phi: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "phi", self.phi)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the dispersion."""
        return (
            Parameter("mu", LINKS["log"], role="mean"),
            Parameter("phi", LINKS["log"], self.phi, role="dispersion"),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts."""
        require_counts(self, y)
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return log theta + (y - 1) log W - W - log y!, and -inf where W <= 0."""
        log_theta = eta[0] - 0.5 * eta[1]
        theta = np.exp(_bounded(log_theta))
        W = theta - y * np.expm1(np.minimum(-0.5 * eta[1], MAX_LOG_RATE))
        positive = (W > 0) & (y > 0)
        inside = np.where(positive, W, 1.0)
        if has_large_counts(y):
            log_W = np.log(inside)
            value = log_theta - log_W + poisson_log_density(y, log_W)
        else:
            value = log_theta + (y - 1.0) * np.log(inside) - inside - log_factorial(y)
        return np.where(y == 0, -theta, np.where(positive, value, -np.inf))

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(theta): P(Y = 0) is exp(-theta)."""
        return eta[0] - 0.5 * eta[1]

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.exp(eta[0])

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu phi."""
        return np.exp(np.add(eta[0], eta[1]))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws: total progeny of a branching process, or by inversion for phi < 1.

        theta immigrants on average, each count begetting lambda more on average.
        """
        log_mu, log_phi = np.broadcast_arrays(*eta)
        theta = np.exp(np.minimum(log_mu - 0.5 * log_phi, MOST_LOG_IMMIGRANTS))
        rate = np.maximum(-np.expm1(-0.5 * log_phi), 0.0)
        generation = draw_counts(theta, rng)
        total = generation.copy()
        while np.any(alive := (generation > 0) & (rate > 0)):
            generation[~alive] = 0.0
            generation[alive] = draw_counts(rate[alive] * generation[alive], rng)
            total += generation
        under = log_phi < 0
        if np.any(under):
            total[under] = _draw_underdispersed(self, log_mu[under], log_phi[under], rng)
        return total

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the distribution function, by summation."""
        y, log_mu, log_phi = np.broadcast_arrays(y, *eta)
        shape, values = y.shape, [log_mu.ravel(), log_phi.ravel()]
        origin, lower, upper, width = _range(*values)
        end = np.minimum(np.floor(y.ravel()) - origin, upper)
        below = end < lower
        grid = summation_grid(origin, lower, np.maximum(end, lower), width)
        counts = grid.spread(origin) + grid.offset
        mass = np.exp(self.log_density(counts, [grid.spread(each) for each in values]))
        return np.where(below, 0.0, np.minimum(grid.sum(mass), 1.0)).reshape(shape)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the average count and variance over mean, within [1, 20].

        Not below 1, so that no observation has probability 0.
        """
        average, excess = average_and_excess(y, weights)
        return np.log([average, np.clip(1.0 + excess / average, 1.0, 20.0)])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives through W, in (log mu, log phi)."""
        return _derivatives(y, eta[0], eta[1], order, wrt)


def _derivatives(
    y: Array, log_mu: Array, log_phi: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Differentiate log theta + (y - 1) log W - W - log y! by the chain rule for W."""
    log_theta = np.subtract(log_mu, 0.5 * np.asarray(log_phi))
    theta = np.exp(_bounded(log_theta))
    excess = np.expm1(np.minimum(-0.5 * np.asarray(log_phi), MAX_LOG_RATE))
    W = theta - y * excess
    inside = (W > 0) | (y == 0)
    W = np.where(inside, W, 1.0)
    # at y = 0 log theta and log W cancel; where theta is bounded, only nearly
    if has_large_counts(y):
        log_W = np.log(W)
        logs = np.where(y == 0, 0.0, log_theta - log_W) + poisson_log_density(y, log_W)
        value = np.where(inside, logs, -np.inf)
    else:
        logs = np.where(y == 0, 0.0, log_theta + (y - 1.0) * np.log(W))
        value = np.where(inside, logs - W - log_factorial(y), -np.inf)
    # in units of W, in which no power can overflow
    share = np.where(inside, theta / W, 0.0)
    spread = np.where(inside, share - y * (1.0 + excess) / W, 0.0)
    spread = np.clip(spread, -LARGEST_SPREAD, LARGEST_SPREAD)
    inner = {(0,) * i + (1,) * j: share * (-0.5) ** j for i, j in _MIXED}
    inner |= {(1,) * j: spread * (-0.5) ** j for j in (1, 2, 3)}
    outer = (y - 1.0 - W, 1.0 - y, 2.0 * (y - 1.0))
    partials = compose_partials(outer, inner, order, wrt)
    for k, slope in ((0, 1.0), (1, -0.5)):
        if k in wrt and order >= 1:
            partials[k,] = partials[k,] + slope
    return Derivatives(value, partials)


_MIXED = ((1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2))
"""Orders in log mu and log phi: theta is multiplied by -1/2 for each log phi, W - theta has no
log mu."""


def _range(log_mu: Array, log_phi: Array) -> tuple[Array, Array, Array, Array]:
    """Return a count near the mean, the range of counts around it, and the widest block."""
    mu, phi = np.exp(np.minimum(log_mu, MAX_LOG_RATE)), np.exp(np.minimum(log_phi, MAX_LOG_RATE))
    origin = np.floor(mu)
    # the right tail falls like exp(-y / (2 phi))
    spread = np.exp(0.5 * np.minimum(log_mu + log_phi, MAX_LOG_RATE))
    lower = -np.minimum(origin, np.ceil(SPREADS * spread))
    return origin, lower, np.ceil(SPREADS * (spread + phi)), 2.0 * np.maximum(spread, phi)


def _draw_underdispersed(
    family: Family, log_mu: Array, log_phi: Array, rng: np.random.Generator
) -> Array:
    """Return draws by inversion, from the probabilities scaled to add up to 1."""
    origin, lower, upper, _ = _range(log_mu, log_phi)

    def log_mass(rows: IntArray, counts: Array) -> Array:
        eta = [log_mu[rows], log_phi[rows]]
        return np.asarray(family.log_density(origin[rows] + counts, eta))

    return origin + draw_by_inversion(log_mass, lower, upper, np.arange(origin.size), rng)


def _bounded(log_theta: Any) -> Any:
    return np.minimum(np.maximum(log_theta, -MAX_LOG_RATE), MAX_LOG_RATE)
