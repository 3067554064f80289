"""What this distribution offers: rows by family, objectives by approximation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interlace_core.contract import (
    Array,
    CompiledEnds,
    CompiledFunction,
    CompiledPath,
    Descent,
    Evaluation,
    Family,
    Kernels,
    LinearProducts,
    RowColumns,
    RowKernel,
    RowSums,
    Slopes,
)
from interlace_kernels import linear, objectives, several
from interlace_kernels import plan as plans
from interlace_kernels import products as row_products
from interlace_kernels import rows as row_kernels
from interlace_kernels import search as searches
from interlace_kernels.library import library


@dataclass(frozen=True)
class CompiledKernels(Kernels):
    """Rows of the families for counts, proportions, categories and continuous responses."""

    name = "interlace-kernels"
    families = frozenset(row_kernels.FAMILIES)

    @property
    def build(self) -> str:
        """The instructions that the loaded library uses; empty where none was built."""
        found = library()
        return "" if found is None else found.build

    def rows(self, family: Family, y: Array) -> RowKernel | None:
        """Return the compiled rows of a family."""
        found = library()
        return None if found is None else row_kernels.row_kernel(found, family, y)

    def objective(
        self,
        approximation: str,
        layout: Any,
        rows: RowKernel,
        settings: Any,
        mode: Array | None,
        nodes: tuple[Array, Array] | None = None,
    ) -> Callable[[Array], Evaluation] | None:
        """Return the compiled objective of a structure that is served."""
        found = library()
        if found is None:
            return None
        if approximation in ("agq", "agq-vector") and nodes is not None:
            if not objectives.serves(layout, objectives.LARGEST_QUADRATURE, nodes[1].size):
                return None
            return objectives.NodesObjective(found, layout, rows, settings, mode, nodes)
        if approximation != "laplace":
            return None
        if objectives.serves(layout):
            return objectives.LaplaceObjective(found, layout, rows, settings, mode)
        if objectives.serves_nested(layout):
            return objectives.NestedObjective(found, layout, rows, settings, mode)
        if several.serves_several(layout):
            return several.SeveralObjective(found, layout, rows, settings, mode)
        return None

    def slopes(
        self, problem: Any, rows: RowKernel, random: int
    ) -> Callable[[Array], Slopes | None] | None:
        """Return the sums of any rows that are compiled."""
        found = library()
        return None if found is None else objectives.RowSlopes(found, problem, rows, random)

    def plan(self, structure: Any, plan: Any) -> Any | None:
        """Return the plan in C of a structure of several factors."""
        return plans.compiled_plan(library(), structure, plan)

    def products(self, rows: RowColumns) -> RowSums | None:
        """Return the sums of few columns, by one pass over the rows."""
        found = library()
        return None if found is None else row_products.products(found, rows)

    def linear_objective(
        self, layout: Any, products: LinearProducts, restricted: bool
    ) -> Callable[[Array], Evaluation] | None:
        """Return the compiled likelihood of a linear model with one grouping factor."""
        found = library()
        if found is None or not linear.serves_linear(layout, products):
            return None
        return linear.LinearObjective(found, layout, products, restricted)

    def search(self, descent: Descent) -> CompiledPath | None:
        """Return the path of the compiled search."""
        found = library()
        return None if found is None else searches.search(found, descent)

    def search_each(self, descent: Descent, count: int) -> CompiledEnds | None:
        """Return the ends of compiled searches for many responses."""
        found = library()
        return None if found is None else searches.search_each(found, descent, count)

    def at_each(
        self, function: CompiledFunction, psi: Array
    ) -> tuple[Array, Array, Array, int] | None:
        """Return a compiled function at several points."""
        found = library()
        return None if found is None else searches.at_each(found, function, psi)
