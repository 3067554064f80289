"""What this distribution offers: rows by family, objectives by approximation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interlace_core.contract import Array, Evaluation, Family, Kernels, RowKernel
from interlace_kernels import laplace
from interlace_kernels import rows as row_kernels
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
        self, approximation: str, layout: Any, rows: RowKernel, settings: Any, mode: Array | None
    ) -> Callable[[Array], Evaluation] | None:
        """Return the compiled objective of a structure that is served."""
        found = library()
        served = laplace.serves(layout) or laplace.serves_nested(layout)
        if found is None or approximation != "laplace" or not served:
            return None
        return laplace.LaplaceObjective(found, layout, rows, settings, mode)
