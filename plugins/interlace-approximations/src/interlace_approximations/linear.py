"""Linear mixed models: the exact likelihood, or the restricted one, with beta profiled out.

The coefficients are the generalised least-squares estimates given theta and sigma, so that the
optimizer works on the (few) variance parameters alone, and every evaluation on cross-products
(see `cross_products`). Weights are those of precision: `Var(y) = sigma^2 / w`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from interlace_approximations.cross_products import CrossProducts, cross_products_of, precisions
from interlace_approximations.kenward_roger import kenward_roger
from interlace_approximations.laplace import Laplace
from interlace_approximations.linear_curvature import curvature_of
from interlace_approximations.linear_moments import (
    Moments,
    moments_of,
    sizes_by_moments,
)
from interlace_approximations.linear_parts import (
    LinearOverParts,
    same_in_levels,
    without_residual,
    without_weight,
)
from interlace_approximations.linear_point import LinearPoint
from interlace_approximations.linear_rows import RowObjective, RowPoint, covariance_slopes
from interlace_core.contract import (
    Approximation,
    Array,
    Curvature,
    Evaluation,
    ExactResponseError,
    Information,
    NotAvailableError,
    Problem,
    Profiled,
    Shortcuts,
    StartingValues,
    Status,
    UnsupportedModelError,
    total,
)
from interlace_core.engine import (
    NotPositiveDefiniteError,
    compiled_linear,
    covariance_by_term,
    layout_of,
    summed,
)


class MaximumLikelihood(Approximation):
    """The likelihood of a linear mixed model, which is exact."""

    name = "ml"
    takes_relations = True
    takes_correlation = True
    precision_weights = True
    restricted: ClassVar[bool] = False

    def check(self, problem: Problem) -> None:
        """Refuse all but a normal response with identity link and a residual to estimate."""
        _require_nested(self, problem)
        _require_linear(self, problem)
        _require_residual(self, problem)

    def profiled(self, problem: Problem) -> slice:
        """Return the mean's coefficients."""
        return problem.beta_slices()[0]

    def joint(self, problem: Problem) -> Approximation | None:
        """Return the likelihood as a function of all of psi, None where rows are correlated."""
        if problem.correlation is not None:
            return None
        return JointLikelihood()

    def over_parts(self, problem: Problem) -> LinearOverParts:
        """Return the criterion from products of the parts, which add up.

        Raises
        ------
        UnsupportedModelError
            If rows have standard deviations of their own; an ExactResponseError if nothing is left
            for a residual.
        """
        _require_linear(self, problem)
        one = problem.predictors[1].names in ((), ("Intercept",))
        if problem.correlation is not None or not one:
            raise UnsupportedModelError(
                f"approximation {self.name!r} takes all rows at once where they are correlated or "
                "have a formula for their standard deviation, and those of this model lie in "
                "parts. Use glmer(..., family='gaussian')."
            )
        found = LinearOverParts(problem, self.restricted)
        wrong = found.obstacle()
        if wrong:
            raise ExactResponseError(_without_residual(self, wrong))
        return found

    def extras(self, problem: Problem, psi: Array) -> Mapping[str, Any]:
        """Return the covariance of the coefficients and its slopes, for degrees of freedom.

        `coefficient_covariance`, shape (p, p), given theta and sigma; `covariance_slopes`,
        shape (n_theta + 1, p, p), its derivatives in theta and log sigma (or, where rows are
        correlated or of unequal variance, in all parameters of their covariance).
        """
        if problem.parts is not None:
            covariance, slopes = self.over_parts(problem).covariance_slopes(psi)
        elif _by_rows(problem):
            covariance = RowPoint.at(layout_of(problem), psi).point.covariance()
            slopes = covariance_slopes(layout_of(problem), psi)
        else:
            point = LinearPoint(cross_products_of(problem), psi)
            covariance, slopes = point.covariance(), point.covariance_slopes(psi)
        return {
            "coefficient_covariance": covariance,
            "covariance_slopes": slopes,
        }

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the negative (restricted) log-likelihood as a function of psi."""
        if _by_rows(problem):
            return RowObjective(layout_of(problem), self.restricted)
        data = cross_products_of(problem)
        return compiled_linear(
            problem, data.record(), self.restricted,
            lambda: LinearObjective(data, self.restricted), data.responses,
        )  # fmt: skip

    def curvature(self, problem: Problem, psi: Array) -> Curvature | None:
        """Return the second derivatives from cross-products, where these serve."""
        if problem.parts is not None:
            return self.over_parts(problem).curvature(psi)
        if _by_rows(problem):
            return None
        return curvature_of(cross_products_of(problem), psi, self.restricted)

    def shortcuts(self, problem: Problem) -> Shortcuts | None:
        """Return start, scales and spread from cross-products, where these serve."""
        if problem.parts is not None:
            return StartOverParts(self.over_parts(problem))
        return None if _by_rows(problem) else LinearShortcuts(cross_products_of(problem))


@dataclass(frozen=True)
class RestrictedLikelihood(MaximumLikelihood):
    """The restricted likelihood (REML): that of contrasts free of the mean's coefficients.

    Parameters
    ----------
    kenward_roger : bool
        Whether the result keeps Kenward and Roger's covariance too, as `kenward_roger`.
    """

    name = "reml"
    restricted: ClassVar[bool] = True

    kenward_roger: bool = False

    def restricted_volume(self, problem: Problem) -> slice:
        """Return the mean's coefficients."""
        return problem.beta_slices()[0]

    def over_parts(self, problem: Problem) -> LinearOverParts:
        """Return the criterion from products of the parts, which add up.

        Raises
        ------
        UnsupportedModelError
            As for maximum likelihood, and if Kenward and Roger's covariance is asked for.
        """
        if self.kenward_roger:
            raise UnsupportedModelError(
                "fit: df_method='kenward-roger' takes all rows at once, and those of this model "
                "lie in parts. Use df_method='satterthwaite'."
            )
        return super().over_parts(problem)

    def unrestricted(self) -> Approximation:
        """Return maximum likelihood."""
        return MaximumLikelihood()

    def joint(self, problem: Problem) -> Approximation | None:
        """Return None: the coefficients are no part of the restricted likelihood."""
        return None

    def extras(self, problem: Problem, psi: Array) -> Mapping[str, Any]:
        """Return what maximum likelihood keeps, and Kenward and Roger's where asked for.

        The latter by name, as in `interlace_approximations.kenward_roger.KenwardRoger`.
        """
        kept = super().extras(problem, psi)
        if not self.kenward_roger:
            return kept
        return {**kept, "kenward_roger": dict(vars(kenward_roger(problem, psi)))}


