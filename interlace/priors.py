"""Weak priors on coefficients: a penalised likelihood, called so wherever it is shown.

The penalty is minus the log-density of the priors at the coefficients. It keeps estimates finite
where the data separate the response (Gelman, Jakulin, Pittau & Su 2008 suggest a scale of 2.5 for
a covariate of about unit spread on a logit scale). The optimum is then a posterior mode, no
maximum of the likelihood: likelihood-ratio tests, AIC and BIC are not defined for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from interlace.data.factors import INTERCEPT
from interlace.entrances import entrance
from interlace.results.frozen import Later
from interlace_core.contract.approximation import Approximation, Method
from interlace_core.contract.problem import Problem
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.checks import is_real, require_mapping, require_type, shown
from interlace_core.messages.errors import OptionError, UnsupportedModelError
from interlace_core.messages.names import did_you_mean
from interlace_core.records import Array, Evaluation
from interlace_core.registry.blame import guard

FIXED = "fixed"
"""Key for all coefficients of the mean but the intercept."""


class Prior(ABC):
    """A prior density of one coefficient, on the scale of the linear predictor."""

    @abstractmethod
    def penalty(self, beta: Array) -> tuple[Array, Array]:
        """Return minus the log-density at some coefficients, and its derivative."""

    @abstractmethod
    def __str__(self) -> str:
        """Return it as it is written in a call."""


@dataclass(frozen=True)
class Normal(Prior):
    """A normal prior; see `normal`."""

    loc: float
    scale: float

    def penalty(self, beta: Array) -> tuple[Array, Array]:
        """Return minus the normal log-density, and its derivative."""
        z = (beta - self.loc) / self.scale
        return 0.5 * z * z + np.log(self.scale) + 0.5 * np.log(2.0 * np.pi), z / self.scale

    def __str__(self) -> str:
        """Return `normal(loc, scale)`."""
        return f"normal({self.loc:g}, {self.scale:g})"


@entrance
def normal(loc: float = 0.0, scale: float = 2.5) -> Prior:
    """Return a normal prior for coefficients, on the scale of the linear predictor.

    Raises
    ------
    OptionError
        If the scale is not a positive number.
    """
    _check_numbers("normal", loc=loc, scale=scale)
    return Normal(float(loc), float(scale))


@dataclass(frozen=True)
class Penalised(Approximation):
    """Another approximation with the priors' penalty added.

    Attributes
    ----------
    inner : Approximation
    priors : tuple of (str, Prior)
        By coefficient, or "fixed" for all of the mean's but the intercept; the more specific
        wins.
    """

    name = "penalised"

    inner: Approximation
    priors: tuple[tuple[str, Prior], ...]

    @property
    def takes_relations(self) -> bool:
        """Whether the inner one does."""
        return self.inner.takes_relations

    @property
    def takes_correlation(self) -> bool:
        """Whether the inner one does."""
        return self.inner.takes_correlation

    @property
    def precision_weights(self) -> bool:
        """Whether the inner one has such weights."""
        return self.inner.precision_weights

    @property
    def method(self) -> Method:
        """The inner one's, with a penalty."""
        return replace(self.inner.method, penalised=True)

    def check(self, problem: Problem) -> None:
        """Refuse what the inner one refuses, coefficients that do not exist, and profiling."""
        self.inner.check(problem)
        self._assigned(problem)
        place = self.inner.profiled(problem)
        if place.stop > place.start:
            raise UnsupportedModelError(
                f"priors: {self.inner.name!r} determines coefficients by itself and takes no "
                "penalty on them. Use nAGQ=1 or more."
            )

    def extras(self, problem: Problem, psi: Array) -> Mapping[str, Any]:
        """Return what the inner one keeps."""
        return self.inner.extras(problem, psi)

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the inner objective plus the penalty."""
        return _PenalisedObjective(
            self.inner.objective(problem), self._assigned(problem), problem.given
        )

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the inner objective over all parts, plus the penalty, once."""
        return _PenalisedObjective(
            self.inner.over_parts(problem), self._assigned(problem), problem.given
        )

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the inner objective from a given mode, plus the penalty."""
        return _PenalisedObjective(
            self.inner.objective_from(problem, mode), self._assigned(problem), problem.given
        )

    def penalty(self, problem: Problem, psi: Array) -> float:
        """Return minus the log-density of the priors at psi."""
        return _penalty(self._assigned(problem), problem.given_psi(psi))[0]

    def restricted_volume(self, problem: Problem) -> slice:
        """Return the inner one's."""
        return self.inner.restricted_volume(problem)

    def held(self, problem: Problem) -> frozenset[int]:
        """Return the entries of psi that have a prior, which keeps them finite."""
        return frozenset(self._assigned(problem))

    def _assigned(self, problem: Problem) -> dict[int, Prior]:
        """Return the prior of each entry of psi that has one."""
        labels = coefficient_labels(problem)
        assigned = {}
        for name, prior in sorted(self.priors, key=lambda item: item[0] != FIXED):
            if name == FIXED:
                mean = problem.predictors[0]
                start = problem.beta_slices()[0].start
                places = [start + i for i, each in enumerate(mean.names) if each != INTERCEPT]
            elif name in labels:
                places = [labels[name]]
            else:
                hint = did_you_mean(name, [*labels, FIXED])
                raise OptionError(
                    f"priors: expected {FIXED!r} or a coefficient, got {name!r}.{hint} "
                    f"Coefficients: {', '.join(labels)}."
                )
            assigned.update(dict.fromkeys(places, prior))
        return assigned


