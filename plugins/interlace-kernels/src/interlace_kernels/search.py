"""Objectives as functions of psi in C, and the search for their minimum: see c/search.h."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from interlace_core.contract import (
    Array,
    CompiledEnds,
    CompiledFunction,
    CompiledPath,
    Descent,
)
from interlace_kernels.library import Library
from interlace_kernels.model import Double, Int, Pointer

BY_GRADIENT, BY_VALUE, SPENT, NO_LOWER, DECLINED = range(5)
"""What `ik_search` returns."""

WORDS = {
    BY_GRADIENT: "the gradient is within its tolerance",
    BY_VALUE: "the value no longer changes",
    SPENT: "out of evaluations",
    NO_LOWER: "no lower point along the search direction",
}


class TemplatesStruct(ctypes.Structure):
    """`ik_templates`."""

    _fields_ = (
        ("n_psi", Int),
        ("n_theta", Int),
        ("entries", Int),
        ("size", Int),
        ("from", Pointer),
        ("to", Pointer),
        ("T", Pointer),
        ("dT", Pointer),
    )


class ModeStruct(ctypes.Structure):
    """`ik_mode_context`."""

    _fields_ = (
        ("templates", TemplatesStruct),
        ("evaluate", Pointer),
        ("model", Pointer),
        ("u", Pointer),
        ("before", Pointer),
        ("held", Pointer),
        ("at", Pointer),
        ("q", Int),
        ("numbers", Int),
        ("constant", Double),
        ("responses", Pointer),
    )


class ResponsesStruct(ctypes.Structure):
    """`ik_responses`."""

    _fields_ = (
        ("count", Int),
        ("model", Pointer),
        ("columns", Pointer),
        ("weights", Pointer),
        ("begin", Pointer),
        ("forget", Pointer),
        ("forgets", Int),
    )


class LinearResponsesStruct(ctypes.Structure):
    """`ik_linear_responses`."""

    _fields_ = (
        ("count", Int),
        ("Zs", Pointer),
        ("SS", Pointer),
        ("beta", Pointer),
        ("Zs_to", Pointer),
        ("SS_to", Pointer),
        ("beta_to", Pointer),
    )


class LinearContext(ctypes.Structure):
    """`ik_linear_context`."""

    _fields_ = (
        ("templates", TemplatesStruct),
        ("model", Pointer),
        ("covariance", Pointer),
        ("mode", Pointer),
        ("held", Pointer),
        ("estimates_sigma", Int),
        ("responses", Pointer),
    )


class DescentStruct(ctypes.Structure):
    """`ik_descent`."""

    _fields_ = (
        ("f", Pointer),
        ("context", Pointer),
        ("hold", Pointer),
        ("n_psi", Int),
        ("m", Int),
        ("n_profiled", Int),
        ("origin", Pointer),
        ("B", Pointer),
        ("longest", Pointer),
        ("first", Pointer),
        ("tol_gradient", Double),
        ("tol_value", Double),
        ("floor", Double),
        ("most", Int),
        ("step", Double),
        ("central", Int),
        ("evaluations", Int),
        ("failed", Int),
        ("inner", Int),
        ("searched", Int),
        ("differenced", Int),
        ("path", Pointer),
        ("psi", Pointer),
        ("gradient", Pointer),
        ("profiled", Pointer),
        ("work", Pointer),
    )


class EndsStruct(ctypes.Structure):
    """`ik_ends`."""

    _fields_ = (
        ("count", Int),
        ("turn", Pointer),
        ("z", Pointer),
        ("ended", Pointer),
        ("values", Pointer),
        ("slopes", Pointer),
        ("profiled", Pointer),
        ("jacobians", Pointer),
        ("counts", Pointer),
    )


def mode_function(
    library: Library, layout: Any, objective: Any, evaluate: str, struct: Any, model: Any
) -> CompiledFunction | None:
    """Return an objective with a mode inside as a function of psi; None if theta are no entries.

    Parameters
    ----------
    library, layout
    objective : ModeObjective
        What it holds is kept alive; its `constant` is what its value is lower by.
    evaluate : str
        Name of its function in C.
    struct : ctypes.Structure
        That this takes.
    model : Model
        Whose numbers the struct points to.
    """
    templates, keep = _templates(layout)
    if templates is None:
        return None
    q, numbers = model.u.size, model.at.size
    own = np.empty(2 * q + numbers)
    context = ModeStruct(
        templates, library.address(evaluate), ctypes.addressof(struct), model.u.ctypes.data,
        own.ctypes.data, own.ctypes.data + 8 * q, model.at.ctypes.data, q, numbers,
        objective.constant, ctypes.addressof(objective.responses),
    )  # fmt: skip
    return _function(library, "ik_mode", context, 0, (*_held(objective), own, *keep))


def linear_function(library: Library, layout: Any, objective: Any) -> CompiledFunction | None:
    """Return a linear model's objective as a function of psi; None if theta are no entries."""
    templates, keep = _templates(layout)
    if templates is None:
        return None
    held = np.empty(objective.covariance.size + objective.mode.size)
    context = LinearContext(
        templates, ctypes.addressof(objective.struct), objective.covariance.ctypes.data,
        objective.mode.ctypes.data, held.ctypes.data, int(objective.estimates_sigma),
        ctypes.addressof(objective.responses),
    )  # fmt: skip
    return _function(
        library, "ik_linear", context, len(objective.covariance), (*_held(objective), held, *keep)
    )


