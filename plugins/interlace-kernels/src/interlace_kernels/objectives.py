"""Objectives in C: Laplace's for one grouping factor and for nested ones, integrals by nodes."""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Any

import numpy as np

from interlace_core.contract import (
    Array,
    Climb,
    CompiledFunction,
    CompiledObjective,
    CompiledPath,
    CompiledSlopes,
    Evaluation,
    Information,
    RowKernel,
    Slopes,
    Status,
)
from interlace_kernels.library import Library
from interlace_kernels.model import (
    BLOCK_ROWS,
    LARGEST_C,
    MOST_LEVELS,
    Double,
    Int,
    Model,
    Pointer,
    RowModel,
    leading_dimension,
)
from interlace_kernels.search import ResponsesStruct, mode_function

RESPONSES = tuple(name for name, _ in ResponsesStruct._fields_)


MOST_PREDICTORS = 20
"""Of nested.c, which keeps three slots of each by row."""

LARGEST_QUADRATURE = 3
"""Effects of a level that quadrature.c takes."""

BLOCK_ELEMENTS = 1 << 14
"""Rows times nodes of a block: first derivatives at all nodes stay in the second-level cache."""


MOST_NUMBERS = 1 << 26
"""Slots of a level's rows, at all nodes, that are kept at once: half a gigabyte."""


def serves(layout: Any, most: int = LARGEST_C, nodes: int = 1) -> bool:
    """Return whether the structure is one factor with so many effects at most on one predictor."""
    structure = layout.structure
    if len(structure.factors) != 1 or len(structure.random_predictors) != 1:
        return False
    (factor,) = structure.factors
    few = factor.rows.starts is not None and len(factor.columns) <= most
    return few and _fits(layout, nodes)


def _fits(layout: Any, nodes: int = 1) -> bool:
    """Return whether what is kept of the rows of the largest level is not too much."""
    factor, K = layout.structure.factors[0], len(layout.problem.predictors)
    largest = int(np.diff(np.append(factor.rows.starts, layout.problem.n)).max())
    slots = (K + 1) * (K + 2) * (K + 3) // 6
    return largest * max(slots, K * nodes) <= MOST_NUMBERS


def serves_nested(layout: Any) -> bool:
    """Return whether the structure is nested factors with an intercept each, on one predictor."""
    structure = layout.structure
    factors, count = structure.factors, len(structure.factors)
    if not 2 <= count <= MOST_LEVELS or len(structure.random_predictors) != 1:
        return False
    intercepts = all(len(factor.columns) == 1 and factor.columns[0].z is None for factor in factors)
    nested = all(structure.pairs[i, j].nested for j in range(count) for i in range(j))
    few = len(layout.problem.predictors) <= MOST_PREDICTORS
    sorted_rows = factors[0].rows.starts is not None
    return intercepts and nested and few and sorted_rows and _fits(layout)


