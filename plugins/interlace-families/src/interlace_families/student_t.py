"""Student's t distribution, with its scale and degrees of freedom estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from interlace_core.contract import LINKS, Array, Derivatives, Family, Link, Parameter, as_link
from interlace_core.families import HALF_LOG_2PI, compose, positive_or_none, value_of
from interlace_families.remainders import half_rising, log1p_deficit

LARGEST_PSI = 100.0
"""log(nu) is taken as this where it exceeds it: the density has been normal since 37, where 1 / nu
vanishes beside 1, and a larger one would only add rounding errors to log(sigma sqrt(nu))."""

LARGEST_SCALE = 500.0
"""Logarithms of scales are kept within this in exponentials, so that squares stay finite."""

Partials = dict[tuple[int, ...], Array]


@dataclass(frozen=True)
class StudentTFamily(Family):
    """y = mu + sigma t, where t has Student's distribution with nu degrees of freedom.

    mu is the location: also the mean if nu > 1, and always the median. sigma is the scale, not
    the standard deviation, which is sigma sqrt(nu / (nu - 2)) if nu > 2. As nu grows the
    distribution becomes N(mu, sigma^2). Weights multiply the log-density of their row.

    Parameters
    ----------
    sigma : float, optional
        Scale, fixed when given and estimated (log scale) when not.
    nu : float, optional
        Degrees of freedom, fixed when given and estimated (log scale) when not.
    link : str or Link
        identity.
    """

    name = "student_t"
    aliases = ("t_family", "student", "students_t", "t", "scat")
    links = ("identity",)
    r_family = "t_family"
    support = "real"

    sigma: float | None = None
    nu: float | None = None
    link: str | Link = "identity"

    def __post_init__(self) -> None:
        as_link(self.link, self.links, "family 'student_t'")
        positive_or_none(self, "sigma", self.sigma)
        positive_or_none(self, "nu", self.nu)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The location, the scale and the degrees of freedom."""
        return (
            Parameter("mu", as_link(self.link, self.links, "family 'student_t'"), role="mean"),
            Parameter("sigma", LINKS["log"], self.sigma, role="dispersion"),
            Parameter(
                "nu", LINKS["log"], self.nu, role="shape", at_upper="the normal distribution"
            ),
        )

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return R - log(2 pi) / 2 - log(sigma) - (nu + 1) / 2 log(1 + z^2 / nu).

        Here z = (y - mu) / sigma, and R = log Gamma(t + 1/2) - log Gamma(t) - log(t) / 2 at
        t = nu / 2 tends to 0.
        """
        psi = np.minimum(eta[2], LARGEST_PSI)
        rising = compose(psi - np.log(2.0), *(partial(_half_rising, k) for k in range(4)))
        L = _log1p_square(y - self.parameters[0].link.mu(eta[0]), eta[1] + 0.5 * psi)
        return rising - HALF_LOG_2PI - eta[1] - (0.5 * np.exp(psi) + 0.5) * L

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return the location mu, also where nu <= 1 and no mean exists."""
        return np.asarray(self.parameters[0].link.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return sigma^2 nu / (nu - 2), and infinity where nu <= 2."""
        shape = np.broadcast_shapes(*(np.shape(e) for e in eta))
        nu = _freedom(eta[2])
        finite = nu > 2.0
        inflation = 1.0 / (1.0 - 2.0 / np.where(finite, nu, 3.0))
        return np.broadcast_to(np.where(finite, np.exp(2.0 * eta[1]) * inflation, np.inf), shape)

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return t draws."""
        mu, sigma, nu = np.broadcast_arrays(self.mean(eta), np.exp(eta[1]), _freedom(eta[2]))
        return mu + sigma * rng.standard_t(nu)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return the t distribution function, the normal one from nu = 1e10 on."""
        from scipy.special import ndtr, stdtr

        z = (y - self.mean(eta)) * np.exp(np.minimum(-eta[1], LARGEST_SCALE))
        nu = _freedom(eta[2])
        normal = nu > 1e10
        return np.where(normal, ndtr(z), stdtr(np.where(normal, 1.0, nu), z))

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True for log(sigma) alone: an outlier pulls at the location less than others."""
        return wrt == (1,)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return the median, a scale from the quartiles, and 5 degrees of freedom.

        Rows count alike whatever their weights. The link is applied to the median.
        """
        lower, median, upper = np.quantile(y, [0.25, 0.5, 0.75])
        # 0.7267 is the upper quartile of t with 5 degrees of freedom
        scale = float(upper - lower) / (2.0 * 0.7267) or float(np.std(y)) or 1.0
        location = float(self.parameters[0].link.eta(np.float64(median)))
        return np.array([location, np.log(scale), np.log(5.0)])

    def derivatives(
        self, y: Array, eta: Sequence[Array], order: int, wrt: tuple[int, ...]
    ) -> Derivatives:
        """Return derivatives in (mu, log sigma, log nu) where the link is identity."""
        if self.parameters[0].link.name != "identity":
            return super().derivatives(y, eta, order, wrt)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            kernel = _Kernel(y - eta[0], eta[1], eta[2])
        rising = half_rising(kernel.psi - np.log(2.0), order if 2 in wrt else 0)
        value = rising[0] - HALF_LOG_2PI - eta[1] - kernel.N * kernel.L
        partials: Partials = {}
        with np.errstate(over="ignore", invalid="ignore"):
            if 0 in wrt:
                partials |= _in_location(kernel)
            if 1 in wrt:
                partials |= _in_scale(kernel)
            if 0 in wrt and 1 in wrt:
                partials |= _in_location_and_scale(kernel)
            if 2 in wrt and order >= 1:
                partials |= _in_freedom(kernel, rising, 0 in wrt, 1 in wrt)
        return Derivatives(value, {k: v for k, v in partials.items() if len(k) <= order})


def _freedom(psi: Array) -> Array:
    return np.asarray(np.exp(np.clip(psi, -LARGEST_SCALE, LARGEST_PSI)))


def _half_rising(k: int, log_t: Array) -> Array:
    return half_rising(log_t, k)[k]


def _log1p_square(r: Any, log_s: Any) -> Any:
    """Return log(1 + r^2 / s^2), safe for any s; the branches agree where they meet."""
    far = _is_far(value_of(r), value_of(log_s))
    with np.errstate(over="ignore"):
        t = np.where(far, 0.0, r) * np.exp(-np.maximum(np.where(far, 0.0, log_s), -LARGEST_SCALE))
        r_far, s_far = np.where(far, r, 1.0), np.where(far, log_s, 0.0)
        beyond = 2.0 * (np.log(np.abs(r_far)) - s_far) + np.log1p(np.square(np.exp(s_far) / r_far))
    return np.where(far, beyond, np.log1p(np.square(t)))


def _is_far(r: Array, log_s: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.abs(r)) > log_s)


class _Kernel:
    """What all derivatives share, with s = sigma sqrt(nu), r = y - mu and h^2 = r^2 + s^2.

    L = log(h^2 / s^2) has slope -2 p in log s; p = r^2 / h^2, q = 1 - p, and m = r / h^2 is
    minus half its slope in mu. N = (nu + 1) / 2 and V = nu / 2 are its factors.
    """

    def __init__(self, r: Array, log_sigma: Array, psi: Array) -> None:
        self.psi = np.minimum(psi, LARGEST_PSI)
        log_s = log_sigma + 0.5 * self.psi
        s = np.exp(np.minimum(log_s, LARGEST_SCALE))
        h = np.maximum(np.hypot(r, s), np.finfo(np.float64).tiny)
        sine, cosine = r / h, np.minimum(s / h, 1.0)
        self.L = _log1p_square(r, log_s)
        self.V = 0.5 * np.exp(self.psi)
        self.N = self.V + 0.5
        self.p, self.q = np.square(sine), np.square(cosine)
        self.m, self.h = sine / h, h


def _in_location(k: _Kernel) -> Partials:
    second = -2.0 * k.N * (k.q - k.p) / k.h / k.h
    third = -4.0 * k.N * k.m * (3.0 * k.q - k.p) / k.h / k.h
    return {(0,): 2.0 * k.N * k.m, (0, 0): second, (0, 0, 0): third}


def _in_scale(k: _Kernel) -> Partials:
    second = -4.0 * k.N * k.p * k.q
    return {
        (1,): 2.0 * k.N * k.p - 1.0,
        (1, 1): second,
        (1, 1, 1): 2.0 * second * (k.p - k.q),
    }


def _in_location_and_scale(k: _Kernel) -> Partials:
    first = -4.0 * k.N * k.m * k.q
    return {
        (0, 1): first,
        (0, 0, 1): -4.0 * k.N * k.q * (3.0 * k.p - k.q) / k.h / k.h,
        (0, 1, 1): 2.0 * first * (k.p - k.q),
    }


def _in_freedom(k: _Kernel, rising: Sequence[Array], location: bool, scale: bool) -> Partials:
    """Return the partials in log nu, rearranged so that no terms of size nu cancel."""
    p, q, m, pq, Vp = k.p, k.q, k.m, k.p * k.q, k.V * k.p
    VD = k.V * log1p_deficit(-np.minimum(p, 0.5))
    VD = np.where(p <= 0.5, VD, k.V * (k.L - p))  # L - p = -log(q) - p
    both = p * (p - q) * (2.0 * k.V * p - q)
    out: Partials = {(2,): rising[1] - VD + 0.5 * p}
    if len(rising) > 2:
        out[2, 2] = rising[2] - VD + Vp * p - 0.5 * pq
    if len(rising) > 3:
        out[2, 2, 2] = rising[3] - VD + 2.0 * Vp * p * p - 0.5 * pq * (p - q)
    if location:
        out |= {
            (0, 2): m * (2.0 * Vp - q),
            (0, 0, 2): (2.0 * Vp * (p - 3.0 * q) - q * (3.0 * p - q)) / k.h / k.h,
            (0, 2, 2): m * (p - q) * (2.0 * Vp - q),
        }
    if scale:
        out |= {
            (1, 2): p * (2.0 * Vp - q),
            (1, 1, 2): pq * (-8.0 * Vp - 2.0 * (p - q)),
            (1, 2, 2): both,
        }
    if location and scale:
        out[0, 1, 2] = m * q * (-8.0 * Vp - 2.0 * (p - q))
    return out
