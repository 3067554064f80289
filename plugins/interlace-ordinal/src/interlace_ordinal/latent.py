"""Standard latent distributions: what a cumulative model needs of each, safe in both tails.

`hazard` is f / (1 - F), `reversed_hazard` is f / F; `slopes` are f' / f and its derivative. The
logarithms of F and of 1 - F work on truncated Taylor numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from interlace_core.contract import LINKS, Array, Parameter
from interlace_core.families import value_of

LARGEST_EXPONENT = 232.0
"""exp of it is 6e100: the log-density there is hopeless, and a cube of it is still finite."""

_LEAST_EXPONENT = -700.0
"""exp of it is not yet 0."""

_F_IS_EXP = -38.0
"""Below this log(1 - exp(-exp(x))) is x to rounding."""


class Latent(ABC):
    """A distribution with a density on the whole line."""

    log_concave: ClassVar[bool] = True
    """Whether the logarithm of its density is concave."""
    variance: Any
    """Of the distribution; infinite where it has none."""

    @abstractmethod
    def log_cdf(self, x: Any) -> Any:
        """Return log F(x)."""

    @abstractmethod
    def log_sf(self, x: Any) -> Any:
        """Return log(1 - F(x))."""

    @abstractmethod
    def quantile(self, p: Array) -> Array:
        """Return x with F(x) = p."""


class Shaped(Latent):
    """A distribution with a parameter that is estimated, which it is made with for each row."""

    parameter: ClassVar[Parameter]

    @abstractmethod
    def __init__(self, shape: Any) -> None:
        """Take the parameter on the scale of its link; it may be a truncated Taylor number."""

    @abstractmethod
    def log_density(self, x: Any) -> Any:
        """Return log f(x)."""


class Standard(Latent):
    """A distribution without parameters, with its derivatives."""

    @abstractmethod
    def reversed_hazard(self, x: Array) -> Array:
        """Return f(x) / F(x)."""

    @abstractmethod
    def hazard(self, x: Array) -> Array:
        """Return f(x) / (1 - F(x))."""

    @abstractmethod
    def slopes(self, x: Array) -> tuple[Array, Array]:
        """Return f'(x) / f(x) and its derivative."""


class Symmetric(Standard):
    """A distribution that is the same mirrored at 0."""

    def log_sf(self, x: Any) -> Any:
        """Return log F(-x)."""
        return self.log_cdf(-x)

    def hazard(self, x: Array) -> Array:
        """Return the reversed hazard at -x."""
        return self.reversed_hazard(-x)


class Logistic(Symmetric):
    """The link logit."""

    variance = np.pi**2 / 3.0

    def log_cdf(self, x: Any) -> Any:
        """Return log expit(x)."""
        from scipy.special import log_expit

        return log_expit(x)

    def reversed_hazard(self, x: Array) -> Array:
        """Return expit(-x)."""
        from scipy.special import expit

        return np.asarray(expit(-x))

    def slopes(self, x: Array) -> tuple[Array, Array]:
        """Return 1 - 2 F and -2 f."""
        first = -np.tanh(0.5 * x)
        return first, -0.5 * (1.0 - np.square(first))

    def quantile(self, p: Array) -> Array:
        """Return logit(p)."""
        return np.log(p) - np.log1p(-p)


class Normal(Symmetric):
    """The link probit."""

    variance = 1.0

    def log_cdf(self, x: Any) -> Any:
        """Return log Phi(x)."""
        from scipy.special import log_ndtr

        return log_ndtr(x)

    def reversed_hazard(self, x: Array) -> Array:
        """Return the inverse Mills ratio."""
        from scipy.special import erfcx

        return np.asarray(np.sqrt(2.0 / np.pi) / erfcx(-np.sqrt(0.5) * x))

    def slopes(self, x: Array) -> tuple[Array, Array]:
        """Return -x and -1."""
        return -x, np.full_like(x, -1.0)

    def quantile(self, p: Array) -> Array:
        """Return the normal quantile."""
        from scipy.special import ndtri

        return np.asarray(ndtri(p))


class Cauchy(Symmetric):
    """The link cauchit."""

    variance = np.inf

    log_concave = False

    def log_cdf(self, x: Any) -> Any:
        """Return log(1/2 + atan(x) / pi)."""
        return np.log(np.arctan2(1.0, -x) / np.pi)

    def reversed_hazard(self, x: Array) -> Array:
        """Return f / F."""
        return np.asarray(1.0 / (np.arctan2(1.0, -x) * (1.0 + np.square(x))))

    def slopes(self, x: Array) -> tuple[Array, Array]:
        """Return -2 x / (1 + x^2) and its derivative."""
        square = np.square(x)
        return -2.0 * x / (1.0 + square), 2.0 * (square - 1.0) / np.square(1.0 + square)

    def quantile(self, p: Array) -> Array:
        """Return tan(pi (p - 1/2))."""
        return np.tan(np.pi * (p - 0.5))