class ModeObjective(CompiledObjective):
    """psi -> Evaluation by a C function; the last mode tells where the next search starts.

    Parameters
    ----------
    library : Library
    function : str
        Name of a function of a struct, templates, coefficients, and where to write value,
        gradients and steps.
    layout : engine.Layout
    model : Model
    struct : ctypes.Structure
        That the function takes, of the model.
    """

    def __init__(
        self, library: Library, function: str, layout: Any, model: Model, struct: Any
    ) -> None:
        self._library, self._name, self._struct = library, function, struct
        self._layout, self._model, self._call = layout, model, getattr(library.handle, function)
        problem, factors = layout.problem, layout.structure.factors
        constants = problem.constants
        self.constant = 0.0 if constants is None else float(np.sum(constants))
        sizes = [len(factor.columns) for factor in factors]
        self._T, self._dT = (np.empty(sum(c * c for c in sizes)) for _ in range(2))
        ends = np.cumsum([c * c for c in sizes]).tolist()
        self._slopes = [
            self._dT[end - c * c : end].reshape(c, c) for c, end in zip(sizes, ends, strict=True)
        ]
        self._beta, self._dbeta = np.empty(problem.n_beta), np.empty(problem.n_beta)
        self._value, self._iterations = Double(), Int()
        self.responses = ResponsesStruct()
        self._arguments = (
            ctypes.byref(struct),
            *(ctypes.c_void_p(each.ctypes.data) for each in (self._T, self._beta)),
            ctypes.byref(self._value),
            *(ctypes.c_void_p(each.ctypes.data) for each in (self._dT, self._dbeta)),
            ctypes.byref(self._iterations),
        )

    @cached_property
    def function(self) -> CompiledFunction | None:
        """The same as a function of psi in C; None where theta are no entries of T."""
        return mode_function(
            self._library, self._layout, self, self._name, self._struct, self._model
        )

    def last(self, found: CompiledPath) -> Evaluation:
        """Return where a search ended, with the mode there."""
        return Evaluation(found.value, found.gradient, self._model.u.copy())

    def take(
        self, rows: RowKernel, mode: Array, count: int = 1, weights: Array | None = None
    ) -> bool:
        """Point to the rows of the first of other responses."""
        struct = getattr(self._struct, "m", self._struct)
        self._model.take(rows, struct)
        found = self._model.responses(struct, mode, count, weights)
        for name, each in zip(RESPONSES, (*found, *self._forgotten()), strict=True):
            setattr(self.responses, name, each)
        self._model.u[:] = mode
        self._model.known[:] = 0
        return True

    def _forgotten(self) -> tuple[int | None, int]:
        """Return where numbers lie that say what is known of a response, and how many they are."""
        return self._model.known.ctypes.data, 1

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and mode at psi; a status other than OK where there is none."""
        n_theta, u = self._layout.problem.n_theta, self._model.u
        self._go_to(psi)
        before = u.copy()
        if self._call(*self._arguments):
            u[:] = before
            return Evaluation(np.inf, np.zeros(psi.size), before, Status.MODE_NOT_FOUND)
        gradient = np.empty(psi.size)
        gradient[n_theta:] = self._dbeta
        gradient[:n_theta] = self._layout.template_pullback(psi, self._slopes)
        status = Status.OK if np.all(np.isfinite(gradient)) else Status.NOT_FINITE
        value = self._value.value - self.constant
        return Evaluation(value, gradient, u.copy(), status, self._iterations.value)

    _informs = ""
    """Function in C of the information; empty where there is none."""

    def _room(self) -> int:
        """Return how many numbers that needs."""
        return 0

    def information(self, psi: Array) -> Information | None:
        """Return the information at psi; None where the mode is not found."""
        P, u, room = self._beta.size, self._model.u, self._room()
        if not self._informs or room > MOST_NUMBERS:
            return None
        self._go_to(psi)
        before, work = u.copy(), np.empty(room)
        coefficients, effects = np.empty((P, P)), np.empty(u.size)
        failed = getattr(self._library.handle, self._informs)(
            *self._arguments[:3],
            *(ctypes.c_void_p(each.ctypes.data) for each in (work, coefficients, effects)),
        )  # fmt: skip
        if failed:
            u[:] = before
            return None
        shapes = [factor.shape for factor in self._layout.structure.factors]
        parts = np.split(effects, np.cumsum([c * L for c, L in shapes[:-1]]))
        own = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return Information(coefficients, own)

    def _go_to(self, psi: Array) -> None:
        """Write templates and coefficients where C reads them."""
        n_theta, templates = self._layout.problem.n_theta, self._layout.templates(psi)
        np.concatenate([T.ravel() for T in templates], out=self._T)
        self._beta[:] = psi[n_theta:]


class LevelObjective(ModeObjective):
    """One whose struct begins with the model of one grouping factor."""

    _informs = "ik_information"

    def _room(self) -> int:
        struct = self._model.struct
        return int(self._beta.size * struct.ld * struct.c)


class ClimbStruct(ctypes.Structure):
    """`ik_climb_rule` of c/laplace.h."""

    _fields_ = (
        ("holding", Pointer),
        ("tol", Double),
        ("per_gain", Int),
        ("rise", Double),
        ("no_pull", Double),
        ("most", Int),
        ("most_halvings", Int),
    )


class RowSlopes(CompiledSlopes):
    """The model without random effects as sums over rows.

    Parameters
    ----------
    library : Library
    problem : Problem
    rows : RowKernel
        Of its rows.
    random : int
        The predictor with random effects, whose designs are then made once; any other otherwise.
    """

    def __init__(self, library: Library, problem: Any, rows: RowKernel, random: int) -> None:
        self._call, self._climb = library.handle.ik_slopes, library.handle.ik_climb
        P = problem.n_beta
        ld = leading_dimension(BLOCK_ROWS)
        self._model = RowModel(problem, rows, random, ld, 1, BLOCK_ROWS)
        self._constant = 0.0 if problem.constants is None else float(np.sum(problem.constants))
        self._beta, self._found = np.empty(P), np.empty(P + P * P)
        self._value, self._pull = Double(), Double()
        at = self._found.ctypes.data
        self._arguments = (
            ctypes.byref(self._model.struct), ctypes.c_void_p(self._beta.ctypes.data),
            ctypes.byref(self._value), ctypes.c_void_p(at), ctypes.c_void_p(at + 8 * P),
            ctypes.byref(self._pull),
        )  # fmt: skip

    def __call__(self, beta: Array) -> Slopes | None:
        """Return the sums at some coefficients; None where rows have no value."""
        self._beta[:] = beta
        if self._call(*self._arguments):
            return None
        found, P = self._found.copy(), beta.size
        value = self._value.value + self._constant
        return Slopes(value, found[:P], found[P:].reshape(P, P), self._pull.value)

    def climb(self, climb: Climb) -> Array | None:
        """Return the coefficients at which steps end; None where one has to look closer."""
        beta, holding = np.array(climb.beta), np.ascontiguousarray(climb.holding)
        P = beta.size
        work = np.empty(2 + (3 * P + 4) * P)
        rule = ClimbStruct(
            holding.ctypes.data, climb.tol_gain, int(climb.per_gain), climb.rise, climb.no_pull,
            climb.max_iterations, climb.max_halvings,
        )  # fmt: skip
        failed = self._climb(
            self._arguments[0], ctypes.byref(rule),
            *(ctypes.c_void_p(each.ctypes.data) for each in (beta, work)),
        )  # fmt: skip
        return None if failed else beta


class LaplaceObjective(LevelObjective):
    """Laplace's approximation for a layout that `serves`; arguments as for `Model`."""

    def __init__(
        self, library: Library, layout: Any, rows: RowKernel, settings: Any, mode: Array | None
    ) -> None:
        compiled = layout.problem.compiled
        threads = 1 if compiled is None else compiled.threads
        model = Model(layout, rows, settings, mode, threads=threads)
        model.keep_slopes()
        super().__init__(library, "ik_laplace", layout, model, model.struct)