class _PenalisedObjective:
    """psi -> Evaluation, with the penalty, whose priors are those of the psi that users see."""

    def __init__(
        self,
        evaluate: Callable[[Array], Evaluation],
        assigned: Mapping[int, Prior],
        given: Array | None,
    ) -> None:
        self.evaluate, self.assigned, self.given = evaluate, assigned, given

    def __call__(self, psi: Array) -> Evaluation:
        """Return the evaluation at psi."""
        evaluation = self.evaluate(psi)
        value, slope = _penalty(self.assigned, psi if self.given is None else self.given @ psi)
        slope = slope if self.given is None else self.given.T @ slope
        return replace(
            evaluation, value=evaluation.value + value, gradient=evaluation.gradient + slope
        )


def penalise(approximation: Approximation, priors: Mapping[str, Prior] | None) -> Approximation:
    """Return an approximation with priors added, itself if there are none.

    Raises
    ------
    OptionError
        If priors is not a mapping from names to priors.
    """
    if priors is None:
        return approximation
    example = 'a mapping such as {"fixed": interlace.normal(0, 2.5)}'
    for prior in require_mapping(priors, "priors", example).values():
        require_type(prior, Prior, "priors", example)
    if not priors:
        return approximation
    return Penalised(approximation, tuple(priors.items()))


def coefficient_labels(problem: Problem) -> dict[str, int]:
    """Return the place in psi of each coefficient, labelled as results label them."""
    labels = {}
    for k, (predictor, place) in enumerate(
        zip(problem.predictors, problem.beta_slices(), strict=True)
    ):
        prefix = "" if k == 0 else f"{predictor.parameter.name}: "
        labels.update({prefix + name: place.start + i for i, name in enumerate(predictor.names)})
    return labels


def penalty_settings(approximation: Approximation, problem: Problem, psi: Array) -> dict[str, Any]:
    """Return what a result says of its priors: their words and their penalty."""
    if not isinstance(approximation, Penalised):
        return {"priors": {}, "penalty": 0.0}
    words = {name: str(prior) for name, prior in approximation.priors}
    return {"priors": words, "penalty": approximation.penalty(problem, psi)}


def held_by_priors(approximation: Approximation, problem: Problem) -> frozenset[int]:
    """Return the entries of psi that priors keep finite whatever the data are."""
    return approximation.held(problem) if isinstance(approximation, Penalised) else frozenset()


def _penalty(assigned: Mapping[int, Prior], psi: Array) -> tuple[float, Array]:
    total, slope = 0.0, np.zeros(psi.size)
    for place, prior in assigned.items():
        value, derivative = prior.penalty(psi[place : place + 1])
        total += float(value[0])
        slope[place] = derivative[0]
    return total, slope


def _check_numbers(who: str, **values: float) -> None:
    for name, value in values.items():
        if not is_real(value) or not np.isfinite(float(value)) or (name != "loc" and value <= 0):
            expected = "a finite number" if name == "loc" else "a positive number"
            raise OptionError(f"{who}: {name} must be {expected}, got {shown(value)}.")


def settings_of_approximation(
    approximation: Approximation, problem: Problem, psi: Array
) -> dict[str, Any]:
    """Return the entries of a result's settings that the approximation and its optimum decide.

    Parameters
    ----------
    approximation, problem
        As fitted.
    psi : ndarray, shape (n_psi,)
        The optimum.
    """
    standard = standard_of(problem)

    def extras() -> Mapping[str, Any]:
        with guard(approximation, "result"):
            return approximation.extras(standard.problem, standard.psi(psi))

    return {
        "approximation": str(approximation.method),
        "extras": Later(extras),
        **penalty_settings(approximation, problem, psi),
    }
