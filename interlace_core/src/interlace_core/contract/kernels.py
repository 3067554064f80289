"""Compiled code that one distribution offers for families and approximations of others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from interlace_core.contract.family import Family
from interlace_core.records import Array, Evaluation, RowKernel


class Kernels(ABC):
    """Compiled rows of families, and compiled objectives of approximations.

    A plugin offers its class by the hook `interlace_kernels`; everything works without. Families
    stay free of compiled code: the registry joins the two by `families`. A family that has code of
    its own returns it from `Family.row_kernel`, which comes first.
    """

    name: ClassVar[str]
    contract_version: ClassVar[int] = 1

    families: ClassVar[frozenset[tuple[str, str, str]]] = frozenset()
    """Families that `rows` serves: (distribution that provides it, name, link of the mean). A
    family made of others, such as one with a zero part, is served where those are too."""

    @property
    @abstractmethod
    def build(self) -> str:
        """What is loaded, in words such as "x86-64-v3"; empty where nothing was built.

        Nothing else is asked then.
        """

    def rows(self, family: Family, y: Array) -> RowKernel | None:
        """Return the compiled rows of a family, None if it has no such link or parameters.

        Called once per problem, for a family that `families` names. Every slot that the kernel
        offers agrees with `family.derivatives` as the kit's `kernel_checks` say.

        Parameters
        ----------
        family : Family
            Bound to the data.
        y : ndarray, shape (n,) or (n, m)
            As returned by `check_response`.
        """
        return None

    def objective(
        self,
        approximation: str,
        layout: Any,
        rows: RowKernel,
        settings: Any,
        mode: Array | None,
        nodes: tuple[Array, Array] | None = None,
    ) -> Callable[[Array], Evaluation] | None:
        """Return an approximation's objective in compiled code, None where it does not serve.

        Called where rows are independent given the effects, levels are not correlated, and the
        family is log-concave in the predictors with effects, so that the mode is unique. It
        agrees with the approximation's own objective to its tolerance, or says by the status of an
        evaluation that it did not succeed; the approximation's own is asked then.

        Parameters
        ----------
        approximation : str
            Its name.
        layout : engine.Layout
        rows : RowKernel
            Of the layout's rows.
        settings : engine.ModeSettings
        mode : ndarray, shape (q,), or None
            Where the first search for the mode begins; 0 if None.
        nodes : (ndarray, shape (c, J), and ndarray, shape (J,)), optional
            Of an integral around the mode: standard nodes, and the logarithm of each weight divided
            by `exp(-x'x / 2)`.
        """
        return None


@dataclass(frozen=True)
class Compiled:
    """The compiled code that may serve a problem, as the registry joined it.

    Attributes
    ----------
    rows : tuple of Kernels
        Those that name the problem's family.
    objectives : tuple of Kernels
        All that are built.
    """

    rows: tuple[Kernels, ...] = ()
    objectives: tuple[Kernels, ...] = ()

    def row_kernel(self, family: Family, y: Array) -> tuple[RowKernel, str] | None:
        """Return the compiled rows of a problem, the family's own first, and where they are from.

        None where there are none, or none of a convention that is known here.

        Parameters
        ----------
        family : Family
            Bound to the data.
        y : ndarray, shape (n,) or (n, m)
            As returned by `check_response`.
        """
        found = family.row_kernel(y)
        if found is not None and found.abi == RowKernel.abi:
            return found, f"family {family.name!r}"
        for kernels in self.rows:
            found = kernels.rows(family, y)
            if found is not None and found.abi == RowKernel.abi:
                return found, f"{kernels.name}, {kernels.build}"
        return None
