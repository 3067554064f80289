"""The contract of a factorised symmetric matrix, given by its entries on a fixed pattern.

What is left of H after the elimination of a crossed factor has the same pattern through a whole
fit. A `Complement` does the symbolic work once and says where each entry goes; its `factorise`
then takes nothing but the entries, and the inverse is answered at the same places.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from interlace_core.records import Array, IntArray


class FactorisedComplement(ABC):
    """A factorised symmetric positive definite matrix S.

    Attributes
    ----------
    logdet : float
        log |S|.
    """

    logdet: float

    @abstractmethod
    def solve(self, x: Array) -> Array:
        """Return S^-1 x, shape (size,); x is not modified."""

    @abstractmethod
    def inverse(self) -> Array:
        """Return the entries of S^-1 where `Complement.places` put those of S.

        Called once per gradient; what lies at other places means nothing.
        """

    def triangle(self) -> Array:
        """Return what `inverse` does, where a dense matrix may be without its upper triangle."""
        return self.inverse()


@dataclass(frozen=True)
class Complement(ABC):
    """The pattern of a symmetric matrix, and how matrices on it are factorised.

    Attributes
    ----------
    size : int
        Rows of the matrix.
    """

    size: int

    @property
    @abstractmethod
    def n_entries(self) -> int:
        """Length of the vector of entries."""

    @property
    @abstractmethod
    def bargain(self) -> int:
        """Products with H after which a factorisation was the better bargain; 0 if it always is."""

    @abstractmethod
    def places(self, rows: IntArray, columns: IntArray) -> IntArray:
        """Return where the entries (row, column) are in the vector of entries.

        Called once per fit, for entries on the pattern only. (r, c) and (c, r) have one place.
        """

    @abstractmethod
    def factorise(self, entries: Array) -> FactorisedComplement:
        """Return the factorisation of the matrix; the entries given may be overwritten.

        Raises
        ------
        NotPositiveDefiniteError
            If it is not positive definite or not finite.
        """

    @abstractmethod
    def describe(self) -> str:
        """Return the way of factorising in words."""


def index_array(values: IntArray, bound: int) -> IntArray:
    """Return indices below a bound in 32 bits where they fit, which halves their memory."""
    return np.asarray(values, dtype=np.int32 if bound <= np.iinfo(np.int32).max else np.int64)
