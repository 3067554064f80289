"""Power by simulation: how often a test finds what is assumed to be there."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import beta as beta_distribution

from interlace.config.fit_options import FitOptions
from interlace.data.frames import as_pandas
from interlace.data.named import refused_numbers
from interlace.data.request import ModelRequest
from interlace.driver import Prepared
from interlace.fits import prepared
from interlace.inference.bootstrap import Failure, run
from interlace.inference.draws import draw_predictors, generators
from interlace.inference.parts import drop_columns
from interlace.inference.precisions import with_precisions
from interlace.inference.quadratic_forms import chi_square
from interlace.refits.many import Refit, Refits
from interlace.refits.near import known_fit
from interlace.refits.refit import psi_of_smaller, with_response
from interlace.reporting.showing import Part, Showing
from interlace.results.fitted_model import Training
from interlace_core.contract.covariance import check_natural
from interlace_core.contract.problem import Problem, RandomTerm
from interlace_core.messages.checks import (
    is_real,
    require_choice,
    require_count,
    require_share,
    require_text,
    shown,
)
from interlace_core.messages.errors import (
    InterlaceError,
    InterlaceWarning,
    OptionError,
    ResponseError,
)
from interlace_core.messages.names import listed
from interlace_core.records import Array

FAILURES: tuple[type[Exception], ...] = (InterlaceError, ArithmeticError, np.linalg.LinAlgError)
"""What a single simulation may raise and be counted as failed."""

PLACEHOLDERS = ((0.0, 1.0), (1.0, 2.0), (0.25, 0.75))
"""Stand-ins for a response that is yet to be simulated, in turn: counts or successes, positive
numbers, proportions."""


@dataclass(frozen=True, repr=False)
class Power(Showing):
    """The outcome of a power simulation.

    Attributes
    ----------
    power : float
        Share of the successful simulations whose p-value is below alpha.
    interval : (float, float)
        95% Clopper-Pearson interval of the power, for the error of simulation.
    pvalues : ndarray
        Of the successful simulations.
    alpha : float
    test : str
        What was tested and how.
    failures : tuple of Failure
    """

    power: float
    interval: tuple[float, float]
    pvalues: Array
    alpha: float
    test: str
    failures: tuple[Failure, ...]

    def parts(self) -> list[Part]:
        """Return the power with its interval, and how it was simulated."""
        low, high = self.interval
        return [
            f"power {self.power:.3f} (95% {low:.3f} to {high:.3f}, {self.pvalues.size} "
            f"simulations, {len(self.failures)} failed) of the {self.test} at {self.alpha:g}"
        ]


@dataclass(frozen=True)
class Assumptions:
    """The values from which the responses are simulated; see `interlace.power`.

    Attributes
    ----------
    fixed : mapping from coefficient to float
        Of the mean, 0 where not named.
    sd : mapping from grouping factor to float, or to a mapping from column to float
        Of a structure of levels, times or places to a mapping from its numbers' names.
    parameters : mapping from name to float
        Further parameters of the family, on their natural scale.
    """

    fixed: Mapping[str, float]
    sd: Mapping[str, float | Mapping[str, float]]
    parameters: Mapping[str, float]


def simulate_power(
    request: ModelRequest,
    options: FitOptions,
    assumed: Assumptions,
    *,
    test: list[str],
    n: int,
    alpha: float,
    method: str,
    seed: int | None,
    n_jobs: int,
) -> Power:
    """Return the power of a test of coefficients, by simulation from assumed values.

    Parameters
    ----------
    request : ModelRequest
        What will be fitted; the columns of its response need not be in the data.
    options : FitOptions
    assumed : Assumptions
    test, n, alpha, method, seed, n_jobs
        As for `interlace.power`.

    Raises
    ------
    OptionError
        If a name is none of the model's, or a parameter has no assumed value.
    """
    require_count(n, "power: n")
    require_share(alpha, "power: alpha")
    alpha = float(alpha)
    require_choice(method, ("wald", "lrt"), "power: method")
    if not test:
        raise OptionError("power: test must be a coefficient, or a list of them, got none.")
    ready = _with_placeholder(request, options)
    problem = ready.model.problem
    psi = _assumed_psi(problem, assumed)
    columns = np.array([_position(problem.predictors[0].names, name, "test") for name in test])
    training = Training(problem, ready.approximation, ready.optimizer)
    work = _Work.of(training, psi, columns, method).warmed(generators(seed, 1)[0])
    outcomes = run(work, generators(seed, n), n_jobs)
    failures = tuple(Failure(i, reason) for i, (_, reason) in enumerate(outcomes) if reason)
    pvalues = np.array([p for p, reason in outcomes if not reason])
    kind = "Wald test" if method == "wald" else "likelihood-ratio test"
    return _summary(pvalues, alpha, f"{kind} of {', '.join(test)}", failures)


def _summary(pvalues: Array, alpha: float, test: str, failures: tuple[Failure, ...]) -> Power:
    hits, count = int(np.sum(pvalues < alpha)), pvalues.size
    low = float(beta_distribution.ppf(0.025, hits, count - hits + 1)) if hits else 0.0
    high = float(beta_distribution.ppf(0.975, hits + 1, count - hits)) if hits < count else 1.0
    share = hits / count if count else float("nan")
    return Power(share, (low, high), pvalues, alpha, test, failures)


def _with_placeholder(request: ModelRequest, options: FitOptions) -> Prepared:
    """Return the model with a stand-in response, whatever values the family takes."""
    require_text(request.formula, "power: formula", "a formula")
    frame = as_pandas(request.data, argument="power: data")
    left = request.formula.split("~", 1)[0]
    named = re.findall(r"[^\W\d][\w.]*(?!\s*\(|[\w.])", left)
    missing = [name for name in dict.fromkeys(named) if name not in frame]
    error: Exception | None = None
    for pair in PLACEHOLDERS:
        values = np.resize(pair, len(frame))
        try:
            filled = frame.assign(**dict.fromkeys(missing, values))
            return prepared(replace(request, data=filled), options)
        except ResponseError as refused:
            error = refused
    raise OptionError(
        "power: no stand-in for the response suits the family. Put a column with possible values "
        f"of {left.strip()!r} into the data; they are not used. ({error})"
    ) from error


def _assumed_psi(problem: Problem, assumed: Assumptions) -> Array:
    fixed, sd, parameters = assumed.fixed, assumed.sd, assumed.parameters
    psi = np.zeros(problem.n_psi)
    mean = problem.beta_slices()[0].start
    for name, value in fixed.items():
        position = _position(problem.predictors[0].names, name, "fixed")
        psi[mean + position] = _number(value, f"fixed[{name!r}]")
    groups = [term.group for term in problem.terms]
    for name in sd:
        _position(tuple(groups), name, "sd")
    for term, place in zip(problem.terms, problem.theta_slices(), strict=True):
        if term.group not in sd:
            raise OptionError(f"power: sd needs a standard deviation for {term.group!r}.")
        psi[place] = _assumed_theta(term, sd[term.group])
    for k, place in list(enumerate(problem.beta_slices()))[1:]:
        parameter = problem.predictors[k].parameter
        if parameter.fixed is not None:
            continue
        if parameter.name not in parameters:
            raise OptionError(
                f"power: parameters needs an assumed value of {parameter.name!r}, such as "
                f"parameters={{{parameter.name!r}: 1.0}}, or fix it in the family."
            )
        number = _number(parameters[parameter.name], f"parameters[{parameter.name!r}]")
        eta = float(parameter.link.eta(np.float64(number)))
        if not np.isfinite(eta):
            raise OptionError(
                f"power: parameters[{parameter.name!r}] must lie inside the parameter's range, "
                f"got {number!r}."
            )
        psi[place.start] = eta
    return psi


def _assumed_theta(term: RandomTerm, given: Any) -> Array:
    """Return theta from a number, from numbers by column, or from those that a structure prints."""
    where = f"sd[{term.group!r}]"
    if not isinstance(given, Mapping):
        given = dict.fromkeys(term.names, given)
    elif term.column_levels:
        return _natural_theta(term, given, where)
    for name in given:
        _position(term.names, name, where)
    values = [_deviation(given.get(name, 0.0), term.group) for name in term.names]
    return term.covariance.nearest(np.diag(np.square(values)))


def _natural_theta(term: RandomTerm, given: Mapping[str, Any], where: str) -> Array:
    """Return theta from the numbers that a structure prints."""
    names = term.covariance.names(term.names)
    for name in given:
        _position(names, name, where)
    missing = [name for name in names if name not in given]
    if missing:
        raise OptionError(
            f"power: {where} needs each number of ({term.label}), {listed(names)}; there is none "
            f"for {listed(missing)}."
        )
    numbers = np.array([_number(given[name], f"{where}[{name!r}]") for name in names])
    try:
        check_natural(term.covariance, names, dict(enumerate(numbers.tolist())))
        return term.covariance.from_natural(numbers)
    except ValueError as error:
        known = dict(zip(names, numbers, strict=True))
        raise refused_numbers(f"power: {where}", term.label, error, known, "Give others.") from None


def _number(value: Any, what: str) -> float:
    if not is_real(value) or not np.isfinite(value):
        raise OptionError(f"power: {what} must be a finite number, got {shown(value)}.")
    return float(value)


def _deviation(value: Any, group: str) -> float:
    if not is_real(value) or not 0 <= value < np.inf:
        raise OptionError(
            f"power: sd of {group!r} must be a standard deviation of at least 0, got "
            f"{shown(value)}."
        )
    return float(value)


def _position(names: tuple[str, ...], name: str, argument: str) -> int:
    if name not in names:
        raise OptionError(
            f"power: {argument} names {name!r}, which the model does not have. It has "
            f"{', '.join(map(repr, names))}."
        )
    return names.index(name)


@dataclass(frozen=True, eq=False)
class _Work:
    """Simulations, fits and tests; can be pickled."""

    whole: Refits
    smaller: Refits | None
    columns: Any

    @classmethod
    def of(cls, training: Training, psi: Array, columns: Any, method: str) -> _Work:
        """Return the work of a Wald or a likelihood-ratio test of some columns of the mean."""
        if method != "lrt":
            return cls(Refits(training, psi, None, standard_errors=True), None, columns)
        part = replace(training, problem=drop_columns(training.problem, 0, columns))
        null = Refits(part, psi_of_smaller(training.problem, part.problem, psi), None)
        return cls(Refits(training, psi, None), null, columns)

    def warmed(self, rng: np.random.Generator) -> _Work:
        """Return the work with what fits to one simulation tell about the others.

        One that fails tells nothing; it is counted when its turn comes.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InterlaceWarning)
                y = self._simulated(rng)
                smaller = self.smaller and _warmed(self.smaller, y)
                return replace(self, whole=_warmed(self.whole, y), smaller=smaller)
        except FAILURES:
            return self

    @property
    def at_once(self) -> int:
        """How many simulations are fitted at once."""
        return self.whole.at_once

    def __call__(self, tasks: list[np.random.Generator]) -> list[tuple[float, str]]:
        """Return p-values, or NaN and the reason why there are none."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InterlaceWarning)
            drawn = [_attempted(partial(self._simulated, rng)) for rng in tasks]
            responses = [y for y, _ in drawn if y is not None]
            whole = iter(self.whole.together(responses))
            null = iter(self.smaller.together(responses) if self.smaller else [None] * len(tasks))
            answers = []
            for y, reason in drawn:
                p = None
                if y is not None:
                    p, reason = _attempted(partial(self._pvalue, y, next(whole), next(null)))
                answers.append((np.nan, reason) if p is None else p)
            return answers

    def _simulated(self, rng: np.random.Generator) -> Array:
        problem = self.whole.training.problem
        eta = draw_predictors(problem, self.whole.psi, rng)
        if problem.weights is not None and self.whole.training.approximation.precision_weights:
            eta = with_precisions(eta, problem.weights)
        return np.asarray(problem.family.simulate(list(eta), rng), dtype=np.float64)

    def _pvalue(self, y: Array, found: Refit | None, null: Refit | None) -> tuple[float, str]:
        """Return the p-value, or NaN and the reason why there is none.

        Parameters
        ----------
        y : ndarray
        found, null : Refit, or None
            Of the model, and without the tested columns, where they are had already.
        """
        from scipy.stats import chi2

        fit = self.whole.alone(y) if found is None else found
        if not fit.verdict.converged:
            return np.nan, fit.verdict.message
        if self.smaller is None:
            assert fit.uncertainty is not None
            place = self.whole.training.problem.beta_slices()[0]
            L = np.eye(fit.psi.size)[place][self.columns]
            return chi_square(L, fit.psi, fit.uncertainty)[2], ""
        if null is None:
            problems = self.whole.training.problem, self.smaller.training.problem
            null = self.smaller.alone(y, psi_of_smaller(*problems, fit.psi))
        if not null.verdict.converged:
            return np.nan, f"without the tested columns: {null.verdict.message}"
        statistic = max(2.0 * (null.value - fit.value), 0.0)
        return float(chi2.sf(statistic, self.columns.size)), ""


def _attempted(answer: Callable[[], Any]) -> tuple[Any, str]:
    """Return an answer, or None and the reason why there is none."""
    try:
        return answer(), ""
    except FAILURES as error:
        return None, f"{type(error).__name__}: {error}"


def _warmed(refits: Refits, y: Array) -> Refits:
    """Return refits that know the fit to a response."""
    found = replace(refits, standard_errors=True).alone(y)
    if not found.verdict.converged or found.uncertainty is None:
        return refits
    problem = with_response(refits.training.problem, y)
    known = known_fit(problem, refits.training.approximation, refits.psi, found.uncertainty)
    return replace(refits, known=known)
