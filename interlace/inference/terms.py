"""Which columns of a fixed-effects design belong to which term, and which terms contain it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import did_you_mean
from interlace_core.records import IntArray

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


@dataclass(frozen=True)
class FixedTerm:
    """One term of a fixed-effects formula.

    Attributes
    ----------
    name : str
        As in the formula, such as `a:x`.
    factors : frozenset of str
        What it is a product of; empty for the constant.
    columns : ndarray of intp
        Its columns in the design.
    """

    name: str
    factors: frozenset[str]
    columns: IntArray

    def inside(self, other: FixedTerm) -> bool:
        """Return whether the other term is an interaction that holds this one."""
        return self.factors < other.factors


def fixed_terms(result: Estimates, parameter: int) -> list[FixedTerm]:
    """Return the terms of one predictor's fixed effects that have columns, the constant's first."""
    encoder = result.encoder.predictors[parameter].design
    if encoder is None:
        return []
    kept = np.arange(encoder.width) if encoder.kept is None else encoder.kept
    found, start = [], 0
    for term in encoder.terms:
        columns = np.arange(start, start + len(term.names))
        start += len(term.names)
        places = np.flatnonzero(np.isin(kept, columns)).astype(np.intp)
        if places.size:
            factors = frozenset(each.replace(" ", "") for each in term.factors)
            found.append(FixedTerm(term.name, factors, places))
    return found


def find_term(terms: list[FixedTerm], name: str, who: str) -> FixedTerm:
    """Return the term of a name, whatever the order of its factors.

    Raises
    ------
    OptionError
        If there is none.
    """
    for term in terms:
        if name == term.name or frozenset(name.replace(" ", "").split(":")) == term.factors:
            return term
    names = [term.name for term in terms]
    hint = did_you_mean(name, names)
    raise OptionError(f"{who}: no term {name!r}.{hint} Terms: {', '.join(names)}.")
