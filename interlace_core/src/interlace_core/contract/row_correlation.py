"""Rows that are correlated within groups, as a problem holds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from interlace_core.records import Array, IntArray

if TYPE_CHECKING:
    from interlace_core.contract.family import Parameter
    from interlace_core.contract.residual_correlation import ResidualCorrelation


@dataclass(frozen=True)
class Batch:
    """Groups with equally many rows.

    Attributes
    ----------
    rows : ndarray of intp, shape (G, m)
    times : ndarray, shape (P, m)
        Distinct patterns of times.
    pattern : ndarray of intp, shape (G,)
    """

    rows: IntArray
    times: Array
    pattern: IntArray


@dataclass(frozen=True, eq=False)
class RowCorrelation:
    """Which rows correlate, and how.

    Attributes
    ----------
    structure : ResidualCorrelation
    label : str
        As written, such as `ar1(time | subject)`.
    codes : ndarray of intp, shape (n,)
        Group of each row.
    times : ndarray, shape (n,)
        Distinct within a group.
    """

    structure: ResidualCorrelation
    label: str
    codes: IntArray
    times: Array

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters of the structure for these groups."""
        return self.structure.parameters(self.largest)

    @property
    def largest(self) -> int:
        """Number of rows of the largest group."""
        return int(np.max(np.bincount(self.codes)))

    def take(self, rows: IntArray | slice) -> RowCorrelation:
        """Return the correlation of some rows, in their order."""
        codes = np.unique(self.codes[rows], return_inverse=True)[1].astype(np.intp)
        return replace(self, codes=codes, times=self.times[rows])

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        """Groups by their number of rows, each group's rows in the order of time."""
        order = np.lexsort((self.times, self.codes))
        sizes = np.bincount(self.codes)
        starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
        batches = []
        for m in np.unique(sizes[sizes > 0]):
            first = starts[sizes == m]
            rows = order[first[:, None] + np.arange(m)]
            times = self.times[rows]
            if self.structure.stationary:
                times = times - times[:, :1]
            patterns, pattern = np.unique(times, axis=0, return_inverse=True)
            batches.append(Batch(rows, patterns, np.ravel(pattern).astype(np.intp)))
        return tuple(batches)
