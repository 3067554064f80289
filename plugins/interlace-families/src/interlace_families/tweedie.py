"""The Tweedie distribution with a power between 1 and 2: positive numbers and exact zeros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import (
    LINKS,
    Array,
    Family,
    Link,
    OptionError,
    Parameter,
    Response,
    Taylor,
)
from interlace_core.families import LARGEST_LOG, positive_or_none, require
from interlace_families.remainders import scaled_exp_excess
from interlace_families.tweedie_series import saturated

LARGEST_PSI = 200.0
"""logit(p - 1) is kept within this: from 37 on the density is that of p = 2, to rounding."""

GAMMA_FROM = 1e10
"""Mean number of terms from which the distribution function is a gamma one, to some 1e-6."""

MAX_NODES = 4000
"""Terms of the distribution function's Poisson sum; beyond, it is taken in strides."""


SCALED_POISSON, GAMMA = "phi times a Poisson count", "the gamma distribution"
"""What it becomes at powers of 1 and 2."""


@dataclass(frozen=True)
class PowerLink(Link):
    """eta = logit(p - 1) for a variance power p between 1 and 2."""

    name = "logit(power-1)"
    domain = (1.0, 2.0)

    def eta(self, mu: Any) -> Any:
        """Return log((p - 1) / (2 - p))."""
        return np.log((mu - 1.0) / (2.0 - mu))

    def mu(self, eta: Any) -> Any:
        """Return 1 + 1 / (1 + exp(-eta))."""
        from scipy.special import expit

        return 1.0 + expit(eta)

    def derivatives(self, eta: Any) -> Taylor:
        """Return p and three derivatives, those of the logistic function."""
        p, d1, d2, d3 = LINKS["logit"].derivatives(eta)
        return 1.0 + p, d1, d2, d3


