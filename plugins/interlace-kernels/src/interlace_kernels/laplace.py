"""Laplace's approximation for one grouping factor, and for nested ones, in C."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from interlace_core.contract import Array, Evaluation, RowKernel, Status
from interlace_kernels.library import Library
from interlace_kernels.model import LARGEST_C, MOST_LEVELS, Double, Int, Model

MOST_PREDICTORS = 20
"""Of nested.c, which keeps three slots of each by row."""


def serves(layout: Any) -> bool:
    """Return whether the structure is one factor with 1 to 4 effects on one predictor."""
    structure = layout.structure
    if len(structure.factors) != 1 or len(structure.random_predictors) != 1:
        return False
    (factor,) = structure.factors
    return factor.rows.starts is not None and len(factor.columns) <= LARGEST_C


def serves_nested(layout: Any) -> bool:
    """Return whether the structure is nested factors with an intercept each, on one predictor."""
    structure = layout.structure
    factors, count = structure.factors, len(structure.factors)
    if not 2 <= count <= MOST_LEVELS or len(structure.random_predictors) != 1:
        return False
    intercepts = all(len(factor.columns) == 1 and factor.columns[0].z is None for factor in factors)
    nested = all(structure.pairs[i, j].nested for j in range(count) for i in range(j))
    few = len(layout.problem.predictors) <= MOST_PREDICTORS
    return intercepts and nested and few and factors[0].rows.starts is not None


class LaplaceObjective:
    """psi -> Evaluation; the last mode tells where the next search starts.

    Parameters
    ----------
    library : Library
    layout : engine.Layout
        That `serves`.
    rows, settings, mode
        As for `Model`.
    """

    def __init__(
        self, library: Library, layout: Any, rows: RowKernel, settings: Any, mode: Array | None
    ) -> None:
        self._layout = layout
        self._model = Model(layout, rows, settings, mode)
        problem, c = layout.problem, self._model.struct.c
        one = len(layout.structure.factors) == 1
        if not one:
            self._model.nest(layout)
        shape = (1, c, c) if one else (len(layout.structure.factors), 1, 1)
        constants = problem.constants
        self._constant = 0.0 if constants is None else float(np.sum(constants))
        self._T, self._dT = np.empty(shape), np.empty(shape)
        self._beta, self._dbeta = np.empty(problem.n_beta), np.empty(problem.n_beta)
        self._value, self._iterations = Double(), Int()
        self._call = library.handle.ik_laplace if one else library.handle.ik_nested
        self._arguments = (
            ctypes.byref(self._model.struct if one else self._model.tree),
            *(ctypes.c_void_p(each.ctypes.data) for each in (self._T, self._beta)),
            ctypes.byref(self._value),
            *(ctypes.c_void_p(each.ctypes.data) for each in (self._dT, self._dbeta)),
            ctypes.byref(self._iterations),
        )

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient and mode at psi; a status other than OK where there is none."""
        n_theta, u = self._layout.problem.n_theta, self._model.u
        self._T[:] = self._layout.templates(psi)
        self._beta[:] = psi[n_theta:]
        before = u.copy()
        if self._call(*self._arguments):
            u[:] = before
            return Evaluation(np.inf, np.zeros(psi.size), before, Status.MODE_NOT_FOUND)
        gradient = np.empty(psi.size)
        gradient[n_theta:] = self._dbeta
        gradient[:n_theta] = self._layout.template_pullback(psi, self._dT)
        status = Status.OK if np.all(np.isfinite(gradient)) else Status.NOT_FINITE
        value = self._value.value - self._constant
        return Evaluation(value, gradient, u.copy(), status, self._iterations.value)
