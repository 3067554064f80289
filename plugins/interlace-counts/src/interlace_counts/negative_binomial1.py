"""The negative binomial with variance proportional to the mean (NB1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from interlace_core.contract import LINKS, Array, Derivatives, Family, Parameter, Response
from interlace_core.families import (
    has_large_counts,
    log_factorial,
    log_rising,
    positive_or_none,
    require_counts,
)
from interlace_counts import nb_density, nb_large
from interlace_counts.nb_density import LOG_SERIES, pieces


@dataclass(frozen=True)
class NegativeBinomial1Family(Family):
    """Counts with variance mu (1 + alpha).

    The size is mu / alpha; the Poisson distribution is the limit of alpha to 0. (Its parameter
    runs against that of `negativebinomial`: a larger alpha is more spread.)

    Parameters
    ----------
    alpha : float, optional
        Excess of the variance in units of the mean; fixed when given, estimated (log scale)
        when not.
    """

    name = "negativebinomial1"
    aliases = ("nbinom1", "nb1")
    r_family = "nbinom1"
    support = "counts"
    limit_without_zeros = LOG_SERIES

    alpha: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "alpha", self.alpha)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and the relative excess of the variance."""
        return (
            Parameter("mu", LINKS["log"], role="mean"),
            Parameter("alpha", LINKS["log"], self.alpha, "dispersion", at_lower=nb_density.POISSON),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept counts."""
        require_counts(self, y)
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the negative binomial log-density with size mu / alpha."""
        return nb_density.log_density(y, eta[0], eta[0] - eta[1], eta[1])

    def cloglog_positive(self, eta: Sequence[Any]) -> Any:
        """Return log(-log P(Y = 0)) = log(mu log(1 + alpha) / alpha)."""
        return nb_density.cloglog_positive(eta[0], eta[1])

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.exp(eta[0])

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return mu (1 + alpha)."""
        return np.exp(eta[0] + np.logaddexp(0.0, eta[1]))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws of a gamma mixture of Poissons."""
        return nb_density.simulate(self.mean(eta), np.exp(eta[0] - eta[1]), rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the negative binomial distribution function."""
        return nb_density.cdf(y, self.mean(eta), np.exp(eta[0] - eta[1]))

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the average count and the moment estimate of alpha, within [0.01, 10]."""
        average, excess = nb_density.average_and_excess(y, weights)
        return np.array([np.log(average), np.log(np.clip(excess / average, 0.01, 10.0))])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (log mu, log alpha)."""
        return _derivatives(y, eta[0], eta[1], order, wrt)


def _derivatives(
    y: Array, log_mu: Array, a: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Differentiate R + y (log mu - softplus(a)) - log y! - E, as in `nb_density` with d = a.

    R depends on log mu - a, E is mu times a function of a.
    """
    if has_large_counts(y):
        return _of_large_counts(y, log_mu, a, order, wrt)
    R = log_rising(y, np.subtract(log_mu, a), order if wrt else 0)
    c = pieces(log_mu, a)
    E, p = c.E, c.p
    value = R[0] + y * (log_mu - c.softplus) - log_factorial(y) - E
    partials: dict[tuple[int, ...], Array] = {}
    if 0 in wrt:
        linear = (y, 0.0, 0.0)
        partials |= {(0,) * k: R[k] + linear[k - 1] - E for k in range(1, order + 1)}
    if 1 in wrt and order >= 1:
        yp, E_a = y * p, c.E_m - E
        partials[1,] = -R[1] - yp - E_a
        if order >= 2:
            ypq, E_aa = yp * c.q, E - c.E_m * (1.0 + p)
            partials[1, 1] = R[2] - ypq - E_aa
        if order >= 3:
            E_aaa = c.E_m * (1.0 + 2.0 * np.square(p)) - E
            partials[1, 1, 1] = -R[3] - ypq * (c.q - p) - E_aaa
        if 0 in wrt and order >= 2:
            partials[0, 1] = -R[2] - E_a
        if 0 in wrt and order >= 3:
            partials |= {(0, 0, 1): -R[3] - E_a, (0, 1, 1): R[3] - E_aa}
    return Derivatives(value, partials)


def _of_large_counts(
    y: Array, log_mu: Array, a: Array, order: int, wrt: tuple[int, ...]
) -> Derivatives:
    """Turn derivatives in (log mu, log t) into those in (log mu, a), log t = log mu - a."""
    log_t = np.subtract(log_mu, a)
    f = nb_large.derivatives(y, log_mu, log_t, a, order, (0, 1) if wrt else ())
    partials = {}
    for size in range(1, order + 1):
        for of_a in range(size + 1):
            key = (0,) * (size - of_a) + (1,) * of_a
            if set(key) <= set(wrt):
                partials[key] = _in_alpha(f, size, of_a)
    return Derivatives(f.value, partials)


def _in_alpha(f: Derivatives, size: int, of_a: int) -> Array:
    """Return (d_m + d_t)^(size - of_a) (-d_t)^of_a of f."""
    total: Any = 0.0
    for i in range(size - of_a + 1):
        in_t = of_a + i
        total = total + comb(size - of_a, i) * f.partials[(0,) * (size - in_t) + (1,) * in_t]
    return np.asarray(-total if of_a % 2 else total)
