"""Zero-truncated count families: the count given that it is positive."""

from __future__ import annotations

from dataclasses import dataclass

from interlace_counts.zeros.around_counts import (
    AroundConwayMaxwell,
    AroundGeneralizedPoisson,
    AroundNB1,
    AroundNB2,
    AroundPoisson,
)
from interlace_counts.zeros.truncated import ZeroTruncatedFamily


@dataclass(frozen=True)
class TruncatedPoissonFamily(AroundPoisson, ZeroTruncatedFamily):
    """Positive counts: Poisson given that it is not 0.

    mu is the mean of the untruncated Poisson.
    """

    name = "truncated_poisson"
    aliases = ("zero_truncated_poisson",)

    def log_concave(self, wrt: tuple[int, ...]) -> bool:
        """Return True: y eta - log(exp(mu) - 1), whose logarithm is a cumulant function of eta.

        (Truncated NB1 and NB2 are not: near the log-series limit a count of 1 tells nothing.)
        """
        return True


@dataclass(frozen=True)
class TruncatedNegativeBinomial1Family(AroundNB1, ZeroTruncatedFamily):
    """Positive counts: NB1 given that it is not 0.

    Parameters
    ----------
    alpha : float, optional
        As for `negativebinomial1`; mu and alpha are those of the untruncated distribution.
    """

    name = "truncated_negativebinomial1"
    aliases = ("truncated_nbinom1", "zero_truncated_nb1")


@dataclass(frozen=True)
class TruncatedNegativeBinomial2Family(AroundNB2, ZeroTruncatedFamily):
    """Positive counts: NB2 given that it is not 0.

    Parameters
    ----------
    theta : float, optional
        As for `negativebinomial`; mu and theta are those of the untruncated distribution.
    """

    name = "truncated_negativebinomial"
    aliases = ("truncated_nbinom2", "zero_truncated_nb2")


@dataclass(frozen=True)
class TruncatedGeneralizedPoissonFamily(AroundGeneralizedPoisson, ZeroTruncatedFamily):
    """Positive counts: generalised Poisson given that it is not 0.

    Parameters
    ----------
    phi : float, optional
        As for `genpois`; mu and phi are those of the untruncated distribution.
    """

    name = "truncated_genpois"
    aliases = ("truncated_generalized_poisson",)


@dataclass(frozen=True)
class TruncatedConwayMaxwellPoissonFamily(AroundConwayMaxwell, ZeroTruncatedFamily):
    """Positive counts: Conway-Maxwell Poisson given that it is not 0.

    Parameters
    ----------
    phi : float, optional
        As for `compois`; mu and phi are those of the untruncated distribution.
    """

    name = "truncated_compois"
    aliases = ("truncated_com_poisson",)
