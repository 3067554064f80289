"""Adaptive Gauss-Hermite quadrature: for one scalar effect per group, and for up to three.

The scalar one is what `nAGQ` above 1 chooses; the other is chosen by name, since its cost grows
as a power of the number of effects. Both are the same integral: see
`interlace_approximations.quadrature`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from interlace_approximations.laplace import Laplace
from interlace_approximations.quadrature import Nodes, NodesObjective
from interlace_core.contract import (
    Approximation,
    Array,
    Evaluation,
    Method,
    OptionError,
    Problem,
    UnsupportedModelError,
    is_whole,
)
from interlace_core.engine import (
    DEFAULT_SETTINGS,
    ModeSettings,
    compiled_objective,
    layout_of,
    summed,
)

MAX_POINTS = 100
"""Beyond this the smallest Gauss-Hermite weights underflow and nothing is gained."""

MAX_EFFECTS = 3
"""Correlated effects per group: with 11 points each, 1,331 evaluations of each row's density."""


@dataclass(frozen=True)
class AdaptiveGaussHermite(Approximation):
    """Adaptive Gauss-Hermite quadrature for one scalar random effect per group.

    Parameters
    ----------
    points : int
        Quadrature points per group, 1 to 100.
    mode : ModeSettings
        Tolerances of the search for the conditional mode.

    Raises
    ------
    OptionError
        If the number of points is out of range.
    """

    name = "agq"
    serves_nAGQ = range(2, MAX_POINTS + 1)

    points: int = 11
    mode: ModeSettings = DEFAULT_SETTINGS

    def __post_init__(self) -> None:
        _check_points(self.name, self.points)

    @property
    def method(self) -> Method:
        """Its name and its points, which are nAGQ."""
        return replace(super().method, points=self.points, nAGQ=self.points)

    @classmethod
    def from_nAGQ(cls, nAGQ: int) -> Self:
        """Return the approximation with nAGQ points."""
        return cls(points=nAGQ)

    def check(self, problem: Problem) -> None:
        """Refuse all but one scalar random-effects term, or none: nothing is then integrated."""
        columns = _effects(problem)
        if not problem.terms or (len(problem.terms) == 1 and columns == 1):
            return
        raise UnsupportedModelError(
            f"adaptive quadrature (nAGQ={self.points}) integrates one scalar random effect per "
            f"group; this model has {columns} random-effects column(s) in {len(problem.terms)} "
            f"term(s): {_terms(problem)}. The grid would grow as a power of their number. "
            f"Use nAGQ=1 (Laplace), which has no such limit{_alternative(problem, columns)}."
        )

    def bounded(self, problem: Problem) -> Approximation | None:
        """Return that of Laplace's approximation, which has one node where these are."""
        return Laplace(self.mode).bounded(problem)

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the negative approximate log-likelihood as a function of psi."""
        return _objective(self.name, problem, self.points, self.mode)

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the sum of the parts' objectives."""
        self.check(problem)
        return summed(self, problem)

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the objective that looks for its first mode from a given one."""
        return _objective(self.name, problem, self.points, self.mode, mode)


@dataclass(frozen=True)
class VectorGaussHermite(Approximation):
    """Adaptive Gauss-Hermite quadrature for up to three correlated effects of one factor.

    Parameters
    ----------
    points : int
        Quadrature points in each dimension, 1 to 100; points ** effects in all.
    mode : ModeSettings
        Tolerances of the search for the conditional mode.

    Raises
    ------
    OptionError
        If the number of points is out of range.
    """

    name = "agq-vector"

    points: int = 11
    mode: ModeSettings = DEFAULT_SETTINGS

    def __post_init__(self) -> None:
        _check_points(self.name, self.points)

    @property
    def method(self) -> Method:
        """Its name and its points, which are nAGQ."""
        return replace(super().method, points=self.points, nAGQ=self.points)

    @classmethod
    def from_nAGQ(cls, nAGQ: int) -> Self:
        """Return the approximation with nAGQ points in each dimension."""
        return cls(points=nAGQ)

    def check(self, problem: Problem) -> None:
        """Refuse several grouping factors, and more than three effects."""
        columns, factors = _effects(problem), _factors(problem)
        if not problem.terms or (len(factors) == 1 and columns <= MAX_EFFECTS):
            return
        raise UnsupportedModelError(
            f"approximation {self.name!r} integrates up to {MAX_EFFECTS} random effects of one "
            f"grouping factor; this model has {columns} random-effects column(s) of "
            f"{len(factors)} factor(s): {_terms(problem)}. Use nAGQ=1 (Laplace), which has no "
            "such limit."
        )

    def bounded(self, problem: Problem) -> Approximation | None:
        """Return that of Laplace's approximation, which has one node where these are."""
        return Laplace(self.mode).bounded(problem)

    def objective(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the negative approximate log-likelihood as a function of psi."""
        return _objective(self.name, problem, self.points, self.mode)

    def over_parts(self, problem: Problem) -> Callable[[Array], Evaluation]:
        """Return the sum of the parts' objectives."""
        self.check(problem)
        return summed(self, problem)

    def objective_from(self, problem: Problem, mode: Array) -> Callable[[Array], Evaluation]:
        """Return the objective that looks for its first mode from a given one."""
        return _objective(self.name, problem, self.points, self.mode, mode)


def gauss_hermite(points: int, size: int) -> Nodes:
    """Return the tensor grid of Gauss-Hermite nodes, so many in each of `size` dimensions."""
    x, w = np.polynomial.hermite.hermgauss(points)
    each = np.log(w) + x**2 - 0.5 * np.log(np.pi)
    axes = np.meshgrid(*[np.sqrt(2.0) * x] * size, indexing="ij")
    logs = np.meshgrid(*[each] * size, indexing="ij")
    return Nodes(np.stack([axis.ravel() for axis in axes]), sum(logs, np.zeros(1)).ravel())


def _objective(
    name: str, problem: Problem, points: int, settings: ModeSettings, start: Array | None = None
) -> Callable[[Array], Evaluation]:
    if not problem.terms:
        return Laplace(settings).objective(problem)  # exact, as any approximation is then
    nodes = gauss_hermite(points, _effects(problem))
    return compiled_objective(
        name,
        problem,
        settings,
        start,
        lambda: NodesObjective(layout_of(problem), nodes, settings, start),
        (nodes.x, nodes.log_w),
    )


def _check_points(name: str, points: object) -> None:
    if not is_whole(points, 1) or points > MAX_POINTS:
        raise OptionError(
            f"approximation {name!r}: points must be an integer from 1 to {MAX_POINTS}, "
            f"got {points!r}. 7 to 25 serve nearly always."
        )


def _alternative(problem: Problem, columns: int) -> str:
    """Return the alternative that integrates, where there is one."""
    if len(_factors(problem)) == 1 and 1 <= columns <= MAX_EFFECTS:
        return f", or approximation={VectorGaussHermite.name!r}, which takes these effects"
    return ""


def _effects(problem: Problem) -> int:
    return sum(term.Z.shape[1] for term in problem.terms)


def _factors(problem: Problem) -> set[str]:
    return {term.group for term in problem.terms}


def _terms(problem: Problem) -> str:
    return ", ".join(f"({term.label})" for term in problem.terms) or "none"
