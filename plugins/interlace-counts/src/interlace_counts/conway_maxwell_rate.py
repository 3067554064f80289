"""The Conway-Maxwell-Poisson distribution with a given mean: its rate and its normalising sum.

P(y) is proportional to lambda^y / (y!)^nu. Everything is relative to k = floor(mu): with
delta = log lambda - nu log(k + 1), the log of P(k + 1) / P(k), and

    h(j) = log (k + j)! - log k! - j log(k + 1) >= 0,   h(0) = h(1) = 0,

P(k + j) is proportional to exp(delta j - nu h(j)). These stay moderate where log lambda and log y!
are large numbers that cancel, up to the two-point limit of nu to infinity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace_core.contract import Array
from interlace_core.families import log_factorial
from interlace_counts.summation import Grid, summation_grid

DROP = 45.0
"""Log-probability below that of k at which a sum ends: exp(-45) = 3e-20, small enough also for
the fourth moments of what is left out."""

MIN_DROP = 37.0
"""The same once delta is known: exp(-37) = 1e-16."""

TOL_STEP = 1e-8
"""A Newton step for delta, in units that change the mean by one standard deviation, after which the
error is its square."""

MAX_STEPS = 100
"""Five are usual. Bisection alone would need 60."""

STIRLING_FROM = 30.0
"""From here four Stirling terms leave an error below 1e-16."""


@dataclass(frozen=True)
class Rate:
    """Solved distributions, one per row.

    Attributes
    ----------
    mu, nu : ndarray, shape (rows,)
        Mean and exponent.
    k : ndarray, shape (rows,)
        floor(mu).
    delta : ndarray, shape (rows,)
        log P(k + 1) - log P(k).
    log_sum : ndarray, shape (rows,)
        log of the sum of exp(delta j - nu h(j)): -log P(k).
    grid : Grid
        Nodes of the counts that matter, relative to k.
    h : ndarray, shape (blocks, 16)
        h at the nodes.
    mass : ndarray, shape (blocks, 16)
        Probabilities at the nodes, to be summed with the grid's weights.
    """

    mu: Array
    nu: Array
    k: Array
    delta: Array
    log_sum: Array
    grid: Grid
    h: Array
    mass: Array


@dataclass(frozen=True)
class _Bracket:
    lower: Array
    upper: Array
    guess: Array


def solve_rate(mu: Array, nu: Array) -> Rate:
    """Return the distributions with these means.

    Parameters
    ----------
    mu : ndarray, shape (rows,)
        Means, positive and at most about 1e280.
    nu : ndarray, shape (rows,)
        Exponents, at least 0 (0 is geometric, 1 Poisson, infinity on two neighbouring counts).
    """
    k = np.floor(mu)
    bracket = _bracket(mu, nu, k)
    delta = bracket.guess
    for _ in range(4):
        lower, upper = _window(k, nu, delta)
        grid = summation_grid(k, lower, upper, (upper - lower + 1.0) / 8.0)
        h = log_factorial_excess(grid.spread(k), grid.offset)
        delta = _newton(mu, nu, grid, h, bracket)
        # the range was chosen from a guess; was it long enough?
        left = nu * log_factorial_excess(k, lower) - delta * lower
        right = nu * log_factorial_excess(k, upper) - delta * upper
        if np.all(((left > MIN_DROP) | (lower <= -k)) & (right > MIN_DROP)):
            break
    log_mass = _log_mass(nu, delta, grid, h)
    top = grid.max(log_mass)
    mass = np.exp(log_mass - grid.spread(top))
    total = grid.sum(mass)
    return Rate(mu, nu, k, delta, top + np.log(total), grid, h, mass / grid.spread(total))


def log_factorial_excess(k: Array, j: Array) -> Array:
    """Return h(j) = log (k + j)! - log k! - j log(k + 1) without cancellation.

    Parameters
    ----------
    k : ndarray
        Counts.
    j : ndarray, broadcastable with k
        Differences, k + j >= 0; need not be integers.
    """
    t, j = np.broadcast_arrays(k + 1.0, j)
    s = t + j
    large = np.minimum(t, s) >= STIRLING_FROM
    if not np.any(large):
        return _without_rounding(_excess_direct(t, s, j), j)
    u = np.where(large, j / t, 0.0)
    a, b = np.where(large, s, STIRLING_FROM), np.where(large, t, STIRLING_FROM)
    far = t * _entropy(u) - 0.5 * np.log1p(u) + _stirling(a) - _stirling(b)
    near = far if np.all(large) else np.where(large, far, _excess_direct(t, s, j))
    return _without_rounding(near, j)


def _bracket(mu: Array, nu: Array, k: Array) -> _Bracket:
    """Return bounds of delta and a guess.

    lambda = E[Y^nu], so that by Jensen's inequality mu^nu bounds it, from above where nu <= 1 and
    from below otherwise; likewise mu, since Y^nu <= Y or >= Y. On the other side are
    mu (1 + 2 mu)^(nu - 1), from the size-biased mean, and (1 + mu)^nu, from
    lambda E[(1 + Y)^-nu] = 1 - P(0). The guess is exact for nu = 0 and 1 and correct to
    first order for large means.
    """
    t, convex, short = k + 1.0, nu <= 1.0, (mu - k) - 1.0
    # from the difference: mu / t rounds to 1 for large means, but -1 / t is the geometric's delta
    near = short > -0.5 * t
    log_mu = np.where(near, np.log1p(np.where(near, short / t, 0.0)), np.log(mu / t))
    slack = np.log(t)
    power, plain = nu * log_mu, log_mu + (1.0 - nu) * slack
    biased = log_mu + (nu - 1.0) * np.log((1.0 + 2.0 * mu) / t)
    shifted = nu * np.log((1.0 + mu) / t)
    odds = np.where(mu < 1.0, np.log(mu) - np.log1p(-np.minimum(mu, 0.999)), np.inf)
    odds = np.where(mu < 0.999, odds, np.inf)
    lower = np.where(convex, biased, np.maximum(power, plain))
    upper = np.where(convex, np.minimum(power, plain), np.minimum(shifted, odds))
    guess = log_mu + (nu - 1.0) * np.log1p((short + _shift(nu)) / t)
    few_points = (nu > 1.0) & (2.0 * mu * (1.0 + mu) < 1.0 + nu * mu)
    guess = np.where(few_points, _three_point(mu, nu, k), guess)
    return _Bracket(lower, upper, np.clip(guess, lower, upper))


def _three_point(mu: Array, nu: Array, k: Array) -> Array:
    """Return delta of a distribution on k - 1, k, k + 1 or on k, k + 1, k + 2, whichever is near.

    With o the odds of the outer count that is nearer to mu and r the product of the two
    outer counts' odds, exp(delta) = (o + sqrt(o^2 + 4 r)) / 2, to first order in o.
    """
    t, above, below = k + 1.0, mu - k, k + 1.0 - mu
    left = above <= below
    odds = np.where(left, above / np.maximum(below, 0.5), below / np.maximum(above, 0.5))
    with np.errstate(divide="ignore"):
        log_r = -np.maximum(nu, 1.0) * np.where(left, np.log(t / k), np.log1p(1.0 / t))
        one = np.log(0.5 * (odds + np.sqrt(np.square(odds) + 4.0 * np.exp(log_r))))
    delta = np.where(odds > 0.0, one, 0.5 * log_r)
    return np.where(left, delta, -delta)


def _shift(nu: Array) -> Array:
    return np.where(nu <= 1.0, 1.0, 0.5)


def _window(k: Array, nu: Array, delta: Array) -> tuple[Array, Array]:
    """Return the range of j outside of which delta j - nu h(j) < -DROP.

    From h(j) >= i^2 / (2 (t + i / 3)) with i = j - 1 to the right (Bernstein's bound) and
    h(-i) >= i^2 / (2 t) to the left, t = k + 1.
    """
    t = k + 1.0
    with np.errstate(divide="ignore"):
        root = np.sqrt(np.square(delta) + 2.0 * DROP * nu / t)
        left = 2.0 * DROP / np.maximum(root + delta, 0.0)
    drop = DROP + np.maximum(delta, 0.0)
    A, B = 0.5 * nu - delta / 3.0, delta * t + drop / 3.0
    right = (B + np.sqrt(np.square(B) + 4.0 * A * drop * t)) / (2.0 * A)
    return -np.minimum(k, np.ceil(left)), np.ceil(right) + 2.0


def _newton(mu: Array, nu: Array, grid: Grid, h: Array, bracket: _Bracket) -> Array:
    """Return delta with E[Y] = mu, by Newton steps kept within a shrinking bracket.

    The steps are for log E + (nu - 1) log(E + shift), which is linear in delta for nu = 0 and 1
    and nearly so elsewhere.
    """
    k = np.floor(mu)
    x = grid.offset - grid.spread(mu - k)
    shift = _shift(nu)
    lower, upper, delta = bracket.lower, bracket.upper, bracket.guess
    for _ in range(MAX_STEPS):
        log_mass = _log_mass(nu, delta, grid, h)
        mass = np.exp(log_mass - grid.spread(grid.max(log_mass)))
        weighted = mass / grid.spread(grid.sum(mass)) * x
        gap = grid.sum(weighted)
        variance = np.maximum(grid.sum(weighted * x) - np.square(gap), 1e-300)
        E = np.maximum(mu + gap, 1e-300)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            # log E - log(E + shift) in one, since these cancel for large means
            missing = nu * np.log1p(gap / (mu + shift)) + np.log1p(shift * gap / mu / (E + shift))
            slope = (nu + shift / E) / (E + shift) * variance
            step = -missing / slope
        lower, upper = np.where(gap < 0, delta, lower), np.where(gap > 0, delta, upper)
        moved = delta + step
        middle = np.sinh(0.5 * (np.arcsinh(lower) + np.arcsinh(upper)))
        inside = (moved >= lower) & (moved <= upper)
        # where rounding has closed the bracket, the last step may point out of it
        reached = (np.abs(step) * np.sqrt(variance) < TOL_STEP) | (lower >= upper)
        delta = np.where(inside, moved, np.where(reached, np.clip(moved, lower, upper), middle))
        if np.all(reached):
            break
    return delta


def _log_mass(nu: Array, delta: Array, grid: Grid, h: Array) -> Array:
    return grid.spread(delta) * grid.offset - grid.spread(nu) * h


def _excess_direct(t: Array, s: Array, j: Array) -> Array:
    return log_factorial(np.maximum(s, 1.0) - 1.0) - log_factorial(t - 1.0) - j * np.log(t)


def _without_rounding(h: Array, j: Array) -> Array:
    """Return h with its two exact zeros, which a large nu would else multiply."""
    return np.where((j == 0.0) | (j == 1.0), 0.0, h)


def _entropy(u: Array) -> Array:
    """Return (1 + u) log(1 + u) - u, by its series u^2 / 2 - u^3 / 6 + ... for small u."""
    small = np.abs(u) < 0.1
    direct = np.where(small, 0.0, (1.0 + u) * np.log1p(u) - u)
    if not np.any(small):
        return direct
    v = np.where(small, u, 0.0)
    series = np.zeros_like(v)
    for n in range(17, 1, -1):
        series = 1.0 / (n * (n - 1.0)) - v * series
    return np.where(small, np.square(v) * series, direct)


def _stirling(x: Array) -> Array:
    square = 1.0 / np.square(x)
    return (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / x