def _held(objective: Any) -> tuple[Any, ...]:
    """Return all that an objective points to, which is to live as long as its function.

    Not the objective, which keeps the function: nothing would let go of the rows of either before
    the next collection of cycles.
    """
    return tuple(vars(objective).values())


def _templates(layout: Any) -> tuple[TemplatesStruct | None, tuple[Any, ...]]:
    entries, problem = layout.template_entries(), layout.problem
    if entries is None:
        return None, ()
    size = sum(len(factor.columns) ** 2 for factor in layout.structure.factors)
    both = np.ascontiguousarray(entries.T, dtype=np.int64)
    T = np.zeros((2, size))
    struct = TemplatesStruct(
        problem.n_psi, problem.n_theta, len(entries), size, both[0].ctypes.data,
        both[1].ctypes.data, T[0].ctypes.data, T[1].ctypes.data,
    )  # fmt: skip
    return struct, (both, T)


def _function(
    library: Library, name: str, context: Any, n_profiled: int, keep: tuple[Any, ...]
) -> CompiledFunction:
    return CompiledFunction(
        library.address(f"{name}_function"), ctypes.addressof(context), context.templates.n_psi,
        n_profiled, (library, context, *keep), turn=library.address(f"{name}_turn"),
        hold=library.address(f"{name}_hold"),
    )  # fmt: skip


class _Task:
    """A search as C reads it, with the arrays that its struct points to."""

    def __init__(self, descent: Descent) -> None:
        function, rule, (n, m) = descent.function, descent.rule, descent.B.shape
        p, most = function.n_profiled, rule.max_evaluations
        own = np.empty(2 * (most + 1 + 2 * m) + 3 * n + 2 * p + m * (m + 6) + 2 * (m + p))
        sizes = 2 * (most + 1 + 2 * m), n, n, p
        ends = np.cumsum(sizes).tolist()
        self.path = own[: ends[0]].reshape(-1, 2)
        self.gradient, self.profiled = own[ends[1] : ends[2]], own[ends[2] : ends[3]]
        given = [np.ascontiguousarray(x) for x in (descent.origin, descent.B, descent.longest)]
        first = descent.first
        known = None if first is None else np.append(first[0], first[1])
        at = own.ctypes.data
        self._keep = own, given, known
        self.struct = DescentStruct(
            function.address, function.context, function.hold or None, n, m, p,
            *(x.ctypes.data for x in given),
            None if known is None else known.ctypes.data, rule.tol_abs_gradient,
            rule.tol_rel_value, descent.floor, most, descent.step, int(descent.central),
        )  # fmt: skip
        self.struct.path = at
        self.struct.psi, self.struct.gradient, self.struct.profiled, self.struct.work = (
            at + 8 * end for end in ends
        )


def search(library: Library, descent: Descent) -> CompiledPath | None:
    """Return the path of a search; arguments as for `Kernels.search`."""
    task, m, p = _Task(descent), descent.B.shape[1], descent.function.n_profiled
    struct, value, z = task.struct, Double(), np.empty(m)
    differences = np.empty((m, m + p)) if descent.step else z
    ended = library.handle.ik_search(
        ctypes.byref(struct), ctypes.c_void_p(z.ctypes.data), ctypes.byref(value),
        ctypes.c_void_p(differences.ctypes.data),
    )  # fmt: skip
    if ended == DECLINED:
        return None
    return CompiledPath(
        z,
        value.value,
        task.gradient.copy(),
        task.profiled.copy(),
        ended in (BY_GRADIENT, BY_VALUE),
        f"compiled quasi-Newton search: {WORDS[ended]}",
        task.path[: struct.evaluations - struct.failed].copy(),
        struct.searched,
        struct.evaluations,
        struct.failed,
        struct.inner,
        differences.T if struct.differenced else None,
    )


def search_each(library: Library, descent: Descent, count: int) -> CompiledEnds:
    """Return the ends of searches for many responses; arguments as for `Kernels.search_each`."""
    task, m, p = _Task(descent), descent.B.shape[1], descent.function.n_profiled
    z, slopes = np.zeros((count, m)), np.full((count, m), np.nan)
    ended, values = np.full(count, DECLINED), np.full(count, np.nan)
    profiled, counts = np.full((count, p), np.nan), np.zeros((count, 3), dtype=np.int64)
    wanted = descent.step > 0.0
    jacobians = np.full((count if wanted else 0, m, m + p), np.nan)
    ends = EndsStruct(
        count, descent.function.turn,
        *(each.ctypes.data for each in (z, ended, values, slopes, profiled, jacobians, counts)),
    )  # fmt: skip
    library.handle.ik_search_each(ctypes.byref(task.struct), ctypes.byref(ends))
    hessians = jacobians[:, :, :m] if wanted else None
    return CompiledEnds(ended != DECLINED, z, values, slopes, profiled, hessians, counts)


def at_each(
    library: Library, function: CompiledFunction, psi: Array
) -> tuple[Array, Array, Array, int]:
    """Return a function at several points; arguments as for `Kernels.at_each`."""
    psi = np.ascontiguousarray(psi)
    count, n = psi.shape
    values, gradients = np.empty(count), np.empty((count, n))
    profiled = np.empty((count, function.n_profiled))
    inner = library.handle.ik_at_each(
        ctypes.c_void_p(function.address), ctypes.c_void_p(function.context), Int(count), Int(n),
        Int(function.n_profiled),
        *(ctypes.c_void_p(each.ctypes.data) for each in (psi, values, gradients, profiled)),
    )  # fmt: skip
    return values, gradients, profiled, int(inner)
