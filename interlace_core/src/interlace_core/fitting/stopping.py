"""An end to a fit before it is done: after some time, or when a function of the user says so.

Both are looked at after each evaluation of the objective, so that there always is a best point so
far, and a fit ends at most one evaluation later than asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from interlace_core.messages.checks import shown
from interlace_core.messages.errors import InterlaceError, OptionError


class FitStopped(InterlaceError):
    """The fit was asked to end; nothing further is searched."""


@dataclass(frozen=True)
class Step:
    """Where a fit is: what a callback is told.

    Attributes
    ----------
    evaluations : int
        Of the objective in the present search, this one counted.
    llf : float
        Log-likelihood here (of a penalised fit less its penalty).
    best_llf : float
        The highest so far, of all searches.
    seconds : float
        Since the fit began.
    """

    evaluations: int
    llf: float
    best_llf: float
    seconds: float


@dataclass
class Stopping:
    """When a fit is to end.

    Attributes
    ----------
    max_seconds : float, or None
    callback : callable, or None
        Is told each `Step`; the fit ends where it returns True.
    began : float
        On the clock of `time.perf_counter`.
    reason : str
        Why the fit ended; empty while it has not.
    best : float
        Highest log-likelihood so far.
    """

    max_seconds: float | None = None
    callback: Callable[[Step], object] | None = None
    began: float = field(default_factory=time.perf_counter)
    reason: str = ""
    best: float = -float("inf")

    @property
    def is_told(self) -> bool:
        """Whether each evaluation may end the fit."""
        return self.callback is not None or self.max_seconds is not None

    def see(self, evaluations: int, llf: float) -> None:
        """Look at an evaluation.

        Raises
        ------
        FitStopped
            If the fit is to end here.
        OptionError
            If the callback raises.
        """
        self.require_running()
        seconds = time.perf_counter() - self.began
        self.best = max(self.best, llf)
        if self.callback is not None and self._says_so(Step(evaluations, llf, self.best, seconds)):
            self.reason = f"by its callback, after {seconds:.2g} s"
        elif self.max_seconds is not None and seconds >= self.max_seconds:
            self.reason = f"after {seconds:.2g} s (max_seconds={self.max_seconds:g})"
        self.require_running()

    def require_running(self) -> None:
        """Raise FitStopped if the fit has been asked to end."""
        if self.reason:
            raise FitStopped(self.reason)

    def _says_so(self, step: Step) -> bool:
        assert self.callback is not None
        try:
            answer = self.callback(step)
        except InterlaceError:
            raise
        except Exception as error:
            raise OptionError(
                f"callback: expected a function of a Step, but it raised {type(error).__name__}: "
                f"{error}. Correct it; the cause is chained."
            ) from error
        try:
            return bool(answer is not None and answer)
        except Exception as error:
            raise OptionError(
                "callback: expected a function of a Step that returns True or False, got "
                f"{shown(answer)}. Correct it; the cause is chained."
            ) from error
