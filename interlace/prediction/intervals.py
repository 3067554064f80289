"""Standard errors, confidence and prediction intervals of predictions.

Confidence intervals are made on the scale of the link, where the estimate is nearer to normal and
the ends stay inside the parameter's range, and taken back. Prediction intervals are quantiles of
draws from the predictive distribution: predictors drawn from their normal approximation, effects
that are not known from their estimated distribution, and the response from the family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace.data.rows import value_or_array
from interlace.inference.precisions import row_predictors
from interlace.prediction.average import average
from interlace.prediction.design import RowDesign, level_scales
from interlace.prediction.uncertainty import Spread, spread
from interlace.results.fitted_model import require_training
from interlace_core.calculus.links import Link
from interlace_core.contract.family import Family
from interlace_core.fitting.curvature import jacobian
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.checks import MOST, check_level, require_count
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array
from interlace_core.registry.blame import guard

if TYPE_CHECKING:
    from interlace.prediction.target import Predicted, Target
    from interlace.results.estimates import Estimates

REL_STEP = 1e-4
"""Half-width of differences in eta and in psi, per unit or standard error: error about 1e-8."""


def with_uncertainty(
    result: Estimates,
    design: RowDesign,
    rows: Predicted,
    targets: Sequence[Target],
    values: Sequence[Array],
    *,
    interval: str | None,
    level: float,
    in_sample: bool,
    weights: Any,
    n_sim: int,
    seed: int | None,
) -> list[pd.Series | pd.DataFrame]:
    """Return predictions with `se` and, for an interval, `lower` and `upper`."""
    level = check_level(level, "predict")
    uncertain = spread(result, design, rows.included)
    frames: list[pd.Series | pd.DataFrame] = []
    for target, fit in zip(targets, values, strict=True):
        frame = pd.DataFrame({"fit": fit}, index=design.index)
        frame["se"] = np.sqrt(response_variance(result, design, rows, target, uncertain))
        if interval == "confidence":
            half = float(ndtri(0.5 + 0.5 * level)) * frame["se"].to_numpy()
            frame["lower"], frame["upper"] = confidence_ends(fit, half, target.link)
        elif interval == "prediction":
            require_count(n_sim, "predict: n_sim")
            family = _family_of_rows(result, len(design.index), in_sample, weights)
            if in_sample:
                rows = replace(rows, eta=row_predictors(result, rows.eta))
            draws = _Draws(family, rows, uncertain, n_sim, seed)
            frame["lower"], frame["upper"] = draws.quantiles(level)
        frames.append(frame)
    return frames


def confidence_ends(values: Array, half: Array, link: Link | None) -> tuple[Array, Array]:
    """Return `values -+ half`, made on the link's scale and taken back.

    Where a value is not inside the link's range the ends are those on its own scale.
    """
    if link is None:
        return values - half, values + half
    with np.errstate(all="ignore"):
        eta = np.asarray(link.eta(values), dtype=np.float64)
        slope = np.abs(np.asarray(link.derivatives(eta)[1], dtype=np.float64))
        low, high = eta - half / slope, eta + half / slope
        within = (low > link.eta_domain[0]) & (high < link.eta_domain[1])
        ends = np.stack([link.mu(low), link.mu(high)])
    usable = within & np.isfinite(eta) & (slope > 0) & np.all(np.isfinite(ends), axis=0)
    lower = np.where(usable, ends.min(axis=0), values - half)
    return lower, np.where(usable, ends.max(axis=0), values + half)


def response_variance(
    result: Estimates, design: RowDesign, rows: Predicted, target: Target, uncertain: Spread
) -> Array:
    """Return the variance of predictions by the delta method, shape (n,).

    The prediction is a function of the predictors and, where it averages over random effects, of
    their variance, which moves with theta.
    """
    K = rows.eta.shape[0]

    def predicted(eta: Array, averaged: Array | None) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            if averaged is None:
                return np.asarray(target.transform(list(eta)))
            return average(target.transform, eta, averaged)

    slopes = []
    for k in range(K):
        up, down = rows.eta.copy(), rows.eta.copy()
        up[k] += REL_STEP
        down[k] -= REL_STEP
        slopes.append((predicted(up, rows.averaged) - predicted(down, rows.averaged)) / 2e-4)
    h = np.stack(slopes)
    total = np.einsum("kn,knp->np", h, uncertain.D)
    if rows.averaged is not None and np.any(rows.averaged > 0.0):
        total = total + _through_variance(result, design, rows, predicted, uncertain.V)
    variance = np.einsum("np,pr,nr->n", total, uncertain.V, total)
    variance += np.einsum("kn,kln,ln->n", h, uncertain.conditional, h)
    return np.asarray(np.maximum(variance, 0.0))


def _through_variance(
    result: Estimates, design: RowDesign, rows: Predicted, predicted: Any, V: Array
) -> Array:
    """Return the derivative of averaged predictions in psi by way of theta, shape (n, n_psi).

    In standard units, as V and the rest.
    """
    from interlace.prediction.average import prior_covariance

    problem = require_training(result, "predict").problem
    standard, n_theta = standard_of(problem), problem.n_theta
    psi = standard.psi(result.fit.psi)
    unknown = [
        ~inside | (term.codes[:, None] < 0)
        for inside, term in zip(rows.included, design.terms, strict=True)
    ]

    def at(theta: Array) -> Array:
        given = standard.given_psi(np.append(theta, psi[n_theta:]))
        variance = prior_covariance(
            [
                term.covariance.template(given[place])
                for term, place in zip(problem.terms, problem.theta_slices(), strict=True)
            ],
            [term.by_predictor for term in problem.terms],
            [np.asarray(term.Z) for term in design.terms],
            unknown,
            design.offset.shape,
            level_scales(result, design),
        )
        return np.asarray(predicted(rows.eta, variance))

    se = np.sqrt(np.diagonal(V))[:n_theta]
    slope = np.zeros((design.offset.shape[1], psi.size))
    steps = 1e-3 * np.where(se > 0, se, 1.0)
    slope[:, :n_theta] = jacobian(at, psi[:n_theta], steps)
    return slope


def _family_of_rows(result: Estimates, n: int, in_sample: bool, weights: Any) -> Family:
    """Return the family bound to the rows predicted: their numbers of trials."""
    if in_sample:
        if weights is not None:
            raise OptionError("predict: weights go with newdata; the fit has its own.")
        return result.family
    if "pair" not in result.family.response_forms:
        if weights is not None:
            raise OptionError(
                f"predict: weights are numbers of trials, which family {result.family.name!r} "
                "does not have. Leave them out."
            )
        return result.family
    if weights is None:
        trials = np.ones(n)
    else:
        trials = value_or_array(weights, "predict: weights", pd.RangeIndex(n))
    if np.any(np.isnan(trials) | (trials < 0.0) | (trials > MOST)):
        raise OptionError("predict: weights must be numbers of trials of 0 or more, got others.")
    response = result.family.check_response(np.zeros(n), trials)
    return result.family.bind(response.y)


class _Draws:
    """Draws from the predictive distribution of each row."""

    def __init__(
        self,
        family: Family,
        rows: Predicted,
        uncertain: Spread,
        n_sim: int,
        seed: int | None,
    ) -> None:
        self.family, self.rows, self.n_sim = family, rows, n_sim
        self.rng = np.random.default_rng(seed)
        covariance = uncertain.covariance().transpose(2, 0, 1)  # (n, K, K)
        covariance += rows.variance.transpose(2, 0, 1)
        self.known = np.isfinite(covariance).all(axis=(1, 2))
        covariance[~self.known] = 0.0
        values, vectors = np.linalg.eigh(covariance)
        self.root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]

    def quantiles(self, level: float) -> tuple[Array, Array]:
        """Return the lower and upper ends, on the scale of the mean, shape (n,)."""
        n = self.rows.eta.shape[1]
        ends = np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level])
        draws = np.empty((self.n_sim, n))
        for i in range(self.n_sim):
            eta = self.rows.eta + np.einsum(
                "nkl,nl->kn", self.root, self.rng.standard_normal(self.root.shape[:2])
            )
            with guard(self.family, "simulate"):
                y = np.asarray(self.family.simulate(list(eta), self.rng), dtype=np.float64)
            draws[i] = self.family.observed(y)
        # quantiles that are values drawn: counts stay counts, and an interval covers both ends
        low = np.quantile(draws, ends[0], axis=0, method="inverted_cdf")
        high = np.quantile(draws, ends[1], axis=0, method="inverted_cdf")
        return np.where(self.known, low, np.nan), np.where(self.known, high, np.nan)
