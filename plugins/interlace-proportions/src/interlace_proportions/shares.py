"""Three probabilities that add up to 1, with links for the first two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from interlace_core.contract import Link, Logit, OptionError, Taylor

LOGIT = Logit()


@dataclass(frozen=True)
class Shares:
    """Probabilities of 0, of 1 and of what lies between, or their logarithms.

    Attributes
    ----------
    zero, one, rest : jet, ndarray or float
    """

    zero: Any
    one: Any
    rest: Any


def softmax(eta0: Any, eta1: Any) -> Shares:
    """Return the logarithms of p0, p1 and the rest, for truncated Taylor numbers or arrays.

    Parameters
    ----------
    eta0, eta1 : jet or ndarray, each broadcastable to (..., n)
        log(p0 / rest) and log(p1 / rest); minus infinity for a probability of 0.
    """
    log_sum = np.logaddexp(np.logaddexp(eta0, eta1), 0.0)
    return Shares(eta0 - log_sum, eta1 - log_sum, -log_sum)


@dataclass(frozen=True)
class MultinomialLogit(Logit):
    """eta = log(p / rest) of one of two probabilities, rest what both leave.

    One predictor by itself tells p only where the other probability is 0: `mu` is p / (p + rest).
    """

    name = "multinomial logit"


@dataclass(frozen=True)
class ScaledLogit(Link):
    """eta = log(p / (upper - p)), a multinomial logit where the other probability is known.

    Parameters
    ----------
    upper : float
        Largest value, above 0 and at most 1.
    """

    name = "scaled logit"
    domain = (0.0, 1.0)

    upper: float

    def __post_init__(self) -> None:
        if not 0.0 < self.upper <= 1.0:
            raise OptionError(
                f"link {self.name!r}: upper must be above 0 and at most 1, got {self.upper!r}."
            )
        object.__setattr__(self, "domain", (0.0, self.upper))

    def eta(self, mu: Any) -> Any:
        """Return log(mu / (upper - mu))."""
        return LOGIT.eta(mu / self.upper)

    def mu(self, eta: Any) -> Any:
        """Return upper / (1 + exp(-eta))."""
        return self.upper * LOGIT.mu(eta)

    def derivatives(self, eta: Any) -> Taylor:
        """Return those of the logit times upper."""
        m0, m1, m2, m3 = LOGIT.derivatives(eta)
        return self.upper * m0, self.upper * m1, self.upper * m2, self.upper * m3
