"""Priors added to a likelihood: the optimum is a posterior mode, called so wherever it is shown.

The penalty is minus the log-density of the priors at the parameters that users read. It keeps
estimates finite where the data separate the response, and variances away from 0 where they tell
little of them. The optimum is no maximum of the likelihood: likelihood-ratio tests, AIC and BIC are
not defined for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from interlace.inference.quantities import Coordinate
from interlace.priors.densities import Prior
from interlace.priors.rivals import other_modes
from interlace.priors.targets import OfQuantity, Part, flattened, parts_of, require_effect
from interlace.priors.weak import WEAK, weak_priors
from interlace.results.frozen import Later
from interlace_core.contract.approximation import Approximation, Method, Shortcuts
from interlace_core.contract.problem import Problem
from interlace_core.fitting.psi_covariance import PsiCovariance
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.checks import require_mapping, require_type, shown
from interlace_core.messages.errors import OptionError, UnsupportedModelError
from interlace_core.records import Array, Evaluation
from interlace_core.registry.blame import guard


@dataclass(frozen=True)
class Penalised(Approximation):
    """Another approximation with the priors' penalty added.

    Attributes
    ----------
    inner : Approximation
    priors : tuple of (str, Prior)
        By name; a name of one number goes before the key of a kind.
    cuts : tuple of str
        Names of the thresholds of ordered categories; empty where there are none.
    """

    name = "penalised"

    inner: Approximation
    priors: tuple[tuple[str, Prior], ...]
    cuts: tuple[str, ...] = ()

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
        """Refuse what the inner one refuses, and names that the model has not."""
        self.inner.check(problem)
        self.inside(problem)

    def profiled(self, problem: Problem) -> slice:
        """Return what the inner one profiles out, which has no priors then."""
        return self.inside(problem).profiled(problem)

    def extras(self, problem: Problem, psi: Array) -> Mapping[str, Any]:
        """Return what the inner one keeps."""
        return self.inside(problem).extras(problem, psi)

    def shortcuts(self, problem: Problem) -> Shortcuts | None:
        """Return the inner one's: where a search begins is the likelihood's."""
        return self.inside(problem).shortcuts(problem)

    def unrestricted(self) -> Approximation | None:
        """Return the likelihood with the same priors, where the inner one is restricted."""
        inner = self.inner.unrestricted()
        return None if inner is None else replace(self, inner=inner)

    def joint(self, problem: Problem) -> Approximation | None:
        """Return the inner one's with the same priors."""
        inner = self.inside(problem).joint(problem)
        return None if inner is None else replace(self, inner=inner)

    def bounded(self, problem: Problem) -> Approximation | None:
        """Return the inner one's with the same priors."""
        inner = self.inside(problem).bounded(problem)
        return None if inner is None else replace(self, inner=inner)

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the inner objective plus the penalty."""
        return _PenalisedObjective(self.inside(problem).objective(problem), self._penalty(problem))

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the inner objective over all parts, plus the penalty, once."""
        return _PenalisedObjective(self.inside(problem).over_parts(problem), self._penalty(problem))

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the inner objective from a given mode, plus the penalty."""
        return _PenalisedObjective(
            self.inside(problem).objective_from(problem, mode), self._penalty(problem)
        )

    def penalty(self, problem: Problem, psi: Array) -> float:
        """Return minus the log-density of the priors at psi."""
        return self._penalty(problem)(psi)[0]

    def penalty_curvature(self, problem: Problem, psi: Array) -> Array | None:
        """Return the curvature of the penalty of single numbers, where it is positive."""
        seen, total = problem.given_psi(psi), np.zeros((psi.size, psi.size))
        for part in self._found(problem)[0]:
            if isinstance(part, OfQuantity):
                size, slope = part.curvature(seen)
                total += size * np.outer(slope, slope)
        return total if problem.given is None else problem.given.T @ total @ problem.given

    def rivals(
        self, problem: Problem, psi: Array, covariance: Array
    ) -> tuple[tuple[str, Array], ...]:
        """Return where a prior with heavy tails may have a mode of its own."""
        uncertainty = PsiCovariance(covariance, problem.given)
        found = other_modes(self._found(problem)[0], problem.given_psi(psi), uncertainty)
        if problem.given is None:
            return found
        return tuple(
            (words, np.asarray(np.linalg.solve(problem.given, seen), np.float64))
            for words, seen in found
        )

    def restricted_volume(self, problem: Problem) -> slice:
        """Return the inner one's."""
        return self.inside(problem).restricted_volume(problem)

    def held(self, problem: Problem) -> frozenset[int]:
        """Return the entries of psi that have a prior, which keeps them finite."""
        return self._found(problem)[1]

    def parts(self, problem: Problem) -> tuple[Part, ...]:
        """Return each prior where it belongs."""
        return self._found(problem)[0]

    def _penalty(self, problem: Problem) -> _Penalty:
        return _Penalty(self._found(problem)[0], problem)

    def _found(self, problem: Problem) -> tuple[tuple[Part, ...], frozenset[int]]:
        key = (Penalised, self.priors, self.cuts)
        if key not in problem.cache:
            problem.cache[key] = parts_of(self.priors, self.cuts, problem)
        found: tuple[tuple[Part, ...], frozenset[int]] = problem.cache[key]
        return found

    def inside(self, problem: Problem) -> Approximation:
        """Return the inner one, or what has its minimum with the coefficients among its arguments.

        Raises
        ------
        UnsupportedModelError
            If coefficients that the inner one determines by itself have priors.
        """
        place = self.inner.profiled(problem)
        if not self.held(problem) & set(range(place.start, place.stop)):
            return self.inner
        inner = self.inner.joint(problem)
        if inner is None:
            restricted = self.inner.method.restricted
            remedy = 'maximum likelihood (method="ML")' if restricted else "nAGQ=1 or more"
            raise UnsupportedModelError(
                f"priors: {self.inner.method.name!r} determines coefficients by itself and takes "
                f"no prior on them. Use {remedy}, or priors on other parameters."
            )
        return inner


