"""Kernels without a compiler: a C function pointer to Python, for tests of what calls one."""

import ctypes
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from interlace_core.calculus.links import Log
from interlace_core.contract import Family, Kernels, Parameter, RowKernel
from interlace_core.engine.compiled import SIGNATURE, slots
from interlace_core.families import poisson_log_density, poisson_log_link_terms


class Counts(Family):
    """Poisson counts; a family with a hand-written derivative."""

    name = "tally"
    support = "counts"
    parameters = (Parameter("mu", Log(), role="mean"),)

    def log_density(self, y, eta):
        return poisson_log_density(y, eta[0])

    def mean(self, eta):
        return np.exp(eta[0])

    def log_concave(self, wrt):
        return True

    def derivatives(self, y, eta, order, wrt):
        return poisson_log_link_terms(y, eta[0], order, wrt)


@dataclass
class Calls:
    """What a kernel was asked."""

    blocks: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)
    """Rows, constant bits and wanted slots of each call."""


@dataclass(frozen=True)
class CallbackKernels(Kernels):
    """Kernels whose rows call the family's derivatives.

    Parameters
    ----------
    spoil : callable, optional
        Changes what is written, given the slots by key.
    code : int
        What the function returns.
    built : str
        What is said to be built.
    """

    name = "callback"
    families: ClassVar[Any] = frozenset({("local", "tally", "log"), ("local", "mixture", "log")})

    spoil: Any = None
    code: int = 0
    built: str = "Python"
    calls: Calls = field(default_factory=Calls)
    made: dict[Any, Any] = field(default_factory=dict)

    @property
    def build(self):
        return self.built

    def rows(self, family, y):
        # one function for a family, as in a library: what is found out about it stays so
        key = type(family), repr(family)
        if key not in self.made:
            self.made[key] = ctypes.CFUNCTYPE(*SIGNATURE)(self._function(family))
        function = self.made[key]
        address = ctypes.cast(function, ctypes.c_void_p).value
        return KeptKernel(address, np.asfortranarray(y[:, None]), kept=function)

    def _function(self, family):
        K = len(family.parameters)
        places = slots(K)

        def rows(data, n, columns, ld_columns, eta, ld, constant, want, out):
            asked = view(want, ctypes.c_uint8, len(places))
            self.calls.blocks.append((n, constant, tuple(np.flatnonzero(asked))))
            y = view(columns, ctypes.c_double, n)
            predictors = view(eta, ctypes.c_double, (K - 1) * ld + n)
            written = view(out, ctypes.c_double, (max(np.flatnonzero(asked)) * ld) + n)
            found = family.derivatives(
                y, [predictors[k * ld : k * ld + n] for k in range(K)], 3, tuple(range(K))
            )
            for key, place in places.items():
                if asked[place]:
                    values = found.partials.get(key, np.zeros(n)) if key else found.value
                    if self.spoil is not None:
                        values = self.spoil(key, values, constant)
                    written[place * ld : place * ld + n] = values
            return self.code

        return rows


@dataclass(frozen=True)
class KeptKernel(RowKernel):
    """A kernel that keeps its function alive."""

    kept: object = None


def view(address, kind, size):
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(kind)), (size,))
