"""How many threads linear algebra uses while a model is fitted.

Most matrices of a mixed model are small or have few columns: a second thread waits for the first
more than it computes, and where other programs use the cores it costs several times the processor
time. So BLAS has one thread during a fit, unless the crossed part of its random effects is large.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import (  # type: ignore[import-untyped,unused-ignore]
    ThreadpoolController,
)

from interlace_core.contract.problem import Problem

MANY_CROSSED = 2000
"""Random effects outside the largest grouping factor from which their dense factorisation is worth
several threads: Cholesky's cubes of 2,000 take 160 ms on one core. With 1,128 (InstEval) a fit took
ten times the processor time where two threads had to share two busy cores with others."""


@contextmanager
def blas_threads(number: int | None) -> Iterator[None]:
    """Hold BLAS to a number of threads, and restore the user's number at the end.

    The number is one of the process: a fit in another thread that begins meanwhile keeps it, and
    the last one to end restores it.

    Parameters
    ----------
    number : int or None
        None leaves it as it is.
    """
    if number is None:
        yield
        return
    pool = _pool()
    before = pool.enter(number)
    try:
        yield
    finally:
        pool.leave(before)


def threads_of(problem: Problem, asked: int | None) -> int | None:
    """Return how many threads BLAS should have for a problem; None for as many as it has.

    Parameters
    ----------
    problem : Problem
    asked : int or None
        The user's wish, which decides.
    """
    if asked is not None:
        return asked
    effects: dict[str, int] = {}
    for term in problem.terms:
        own = len(term.levels) * len(term.names)
        effects[term.group] = effects.get(term.group, 0) + own
    crossed = sum(effects.values()) - max(effects.values(), default=0)
    return 1 if crossed <= MANY_CROSSED else None


class _Pool:
    """The BLAS libraries of the process, and how many fits hold them.

    Most have one number of threads for the whole process: the first fit to come sets it, the last
    to leave restores it. Those built on OpenMP have one for each thread that calls.
    """

    def __init__(self) -> None:
        found = ThreadpoolController().select(user_api="blas").lib_controllers
        self._own = [each for each in found if _is_per_thread(each)]
        self._shared = [each for each in found if not _is_per_thread(each)]
        self._lock = threading.Lock()
        self._holders = 0
        self._before: list[int | None] = []

    def enter(self, number: int) -> list[int | None]:
        """Set the number of threads; return what `leave` restores for this thread."""
        with self._lock:
            self._holders += 1
            if self._holders == 1:
                self._before = _exchange(self._shared, [number] * len(self._shared))
        return _exchange(self._own, [number] * len(self._own))

    def leave(self, before: list[int | None]) -> None:
        _exchange(self._own, before)
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                _exchange(self._shared, self._before)


def _is_per_thread(library: Any) -> bool:
    return getattr(library, "threading_layer", None) == "openmp"


def _exchange(libraries: list[Any], numbers: Sequence[int | None]) -> list[int | None]:
    """Set each library's number of threads, and return those before."""
    before = [each.get_num_threads() for each in libraries]
    for library, number, now in zip(libraries, numbers, before, strict=True):
        if number is None or number == now:
            continue
        library.set_num_threads(number)
        # OpenBLAS obeys only the thread that set it first, until that gives it up.
        getattr(library, "clear_controlling_thread", bool)()
    return before


@cache
def _pool() -> _Pool:
    import scipy.linalg  # noqa: F401 - its library is found only once it is loaded

    return _Pool()
