"""Faulty twins of a Laplace approximation, each of which fails one conformance check."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from dense_laplace import DenseLaplace

from interlace_core.contract.approximation import (
    Approximation,
    Curvature,
    Information,
    Shortcuts,
    StartingValues,
)
from interlace_core.contract.incidence import Incidence
from interlace_core.engine.joint_density import effects_covariance
from interlace_core.engine.layout import layout_of
from interlace_core.engine.shares import summed
from interlace_core.fitting.curvature import jacobian
from interlace_core.fitting.precondition import information_of_rows
from interlace_core.fitting.start import find_start
from interlace_core.messages.errors import UnsupportedModelError
from interlace_core.records import Profiled


@dataclass(frozen=True)
class Small(DenseLaplace):
    """Good, and quick to check: refuses what takes long."""

    def check(self, problem):
        groups = [term.group for term in problem.terms]
        slow = len(problem.predictors) > 1 and problem.family.name != "kit-normal"
        if groups not in (["g"], ["g", "c"], ["g", "h"]) or slow or "x" in problem.terms[0].names:
            raise UnsupportedModelError(
                f"twin: the model has effects of {groups}, supported are intercepts on the mean. "
                "Use another approximation."
            )


class Tampered:
    """An objective whose evaluations a twin changes."""

    def __init__(self, twin, objective):
        self.twin, self.objective = twin, objective
        self.far = False

    def __call__(self, psi):
        evaluation = self.twin.change(self, psi, self.objective(psi))
        self.far = self.far or np.max(np.abs(psi)) > 5.0
        return evaluation


@dataclass(frozen=True)
class Faulty(Small):
    """Changes each evaluation by `change`, by default adding `extra` to the value."""

    def objective(self, problem):
        return Tampered(self, super().objective(problem))

    def change(self, tampered, psi, evaluation):
        extra, slope = self.extra(tampered.objective.problem, psi)
        return replace(
            evaluation, value=evaluation.value + extra, gradient=evaluation.gradient + slope
        )

    def extra(self, problem, psi):
        return 0.0, 0.0


def squares(problem, psi, factor):
    """Return factor |theta|^2 / 2 and its gradient: no data, no order, no sign in it."""
    theta = np.where(np.arange(psi.size) < problem.n_theta, psi, 0.0)
    return 0.5 * factor * float(theta @ theta), factor * theta


@dataclass(frozen=True)
class RefusesByValueError(Small):
    def check(self, problem):
        if len(problem.terms) > 1:
            raise ValueError("too many terms")
        super().check(problem)


@dataclass(frozen=True)
class RefusesCurtly(Small):
    def check(self, problem):
        if len(problem.terms) > 1:
            raise UnsupportedModelError("one term only")
        super().check(problem)


@dataclass(frozen=True)
class AcceptsNothing(Small):
    def check(self, problem):
        raise UnsupportedModelError(
            "twin: this model is too much for me. Use another approximation."
        )


@dataclass(frozen=True)
class ServesWhatItDoesNot(Small):
    serves_nAGQ = range(1, 4)

    @classmethod
    def from_nAGQ(cls, nAGQ):
        return cls() if nAGQ < 3 else DenseLaplace()


@dataclass(frozen=True)
class NotExactWhenCrossed(Faulty):
    def extra(self, problem, psi):
        normal = problem.family.name == "kit-normal"
        crossed = [t.group for t in problem.terms] == ["g", "c"]
        return squares(problem, psi, 1.0 if normal and crossed else 0.0)


@dataclass(frozen=True)
class WrongWithoutEffects(Faulty):
    def extra(self, problem, psi):
        return 0.0 if np.any(psi[: problem.n_theta]) else 1.0, 0.0


@dataclass(frozen=True)
class WrongIntegral(Faulty):
    def extra(self, problem, psi):
        return squares(problem, psi, 2.0 if problem.family.name == "kit-binary" else 0.0)


@dataclass(frozen=True)
class WrongSlopeWhenNested(Faulty):
    def extra(self, problem, psi):
        nested = [t.group for t in problem.terms] == ["g", "h"]
        return 0.0, 1e-3 if nested else 0.0


@dataclass(frozen=True)
class NoMode(Faulty):
    def change(self, tampered, psi, evaluation):
        return replace(evaluation, mode=np.zeros(1))


@dataclass(frozen=True)
class NumPyValue(Faulty):
    def change(self, tampered, psi, evaluation):
        return replace(evaluation, value=np.array(evaluation.value))


SLIGHT = 3e-7
"""Too little for references, which allow 1e-8 of a log-likelihood, and enough for invariances."""


@dataclass(frozen=True)
class FirstRowCounts(Faulty):
    def extra(self, problem, psi):
        return SLIGHT * np.argmax(problem.predictors[0].X[:, 1]) / problem.n, 0.0


@dataclass(frozen=True)
class FirstLevelCounts(Faulty):
    def extra(self, problem, psi):
        row = np.argmax(problem.predictors[0].X[:, 1])
        return SLIGHT * (problem.terms[0].codes[row] % 3), 0.0


@dataclass(frozen=True)
class FormCounts(Faulty):
    def extra(self, problem, psi):
        by_rows = any(isinstance(term.Z, Incidence) for term in problem.terms)
        by_rows = by_rows and problem.family.name != "kit-normal"  # which is held to its density
        return squares(problem, psi, 0.1 * by_rows)


@dataclass(frozen=True)
class SignCounts(Faulty):
    def extra(self, problem, psi):
        return SLIGHT * np.sign(np.asarray(problem.terms[0].Z)[:, 0].sum()), 0.0


@dataclass(frozen=True)
class Remembers(Faulty):
    def change(self, tampered, psi, evaluation):
        return replace(evaluation, value=evaluation.value + 1e-5 * tampered.far)


@dataclass(frozen=True)
class RaisesFarOut(Faulty):
    def change(self, tampered, psi, evaluation):
        if np.max(np.abs(psi)) > 5.0:
            raise OverflowError("too far")
        return evaluation


@dataclass(frozen=True)
class NaNFarOut(Faulty):
    def change(self, tampered, psi, evaluation):
        far = np.max(np.abs(psi)) > 5.0
        return replace(evaluation, value=float("nan")) if far else evaluation


@dataclass(frozen=True)
class Closure(Small):
    def objective(self, problem):
        objective = super().objective(problem)
        return lambda psi: objective(psi)


@dataclass(frozen=True)
class MovesPsi(Faulty):
    def change(self, tampered, psi, evaluation):
        psi[0] = 0.0
        return evaluation


@dataclass(frozen=True)
class SortsY(Faulty):
    """Sorts the response and puts it back one ulp off."""

    def change(self, tampered, psi, evaluation):
        y = tampered.objective.problem.y
        y[0] = np.nextafter(y[0], np.inf)
        return evaluation


@dataclass(frozen=True)
class ProfilesNothing(Faulty):
    """Says that it determines the mean's coefficients, and takes those given."""

    def profiled(self, problem):
        return problem.beta_slices()[0]

    def change(self, tampered, psi, evaluation):
        place = self.profiled(tampered.objective.problem)
        gradient = evaluation.gradient.copy()
        gradient[place] = 0.0
        profiled = Profiled(psi[place].copy(), np.eye(psi[place].size))
        return replace(evaluation, gradient=gradient, profiled=profiled)


