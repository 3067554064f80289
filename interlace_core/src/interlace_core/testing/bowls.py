"""Functions in C whose minimum is known, for checks of compiled searches."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

import numpy as np

from interlace_core.records import Array, CompiledFunction

SIGNATURE = (ctypes.c_int32, *(ctypes.c_void_p,) * 6)
"""Of `CompiledFunction`."""


@dataclass
class Bowl:
    """A function in C whose minimum is known: z'Az / 2 in x - minimum, without a value far out.

    Attributes
    ----------
    A : ndarray, shape (m, m)
    minimum : ndarray, shape (m,)
    radius : float
        Distance from the minimum beyond which there is no value.
    points : list of ndarray
        That were asked for.
    profiles : bool
        Whether the first entry is said to be profiled out.
    holds : bool
        Whether the last point can be held.
    held : list of int
        How many points had been asked for each time that one was, and came back.
    """

    A: Array
    minimum: Array
    radius: float = np.inf
    points: list[Array] = field(default_factory=list)
    profiles: bool = True
    holds: bool = False
    held: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, m: int, radius: float = np.inf) -> Bowl:
        """Return one in m directions, whose curvatures are from 0.4 to 4."""
        rng = np.random.default_rng(m)
        turn = np.linalg.qr(rng.normal(size=(m, m)))[0]
        A = turn @ np.diag(np.geomspace(4.0, 0.4, m)) @ turn.T
        return cls(A, 1.0 + rng.uniform(size=m), radius)

    def at(self, x: Array) -> tuple[float, Array]:
        """Return value and gradient."""
        away = x - self.minimum
        return 5.0 + 0.5 * float(away @ self.A @ away), self.A @ away

    @property
    def function(self) -> CompiledFunction:
        """The same in C, as far as a callback is."""
        m = len(self.minimum)

        def call(_: int, psi: int, value: int, slope: int, profiled: int, inner: int) -> int:
            x = _view(psi, m).copy()
            self.points.append(x)
            if np.linalg.norm(x - self.minimum) > self.radius:
                return 1
            found, g = self.at(x)
            _view(value, 1)[0], _view(slope, m)[:] = found, g
            if self.profiles:
                _view(profiled, 1)[0] = x[0]
            ctypes.c_int64.from_address(inner).value = 2
            return 0

        def hold(_: int, back: int) -> None:
            assert back == len(self.held) % 2
            self.held.append(len(self.points))

        made = ctypes.CFUNCTYPE(*SIGNATURE)(call)
        holding = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32)(hold)
        address, hold_at = (ctypes.cast(each, ctypes.c_void_p).value for each in (made, holding))
        assert address is not None and hold_at is not None
        keep = made, holding
        return CompiledFunction(
            address, 0, m, int(self.profiles), keep, hold=hold_at if self.holds else 0
        )


@dataclass
class Bowls:
    """A bowl for each of several responses: a function in C that is turned from one to another."""

    bowls: list[Bowl]
    place: int = -1

    @property
    def function(self) -> CompiledFunction:
        """The bowl that it was turned to last, and the way to turn it."""
        functions = [each.function for each in self.bowls]
        calls = [ctypes.CFUNCTYPE(*SIGNATURE)(each.address) for each in functions]

        def call(*arguments: int) -> int:
            return int(calls[self.place](*arguments))

        def turn(_: int, i: int) -> int:
            self.place = i
            return int(not 0 <= i < len(self.bowls))

        made = ctypes.CFUNCTYPE(*SIGNATURE)(call)
        turns = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64)(turn)
        address, turn_at = (ctypes.cast(each, ctypes.c_void_p).value for each in (made, turns))
        assert address is not None and turn_at is not None
        keep = made, turns, calls, functions
        return CompiledFunction(address, 0, functions[0].n_psi, 1, keep, turn=turn_at)


def _view(address: int, size: int) -> Array:
    kind = ctypes.POINTER(ctypes.c_double)
    return np.ctypeslib.as_array(ctypes.cast(address, kind), (size,))
