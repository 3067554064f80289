"""Link functions with three derivatives of their inverse, safe in the tails.

`eta = link.eta(mu)` and `mu = link.mu(eta)`. Links for probabilities also give log(mu) and
log(1 - mu) with three derivatives each, since a binomial density is linear in these and loses
all accuracy when they are formed from mu.
"""

from __future__ import annotations

from interlace_core.calculus.links.base import Link, ProbabilityLink, Taylor, chain
from interlace_core.calculus.links.correlations import Correlation
from interlace_core.calculus.links.powers import Identity, Inverse, InverseSquare, Log, Sqrt
from interlace_core.calculus.links.probabilities import (
    Cauchit,
    CLogLog,
    Logit,
    LogProbability,
    Probit,
)
from interlace_core.messages.errors import OptionError, UnknownNameError
from interlace_core.messages.names import did_you_mean

__all__ = [
    "LINKS",
    "Cauchit",
    "CLogLog",
    "Correlation",
    "Identity",
    "Inverse",
    "InverseSquare",
    "Link",
    "Log",
    "LogProbability",
    "Logit",
    "ProbabilityLink",
    "Probit",
    "Sqrt",
    "Taylor",
    "as_link",
    "chain",
]

LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Identity(), Log(), Sqrt(), Inverse(), InverseSquare(),
        Logit(), Probit(), CLogLog(), Cauchit(),
    )
}  # fmt: skip


def as_link(link: str | Link, allowed: tuple[str, ...], who: str) -> Link:
    """Return a link from its name or from an instance.

    Parameters
    ----------
    link : str or Link
        Name, or an instance (which is accepted whatever its name).
    allowed : tuple of str
        Names that the family offers.
    who : str
        Named in errors, such as "family 'binomial'".

    Raises
    ------
    UnknownNameError
        If the name is not among those allowed.
    OptionError
        If it is neither a name nor a Link.
    """
    if isinstance(link, Link):
        return link
    if not isinstance(link, str):
        raise OptionError(
            f"{who}: link must be a name or a Link, got {type(link).__name__}. "
            f"Use one of {', '.join(allowed)}."
        )
    if link not in allowed:
        raise UnknownNameError(
            f"{who} has no link {link!r}.{did_you_mean(link, allowed)} "
            f"Use one of {', '.join(allowed)}."
        )
    return LINKS[link]
