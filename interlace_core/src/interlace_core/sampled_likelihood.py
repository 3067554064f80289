"""The likelihood at fixed parameters by importance sampling around the conditional mode.

With H the curvature at the mode and t a multivariate Student t with scale H^-1 about it,

    L = E_t[ exp(-f(u)) / t(u) ],

each group of the coarsest factor by itself where the groups share no effect. The effective number
of draws tells whether the answer can be trusted (Kong 1992).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from interlace_core.errors import NumericalError, UnsupportedModelError
from interlace_core.numerics.conditional import Conditional, scatter
from interlace_core.numerics.mode import Mode
from interlace_core.numerics.other_modes import lowest_mode
from interlace_core.numerics.smallblocks import apply
from interlace_core.records import Array, Problem
from interlace_core.shards import independent_rows, subset

TAIL = 7.0
"""Degrees of freedom of the sampling distribution: heavier tails than the integrand's."""


def independent_parts(problem: Problem) -> list[Problem]:
    """Return the problem split by its coarsest factor, whole where factors are not nested in it."""
    return [subset(problem, rows) for rows in independent_rows(problem)]


@dataclass(frozen=True)
class SampledLikelihood:
    """A likelihood estimated by importance sampling.

    Attributes
    ----------
    loglik : float
    error : float
        Standard error of `loglik`.
    effective_share : float
        Effective number of draws over their number.
    """

    loglik: float
    error: float
    effective_share: float


def sample_likelihood(
    problem: Problem, psi: Array, n: int, rng: np.random.Generator
) -> SampledLikelihood:
    """Return the log-likelihood at psi by importance sampling around the mode.

    Draws from N(0, H^-1) come from solves alone: y ~ N(0, H) is made from the rows and the prior
    and H x = y solved (Papandreou & Yuille 2010). They are antithetic: each is used with both
    signs.

    Raises
    ------
    UnsupportedModelError
        If several predictors have random effects, or a row's density is not log-concave there.
    NumericalError
        If the mode is not found.
    """
    structure = problem.layout.structure
    conditional = Conditional(problem.layout, psi)
    mode = lowest_mode(conditional, np.zeros(structure.q))
    if mode is None:
        raise NumericalError("accuracy: the conditional mode was not found at the estimates.")
    r, root_w = _root_weights(problem, mode)
    q = structure.q
    log_t = gammaln(0.5 * (TAIL + q)) - gammaln(0.5 * TAIL) - 0.5 * q * np.log(TAIL * np.pi)
    log_t += 0.5 * mode.factorisation.logdet
    log_weights = np.empty(2 * (n // 2))
    for i in range(n // 2):
        rows = scatter(structure, {r: root_w * rng.standard_normal(structure.n)})
        pulled = [apply(T.T, part) for T, part in zip(conditional.T, rows, strict=True)]
        y = structure.gather(pulled) + rng.standard_normal(q)
        x = structure.join(mode.factorisation.solve(structure.split(y)))
        scale = np.sqrt(TAIL / rng.chisquare(TAIL))
        square = float(x @ y) * scale**2  # x'Hx of the scaled draw
        density = log_t - 0.5 * (TAIL + q) * np.log1p(square / TAIL)
        for j, sign in enumerate((1.0, -1.0)):
            f = conditional.evaluate(mode.point.u + sign * scale * x, 2).value
            log_weights[2 * i + j] = -f - density
    return _summarise(log_weights - 0.5 * q * np.log(2.0 * np.pi))


def _root_weights(problem: Problem, mode: Mode) -> tuple[int, Array]:
    """Return the predictor with random effects, and the root of its information in each row."""
    structure = problem.layout.structure
    (r, *more) = structure.random_predictors
    second = mode.point.derivatives.get(r, r)
    if more or (second is not None and np.any(second > 0.0)):
        raise UnsupportedModelError(
            "accuracy: sampling serves random effects on one predictor, with a density that is "
            "log-concave in it at the mode. Judge this fit by a parametric bootstrap."
        )
    return r, np.zeros(structure.n) if second is None else np.sqrt(-second)


def _summarise(log_weights: Array) -> SampledLikelihood:
    top = float(logsumexp(log_weights))
    relative = np.exp(log_weights - top) * log_weights.size  # mean 1
    pairs = relative.reshape(-1, 2).mean(axis=1)
    return SampledLikelihood(
        loglik=top - float(np.log(log_weights.size)),
        error=float(np.std(pairs, ddof=1) / np.sqrt(pairs.size)),
        effective_share=1.0 / float(np.mean(np.square(relative))),
    )
