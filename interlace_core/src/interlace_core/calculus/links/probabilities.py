"""Links for probabilities, with the logarithms of both probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.calculus.links.base import ProbabilityLink, Taylor
from interlace_core.calculus.special import log1mexp, log_ndtr_derivatives

_EXP_FINITE = 700.0
"""exp overflows at 709."""

_T_LINEAR = -37.0
"""Below this log(1 - exp(-exp(x))) is x itself to rounding: it differs by exp(x) / 2."""


@dataclass(frozen=True)
class Logit(ProbabilityLink):
    """eta = log(mu / (1 - mu))."""

    name = "logit"
    log_concave = True
    latent_variance = np.pi**2 / 3.0

    def eta(self, mu: Any) -> Any:
        """Return the log-odds."""
        from scipy.special import logit

        return logit(mu)

    def mu(self, eta: Any) -> Any:
        """Return 1 / (1 + exp(-eta))."""
        from scipy.special import expit

        return expit(eta)

    def derivatives(self, eta: Any) -> Taylor:
        """Return mu, mu (1 - mu), and so on."""
        p = self.mu(eta)
        slope = p * self.mu(-eta)
        return p, slope, slope * (1.0 - 2.0 * p), slope * (1.0 - 6.0 * slope)

    def log_mu(self, eta: Any) -> Any:
        """Return log(mu)."""
        from scipy.special import log_expit

        return log_expit(eta)

    def log1m_mu(self, eta: Any) -> Any:
        """Return log(1 - mu)."""
        return self.log_mu(-eta)

    def log_derivatives(self, eta: Any) -> tuple[Taylor, Taylor]:
        """Return both logarithms from one exponential."""
        e = np.exp(-np.abs(eta))
        softplus = np.log1p(e)
        larger, smaller = 1.0 / (1.0 + e), e / (1.0 + e)
        positive = eta >= 0
        p, q = np.where(positive, larger, smaller), np.where(positive, smaller, larger)
        second = -larger * smaller
        third = second * (q - p)
        return (
            (np.minimum(eta, 0.0) - softplus, q, second, third),
            (np.minimum(-eta, 0.0) - softplus, -p, second, third),
        )


@dataclass(frozen=True)
class Probit(ProbabilityLink):
    """eta = Phi^-1(mu), the standard normal quantile."""

    name = "probit"
    log_concave = True
    latent_variance = 1.0

    def eta(self, mu: Any) -> Any:
        """Return the normal quantile."""
        from scipy.special import ndtri

        return ndtri(mu)

    def mu(self, eta: Any) -> Any:
        """Return the normal distribution function."""
        from scipy.special import ndtr

        return ndtr(eta)

    def derivatives(self, eta: Any) -> Taylor:
        """Return Phi, phi, -eta phi, (eta^2 - 1) phi."""
        density = np.exp(-0.5 * np.square(eta)) / np.sqrt(2.0 * np.pi)
        return self.mu(eta), density, -eta * density, (np.square(eta) - 1.0) * density

    def log_mu(self, eta: Any) -> Any:
        """Return log Phi(eta)."""
        from scipy.special import log_ndtr

        return log_ndtr(eta)

    def log1m_mu(self, eta: Any) -> Any:
        """Return log Phi(-eta)."""
        return self.log_mu(-eta)

    def log_derivatives(self, eta: Any) -> tuple[Taylor, Taylor]:
        """Return both logarithms with derivatives from the inverse Mills ratio."""
        upper = log_ndtr_derivatives(eta)
        lower = log_ndtr_derivatives(-eta)
        return upper, (lower[0], -lower[1], lower[2], -lower[3])


@dataclass(frozen=True)
class CLogLog(ProbabilityLink):
    """eta = log(-log(1 - mu))."""

    name = "cloglog"
    log_concave = True
    latent_variance = np.pi**2 / 6.0

    def eta(self, mu: Any) -> Any:
        """Return log(-log(1 - mu))."""
        return np.log(-np.log1p(-mu))

    def mu(self, eta: Any) -> Any:
        """Return 1 - exp(-exp(eta))."""
        return -np.expm1(-np.exp(eta))

    def derivatives(self, eta: Any) -> Taylor:
        """Return mu and its derivatives, with t = exp(eta)."""
        t = np.exp(np.minimum(eta, _EXP_FINITE))
        slope = t * np.exp(-t)
        return self.mu(eta), slope, slope * (1.0 - t), slope * ((1.0 - t) ** 2 - t)

    def log_mu(self, eta: Any) -> Any:
        """Return log(1 - exp(-exp(eta))), which for eta -> -inf is eta itself."""
        inside = np.minimum(np.maximum(eta, _T_LINEAR), _EXP_FINITE)
        return np.where(eta < _T_LINEAR, eta, log1mexp(np.exp(inside)))

    def log1m_mu(self, eta: Any) -> Any:
        """Return -exp(eta), kept finite so that no trial has a log-probability of 0 * -inf."""
        return -np.exp(np.minimum(eta, _EXP_FINITE))

    def log_derivatives(self, eta: Any) -> tuple[Taylor, Taylor]:
        """Return both logarithms; r = t / (exp(t) - 1) satisfies r' = r (1 - t - r)."""
        t = np.exp(np.minimum(eta, _EXP_FINITE))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            r = np.where(t > 0, t / np.expm1(t), 1.0)
        # Bernoulli series of 1 - t - r where the difference would cancel; error below t^8 / 1e6
        series = t * (-0.5 - t * (1.0 / 12.0 - t**2 * (1.0 / 720.0 - t**2 / 30240.0)))
        decay = np.where(t < 0.05, series, 1.0 - t - r)
        second = r * decay
        third = second * decay - r * (t + second)
        # for t -> 0 this is log t, exactly eta
        value = np.where(eta < _T_LINEAR, eta, log1mexp(t))
        return (value, r, second, third), (-t, -t, -t, -t)


