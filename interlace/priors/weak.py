"""Weak priors, `priors="weak"`: published scales, in units that the data have.

- A coefficient: Cauchy with a scale of 2.5 for a change of the covariate from one of its two values
  to the other, or of two standard deviations (Gelman, Jakulin, Pittau & Su 2008). Where the
  predictor is in units of the response and not on a logarithmic or probability scale, 2.5 counts
  in two standard deviations of the response, as there.
- The intercept of a part for zeros that is a constant: normal with a standard deviation of 5.
- A standard deviation of random effects: gamma with shape 2 and rate 0.1 (Chung, Rabe-Hesketh,
  Dorie, Gelman & Liu 2013), per root mean square of the covariate; about its mean, where the term
  has an intercept. That of the intercept, which is of the value 0 of covariates, allows for what
  slopes may do from their means to there: the zero point of a covariate says nothing about effects.
- A correlation matrix: LKJ with eta = 2.

Nothing on other intercepts and on further parameters of the family. The scales are resolved once,
to priors that the result prints and that refits keep.
"""

from __future__ import annotations

import numpy as np

from interlace.data.factors import INTERCEPT
from interlace.data.moments import Moments
from interlace.data.named import Number, labels_of
from interlace.priors.densities import LKJ, Gamma, Normal, Prior, StudentT
from interlace.priors.targets import COR, has_matrix
from interlace_core.contract.parts import Sums, total
from interlace_core.contract.problem import Predictor, Problem, RandomTerm
from interlace_core.fitting.start import on_own_scale
from interlace_core.records import Array

WEAK = "weak"

COEFFICIENT, ZERO_PART, SHAPE, RATE, ETA = 2.5, 5.0, 2.0, 0.1, 2.0


def weak_priors(problem: Problem, *, coefficients: bool) -> dict[str, Prior]:
    """Return the weak priors of a model by the names that results print.

    Parameters
    ----------
    problem : Problem
        As given, in the user's units.
    coefficients : bool
        Whether they can have any.
    """
    *columns, response = total(problem, _moments)
    designs, effects = columns[: len(problem.predictors)], columns[len(problem.predictors) :]
    units = [_unit(problem, k, response) for k in range(len(problem.predictors))]
    found: dict[str, Prior] = {}
    for label, (target, *more) in labels_of(problem).items():
        if more:
            continue
        if not isinstance(target, Number):
            predictor = problem.predictors[target.predictor]
            if coefficients and not target.natural and predictor.parameter.role != "threshold":
                here = designs[target.predictor]
                prior = _of_column(predictor, target.column, here, units[target.predictor])
                found |= {} if prior is None else {label: prior}
            continue
        term = problem.terms[target.term]
        if term.theta_of is None and term.covariance.kinds()[target.number] == "sd":
            reach, unit = 1.0, units[term.predictor]
            if target.inside in term.names:
                column = term.names.index(target.inside)
                reach = _reach(term, column, effects[target.term])
                unit = units[term.column_predictors[column]]
            found[label] = Gamma(SHAPE, RATE * (reach if reach > 0.0 else 1.0) / unit)
    if any(term.theta_of is None and has_matrix(term) for term in problem.terms):
        found[COR] = LKJ(ETA)
    return found


def _moments(problem: Problem) -> Sums:
    """Return the moments of each X, of each Z and of the response, over rows that say anything."""
    rows, weights = problem.informative, problem.weights
    weights = None if weights is None else weights[rows]
    designs = [each.X for each in problem.predictors] + [_covariates(t) for t in problem.terms]
    response = problem.family.observed(problem.y)
    return Sums(*(Moments.of(each[rows], weights) for each in (*designs, response)))


def _covariates(term: RandomTerm) -> Array:
    """Return Z; of a chain, whose one standard deviation asks for no column, a single one."""
    chain = term.covariance.chain(term.covariance.start())
    return np.asarray(term.Z if chain is None else term.Z[:, :1])


def _of_column(predictor: Predictor, column: int, X: Moments, unit: float) -> Prior | None:
    if predictor.names[column] == INTERCEPT:
        alone = predictor.names == (INTERCEPT,) and predictor.parameter.role == "zero"
        return Normal(0.0, ZERO_PART) if alone else None
    width, two = float(X.largest[column] - X.least[column]), bool(X.two[column])
    step = width if two else 2.0 * float(X.spread[column])
    return StudentT(1.0, 0.0, COEFFICIENT * unit / step) if step > 0.0 else None


def _reach(term: RandomTerm, column: int, Z: Moments) -> float:
    """Return by how much an effect of a column moves a predictor, whatever the zero points are."""
    where = term.column_predictors
    beside = [j for j, name in enumerate(term.names) if where[j] == where[column]]
    constant = [j for j in beside if term.names[j].rpartition(":")[2] == INTERCEPT]
    usual = term.level_size * float(Z.size[column])
    if not constant or not term.covariance.mixes_columns:
        return usual
    ratios = []
    for j in beside:
        mean, spread = float(Z.mean[j]), float(Z.spread[j])
        if j == column and j not in constant:
            return term.level_size * spread if spread > 0.0 else usual
        ratios.append(mean / spread if j not in constant and spread > 0.0 else 0.0)
    return term.level_size / float(np.sqrt(1.0 + np.sum(np.square(ratios))))


def _unit(problem: Problem, k: int, response: Moments) -> float:
    """Return the size of an effect on a predictor.

    Two standard deviations of a response in whose units it is, 1 on logarithmic and probability
    scales.
    """
    parameter = problem.predictors[k].parameter
    if k or parameter.latent or on_own_scale(parameter.link) or not response.n:
        return 1.0
    spread, link = 2.0 * float(response.spread), parameter.link
    eta = np.asarray(link.eta(response.mean))
    with np.errstate(all="ignore"):
        slope = abs(float(link.derivatives(eta)[1]))
    unit = spread / slope if slope > 0.0 else spread
    return unit if np.isfinite(unit) and unit > 0.0 else 1.0
