"""A model as it is asked for of data in pieces, before any of them is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from interlace.data.columns import Frame
from interlace.data.frames import Table
from interlace.data.request import ModelRequest
from interlace.data.specification import read_specification
from interlace.formulas.allowed import Vocabulary, check_functions
from interlace.formulas.expressions import Expression, Node
from interlace.formulas.functions import HASHED, TRANSFORMS, arguments_of, constant
from interlace.formulas.terms import LinearFormula
from interlace.formulas.tokens import formula_error
from interlace_core.contract.family import Family
from interlace_core.messages.errors import UnsupportedModelError

BY_MOMENTS = ("center", "scale", "standardize")
"""Transforms that remember no more of the data than a mean and a standard deviation."""


@dataclass(frozen=True)
class Transform:
    """A call of a formula that remembers the moments of its argument.

    Attributes
    ----------
    text : str
        The call.
    expression : Expression
        It is part of.
    argument : Node
    """

    text: str
    expression: Expression
    argument: Node


@dataclass(frozen=True)
class Reading:
    """What of each piece is read.

    Attributes
    ----------
    columns : tuple of str
    response : tuple of Expression
    weights : Expression, or None
    offsets : tuple of Expression
        Those of formulas, and the argument.
    factors : tuple of tuple of str
        Columns of each grouping factor.
    only_groups : frozenset of str
        Columns that do nothing but group.
    transforms : tuple of Transform
    """

    columns: tuple[str, ...]
    response: tuple[Expression, ...]
    weights: Expression | None
    offsets: tuple[Expression, ...]
    factors: tuple[tuple[str, ...], ...]
    only_groups: frozenset[str]
    transforms: tuple[Transform, ...]

    def response_has_levels(self, frame: Frame, family: Family) -> bool:
        """Return whether codes of the response depend on all rows."""
        if len(self.response) == 2:
            return False
        name = self.response[0].column
        ordered = "numeric" not in family.response_forms and "ordered" in family.response_forms
        if name is None:
            if ordered:
                raise UnsupportedModelError(
                    f"response {self.response[0].text!r}: expected a column of the data, which lie "
                    "in parts, got an expression, of which the categories are not known before all "
                    "are read. Add it to the data as a column."
                )
            return False
        return frame[name].levels is not None or ordered


def read_model(request: ModelRequest, columns: Sequence[str]) -> Reading:
    """Return what is read of each piece.

    Raises
    ------
    FormulaError
        If a formula cannot be read, or a name is no column.
    UnsupportedModelError
        If something is asked for that needs all rows at once.
    """
    _refuse(request)
    table = Table(None, tuple(columns), pd.RangeIndex(0))
    vocabulary = Vocabulary(table.columns, check_functions(request.functions), request.limits)
    specification = read_specification(request, table, vocabulary)
    parts = (specification.mean, *specification.parameters.values())
    bars = [bar for part in parts for bar in part.bars]
    designs = [*(part.fixed for part in parts), *(bar.left for bar in bars)]
    factors = tuple(dict.fromkeys(bar.columns for bar in bars))
    weights, offset = specification.weights, specification.offset
    assert not isinstance(weights, np.ndarray)  # refused above
    assert not isinstance(offset, np.ndarray)
    offsets = [each for part in parts for each in part.offsets]
    offsets += [] if offset is None else [offset]
    vectors = [*offsets, *([] if weights is None else [weights])]
    elsewhere = {name for each in designs for name in each.columns(vocabulary)}
    elsewhere |= {name for each in (*specification.response, *vectors) for name in each.columns}
    return Reading(
        specification.columns,
        specification.response,
        weights,
        tuple(offsets),
        factors,
        frozenset(name for each in factors for name in each) - elsewhere,
        tuple(_transforms(designs, vocabulary)),
    )


def _refuse(request: ModelRequest) -> None:
    """Refuse what needs all rows at once, or ties rows of different parts."""
    for name, given in (("weights", request.weights), ("offset", request.offset)):
        if given is not None and not isinstance(given, str):
            raise UnsupportedModelError(
                f"{request.who}: {name}: expected the name of a column, since the data lie in "
                f"parts, got an array. Add it to the data as a column."
            )
    for name in ("known", "known_variance", "correlation"):
        if getattr(request, name) is not None:
            raise UnsupportedModelError(
                f"{request.who}: {name}= ties rows or levels of different parts together, and the "
                "data lie in parts. Fit the model to data that memory holds: data=frame."
            )


def _transforms(designs: Sequence[LinearFormula], vocabulary: Vocabulary) -> Iterator[Transform]:
    """Yield the calls that remember moments; refuse those that remember more."""
    seen: set[str] = set()
    for design in designs:
        for expression in design.read(vocabulary).values():
            for node in _calls(expression.node):
                text = node.text
                if text in seen or not _remembers(node):
                    continue
                seen.add(text)
                inner = any(_remembers(each) for each in _calls(node.parts[0]))
                if node.value not in BY_MOMENTS or inner:
                    raise formula_error(
                        node.span,
                        f"{text} learns from all rows at once, and the data lie in parts. "
                        "center(), scale() and standardize() of columns serve there, poly(x, k, "
                        "raw=True), and bs() with knots and both bounds given; add others to the "
                        "data as columns.",
                    )
                yield Transform(text, expression, node.parts[0])


def _calls(node: Node) -> Iterator[Node]:
    if node.kind == "call":
        yield node
    for each in node.parts:
        yield from _calls(each)


def _remembers(node: Node) -> bool:
    """Return whether a call's values depend on other rows."""
    name = str(node.value)
    if name not in TRANSFORMS or name == HASHED:
        return False
    given = arguments_of(node, TRANSFORMS[name], skip=1)
    if name == "poly":
        return not ("raw" in given and constant(given["raw"]) is True)
    return not {"knots", "lower_bound", "upper_bound"} <= set(given)
