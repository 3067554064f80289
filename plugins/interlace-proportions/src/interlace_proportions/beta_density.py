"""The beta log-density in eta and log(phi), and its derivatives to third order.

With a = mu phi, b = (1 - mu) phi, S the remainder of Stirling's formula and K the Kullback-
Leibler divergence of (y, 1 - y) from (mu, 1 - mu),

    log f = S(phi) - S(a) - S(b) + (log a + log b - log phi - log(2 pi)) / 2
            - phi K(eta) - log y - log(1 - y)
    K = mu (log mu - log y) + (1 - mu) (log(1 - mu) - log(1 - y))

which is exact (the large parts of the three log-gammas cancel on paper) and reaches a normal
density as phi grows. K' = mu' D with D = logit(mu) - logit(y), since the derivatives of the two
logarithms cancel in K.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace_core.contract import Array, Derivatives, ProbabilityLink, Taylor
from interlace_core.families import HALF_LOG_2PI, LARGEST_LOG, stirling_remainder
from interlace_proportions.log_gamma import stirling_jet
from interlace_proportions.tails import Partials, log_tails, tail_partials, total


def log_beta_density(y: Array, link: ProbabilityLink, eta: Any, log_phi: Any) -> Any:
    """Return the log-density at y in (0, 1), for truncated Taylor numbers or arrays."""
    log_mu, log1m_mu = log_tails(link, eta)
    log_y, log1m_y = np.log(y), np.log1p(-y)
    K = np.exp(log_mu) * (log_mu - log_y) + np.exp(log1m_mu) * (log1m_mu - log1m_y)
    shapes = stirling_jet(log_phi + log_mu) + stirling_jet(log_phi + log1m_mu)
    half = 0.5 * (log_phi + log_mu + log1m_mu) - HALF_LOG_2PI
    phi_K = np.exp(np.minimum(log_phi, LARGEST_LOG)) * K
    return stirling_jet(log_phi) - shapes + half - phi_K - log_y - log1m_y


def beta_derivatives(
    y: Array,
    link: ProbabilityLink,
    eta: Array,
    log_phi: Array,
    order: int,
    wrt: tuple[int, ...],
) -> Derivatives:
    """Return the log-density and its partials, 0 for eta and 1 for log(phi).

    Parameters
    ----------
    y : ndarray, shape (n,)
        Strictly inside (0, 1).
    link : ProbabilityLink
        From mu to eta.
    eta, log_phi : ndarray, each broadcastable to (..., n)
    order : int
        Highest order, 0 to 3.
    wrt : tuple of int
        Which of the two to differentiate in.
    """
    up, down = link.log_derivatives(np.asarray(eta))
    log_phi = _once_if_constant(np.asarray(log_phi))
    log_y, log1m_y = np.log(y), np.log1p(-y)
    S = stirling_remainder(log_phi, order if 1 in wrt else 0)
    S_a, S_b = (stirling_remainder(log_phi + L[0], order if wrt else 0) for L in (up, down))
    phi = np.exp(np.minimum(log_phi, LARGEST_LOG))
    half = 0.5 * (log_phi + up[0] + down[0]) - HALF_LOG_2PI
    phi_K = phi * (np.exp(up[0]) * (up[0] - log_y) + np.exp(down[0]) * (down[0] - log1m_y))
    value = S[0] - S_a[0] - S_b[0] + half - phi_K - log_y - log1m_y
    if not wrt or order == 0:
        return Derivatives(value, {})
    partials = total(
        tail_partials(_half_minus(S_a), up, order, wrt),
        tail_partials(_half_minus(S_b), down, order, wrt),
        _phi_partials(S, order, wrt),
        _divergence_partials(log_y - log1m_y, log_phi, phi_K, (up, down), order, wrt),
    )
    return Derivatives(value, partials)


def _once_if_constant(x: Array) -> Array:
    """Return one number in place of rows that are all the same, as phi mostly is."""
    return x[:1] if x.ndim == 1 and x.size > 1 and np.ptp(x) == 0.0 else x


def _half_minus(S: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the derivatives of log(x) / 2 - S(x) in log x, the value left out."""
    return (S[0], 0.5 - S[1], *(-each for each in S[2:]))


def _phi_partials(S: tuple[Array, ...], order: int, wrt: tuple[int, ...]) -> Partials:
    """Differentiate S(phi) - log(phi) / 2."""
    if 1 not in wrt:
        return {}
    return {(1,) * k: S[k] - (0.5 if k == 1 else 0.0) for k in range(1, order + 1)}


def _divergence_partials(
    logit_y: Array,
    log_phi: Array,
    phi_K: Array,
    tails: tuple[Taylor, Taylor],
    order: int,
    wrt: tuple[int, ...],
) -> Partials:
    """Differentiate -phi K; in log(phi) it is its own derivative until phi is clipped."""
    out: Partials = {}
    growing = log_phi <= LARGEST_LOG
    if 1 in wrt:
        out |= {(1,) * k: np.where(growing, -phi_K, 0.0) for k in range(1, order + 1)}
    if 0 in wrt:
        slopes = _divergence_slopes(logit_y, log_phi, tails, order)
        out |= {(0,) * (k + 1): slope for k, slope in enumerate(slopes)}
    if 0 in wrt and 1 in wrt:
        crossed = {(0, 1): 0, (0, 1, 1): 0, (0, 0, 1): 1}
        for key, k in crossed.items():
            if len(key) <= order:
                out[key] = np.where(growing, slopes[k], 0.0)
    return out


def _divergence_slopes(
    logit_y: Array, log_phi: Array, tails: tuple[Taylor, Taylor], order: int
) -> list[Array]:
    """Return the derivatives of -phi K in eta, of orders 1 to `order`."""
    (U, U1, U2, U3), (V, V1, V2, _) = tails
    minus_a = -np.exp(np.minimum(log_phi, LARGEST_LOG)) * np.exp(U)
    D, D1 = U - V - logit_y, U1 - V1
    # -phi times the derivatives of mu = exp(U)
    m1 = minus_a * U1
    slopes = [m1 * D]
    if order >= 2:
        m2 = minus_a * (U2 + U1 * U1)
        slopes.append(m2 * D + m1 * D1)
    if order >= 3:
        m3 = minus_a * (U3 + U1 * (3.0 * U2 + U1 * U1))
        slopes.append(m3 * D + 2.0 * m2 * D1 + m1 * (U2 - V2))
    return slopes
