"""The ordered beta distribution: 0 and 1 are the ends of the scale that the mean moves along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from interlace_core.contract import (
    LINKS,
    Array,
    CLogLog,
    DataWarning,
    Family,
    OptionError,
    Parameter,
    Response,
    is_real,
    warn,
)
from interlace_core.families import LARGEST_LOG, compose, positive_or_none, require, value_of
from interlace_proportions.beta_density import log_beta_density
from interlace_proportions.mixture import (
    inside,
    mixture_cdf,
    mixture_mean,
    mixture_simulate,
    mixture_variance,
    observed_shares,
    require_inside,
    start_inside,
)
from interlace_proportions.shares import LOGIT, Shares

NO_ZERO_C1 = -40.0
"""Where c1 is fixed if no row is 0: P(y = 0) is then below 1e-15 for eta above -5."""

NO_ONE_GAP = 80.0
"""Where the gap is fixed if no row is 1: c2 then lies as far above as c1 can lie below."""

_WIDE_LOG_GAP = 50.0
"""From here log(1 - exp(-gap)) and its derivatives are 0, and the square of the gap is finite."""


@dataclass(frozen=True)
class OrderedBetaFamily(Family):
    """Proportions from 0 to 1 with one predictor for the mean inside and for the ends.

    With eta = logit(mu), a row is 0 with probability `1 - expit(eta - c1)`, 1 with probability
    `expit(eta - c2)`, and otherwise beta distributed with mean mu and precision phi (Kubinec
    2023). The cutpoints stay in order since c2 = c1 + gap with gap > 0. glmmTMB's `ordbeta`
    reports plogis(c1) and plogis(c2).

    If no row is 0, c1 has no finite estimate and is fixed at -40; if no row is 1, the gap is
    fixed at 80. With neither, this is the beta distribution.

    Parameters
    ----------
    phi : float, optional
        Precision; fixed when given, estimated (log scale) when not.
    c1 : float, optional
        Lower cutpoint on the logit scale; fixed when given, estimated when not.
    gap : float, optional
        c2 - c1; fixed when given, estimated (log scale) when not.
    """

    name = "ordered_beta"
    aliases = ("ordbeta",)
    r_family = "ordbeta"
    support = "closed unit interval"

    phi: float | None = None
    c1: float | None = None
    gap: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "phi", self.phi)
        positive_or_none(self, "gap", self.gap)
        if self.c1 is not None and not (is_real(self.c1) and np.isfinite(self.c1)):
            raise OptionError(
                f"family {self.name!r}: c1 must be a finite number (which fixes it) or None "
                f"(which estimates it), got {self.c1!r}."
            )

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and precision inside (0, 1), the lower cutpoint and the gap to the upper."""
        return (
            Parameter("mu", LOGIT, role="mean"),
            Parameter("phi", LINKS["log"], self.phi, role="dispersion"),
            Parameter("c1", LINKS["identity"], self.c1, role="shape"),
            Parameter("gap", LINKS["log"], self.gap, role="shape"),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept proportions from 0 to 1."""
        require(self, (y >= 0) & (y <= 1), y, "proportions from 0 to 1")
        return Response(y, weights)

    def bind(self, y: Array) -> Self:
        """Return a copy with the cutpoint of an end that no row reaches fixed, with a warning.

        A response that does not vary is not judged here.

        Raises
        ------
        ResponseError
            If rows are 0 and rows are 1, and none lies between.
        """
        if np.ptp(y) == 0.0:
            return self
        require_inside(self, y)
        changes: dict[str, float] = {}
        if self.c1 is None and not np.any(y == 0):
            changes["c1"] = NO_ZERO_C1
        if self.gap is None and not np.any(y == 1):
            changes["gap"] = NO_ONE_GAP
        for name, value in changes.items():
            end = 0 if name == "c1" else 1
            warn(
                f"family {self.name!r}: no row of the response is {end}, so that {name} is fixed "
                f"at {value:g} (a probability of {end} of about 0) instead of estimated. Give "
                f"{name}={value:g} if that is what you mean.",
                DataWarning,
            )
        return replace(self, **changes)

    def bind_part(self, y: Array) -> Self:
        """Return the family itself: all rows decided which cutpoints there are to estimate."""
        return self

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return log P(0) at 0, log P(1) at 1, and log P(inside) plus the beta's between."""
        shares = log_shares(eta)
        between = inside(y)
        beta = log_beta_density(np.where(between, y, 0.5), LOGIT, eta[0], eta[1])
        ends = np.where(y == 0, shares.zero, shares.one)
        return np.where(between, shares.rest + beta, ends)

    def probabilities(self, eta: Sequence[Array]) -> tuple[Array, Array, Array]:
        """Return the probabilities of 0, of 1 and of values between, each shape (..., n)."""
        shares = log_shares(eta)
        return np.exp(shares.zero), np.exp(shares.one), np.exp(shares.rest)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return P(1) + P(inside) mu."""
        return mixture_mean(log_shares(eta), eta)

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance of the mixture."""
        return mixture_variance(log_shares(eta), eta)

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws: 0, 1, or strictly between."""
        return mixture_simulate(log_shares(eta), eta, rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return P(Y <= y), with jumps at 0 and 1."""
        return mixture_cdf(y, log_shares(eta), eta)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return moment estimates inside (0, 1), and cutpoints by the shares of 0 and 1."""
        eta, log_phi = start_inside(y, weights)
        share = observed_shares(y, weights)
        c1 = eta + float(LOGIT.eta(share.zero)) if self.c1 is None else float(self.c1)
        c2 = eta - float(LOGIT.eta(share.one))
        return np.array([eta, log_phi, c1, np.log(max(c2 - c1, 0.1))])


def log_shares(eta: Sequence[Any]) -> Shares:
    """Return the log-probabilities of 0, of 1 and of values between.

    With u = eta - c1 and v = eta - c2, P(inside) = expit(u) - expit(v) is the product
    expit(u) expit(-v) (1 - exp(-gap)), whose logarithm does not cancel.
    """
    from scipy.special import log_expit

    u = eta[0] - eta[2]
    v = u - np.exp(np.minimum(eta[3], LARGEST_LOG))
    log_gap = np.minimum(value_of(eta[3]), _WIDE_LOG_GAP)
    closed = CLogLog().log_derivatives(log_gap)[0]  # log(1 - exp(-exp(x)))
    rest = log_expit(u) + log_expit(-v) + compose(eta[3], *closed)
    return Shares(log_expit(-u), log_expit(v), rest)
