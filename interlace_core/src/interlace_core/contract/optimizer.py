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
