"""Residuals of a fitted model, one Series per kind.

Response, Pearson, deviance and working residuals are conditional: at the modes of the random
effects. Quantile residuals are Phi^-1 of the fitted distribution function at the observation,
randomised over the jump where the distribution has one (Dunn & Smyth 1996): standard normal if
the family is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interlace.choices import ResidualKind
from interlace.inference.precisions import are_precisions, row_predictors
from interlace_core.contract.family import Family
from interlace_core.contract.problem import Predictor, Problem
from interlace_core.engine.joint_density import weighted_derivatives
from interlace_core.messages.checks import check_seed, require_choice
from interlace_core.messages.errors import UnsupportedModelError
from interlace_core.records import Array
from interlace_core.registry.blame import guard

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

KINDS = get_args(ResidualKind)

MAX_STEPS = 200
TOL_GAIN = 1e-14
"""Log-likelihood per row that the saturated fit may leave to gain: its root, 1e-7, is the error
of a deviance residual."""

MAX_MOVE = 5.0
"""Largest step in eta of one iteration, in units of the inverse root of the information."""


def residuals(result: Estimates, kind: str, *, seed: int | None) -> pd.Series:
    """Return residuals of one kind; see `GLMMResult.residuals`."""
    require_choice(kind, KINDS, "residuals: kind")
    check_seed(seed)
    family, eta = result.family, list(row_predictors(result, result.eta))
    with guard(family, "residuals"), np.errstate(invalid="ignore", divide="ignore"):
        if kind == "quantile":
            values = ndtri(quantiles(result, np.random.default_rng(seed)))
        elif kind == "deviance":
            values = _deviance(result)
        else:
            values = family.observed(result.y) - family.mean(eta)
            if kind == "pearson":
                values = values / np.sqrt(family.variance(eta))
            elif kind == "working":
                link = result.coefficients[0].parameter.link
                values = values / np.asarray(link.derivatives(eta[0])[1])
    return pd.Series(values, index=result.rows.index, name=kind)


def quantiles(result: Estimates, rng: np.random.Generator) -> Array:
    """Return the fitted distribution function at each observation, randomised over jumps.

    Kept a rounding error away from 0 and 1, so that the normal quantile is finite.
    """
    family, eta, y = result.family, list(row_predictors(result, result.eta)), result.y
    if result.weights is not None and not are_precisions(result):
        raise UnsupportedModelError(
            "residuals: a row with a weight that multiplies its log-density is not one draw from "
            "a distribution, so that it has no quantile. Use another kind of residuals, or write "
            "repeated observations as rows."
        )
    at, below = family.cdf(y, eta), family.cdf(just_below(y), eta)
    u = below + rng.uniform(size=at.shape) * np.maximum(at - below, 0.0)
    return np.asarray(np.clip(u, 1e-16, 1.0 - 1e-16))


def just_below(y: Array) -> Array:
    """Return a response next to y from below: a distribution function there leaves out y's mass.

    Of a response with several columns the first moves: it is the number of successes.
    """
    moved = y.copy()
    first = moved if y.ndim == 1 else moved[:, 0]
    first -= 1e-9 * np.maximum(np.abs(first), 1e-3)
    return moved


def _deviance(result: Estimates) -> Array:
    """Return signed roots of twice what each row's log-density could gain by its mean alone.

    The further parameters stay as they are. This is the scaled deviance: a dispersion is part of
    the density, so that it is not multiplied out.
    """
    problem = Problem(
        result.y,
        result.weights,
        result.family,
        tuple(_bare(result, k) for k in range(len(result.coefficients))),
        (),
    )
    eta = [row.copy() for row in result.eta]
    fitted = weighted_derivatives(problem, eta, 0, ()).value
    saturated = _saturated(problem, eta)
    sign = np.sign(result.family.observed(result.y) - result.family.mean(list(result.eta)))
    return np.asarray(sign * np.sqrt(2.0 * np.maximum(saturated - fitted, 0.0)))


def _bare(result: Estimates, k: int) -> Predictor:
    n = result.rows.n_used
    return Predictor(result.coefficients[k].parameter, np.zeros((n, 0)), (), np.zeros(n))


def _saturated(problem: Problem, eta: list[Array]) -> Array:
    """Return each row's greatest log-density over its mean's predictor, by damped Newton steps."""
    start = _start(problem.family, problem.y, eta[0])
    best = weighted_derivatives(problem, eta, 0, ()).value.copy()
    for first in (start, eta[0].copy()):
        eta = [first, *eta[1:]]
        value, top = np.full(best.shape, -np.inf), np.inf
        for _ in range(MAX_STEPS):
            found = weighted_derivatives(problem, eta, 2, (0,))
            score, second = found.partials[0,], found.partials[0, 0]
            value = np.where(np.isfinite(found.value), np.maximum(value, found.value), value)
            curvature = np.where(-second > 1e-300, -second, np.abs(second) + 1e-12)
            reach = MAX_MOVE / np.sqrt(np.maximum(curvature, 1e-2))
            step = np.clip(score / curvature, -reach, reach)
            top = float(np.nanmax(np.abs(score * step), initial=0.0))
            eta[0] = eta[0] + np.where(np.isfinite(step), step, 0.0)
            if top < TOL_GAIN:
                break
        best = np.fmax(best, value)
    return np.asarray(best)


def _start(family: Family, y: Array, fitted: Array) -> Array:
    """Return the link of the observation, the fitted predictor where that is not finite."""
    link = family.parameters[0].link
    with np.errstate(all="ignore"):
        linked = np.asarray(link.eta(family.observed(y)), dtype=np.float64)
    low, high = link.eta_domain
    usable = np.isfinite(linked) & (linked > low) & (linked < high) & (np.abs(linked) < 1e6)
    return np.where(usable, linked, fitted)
