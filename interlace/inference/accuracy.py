"""How good the approximation of the likelihood is for one fit, in numbers and in words.

Where an installed approximation can take more points for this problem (one scalar random effect),
it evaluates the likelihood at the estimates and fits again from there. Otherwise the likelihood
is estimated at the estimates by importance sampling around the mode (`sampled_likelihood`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln, logsumexp

from interlace.diagnostics.approximation_error import POINTS, finer_approximation
from interlace.inference.parts import independent_rows
from interlace.refits.refit import refit_problem
from interlace.reporting.showing import Part, Showing
from interlace.results.fitted_model import Training, require_training
from interlace.threads import blas_threads, threads_of
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.problem import Problem
from interlace_core.engine.elimination.smallblocks import apply
from interlace_core.engine.joint_density import Conditional, scatter
from interlace_core.engine.layout import layout_of
from interlace_core.engine.mode import Mode
from interlace_core.engine.other_modes import lowest_mode
from interlace_core.engine.parts import subset
from interlace_core.fitting.fitted import Fit
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.checks import check_seed, require_count
from interlace_core.messages.errors import NumericalError, UnsupportedModelError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates

FINE_SE = 0.05
"""Largest move of an estimate, in standard errors, below which the approximation is fine: an
interval's coverage then changes by less than 0.1%."""

MOST_DIFFERENCE = 0.1
"""Error of a log-likelihood below which an approximation is fine, where estimates say nothing."""

LEAST_SHARE = 0.05
"""Effective share of the draws below which importance sampling is not trusted."""


@dataclass(frozen=True, repr=False)
class Accuracy(Showing):
    """How good the approximation is.

    Attributes
    ----------
    loglik : float
        The fit's.
    loglik_better : float
        The better value at the same estimates.
    error : float
        Of `loglik_better`: 0 for quadrature, the standard error of sampling otherwise.
    largest_move : float
        Largest change of an estimate under the better approximation, in standard errors; NaN
        where only the likelihood was compared: by sampling, or with every parameter held.
    move_of : str
        The parameter that moves most; empty where only the likelihood was compared.
    method : str
        What the comparison was made with.
    verdict : str
        In a sentence.
    """

    loglik: float
    loglik_better: float
    error: float
    largest_move: float
    move_of: str
    method: str
    verdict: str

    @property
    def difference(self) -> float:
        """What the approximation is off by at the estimates, in log-likelihood."""
        return self.loglik - self.loglik_better

    def parts(self) -> list[Part]:
        """Return both log-likelihoods and the verdict."""
        error = f" (sampling error {self.error:.2g})" if self.error else ""
        return [
            f"logLik {self.loglik:.4f}, by {self.method} {self.loglik_better:.4f}{error}",
            self.verdict,
        ]


def accuracy(result: Estimates, *, n: int, seed: int | None) -> Accuracy:
    """Return the accuracy report; see `GLMMResult.accuracy`."""
    require_count(n, "accuracy: n")
    check_seed(seed)
    training = require_training(result, "accuracy")
    if result.penalised:
        raise UnsupportedModelError(
            "accuracy: not for a penalised fit; fit without priors to see how good the "
            "approximation is."
        )
    if result.restricted:
        raise UnsupportedModelError(
            "accuracy: a restricted likelihood is another quantity than the likelihood that "
            "sampling gives. Fit by maximum likelihood."
        )
    if training.problem.correlation is not None:
        raise UnsupportedModelError(
            "accuracy: the likelihood of a linear model with correlated residuals is exact; there "
            "is no approximation to judge."
        )
    if not training.problem.terms:
        raise UnsupportedModelError(
            "accuracy: the model has no random effects, so that nothing is approximated."
        )
    finer = finer_approximation(standard_of(training.problem).problem, POINTS)
    with blas_threads(threads_of(training.problem, training.threads)):
        if finer is not None:
            return _by_quadrature(result, training, finer)
        return _by_sampling(result, training, n, np.random.default_rng(seed))


