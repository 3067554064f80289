"""The two shapes of a beta distribution, mu phi and (1 - mu) phi, each known by its logarithm.

`A = log phi + log mu` and `B = log phi + log(1 - mu)` keep all digits where mu rounds to 0 or 1,
and a density that is a sum of functions of A, of B and of phi is differentiated tail by tail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from interlace_core.contract import Array, ProbabilityLink, Taylor
from interlace_core.families import compose, value_of

Partials = dict[tuple[int, ...], Array]

LINK_NAMES = ("logit", "probit", "cloglog")

_SMALLEST_LOG_PHI, _LARGEST_LOG_PHI = -230.0, 34.0
"""Precisions that SciPy's and NumPy's beta distributions handle: 1e-100 to 6e14. Beyond them all
is at 0 and 1 with probabilities 1 - mu and mu, or at mu to 7 digits."""

_SMALLEST_SHAPE = 1e-300
"""A shape of 0 is refused."""


def log_tails(link: ProbabilityLink, eta: Any) -> tuple[Any, Any]:
    """Return log(mu) and log(1 - mu), safe in both tails, of a jet or an array."""
    with np.errstate(over="ignore"):  # of terms that a link leaves unused far out
        up, down = link.log_derivatives(value_of(eta))
    return compose(eta, *up), compose(eta, *down)


def tail_partials(
    outer: Sequence[Array], inner: Taylor, order: int, wrt: Iterable[int], extra: Array | float = 0
) -> Partials:
    """Return the partial derivatives of h(log phi + L(eta)) + extra L(eta) in (eta, log phi).

    Parameters
    ----------
    outer : sequence of ndarray
        h and its derivatives up to the order.
    inner : tuple of four ndarrays
        L, the log of mu or of 1 - mu, and its derivatives in eta.
    order : int
        Highest order, 0 to 3.
    wrt : iterable of int
        0 for eta, 1 for log phi.
    extra : ndarray or float
        Coefficient of a part linear in L.
    """
    _, L1, L2, L3 = inner
    mean, scale = 0 in wrt, 1 in wrt
    out: Partials = {}
    if order >= 1:
        slope = outer[1] + extra
        out |= {(0,): slope * L1} if mean else {}
        out |= {(1,): outer[1]} if scale else {}
    if order >= 2:
        # a factor of 0 comes first: L1 can be 1e300, and its square is not to be formed
        bent = outer[2] * L1
        out |= {(0, 0): bent * L1 + slope * L2} if mean else {}
        out |= {(0, 1): bent} if mean and scale else {}
        out |= {(1, 1): outer[2]} if scale else {}
    if order >= 3:
        twice = outer[3] * L1 * L1
        out |= {(0, 0, 0): twice * L1 + 3.0 * bent * L2 + slope * L3} if mean else {}
        if mean and scale:
            out |= {(0, 0, 1): twice + outer[2] * L2, (0, 1, 1): outer[3] * L1}
        out |= {(1, 1, 1): outer[3]} if scale else {}
    return out


def total(*parts: Partials) -> Partials:
    """Return the sum of partial derivatives; a missing one is zero."""
    out: Partials = {}
    for part in parts:
        for key, values in part.items():
            out[key] = out[key] + values if key in out else values
    return out


def shapes(link: ProbabilityLink, eta: Sequence[Array]) -> tuple[Array, Array]:
    """Return mu phi and (1 - mu) phi, kept away from 0 and infinity, shape (..., n) each."""
    log_phi = np.clip(eta[1], _SMALLEST_LOG_PHI, _LARGEST_LOG_PHI)
    a, b = (np.exp(log_phi + log_p) for log_p in log_tails(link, eta[0]))
    return np.maximum(a, _SMALLEST_SHAPE), np.maximum(b, _SMALLEST_SHAPE)


def draw(link: ProbabilityLink, eta: Sequence[Array], rng: np.random.Generator) -> Array:
    """Return beta draws strictly inside (0, 1), shape (..., n)."""
    draws = rng.beta(*shapes(link, eta))
    return np.clip(draws, np.finfo(np.float64).tiny, 1.0 - 0.5 * np.finfo(np.float64).eps)


def beta_cdf(y: Array, link: ProbabilityLink, eta: Sequence[Array]) -> Array:
    """Return P(Y <= y) of the beta distribution, shape (..., n)."""
    from scipy.special import betainc

    return np.asarray(betainc(*shapes(link, eta), np.clip(y, 0.0, 1.0)))


def start_phi(mean: float, variance: float) -> float:
    """Return the moment estimate of phi from a mean and variance, within [0.1, 1e4]."""
    return float(np.clip(mean * (1.0 - mean) / max(variance, 1e-300) - 1.0, 0.1, 1e4))
