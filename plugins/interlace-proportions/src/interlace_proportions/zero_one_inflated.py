"""The zero-one-inflated beta distribution: 0 and 1 have a process of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from interlace_core.contract import (
    LINKS,
    Array,
    DataWarning,
    Family,
    Link,
    OptionError,
    Parameter,
    Response,
    is_real,
    warn,
)
from interlace_core.families import positive_or_none, require
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
from interlace_proportions.shares import (
    LOGIT,
    MultinomialLogit,
    ScaledLogit,
    softmax,
)


@dataclass(frozen=True)
class ZeroOneInflatedBetaFamily(Family):
    """Proportions that are 0 with probability p0, 1 with p1, and beta distributed otherwise.

    The predictors of p0 and p1 are `log(p0 / rest)` and `log(p1 / rest)`, where rest is
    1 - p0 - p1 (a multinomial logit, so that the three are always probabilities). One predictor
    alone therefore does not tell p0; `natural` and `probabilities` do. brms's `zoi` is p0 + p1
    and its `coi` p1 / (p0 + p1). mu is the mean of the rows strictly inside (0, 1), and phi
    their precision.

    p0 and p1 are fixed as probabilities, and both together: with only one of them fixed, its
    predictor would have to move with the other's. A fixed 0 is the exception, since it is 0
    whatever the other is: p0 = 0 gives the one-inflated, p1 = 0 the zero-inflated beta
    distribution. That is also what a fit to data without a 0, or without a 1, uses.

    Parameters
    ----------
    phi : float, optional
        Precision; fixed when given, estimated (log scale) when not.
    p0, p1 : float, optional
        Probabilities of 0 and of 1; fixed when given, estimated when not.
    """

    name = "zerooneinflated_beta"
    aliases = ("zoib",)
    support = "closed unit interval"

    phi: float | None = None
    p0: float | None = None
    p1: float | None = None

    def __post_init__(self) -> None:
        positive_or_none(self, "phi", self.phi)
        complaints = [
            f"{name} must be a probability, 0 <= {name} < 1 (which fixes it), or None (which "
            f"estimates it), got {value!r}"
            for name, value in (("p0", self.p0), ("p1", self.p1))
            if value is not None and not _is_probability(value)
        ]
        complaints = complaints or self._conflicts()
        if complaints:
            raise OptionError(f"family {self.name!r}: " + "; ".join(complaints) + ".")

    def _conflicts(self) -> list[str]:
        p0, p1 = self.p0, self.p1
        if p0 is not None and p1 is not None:
            if p0 + p1 < 1.0:
                return []
            return [
                f"p0 + p1 must be below 1, got {p0!r} and {p1!r}; nothing is left for the values "
                "between 0 and 1"
            ]
        return [
            f"{name} = {value!r} is fixed and {other} is not. Fix both, or neither; only a value "
            "of 0 can be fixed alone"
            for name, value, other in (("p0", p0, "p1"), ("p1", p1, "p0"))
            if value
        ]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The mean and precision inside (0, 1), and the probabilities of 0 and 1."""
        return (
            Parameter("mu", LOGIT, role="mean"),
            Parameter("phi", LINKS["log"], self.phi, role="dispersion"),
            Parameter("p0", _share_link(self.p1), self.p0, role="zero"),
            Parameter("p1", _share_link(self.p0), self.p1, role="shape"),
        )

    def check_response(self, y: Array, weights: Array | None) -> Response:
        """Accept proportions from 0 to 1; not those whose probability is fixed at 0."""
        require(self, (y >= 0) & (y <= 1), y, "proportions from 0 to 1")
        if self.p0 == 0:
            require(self, y > 0, y, "no 0, since p0 is fixed at 0")
        if self.p1 == 0:
            require(self, y < 1, y, "no 1, since p1 is fixed at 0")
        return Response(y, weights)

    def bind(self, y: Array) -> Self:
        """Return a copy with p0 or p1 fixed at 0 where no row is 0, or 1, with a warning.

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
        if self.p0 is None and not np.any(y == 0):
            changes["p0"] = 0.0
        if self.p1 is None and not np.any(y == 1):
            changes["p1"] = 0.0
        for name in changes:
            warn(
                f"family {self.name!r}: no row of the response is {name[1]}, so that {name} is "
                f"fixed at 0 instead of estimated. Give {name}=0.0 if that is what you mean.",
                DataWarning,
            )
        return replace(self, **changes)

    def bind_part(self, y: Array) -> Self:
        """Return the family itself: all rows decided which probabilities there are to estimate."""
        return self

    def log_density(self, y: Array, eta: Sequence[Any]) -> Any:
        """Return log p0 at 0, log p1 at 1, and the log of rest times the beta density between."""
        shares = softmax(eta[2], eta[3])
        between = inside(y)
        beta = log_beta_density(np.where(between, y, 0.5), LOGIT, eta[0], eta[1])
        ends = np.where(y == 0, shares.zero, shares.one)
        return np.where(between, shares.rest + beta, ends)

    def probabilities(self, eta: Sequence[Array]) -> tuple[Array, Array, Array]:
        """Return p0, p1 and the rest, each shape (..., n)."""
        shares = softmax(eta[2], eta[3])
        return np.exp(shares.zero), np.exp(shares.one), np.exp(shares.rest)

    def natural(self, eta: Sequence[Any]) -> tuple[Any, ...]:
        """Return mu, phi, p0 and p1, each from all the predictors; works on jets."""
        shares = softmax(eta[2], eta[3])
        link = self.parameters[0].link
        return link.mu(eta[0]), np.exp(eta[1]), np.exp(shares.zero), np.exp(shares.one)

    def mean(self, eta: Sequence[Array]) -> Array:
        """Return p1 + (1 - p0 - p1) mu."""
        return mixture_mean(softmax(eta[2], eta[3]), eta)

    def conditional_mean(self, eta: Sequence[Array]) -> Array:
        """Return mu, the mean of the values strictly inside (0, 1)."""
        return np.asarray(LOGIT.mu(eta[0]))

    def variance(self, eta: Sequence[Array]) -> Array:
        """Return the variance of the mixture."""
        return mixture_variance(softmax(eta[2], eta[3]), eta)

    def simulate(self, eta: Sequence[Array], rng: np.random.Generator) -> Array:
        """Return draws: 0, 1, or strictly between."""
        return mixture_simulate(softmax(eta[2], eta[3]), eta, rng)

    def cdf(self, y: Array, eta: Sequence[Array]) -> Array:
        """Return P(Y <= y), with jumps of p0 at 0 and p1 at 1."""
        return mixture_cdf(y, softmax(eta[2], eta[3]), eta)

    def start(self, y: Array, weights: Array | None) -> Array:
        """Return moment estimates inside (0, 1), and the observed shares of 0 and 1."""
        share = observed_shares(y, weights)
        return np.array(
            [
                *start_inside(y, weights),
                np.log(share.zero / share.rest),
                np.log(share.one / share.rest),
            ]
        )


def _is_probability(value: Any) -> bool:
    return is_real(value) and bool(0.0 <= value < 1.0)


def _share_link(other: float | None) -> Link:
    """Return the link of p0 or p1, given the other: as a probability where the one tells it."""
    if other is None:
        return MultinomialLogit()
    return ScaledLogit(1.0 - other)
