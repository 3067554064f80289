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
    QuasiNewton,
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
        ("q", Int),
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
        ("estimates_sigma", Int),
        ("responses", Pointer),
    )


class StateStruct(ctypes.Structure):
    """`ik_search_state`."""

    _fields_ = (
        ("tol_gradient", Double),
        ("tol_value", Double),
        ("floor", Double),
        ("most", Int),
        ("evaluations", Int),
        ("failed", Int),
        ("inner", Int),
        ("path", Pointer),
        ("first", Pointer),
    )


class EndsStruct(ctypes.Structure):
    """`ik_ends`."""

    _fields_ = (
        ("count", Int),
        ("n_profiled", Int),
        ("step", Double),
        ("z", Pointer),
        ("ended", Pointer),
        ("values", Pointer),
        ("slopes", Pointer),
        ("profiled", Pointer),
        ("hessians", Pointer),
        ("counts", Pointer),
    )


def mode_function(
    library: Library, layout: Any, objective: Any, evaluate: str, struct: Any, u: Array
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
    u : ndarray, shape (q,)
        Where the struct keeps the last mode.
    """
    templates, keep = _templates(layout)
    if templates is None:
        return None
    before = np.empty(u.size)
    context = ModeStruct(
        templates, library.address(evaluate), ctypes.addressof(struct), u.ctypes.data,
        before.ctypes.data, u.size, objective.constant, ctypes.addressof(objective.responses),
    )  # fmt: skip
    keep = (*_held(objective), before, *keep)
    return _function(library, "ik_mode", context, 0, keep)


def linear_function(library: Library, layout: Any, objective: Any) -> CompiledFunction | None:
    """Return a linear model's objective as a function of psi; None if theta are no entries."""
    templates, keep = _templates(layout)
    if templates is None:
        return None
    context = LinearContext(
        templates, ctypes.addressof(objective.struct), objective.covariance.ctypes.data,
        objective.mode.ctypes.data, int(objective.estimates_sigma),
        ctypes.addressof(objective.responses),
    )  # fmt: skip
    p = len(objective.covariance)
    return _function(library, "ik_linear", context, p, (*_held(objective), *keep))


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
    )  # fmt: skip


def search(
    library: Library,
    function: CompiledFunction,
    rule: QuasiNewton,
    origin: Array,
    B: Array,
    floor: float,
    longest: Array,
    first: tuple[float, Array] | None = None,
) -> CompiledPath | None:
    """Return the path of a search; arguments as for `Kernels.search`."""
    n, m = B.shape
    most = rule.max_evaluations
    path, z = np.empty((most, 2)), np.zeros(m)
    work = np.empty(m * (m + 6) + 2 * n + function.n_profiled)
    state = StateStruct(rule.tol_abs_gradient, rule.tol_rel_value, floor, most)
    state.path = path.ctypes.data
    known = None if first is None else np.append(first[0], first[1])
    if known is not None:
        state.first = known.ctypes.data
    origin, B, longest = (np.ascontiguousarray(each) for each in (origin, B, longest))
    ended = library.handle.ik_search(
        ctypes.c_void_p(function.address), ctypes.c_void_p(function.context), Int(n), Int(m),
        ctypes.c_void_p(origin.ctypes.data), ctypes.c_void_p(B.ctypes.data),
        ctypes.c_void_p(longest.ctypes.data),
        ctypes.c_void_p(z.ctypes.data), ctypes.byref(state), ctypes.c_void_p(work.ctypes.data),
    )  # fmt: skip
    if ended == DECLINED:
        return None
    done = path[: state.evaluations - state.failed].copy()
    message = f"compiled quasi-Newton search: {WORDS[ended]}"
    reached = ended in (BY_GRADIENT, BY_VALUE)
    return CompiledPath(z, reached, message, done, state.evaluations, state.failed, state.inner)


def search_each(
    library: Library,
    function: CompiledFunction,
    count: int,
    rule: QuasiNewton,
    origin: Array,
    B: Array,
    floor: float,
    longest: Array,
    step: float,
) -> CompiledEnds:
    """Return the ends of searches for many responses; arguments as for `Kernels.search_each`."""
    n, m = B.shape
    most, p = rule.max_evaluations, function.n_profiled
    path, work = np.empty((most + 1 + 2 * m, 2)), np.empty(m * (m + 8) + 2 * n + p)
    state = StateStruct(rule.tol_abs_gradient, rule.tol_rel_value, floor, most)
    state.path = path.ctypes.data
    z, slopes = np.zeros((count, m)), np.full((count, m), np.nan)
    ended, values = np.full(count, DECLINED), np.full(count, np.nan)
    profiled, counts = np.full((count, p), np.nan), np.zeros((count, 3), dtype=np.int64)
    hessians = np.full((count, m, m) if step else (count, 0, 0), np.nan)
    ends = EndsStruct(
        count, p, step,
        *(each.ctypes.data for each in (z, ended, values, slopes, profiled, hessians, counts)),
    )  # fmt: skip
    origin, B, longest = (np.ascontiguousarray(each) for each in (origin, B, longest))
    library.handle.ik_search_each(
        *(ctypes.c_void_p(each) for each in (function.address, function.turn, function.context)),
        Int(n), Int(m), *(ctypes.c_void_p(each.ctypes.data) for each in (origin, B, longest)),
        ctypes.byref(state), ctypes.byref(ends), ctypes.c_void_p(work.ctypes.data),
    )  # fmt: skip
    found = ended != DECLINED
    return CompiledEnds(found, z, values, slopes, profiled, hessians if step else None, counts)


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