class JointLikelihood(Approximation):
    """The likelihood of a linear mixed model as a function of all of psi, by Laplace: exact.

    Weights, which multiply the log-density there, become what they are for a linear model: an
    offset of the logarithm of the residual standard deviation.
    """

    name = "joint-ml"

    def check(self, problem: Problem) -> None:
        """Refuse all but a normal response with one residual variance."""
        _require_linear(self, problem)

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the negative log-likelihood as a function of psi."""
        return Laplace().objective(_without_weights(problem))

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the sum of the parts' objectives."""
        return summed(self, problem)


def _without_weights(problem: Problem) -> Problem:
    w, (mean, dispersion) = problem.weights, problem.predictors
    if w is None:
        return problem
    shifted = replace(dispersion, offset=dispersion.offset - 0.5 * np.log(w))
    return replace(problem, weights=None, predictors=(mean, shifted))


class LinearShortcuts(Shortcuts):
    """Start, scales and spread, from cross-products."""

    def __init__(self, data: CrossProducts) -> None:
        self.data = data

    def begin(self) -> StartingValues:
        """Return weighted least squares with its residual standard deviation, and moments."""
        data, problem = self.data, self.data.layout.problem
        w = precisions(problem)
        average = 1.0 if w is None else float(np.mean(w))
        log_sigma = data.log_sigma_without_effects()
        return _beginning(problem, data.beta, log_sigma, average, moments_of(data))

    def information(self, psi: Array) -> Information:
        """Return 2 n for log sigma, and the diagonal of Z'wZ / sigma^2.

        Nothing is said of the mean's coefficients, which are profiled out and not searched.
        """
        p = self.data.beta.size
        coefficients = np.zeros((p + self.data.estimates_sigma,) * 2)
        coefficients[p:, p:] = 2.0 * self.data.n
        tau = np.exp(-2.0 * float(psi[-1])) if self.data.estimates_sigma else 1.0
        factors = range(len(self.data.layout.structure.factors))
        effects = [tau * np.einsum("aal->al", self.data.A[f, f]) for f in factors]
        return Information(coefficients, self.data.layout.by_term(effects))

    def effects_covariance(self, psi: Array) -> list[Array] | None:
        """Return the diagonal blocks of H^-1."""
        try:
            point = LinearPoint(self.data, psi)
        except NotPositiveDefiniteError:
            return None
        return covariance_by_term(point.layout, point.factorisation)


class StartOverParts(Shortcuts):
    """Where a search begins, of rows in parts: from sums of their products."""

    def __init__(self, model: LinearOverParts) -> None:
        self.model = model

    def begin(self) -> StartingValues:
        """Return the same as of rows that are here."""
        model = self.model
        return _beginning(
            model.problem, model.beta, model.log_sigma, model.average_weight, model.moments()
        )

    def information(self, psi: Array) -> Information:
        """Refuse, since levels lie with their parts.

        Raises
        ------
        NotAvailableError
        """
        raise NotAvailableError("the levels of a model in parts are with these")

    def effects_covariance(self, psi: Array) -> None:
        """Return None: levels lie with their parts."""