class NestedObjective(ModeObjective):
    """Laplace's approximation for a layout that `serves_nested`; arguments as for `Model`."""

    _informs = "ik_nested_information"

    def _room(self) -> int:
        return int(self._beta.size * self._model.struct.G)

    def __init__(
        self, library: Library, layout: Any, rows: RowKernel, settings: Any, mode: Array | None
    ) -> None:
        model = Model(layout, rows, settings, mode)
        super().__init__(library, "ik_nested", layout, model, model.tree(layout))


class NodesObjective(LevelObjective):
    """Integrals by nodes around the mode, for a layout that `serves`.

    Parameters
    ----------
    library, layout, rows, settings, mode
        As for `Model`.
    nodes : pair of ndarrays, shapes (c, J) and (J,)
        Standard nodes, and the logarithms of their weights.
    """

    def __init__(
        self,
        library: Library,
        layout: Any,
        rows: RowKernel,
        settings: Any,
        mode: Array | None,
        nodes: tuple[Array, Array],
    ) -> None:
        block_rows = min(max(BLOCK_ELEMENTS // nodes[1].size, 64), BLOCK_ROWS)
        model = Model(layout, rows, settings, mode, block_rows)
        model.keep_slopes()
        super().__init__(library, "ik_quadrature", layout, model, model.nodes(*nodes))