class GumbelMinimum(Standard):
    """The link cloglog, F(x) = 1 - exp(-exp(x)): proportional hazards."""

    variance = np.pi**2 / 6.0

    def log_cdf(self, x: Any) -> Any:
        """Return log(1 - exp(-exp(x)))."""
        inside = np.log(-np.expm1(-_exp(np.maximum(x, _F_IS_EXP))))
        return np.where(value_of(x) < _F_IS_EXP, x, inside)

    def log_sf(self, x: Any) -> Any:
        """Return -exp(x)."""
        return -_exp(x)

    def reversed_hazard(self, x: Array) -> Array:
        """Return exp(x) / (exp(exp(x)) - 1)."""
        rate = _exp(np.maximum(x, _LEAST_EXPONENT))
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(rate * np.exp(-rate) / -np.expm1(-rate))

    def hazard(self, x: Array) -> Array:
        """Return exp(x)."""
        return np.asarray(_exp(x))

    def slopes(self, x: Array) -> tuple[Array, Array]:
        """Return 1 - exp(x) and -exp(x)."""
        rate = _exp(x)
        return 1.0 - rate, -rate

    def quantile(self, p: Array) -> Array:
        """Return log(-log(1 - p))."""
        return np.log(-np.log1p(-p))


class GumbelMaximum(Standard):
    """The link loglog, F(x) = exp(-exp(-x)): the mirror image of cloglog."""

    variance = np.pi**2 / 6.0

    _mirror = GumbelMinimum()

    def log_cdf(self, x: Any) -> Any:
        """Return -exp(-x)."""
        return self._mirror.log_sf(-x)

    def log_sf(self, x: Any) -> Any:
        """Return log(1 - exp(-exp(-x)))."""
        return self._mirror.log_cdf(-x)

    def reversed_hazard(self, x: Array) -> Array:
        """Return exp(-x)."""
        return self._mirror.hazard(-x)

    def hazard(self, x: Array) -> Array:
        """Return exp(-x) / (exp(exp(-x)) - 1)."""
        return self._mirror.reversed_hazard(-x)

    def slopes(self, x: Array) -> tuple[Array, Array]:
        """Return exp(-x) - 1 and -exp(-x)."""
        first, second = self._mirror.slopes(-x)
        return -first, second

    def quantile(self, p: Array) -> Array:
        """Return -log(-log(p))."""
        return -np.log(-np.log(p))


class ArandaOrdaz(Shaped):
    """The link of Aranda-Ordaz (1983), F(x) = 1 - (1 + lambda exp(x))^(-1 / lambda).

    Logistic where lambda is 1; tends to cloglog with lambda to 0. Its density is log-concave:
    log f(x) = x - (1 / lambda + 1) log(1 + lambda exp(x)).

    Parameters
    ----------
    log_lambda : array-like
        That of each row; may be a truncated Taylor number.
    """

    parameter = Parameter("lambda", LINKS["log"], at_lower="the link cloglog")

    def __init__(self, log_lambda: Any) -> None:
        self._log_lambda = log_lambda

    @property
    def variance(self) -> Array:
        """Of the logarithm of a Burr variable, trigamma(1) + trigamma(1 / lambda)."""
        from scipy.special import polygamma

        return np.asarray(polygamma(1, 1.0) + polygamma(1, np.exp(-self._log_lambda)))

    def log_cdf(self, x: Any) -> Any:
        """Return log(1 - (1 + lambda exp(x))^(-1 / lambda))."""
        inside = np.log(-np.expm1(self.log_sf(np.maximum(x, _F_IS_EXP))))
        return np.where(value_of(x) < _F_IS_EXP, x, inside)

    def log_sf(self, x: Any) -> Any:
        """Return -log(1 + lambda exp(x)) / lambda."""
        log_lambda = np.clip(self._log_lambda, -_MOST_LOG_LAMBDA, _MOST_LOG_LAMBDA)
        return -np.logaddexp(0.0, log_lambda + x) * np.exp(-log_lambda)

    def log_density(self, x: Any) -> Any:
        """Return x - (1 / lambda + 1) log(1 + lambda exp(x))."""
        log_lambda = np.clip(self._log_lambda, -_MOST_LOG_LAMBDA, _MOST_LOG_LAMBDA)
        return x - np.logaddexp(0.0, log_lambda + x) * (np.exp(-log_lambda) + 1.0)

    def quantile(self, p: Array) -> Array:
        """Return log(((1 - p)^-lambda - 1) / lambda)."""
        scale = np.exp(self._log_lambda)
        return np.asarray(np.log(np.expm1(-scale * np.log1p(-p)) / scale))


_MOST_LOG_LAMBDA = 600.0
"""exp of it is not yet infinite, nor one over it 0."""

LATENT: dict[str, Standard] = {
    "logit": Logistic(),
    "probit": Normal(),
    "cloglog": GumbelMinimum(),
    "loglog": GumbelMaximum(),
    "cauchit": Cauchy(),
}
"""By the name of the link."""


def _exp(x: Any) -> Any:
    return np.exp(np.minimum(x, LARGEST_EXPONENT))
