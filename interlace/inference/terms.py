"""Which columns of a fixed-effects design belong to which term, and which terms contain it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from interlace_core.data.design import INTERCEPT
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import did_you_mean
from interlace_core.records import IntArray

if TYPE_CHECKING:
    from interlace_core.fitting.fitted_model import FittedModel


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


def fixed_terms(result: FittedModel, parameter: int) -> list[FixedTerm]:
    """Return the terms of one predictor's fixed effects that have columns, the constant's first."""
    encoder = result.encoder.predictors[parameter].design
    if encoder is None:
        return []
    if encoder.spec is None:
        return [FixedTerm(INTERCEPT, frozenset(), np.array([0], dtype=np.intp))]
    kept = np.arange(len(encoder.spec.column_names)) if encoder.kept is None else encoder.kept
    found, start = [], 0
    for term, _, names in encoder.spec.structure:
        columns = np.arange(start, start + len(names))
        start += len(names)
        places = np.flatnonzero(np.isin(kept, columns)).astype(np.intp)
        if places.size:
            found.append(FixedTerm(_name(term), _factors(term), places))
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


def _name(term: Any) -> str:
    return INTERCEPT if str(term) == "1" else str(term)


def _factors(term: Any) -> frozenset[str]:
    return frozenset(str(each).replace(" ", "") for each in term.factors if str(each) != "1")