@dataclass(frozen=True)
class TweedieFamily(Family):
    """Zeros and positive numbers with mean mu and variance phi mu^power, 1 < power < 2.

    A Poisson number of gamma variables: zero where the number is. mu has a log link. As power
    tends to 2 the distribution becomes gamma with shape 1 / phi; as it tends to 1, phi times a
    Poisson count, where the density degenerates and its derivatives lose digits (third ones
    are good to 1e-8 at power 1.007). Weights multiply the log-density of their row.

    Parameters
    ----------
    phi : float, optional
        Dispersion, fixed when given and estimated (log scale) when not.
    power : float, optional
        Variance power, fixed when given and estimated (scale logit(power - 1)) when not.
    """

    name = "tweedie"
    aliases = ("tw",)
    r_family = "tweedie"
    support = "non-negative"

    phi: float | None = None
    power: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "phi", self.phi)
        number = isinstance(self.power, (int, float, np.number))
        if self.power is not None and not (number and 1.0 < self.power < 2.0):
            raise OptionError(
                f"family 'tweedie': power must be a number between 1 and 2 (which fixes it) or "
                f"None (which estimates it), got {self.power!r}. For power 1 or 2 themselves "
                "choose 'poisson' or 'gamma'."
            )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean, the dispersion and the power."""
        return (
            Parameter("mu", LINKS["log"], role="mean"),
            Parameter("phi", LINKS["log"], self.phi, role="dispersion"),
            Parameter("power", PowerLink(), self.power, "shape", SCALED_POISSON, GAMMA),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept zeros and positive numbers."""
        require(self, y >= 0, y, "zeros and positive numbers")
        return Response(y, weights)

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return the density at mu = y, a series, less half the unit deviance over phi.

        With a = p - 1, b = 2 - p and d = log(y / mu) the latter is
        y^b / phi [(exp(a d) - 1 - a d) / a + (exp(-b d) - 1 + b d) / b].
        """
        from scipy.special import expit, log_expit

        positive = y > 0
        log_y = np.log(np.where(positive, y, 1.0))
        psi = np.clip(eta[2], -LARGEST_PSI, LARGEST_PSI)
        a, b, log_a, log_b = expit(psi), expit(-psi), log_expit(psi), log_expit(-psi)
        with np.errstate(over="ignore"):
            zero = -np.exp(b * eta[0] - eta[1] - log_b)
        if not np.any(positive):
            return zero
        d = np.where(positive, log_y - eta[0], 0.0)
        log_unit = b * log_y - eta[1]
        deviance = scaled_exp_excess(log_unit - log_a, a * d)
        deviance = deviance + scaled_exp_excess(log_unit - log_b, -b * d)
        return np.where(positive, saturated(log_unit - log_b, -psi) - log_y - deviance, zero)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return mu."""
        return np.exp(eta[0])

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return phi mu^power."""
        return np.asarray(np.exp(eta[1] + self.parameters[2].link.mu(eta[2]) * eta[0]))

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return sums of a Poisson number of gamma draws.

        From `GAMMA_FROM` draws on, one with the mean and variance of their sum.
        """
        rate, shape, scale = _compound(eta)
        many = rate > GAMMA_FROM
        draws = rng.gamma(rng.poisson(np.where(many, 1.0, rate)) * shape, scale)
        if not np.any(many):
            return draws
        k = _gamma_shape(eta)
        return np.where(many, rng.gamma(k, np.exp(eta[0]) / k), draws)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the Poisson mixture of gamma distribution functions.

        From `GAMMA_FROM` terms on, the gamma distribution with this mean and variance.
        """
        from scipy.special import gammainc

        y, rate, shape, scale = np.broadcast_arrays(y, *_compound(eta))
        many = rate > GAMMA_FROM
        positive = np.maximum(y, 0.0)
        total = _mixture_cdf(positive / scale, np.where(many, 1.0, rate), shape)
        if np.any(many):
            relative = np.minimum(positive * np.exp(np.minimum(-eta[0], LARGEST_LOG)), 1e100)
            k = _gamma_shape(eta)
            total = np.where(many, gammainc(k, k * relative), total)
        return np.where(y < 0, 0.0, np.minimum(total, 1.0))

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for the mean.

        phi times the log-density is -y exp(-(p - 1) eta) / (p - 1) - exp((2 - p) eta) / (2 - p)
        and what does not depend on it, with 1 < p < 2.
        """
        return wrt == (0,)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the average, and the moment estimate of phi for power 1.5."""
        average = max(float(np.average(y, weights=weights)), 1e-10)
        variance = max(float(np.average(np.square(y - average), weights=weights)), 1e-10)
        power = self.power or 1.5
        phi = np.log(variance) - power * np.log(average)
        return np.array([np.log(average), phi, float(self.parameters[2].link.eta(power))])


def _compound(eta: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Return the rate of the Poisson number, and shape and scale of each gamma variable."""
    from scipy.special import expit, log_expit

    psi = np.clip(eta[2], -LARGEST_PSI, LARGEST_PSI)
    log_rate = expit(-psi) * eta[0] - eta[1] - log_expit(-psi)
    log_scale = eta[1] + log_expit(psi) + expit(psi) * eta[0]
    logs = np.broadcast_arrays(log_rate, -psi, log_scale)
    rate, shape, scale = (np.exp(np.clip(each, -LARGEST_LOG, LARGEST_LOG)) for each in logs)
    return rate, shape, scale


def _gamma_shape(eta: Sequence[Array]) -> Array:
    """Return the shape mu^(2-p) / phi of the gamma distribution with this mean and variance."""
    from scipy.special import expit

    psi = np.clip(eta[2], -LARGEST_PSI, LARGEST_PSI)
    return np.asarray(np.exp(np.clip(expit(-psi) * eta[0] - eta[1], -300.0, 300.0)))


def _mixture_cdf(v: Array, rate: Array, shape: Array) -> Array:
    """Return the sum over j of P(N = j) P(gamma with shape j shape <= v), N Poisson."""
    from scipy.special import gammainc, pdtr

    # beyond 9 standard deviations, and 40 terms where these are few, nothing is left
    first = np.maximum(np.floor(rate - 9.0 * np.sqrt(rate)), 1.0)
    last = rate + 9.0 * np.sqrt(rate) + 40.0
    stride = np.maximum((last - first) / MAX_NODES, 1.0)
    total, below = np.exp(-rate), first - 1.0
    for _ in range(int(np.max(np.ceil((last - first) / stride), initial=0.0)) + 1):
        above = below + stride
        middle = below + 0.5 * (stride + 1.0)
        total = total + (pdtr(above, rate) - pdtr(below, rate)) * gammainc(middle * shape, v)
        below = above
    return np.asarray(total)
