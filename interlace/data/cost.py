"""What a term of many columns costs, before it is fitted."""

from __future__ import annotations

from interlace_core.contract.covariance import Covariance
from interlace_core.messages.errors import DataError, DataWarning
from interlace_core.messages.warn import warn

LARGE_BLOCK = 48
"""Columns from which a block for each group is what an evaluation takes."""

SECONDS_PER_CUBE, SECONDS_PER_NUMBER = 4e-10, 6e-9
"""Of an evaluation, per group and cube of its columns, and of the Hessians' eigenvalues, per cube
of the structure's numbers: on a core of 2024, to a factor of 3."""

SEARCH, HESSIANS = 50, 5
"""Evaluations of a search, and gradients for each number of the structure in its Hessians."""

NOTED, REFUSED = 240.0, 36_000.0
"""Seconds from which a fit's cost is said, and beyond which it is refused."""


def refuse_costly(label: str, structure: Covariance, n_groups: int) -> None:
    """Refuse a term whose fit would take more than ten hours; warn of one that takes minutes.

    Parameters
    ----------
    label : str
        The term, for messages.
    structure : Covariance
    n_groups : int

    Raises
    ------
    DataError
    """
    c, k = structure.size, structure.n_theta
    if c < LARGE_BLOCK or structure.chain(structure.start()) is not None:
        return
    each = SECONDS_PER_CUBE * n_groups * float(c) ** 3
    evaluations = SEARCH + HESSIANS * k
    seconds = evaluations * each + SECONDS_PER_NUMBER * float(k) ** 3
    if seconds <= NOTED:
        return
    cost = (
        f"{c:,} effects in each of {n_groups:,} groups and {k:,} numbers of their covariance "
        f"take about {evaluations:,} evaluations of {_time(each)}, {_time(seconds)} in all"
    )
    if seconds > REFUSED:
        raise DataError(
            f"random effects ({label}): expected a term that can be fitted within "
            f"{_time(REFUSED)}, got one that cannot: {cost}. Take a structure of fewer numbers, "
            "such as homcs; for times ar1 or ou, whose work grows with their number "
            "alone; or fewer levels, joined or averaged."
        )
    warn(
        f"random effects ({label}): {cost}. A structure of fewer numbers, or fewer levels, "
        "take less; max_seconds= ends a fit where it has come to.",
        DataWarning,
    )


def _time(seconds: float) -> str:
    """Return a time in words, to one or two digits."""
    for unit, words in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2.0 * unit:
            return f"{float(f'{seconds / unit:.2g}'):,.0f} {words}"
    return f"{seconds:.2g} s"
