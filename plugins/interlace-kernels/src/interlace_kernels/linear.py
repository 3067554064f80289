"""The likelihood of a linear mixed model with one grouping factor, in C: see c/linear.h."""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Any

import numpy as np

from interlace_core.contract import (
    Array,
    CompiledFunction,
    CompiledObjective,
    CompiledPath,
    Evaluation,
    LinearProducts,
    LinearResponses,
    Profiled,
    Status,
)
from interlace_kernels.library import Library
from interlace_kernels.model import LARGEST_C, Double, Int, Pointer
from interlace_kernels.search import LinearResponsesStruct, linear_function

WIDE, LANES = 8, 64
"""Levels at a time, of c/linear.h."""

MOST_COLUMNS = 64
"""Of [Q r]: with more, matrix products of all levels at once are as fast."""


class LinearStruct(ctypes.Structure):
    """`ik_linear`."""

    _fields_ = (
        ("G", Int),
        ("c", Int),
        ("p1", Int),
        ("n", Int),
        ("A", Pointer),
        ("Zs", Pointer),
        ("SS", Pointer),
        ("Rinv", Pointer),
        ("beta", Pointer),
        ("constant", Double),
        ("restricted", Int),
        ("U", Pointer),
        ("work", Pointer),
    )


def serves_linear(layout: Any, products: LinearProducts) -> bool:
    """Return whether there is one factor with few effects on the mean, and few coefficients."""
    factors = layout.structure.factors
    one = len(factors) == 1 and layout.structure.random_predictors == (0,)
    return one and len(factors[0].columns) <= LARGEST_C and len(products.SS) <= MOST_COLUMNS


class LinearObjective(CompiledObjective):
    """psi -> Evaluation, for a layout that `serves_linear`.

    Parameters
    ----------
    library : Library
    layout : engine.Layout
    products : LinearProducts
    restricted : bool
    """

    def __init__(
        self, library: Library, layout: Any, products: LinearProducts, restricted: bool
    ) -> None:
        self._library, self._layout, self._call = library, layout, library.handle.ik_linear_value
        c, p1, G = products.Zs[0].shape
        p = p1 - 1
        self.estimates_sigma = products.estimates_sigma
        R = products.R
        inverse = np.triu(np.linalg.inv(R))  # as R: no row is exchanged
        rank = products.n - p if restricted else products.n
        constant = rank * np.log(2.0 * np.pi) - products.log_weights
        if restricted:
            constant += 2.0 * float(np.sum(np.log(np.abs(np.diagonal(R)))))
        self._keep: list[Any] = []
        self.struct = LinearStruct(
            G, c, p1, products.n, self._at(products.A[0, 0]), self._at(products.Zs[0]),
            self._at(products.SS), self._at(inverse), self._at(products.beta), float(constant),
            int(restricted), self._at(np.empty((c, p1, G))),
            self._at(np.empty((4 + WIDE) * p1 * p1 + 2 * p1 * c * LANES)),
        )  # fmt: skip
        self._T, self._dT = np.zeros((1, c, c)), np.empty((1, c, c))
        self._beta, self.covariance = np.empty(p), np.empty((p, p))
        self.mode = np.empty(c * G)
        self._value, self._slope = Double(), Double()
        self._arguments = (
            ctypes.c_void_p(self._dT.ctypes.data),
            ctypes.byref(self._slope),
            *(ctypes.c_void_p(x.ctypes.data) for x in (self._beta, self.covariance, self.mode)),
        )
        self._T_at = ctypes.c_void_p(self._T.ctypes.data)
        self.responses = LinearResponsesStruct()
        self._products = products
        self._own: list[Array] = []
        self._taken: list[Array] = []

    def __call__(self, psi: Array) -> Evaluation:
        """Return value, gradient, mode and the profiled coefficients at psi."""
        layout = self._layout
        self._T[:] = layout.templates(psi)
        log_sigma = Double(psi[-1] if self.estimates_sigma else 0.0)
        failed = self._call(
            ctypes.byref(self.struct), self._T_at, log_sigma, ctypes.byref(self._value),
            *self._arguments,
        )  # fmt: skip
        gradient = np.zeros(psi.size)
        if failed:
            return Evaluation(np.inf, gradient, np.zeros(self.mode.size), Status.NOT_FINITE)
        gradient[: layout.problem.n_theta] = layout.template_pullback(psi, self._dT)
        if self.estimates_sigma:
            gradient[-1] = self._slope.value
        profiled = Profiled(self._beta.copy(), self.covariance.copy())
        return Evaluation(self._value.value, gradient, self.mode.copy(), profiled=profiled)

    def last(self, found: CompiledPath) -> Evaluation:
        """Return where a search ended, with the mode and the profiled coefficients there."""
        profiled = Profiled(found.profiled, self.covariance.copy())
        return Evaluation(found.value, found.gradient, self.mode.copy(), profiled=profiled)

    def take_linear(self, responses: LinearResponses) -> bool:
        """Point to the products of the first of other responses."""
        if not self._own:  # those of the model are not written into
            first, struct = self._products, self.struct
            self._own = [np.array(each) for each in (first.Zs[0], first.SS, first.beta)]
            struct.Zs, struct.SS, struct.beta = (int(each.ctypes.data) for each in self._own)
        given = responses.Zs[0], responses.SS, responses.beta
        self._taken = [np.ascontiguousarray(each) for each in given]
        at = (len(responses.beta), *(each.ctypes.data for each in (*self._taken, *self._own)))
        for (name, _), each in zip(LinearResponsesStruct._fields_, at, strict=True):
            setattr(self.responses, name, each)
        Zs_to, SS_to, beta_to = self._own
        Zs_to[:, -1], SS_to[-1], SS_to[:, -1] = responses.Zs[0][0], responses.SS[0], responses.SS[0]
        beta_to[:] = responses.beta[0]
        return True

    @cached_property
    def function(self) -> CompiledFunction | None:
        """The same as a function of psi in C; None where theta are no entries of T."""
        return linear_function(self._library, self._layout, self)

    def _at(self, array: Array) -> int:
        """Return the address of an array, which is kept as long as the objective."""
        own = np.ascontiguousarray(array, dtype=np.float64)
        self._keep.append(own)
        return int(own.ctypes.data)