@dataclass(frozen=True)
class Cauchit(ProbabilityLink):
    """eta = tan(pi (mu - 1/2)), the Cauchy quantile."""

    name = "cauchit"

    def eta(self, mu: Any) -> Any:
        """Return the Cauchy quantile."""
        return -1.0 / np.tan(np.pi * mu)

    def mu(self, eta: Any) -> Any:
        """Return the Cauchy distribution function, without cancellation in the left tail."""
        return np.arctan2(1.0, -eta) / np.pi

    def derivatives(self, eta: Any) -> Taylor:
        """Return mu and the Cauchy density with two derivatives."""
        spread = 1.0 / (1.0 + np.square(eta))
        density = spread / np.pi
        second = -2.0 * eta * spread * density
        return self.mu(eta), density, second, (6.0 * np.square(eta) - 2.0) * spread**2 * density

    def log_mu(self, eta: Any) -> Any:
        """Return log(mu)."""
        return np.log(self.mu(eta))

    def log1m_mu(self, eta: Any) -> Any:
        """Return log(1 - mu)."""
        return np.log(self.mu(-eta))

    def log_derivatives(self, eta: Any) -> tuple[Taylor, Taylor]:
        """Return both logarithms; the second is the first mirrored."""
        upper = _log_taylor(self.derivatives(eta))
        lower = _log_taylor(self.derivatives(-eta))
        return upper, (lower[0], -lower[1], lower[2], -lower[3])


@dataclass(frozen=True)
class LogProbability(ProbabilityLink):
    """eta = log(mu) for a probability, eta < 0: coefficients are log relative risks."""

    name = "log"
    log_concave = True
    eta_domain = (-np.inf, 0.0)

    def eta(self, mu: Any) -> Any:
        """Return log(mu)."""
        return np.log(mu)

    def mu(self, eta: Any) -> Any:
        """Return exp(eta)."""
        return np.exp(eta)

    def derivatives(self, eta: Any) -> Taylor:
        """Return exp(eta) four times."""
        mu = np.exp(eta)
        return mu, mu, mu, mu

    def log_mu(self, eta: Any) -> Any:
        """Return eta."""
        return eta

    def log1m_mu(self, eta: Any) -> Any:
        """Return log(1 - exp(eta))."""
        return np.log(-np.expm1(eta))

    def log_derivatives(self, eta: Any) -> tuple[Taylor, Taylor]:
        """Return both logarithms; the odds o satisfy o' = o (1 + o)."""
        zero = np.zeros_like(eta)
        with np.errstate(invalid="ignore", divide="ignore"):
            odds = np.where(eta < 0, 1.0 / np.expm1(-eta), np.nan)
            value = np.where(eta < 0, log1mexp(-eta), -np.inf)
        grow = odds * (1.0 + odds)
        return (eta, zero + 1.0, zero, zero), (value, -odds, -grow, -grow * (1.0 + 2.0 * odds))


def _log_taylor(f: Taylor) -> Taylor:
    d1 = f[1] / f[0]
    d2 = f[2] / f[0] - d1**2
    d3 = f[3] / f[0] - 3.0 * f[2] * f[1] / f[0] ** 2 + 2.0 * d1**3
    return np.log(f[0]), d1, d2, d3