def _beginning(
    problem: Problem, beta: Array, log_sigma: float, average: float, moments: Moments
) -> StartingValues:
    """Return where a search begins.

    Parameters
    ----------
    problem : Problem
    beta : ndarray, shape (p,)
    log_sigma, average : float
        Logarithm of the residual standard deviation of a unit weight, without random effects; and
        the mean weight.
    moments : Moments
    """
    units = np.array([np.exp(log_sigma) / np.sqrt(average), 1.0])
    sizes, of_effects = sizes_by_moments(problem, moments)
    own = [log_sigma if of_effects is None else of_effects] * problem.predictors[1].X.shape[1]
    return StartingValues(np.append(beta, own), units, sizes)


class LinearObjective:
    """psi -> Evaluation, from cross-products."""

    def __init__(self, data: CrossProducts, restricted: bool) -> None:
        self.data = data
        self.restricted = restricted

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient, mode and the profiled coefficients at psi."""
        layout = self.data.layout
        gradient = np.zeros(psi.size)
        try:
            point = LinearPoint(self.data, psi)
            value = point.deviance(self.restricted)
        except (NotPositiveDefiniteError, np.linalg.LinAlgError):
            return Evaluation(np.inf, gradient, np.zeros(layout.structure.q), Status.NOT_FINITE)
        dT, chain, in_log_sigma = point.gradient(self.restricted)
        if self.data.estimates_sigma:
            gradient[-1] = in_log_sigma
        gradient[: layout.problem.n_theta] = layout.template_pullback(psi, dT, chain)
        profiled = Profiled(point.beta, point.covariance())
        return Evaluation(value, gradient, point.mode, profiled=profiled)


def _require_linear(approximation: Approximation, problem: Problem) -> None:
    wrong = _obstacle(problem)
    if wrong:
        raise UnsupportedModelError(
            f"approximation {approximation.name!r} is for linear mixed models, a normal response "
            f"with identity link; this model has {wrong}. Use Laplace's approximation, which "
            "leaves the likelihood of a normal response exact: glmer()."
        )


def _require_residual(approximation: Approximation, problem: Problem) -> None:
    """Refuse data whose fixed or random effects leave nothing for the residual."""
    mean, dispersion, *_ = problem.predictors
    if not dispersion.X.shape[1]:
        return  # known
    wrong = without_residual(
        problem.n,
        mean.X.shape[1],
        cross_products_of(problem).SS[-1, -1],
        _squares(problem.y - mean.offset),
    )
    same = "" if wrong else next(iter(same_in_levels(problem)), "")
    if same:
        wrong = f"a response that is the same in all rows of each level of {same!r}"
    if wrong:
        raise ExactResponseError(_without_residual(approximation, wrong))


def _squares(values: Array) -> float:
    return float(values @ values)


def _without_residual(approximation: Approximation, wrong: str) -> str:
    return (
        f"approximation {approximation.name!r} needs a residual to estimate its variance from; "
        f"this model has {wrong}. Check how the response was made, and leave out terms."
    )


def _require_nested(approximation: Approximation, problem: Problem) -> None:
    divided = _divided(problem)
    if divided:
        raise UnsupportedModelError(
            f"approximation {approximation.name!r} takes groups of correlated rows that are nested "
            f"in the random effects' factors; this model has {divided}. Correlate rows within "
            "finer groups, or write the correlation as random effects, ar1(0 + time | group)."
        )


def _by_rows(problem: Problem) -> bool:
    """Return whether rows are correlated, or have a formula for their standard deviation."""
    dispersion = problem.predictors[1]
    one = dispersion.X.shape[1] <= 1 and bool(np.all(dispersion.X == 1.0))
    return problem.correlation is not None or not one


def _divided(problem: Problem) -> str:
    """Return a group of correlated rows with several levels of a factor, in words."""
    if problem.correlation is None:
        return ""
    codes = problem.correlation.codes
    for term in problem.terms:
        level = np.zeros(int(codes.max()) + 1, dtype=np.intp)
        level[codes] = term.codes
        if np.any(level[codes] != term.codes):
            return (
                f"the correlation {problem.correlation.label}, whose groups have rows of several "
                f"levels of {term.group!r}"
            )
    return ""


def _obstacle(problem: Problem) -> str:
    """Return in words what keeps a problem from being a linear mixed model."""
    if not problem.family.linear_normal:
        return f"the family {problem.family.name!r}"
    if any(k > 0 for term in problem.terms for k, _ in term.by_predictor):
        return "random effects on the dispersion"
    if any(each.names != ("Intercept",) for each in problem.predictors[2:]):
        return "a formula for the correlation"
    if total(problem, without_weight):
        return "weights of 0 (leave those rows out instead)"
    return ""