def _by_quadrature(result: Estimates, training: Training, finer: Approximation) -> Accuracy:
    psi = result.fit.psi
    at = standard_of(training.problem).objective(finer)(psi)
    se = np.sqrt(np.diagonal(result.fit.vcov))
    if not np.any(se > 0.0):  # everything is held, or at a bound
        return _of_likelihood_alone(result, -at.value)
    refitted = _refit_with(training, finer, psi)
    with np.errstate(invalid="ignore"):
        moves = np.abs(refitted.psi - psi) / se
    worst = int(np.nanargmax(moves))
    largest, name = float(moves[worst]), result.psi_names()[worst]
    if largest <= FINE_SE:
        verdict = (
            f"The approximation is fine: no estimate moves by more than {largest:.2g} standard "
            f"errors under {POINTS} quadrature points."
        )
    else:
        needed = _fewest(training, psi, refitted)
        verdict = (
            f"Use nAGQ={needed}: under more quadrature points {name} moves by {largest:.2g} "
            "standard errors."
        )
    return Accuracy(
        loglik=result.llf,
        loglik_better=-at.value,
        error=0.0,
        largest_move=largest,
        move_of=name,
        method=f"{POINTS} quadrature points",
        verdict=verdict,
    )


def _of_likelihood_alone(result: Estimates, better: float) -> Accuracy:
    """Return the report where no parameter has a standard error by which it could move."""
    difference = result.llf - better
    if abs(difference) <= MOST_DIFFERENCE:
        verdict = (
            f"The approximation is fine: its log-likelihood is off by {difference:.2g}, and no "
            "estimate is free to move."
        )
    else:
        verdict = (
            f"Use nAGQ={POINTS}: the log-likelihood is off by {difference:.2g}; no estimate is "
            "free to move."
        )
    method = f"{POINTS} quadrature points"
    return Accuracy(result.llf, better, 0.0, float("nan"), "", method, verdict)


def _refit_with(training: Training, finer: Approximation, psi: Array) -> Fit:
    changed = replace(training, approximation=finer)
    return refit_problem(changed, training.problem, psi)


def _fewest(training: Training, psi: Array, exact: Fit) -> int:
    """Return the fewest points whose value at the exact estimates is that of many to 1e-3."""
    standard = standard_of(training.problem)
    for points in (3, 5, 7, 11, 15, 21):
        candidate = finer_approximation(standard.problem, points)
        if candidate is None:
            continue
        value = standard.objective(candidate)(exact.psi).value
        if abs(value - exact.value) < 1e-3:
            return points
    return POINTS


def _by_sampling(
    result: Estimates, training: Training, n: int, rng: np.random.Generator
) -> Accuracy:
    standard = standard_of(training.problem)
    parts, psi = independent_parts(standard.problem), standard.psi(result.fit.psi)
    total, variance, share = 0.0, 0.0, 1.0
    for part in parts:
        estimate = sample_likelihood(part, psi, n, rng)
        total += estimate.loglik
        variance += estimate.error**2
        share = min(share, estimate.effective_share)
    error, difference = float(np.sqrt(variance)), result.llf - total
    method = f"importance sampling, {n} draws"
    if share < LEAST_SHARE:
        verdict = (
            f"No verdict: only {100 * share:.2g}% of the draws are effective, too few to tell. "
            "Take more draws, or judge by a parametric bootstrap."
        )
    elif abs(difference) <= MOST_DIFFERENCE + 2.0 * error:
        verdict = (
            f"The approximation is fine at the estimates: its log-likelihood is off by "
            f"{difference:.2g}."
        )
    else:
        verdict = (
            f"The approximation is off by {difference:.2g} in log-likelihood at the estimates. "
            "Check the estimates by a parametric bootstrap."
        )
    return Accuracy(result.llf, total, error, float("nan"), "", method, verdict)


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
    structure = layout_of(problem).structure
    conditional = Conditional(layout_of(problem), psi)
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
    structure = layout_of(problem).structure
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