@dataclass(frozen=True)
class LosesProfiled(ProfilesNothing):
    """Determines them, from nowhere, and does not say them."""

    def change(self, tampered, psi, evaluation):
        return replace(super().change(tampered, psi, evaluation), profiled=None)


class Doubled(Shortcuts):
    """What the rows say, but the covariance of the effects, which is twice what it should be."""

    def __init__(self, problem, factor=1.0):
        self.problem, self.factor = problem, factor

    def begin(self):
        start = find_start(self.problem)
        return StartingValues(start.psi[self.problem.n_theta :], start.units)

    def information(self, psi):
        return information_of_rows(self.problem, psi, np.zeros(layout_of(self.problem).structure.q))

    def effects_covariance(self, psi):
        mode = Small().objective(self.problem)(psi).mode
        return [self.factor * each for each in effects_covariance(self.problem, psi, mode)]


class Singular(Doubled):
    def effects_covariance(self, psi):
        return None


class FarOff(Doubled):
    def begin(self):
        beginning = super().begin()
        return StartingValues(beginning.beta, 10.0 * beginning.units)


class Sideways(Doubled):
    def information(self, psi):
        found = super().information(psi)
        return Information(found.coefficients, [10.0 * each for each in found.effects])


@dataclass(frozen=True)
class CutsCorners(Small):
    kind: type = Doubled
    factor: float = 1.0

    def shortcuts(self, problem):
        return self.kind(problem, self.factor)