class _Penalty:
    """psi of a problem -> penalty and slope, by priors of the psi that users see."""

    def __init__(self, parts: tuple[Part, ...], problem: Problem) -> None:
        self.parts, self.given = parts, problem.given

    def __call__(self, psi: Array) -> tuple[float, Array]:
        """Return minus the log-density, and its derivative, shape (n_psi,)."""
        seen = psi if self.given is None else self.given @ psi
        total, slope = 0.0, np.zeros(psi.size)
        for part in self.parts:
            height, steepness = part.penalty(seen)
            total, slope = total + height, slope + steepness
        return total, slope if self.given is None else self.given.T @ slope


class _PenalisedObjective:
    """psi -> Evaluation, with the penalty."""

    def __init__(self, evaluate: Callable[[Array], Evaluation], penalty: _Penalty) -> None:
        self.evaluate, self.penalty = evaluate, penalty

    def __call__(self, psi: Array) -> Evaluation:
        """Return the evaluation at psi."""
        evaluation = self.evaluate(psi)
        value, slope = self.penalty(psi)
        return replace(
            evaluation, value=evaluation.value + value, gradient=evaluation.gradient + slope
        )


_A_PRIOR = "a prior, such as interlace.normal(0, 2.5) or interlace.gamma(2, 0.1)"


def penalise(
    approximation: Approximation, priors: Any, problem: Problem, cuts: tuple[str, ...], who: str
) -> Approximation:
    """Return an approximation with priors added, itself if there are none.

    Parameters
    ----------
    approximation : Approximation
    priors : mapping from str, "weak", or None
    problem : Problem
        As given; weak priors are of its sizes.
    cuts : tuple of str
        Names of the thresholds of ordered categories.
    who : str
        The call, for messages.

    Raises
    ------
    OptionError
        If priors are neither, or a name is none of the model's.
    UnsupportedModelError
        If the approximation takes none on the coefficients.
    """
    if priors is None:
        return approximation
    example = f'{WEAK!r} or a mapping such as {{"fixed": interlace.normal(0, 2.5)}}'
    if isinstance(priors, str):
        if priors != WEAK:
            raise OptionError(f"{who}: priors: expected {example}, got {shown(priors)}.")
        profiled = approximation.profiled(problem)
        free = profiled.stop == profiled.start or approximation.joint(problem) is not None
        chosen = tuple(weak_priors(problem, coefficients=free).items())
    else:
        chosen = tuple(flattened(require_mapping(priors, "priors", example)))
        for name, prior in chosen:
            require_type(prior, Prior, f"{who}: priors: {name!r}", _A_PRIOR)
        require_effect(chosen, cuts, problem)
    if not chosen:
        return approximation
    made = Penalised(approximation, chosen, cuts)
    made.require(standard_of(problem).problem)
    return made


def without_priors(approximation: Approximation, problem: Problem) -> Approximation:
    """Return the approximation that priors were added to, itself if there are none."""
    return approximation.inside(problem) if isinstance(approximation, Penalised) else approximation


LEAST_PULL, LEAST_PART = 1e-3, 0.1
"""Slope of a prior per standard error, and its part of the curvature, from which it is that which
keeps an estimate where the data would let it go. One with a scale of 1e8 does not."""


def held_by_priors(
    approximation: Approximation, problem: Problem, psi: Array, errors: Array
) -> frozenset[int]:
    """Return the coefficients that priors keep finite whatever the data are, as entries of psi.

    Parameters
    ----------
    approximation, problem
        As fitted.
    psi, errors : ndarray, shape (n_psi,)
        The mode, and the standard errors there.
    """
    if not isinstance(approximation, Penalised):
        return frozenset()
    return frozenset(
        part.quantity.index
        for part in approximation.parts(problem)
        if isinstance(part, OfQuantity)
        and isinstance(part.quantity, Coordinate)
        and _holds(part, psi, float(errors[part.quantity.index]))
    )


def _holds(part: OfQuantity, psi: Array, error: float) -> bool:
    if not np.isfinite(error):
        return True
    size, slope = part.curvature(psi)
    pull, own = part.penalty(psi)[1], float(np.sum(np.square(slope)))
    return bool(np.max(np.abs(pull)) * error >= LEAST_PULL) or size * own * error**2 >= LEAST_PART


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
    priors, penalty = {}, 0.0
    if isinstance(approximation, Penalised):
        priors = {name: str(prior) for name, prior in approximation.priors}
        penalty = approximation.penalty(problem, psi)

    def extras() -> Mapping[str, Any]:
        with guard(approximation, "result"):
            return approximation.extras(standard.problem, standard.psi(psi))

    return {
        "approximation": str(approximation.method),
        "extras": Later(extras),
        "priors": priors,
        "penalty": penalty,
    }
