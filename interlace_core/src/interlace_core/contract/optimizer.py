"""What an optimizer must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from interlace_core.records import Array, OptimizerResult


@dataclass(frozen=True)
class OptimizerFacts:
    """What an optimizer uses and supports.

    Attributes
    ----------
    uses_gradient : bool
        Whether it asks for gradients.
    supports_bounds : bool
        Whether it keeps within bounds.
    """

    uses_gradient: bool
    supports_bounds: bool


@dataclass(frozen=True)
class QuasiNewton:
    """A quasi-Newton search without bounds, by the numbers at which it ends.

    Attributes
    ----------
    tol_abs_gradient : float
        Largest entry of the gradient.
    tol_rel_value : float
        Change of the value in an iteration, relative to the larger of the two and 1.
    max_evaluations : int
    """

    tol_abs_gradient: float
    tol_rel_value: float
    max_evaluations: int


class Optimizer(ABC):
    """A minimiser. Implement it as a frozen dataclass whose fields are its options."""

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    """Further names by which it is asked for, such as other software's for the same thing. Case,
    dots, hyphens and underscores do not count; what has such a name as its own goes before."""
    contract_version: ClassVar[int] = 1
    facts: ClassVar[OptimizerFacts]

    @property
    def unavailable(self) -> str:
        """Why it cannot run here, and what to do, as sentences; empty, the default, if it can.

        Asked before a fit, which is refused with these words, and by tables of what is installed.
        """
        return ""

    def quasi_newton(self) -> QuasiNewton | None:
        """Return when it ends, if another quasi-Newton search may take its place.

        Asked where nobody chose the optimizer, there are no bounds, and the objective is compiled:
        a compiled search that ends by the same numbers then does the same without a step in
        Python, and results say so. None, the default, if there is no such rule.
        """
        return None

    @abstractmethod
    def minimize(
        self,
        objective: Callable[[Array], tuple[float, Array]],
        start: Array,
        bounds: tuple[Array, Array],
    ) -> OptimizerResult:
        """Minimise and return the best point seen.

        Parameters
        ----------
        objective : callable
            `x -> (value, gradient)`. It counts, records and applies the failure policy (a
            failed evaluation comes back as a large finite value); do not wrap it again. The
            coordinates are scaled so that a step of 1 is about one standard error.
        start : ndarray, shape (m,)
            Within the bounds.
        bounds : pair of ndarray, shape (m,)
            Lower and upper, possibly infinite. Never evaluate outside.
        """
