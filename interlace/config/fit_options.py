"""The options in force for one fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.optimizer import Optimizer


@dataclass(frozen=True)
class ConfiguredOption:
    """An option that neither the call gave nor is built in, and where it comes from.

    Attributes
    ----------
    name : str
        With a dot before the entry of a table.
    value : str
        As shown.
    origin : str
        Such as a file's path, the name of an environment variable, or "options()".
    """

    name: str
    value: str
    origin: str

    def __str__(self) -> str:
        """Return it as the summary shows it."""
        return f"{self.name}={self.value} ({self.origin})"


@dataclass(frozen=True, eq=False)
class FitOptions:
    """Every option that can be configured, as it holds for one fit.

    Attributes
    ----------
    optimizer : str or Optimizer
    optimizer_options : mapping
        With which a named optimizer is built.
    approximation : str, Approximation or None
        None leaves the choice to `nAGQ`.
    nAGQ : int
        Quadrature points.
    new_levels : str
        What prediction does with a level that the fit has not seen.
    tol_decrement : float
        Log-likelihood that an optimum may leave to gain.
    starts : int
        Searches from random starts beside the usual ones.
    kernels : str
        Whether compiled kernels are used: "auto", "off" or "required".
    threads : int or None
        Threads of BLAS during a fit; None for one unless the crossed part is large.
    max_seconds : float, or None
        After which a fit ends at the best point so far.
    verbose : bool
        Whether a long fit shows its progress.
    formula_limits : mapping from str to int
        How large formulas may be, by the name of the limit.
    prefer : mapping from "kind:name" to distribution
        Which of several plugins of one name is meant.
    given : frozenset of str
        Names of the options that the call itself gives.
    configured : tuple of ConfiguredOption
        Those that come from elsewhere and act on the fit or its predictions.
    chosen : frozenset of str
        Names of the options that the call or configuration gives, be it as they are by default.
    """

    optimizer: str | Optimizer
    nAGQ: int
    new_levels: str
    tol_decrement: float
    starts: int
    approximation: str | Approximation | None = None
    max_seconds: float | None = None
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    kernels: str = "auto"
    threads: int | None = None
    verbose: bool = False
    formula_limits: Mapping[str, int] = field(default_factory=dict)
    prefer: Mapping[str, str] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    configured: tuple[ConfiguredOption, ...] = ()
    chosen: frozenset[str] = frozenset()