@dataclass(frozen=True)
class Curved(Small):
    factor: float = 1.0

    def curvature(self, problem, psi):
        evaluate = self.objective(problem)
        hessian = jacobian(lambda x: evaluate(x).gradient, psi, np.full(psi.size, 1e-4))
        return Curvature(self.factor * hessian)


@dataclass(frozen=True)
class AddsOne(Faulty):
    def extra(self, problem, psi):
        return 1.0, 0.0


@dataclass(frozen=True)
class ForgetsItself(Small):
    """From a given mode it is another objective."""

    def objective_from(self, problem, mode):
        return AddsOne().objective(problem)


class OfAnotherKind(Approximation):
    """Its name does not lead to it: the class needs an argument."""

    name = "twin"

    def __init__(self, points):
        self.points = points

    def check(self, problem):
        Small().check(problem)

    def objective(self, problem):
        return Small().objective(problem)


class CallsItself(Small):
    @property
    def method(self):
        return replace(super().method, name="another")


class TakesByMethod(Small):
    def takes_relations(self):
        return False


@dataclass(frozen=True)
class LooksAtUnits(Faulty):
    def extra(self, problem, psi):
        normal = problem.family.name == "kit-normal"
        nested = [t.group for t in problem.terms] == ["g", "h"]
        size = float(np.mean(np.square(problem.predictors[0].X)))
        return squares(problem, psi, 1e-3 * size if nested and not normal else 0.0)


class CountsOnceForEachPart(Small):
    """What belongs to the whole, such as a prior's density, is counted with every part."""

    def over_parts(self, problem):
        at = summed(self, problem)

        def evaluate(psi):
            found = at(psi)
            return replace(found, value=found.value + 1e-3)

        return evaluate


class Concave(Small):
    """Says of a penalty that it curves downwards."""

    def penalty_curvature(self, problem, psi):
        return -np.eye(psi.size)


class OfOneNumber(Small):
    """Gives one number for psi."""

    def rivals(self, problem, psi, covariance):
        return (("somewhere", np.zeros(1 + psi.size)),)


@dataclass(frozen=True)
class WrongSlope(Faulty):
    def extra(self, problem, psi):
        return 0.0, 1e-3


@dataclass(frozen=True)
class StandsInBadly(Small):
    """Offers a stand-in with a wrong gradient, one that refuses, or the name of one."""

    stand_in: object = WrongSlope()

    def bounded(self, problem):
        return self.stand_in


TWINS = {
    "accepts or refuses in words": [RefusesByValueError(), RefusesCurtly(), AcceptsNothing()],
    "is found by name and nAGQ": [ServesWhatItDoesNot(), OfAnotherKind(3)],
    "says what it is": [CallsItself(), TakesByMethod()],
    "exact for normal responses: crossed": [NotExactWhenCrossed()],
    "equals the likelihood at Lambda = 0": [WrongWithoutEffects()],
    "agrees with numerical integration": [WrongIntegral()],
    "gradient: nested, counts": [WrongSlopeWhenNested()],
    "evaluations are well formed": [NoMode(), NumPyValue()],
    "order of rows does not matter": [FirstRowCounts()],
    "order of levels does not matter": [FirstLevelCounts()],
    "covariates told by row alone do not matter": [FormCounts()],
    "signs of covariates do not matter": [SignCounts()],
    "units of covariates do not matter": [LooksAtUnits()],
    "same value whatever came before": [Remembers()],
    "a given mode is only a start": [ForgetsItself()],
    "what is said of a penalty is of the shape of psi": [Concave(), OfOneNumber()],
    "far points fail by status": [RaisesFarOut(), NaNFarOut()],
    "objective can be pickled": [Closure()],
    "inputs stay as they are": [MovesPsi(), SortsY()],
    "shortcuts say what the rows say": [
        CutsCorners(factor=2.0),
        CutsCorners(Singular),
        CutsCorners(FarOff),
        CutsCorners(Sideways),
    ],
    "curvature is the slope of the gradient": [Curved(1.00001)],
    "what stands in for it is an approximation": [
        StandsInBadly(),
        StandsInBadly(AcceptsNothing()),
        StandsInBadly("laplace"),
    ],
    "parts of the rows add up": [CountsOnceForEachPart()],
    "profiled entries do not matter": [ProfilesNothing(), LosesProfiled()],
}
"""Faulty twins by the one check that each fails."""
