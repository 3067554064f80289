"""Shares of variance: R2 and intra-class correlation, each on a stated scale.

On the link scale, after Nakagawa, Johnson & Schielzeth (2017): the variance of X beta, the mean
over rows of z'Sz (Johnson 2014), and a distribution-specific variance. On the response scale, by
the law of total variance with the random effects integrated out exactly: the variance of
population means over rows, the mean over rows of the variance that random effects make, and the
mean of the family's own variance. Shares of one total: never outside 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from interlace.choices import Scale
from interlace.prediction.average import average
from interlace.prediction.design import RowDesign, fit_rows
from interlace.reporting.showing import Part, Showing
from interlace_core.messages.checks import require_choice
from interlace_core.messages.errors import NotAvailableError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

SCALES = get_args(Scale)


@dataclass(frozen=True, repr=False)
class VarianceShares(Showing):
    """R2 and intra-class correlation.

    Attributes
    ----------
    marginal : float
        Share of the fixed effects in the total variance.
    conditional : float
        Share of fixed and random effects.
    icc : float
        Random effects over random effects and residual ("adjusted").
    icc_unadjusted : float
        Random effects over the total.
    fixed, random, residual : float
        The variances.
    scale : str
        "link" or "response".
    how : str
        Where the residual variance comes from, in words.
    """

    marginal: float
    conditional: float
    icc: float
    icc_unadjusted: float
    fixed: float
    random: float
    residual: float
    scale: str
    how: str

    def parts(self) -> list[Part]:
        """Return R2, ICC and the variances that they are shares of."""
        return [
            f"R2 on the {self.scale} scale: marginal {self.marginal:.4f}, conditional "
            f"{self.conditional:.4f}",
            f"ICC: adjusted {self.icc:.4f}, unadjusted {self.icc_unadjusted:.4f}",
            f"Variances: fixed {self.fixed:.5g}, random {self.random:.5g}, residual "
            f"{self.residual:.5g} ({self.how})",
        ]


def variance_shares(result: Estimates, scale: str) -> VarianceShares:
    """Return R2 and ICC; see `GLMMResult.r2`."""
    require_choice(scale, SCALES, "r2: scale")
    design = fit_rows(result)
    covariance = _prior_covariance(result, design)
    if scale == "link":
        linear = design.X[0] @ result.coefficients[0].estimates
        fixed, random = float(np.var(linear, ddof=1)), float(np.mean(covariance[0, 0]))
        residual, how = _residual_on_link(result, covariance)
    else:
        fixed, random, residual = _on_response(result, covariance)
        how = "law of total variance, random effects integrated out"
    total = fixed + random + residual
    return VarianceShares(
        marginal=fixed / total,
        conditional=(fixed + random) / total,
        icc=random / (random + residual),
        icc_unadjusted=random / total,
        fixed=fixed,
        random=random,
        residual=residual,
        scale=scale,
        how=how,
    )


def _prior_covariance(result: Estimates, design: RowDesign) -> Array:
    from interlace.prediction.target import unknown_covariance

    everywhere = [np.ones((term.codes.size, 1), dtype=bool) for term in design.terms]
    return unknown_covariance(result, design, everywhere)


def _residual_on_link(result: Estimates, covariance: Array) -> tuple[float, str]:
    """Return the distribution-specific variance on the scale of the mean's predictor."""
    family, link = result.family, result.coefficients[0].parameter.link
    latent = family.latent_variance(list(result.eta_fixed))
    if latent is not None:
        if not np.all(np.isfinite(latent)):
            raise NotAvailableError(
                f"r2: the latent distribution of family {family.name!r} has no variance, so that "
                "there are no shares of it. Choose scale='response', or another link."
            )
        return float(np.mean(latent)), f"latent variance of family {family.name!r}"
    binary = "two-level" in family.response_forms and len(result.coefficients) == 1
    if binary and link.latent_variance is not None:
        return link.latent_variance, f"latent variance of the {link.name} link"
    mu = float(np.mean(average(family.mean, result.eta_fixed, covariance)))
    eta = result.eta_fixed.copy()
    eta[0] = link.eta(np.float64(mu))
    own = float(np.mean(family.variance(list(eta))))
    if link.name == "log":
        return float(np.log1p(own / mu**2)), "log-normal approximation at the population mean"
    slope = float(np.asarray(link.derivatives(np.float64(eta[0, 0]))[1]))
    words = "residual variance" if slope == 1.0 else "delta method at the population mean"
    return own / slope**2, words


def _on_response(result: Estimates, covariance: Array) -> tuple[float, float, float]:
    family, eta = result.family, result.eta_fixed
    mean = average(family.mean, eta, covariance)
    square = average(lambda e: np.square(family.mean(e)), eta, covariance)
    own = average(lambda e: np.asarray(family.variance(e)), eta, covariance)
    random = float(np.mean(np.maximum(square - np.square(mean), 0.0)))
    return float(np.var(mean, ddof=1)), random, float(np.mean(own))
