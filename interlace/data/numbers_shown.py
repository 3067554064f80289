"""Covariances of a term that have far more numbers than its groups can show."""

from __future__ import annotations

import numpy as np

from interlace.data.points import TermColumns
from interlace_core.contract.covariance import Covariance
from interlace_core.messages.errors import DataError
from interlace_core.records import Array, IntArray

MOST_UNSHOWN = 50
"""Numbers that the data cannot show up to which a term is fitted, with a note: the search takes
seconds there, and its time goes with their cube."""


def refuse_unshown_numbers(
    label: str, structure: Covariance, columns: TermColumns, codes: IntArray
) -> None:
    """Refuse a term whose groups can show only a small part of its covariance.

    The marginal covariance has a block `Z_g Sigma Z_g'` for each group, which depends on Sigma by
    the columns that are independent in the group: `r_g (r_g + 1) / 2` numbers with r_g the rank of
    Z_g, and all groups together show no more than the sum of these.

    Parameters
    ----------
    label : str
        The term, for messages.
    structure : Covariance
    columns : TermColumns
    codes : ndarray of intp, shape (n,)
        Group of each row.

    Raises
    ------
    DataError
    """
    if structure.n_theta <= MOST_UNSHOWN:
        return
    shown = _numbers_shown(np.asarray(columns.Z), codes)
    if structure.n_theta - shown > MOST_UNSHOWN:
        raise DataError(
            f"random effects ({label}): expected a covariance that groups of the data show, got "
            f"one of {structure.n_theta} numbers for {structure.size} effects, of which "
            f"{int(codes.max()) + 1} groups show at most {shown}: a group shows the covariance of "
            "columns that vary within it. Leave out columns that are the same in all rows of a "
            "group, or take a structure of fewer numbers, such as diag(...)."
        )


def _numbers_shown(Z: Array, codes: IntArray) -> int:
    """Return how many numbers of a covariance of the columns the groups can show at most."""
    scale = np.max(np.abs(Z), axis=0)
    order = np.argsort(codes, kind="stable")
    rows = Z[order] / np.where(scale > 0.0, scale, 1.0)
    ends = np.cumsum(np.bincount(codes)).tolist()
    shown, c = 0, Z.shape[1]
    for start, stop in zip([0, *ends[:-1]], ends, strict=True):
        rank = int(np.linalg.matrix_rank(rows[start:stop])) if stop > start else 0
        shown += rank * (rank + 1) // 2
        if shown >= c * (c + 1) // 2:
            break
    return shown
