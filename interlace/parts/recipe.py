"""How the rows of any piece become the arrays of a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from interlace.data.columns import Frame
from interlace.data.design import DesignEncoder
from interlace.data.encoder import Encoder
from interlace.data.levels import Factor, FactorEncoder, build_factor, drop_unused_levels
from interlace.data.moments import Moments
from interlace.data.problem import Model
from interlace.data.rows import Rows, frozen, vector_values
from interlace.parts.look import naming, response_of, rows_of
from interlace.parts.reading import Reading
from interlace.prediction.new_data import codes_of_groups, encode_frame
from interlace_core.contract.family import Family
from interlace_core.contract.incidence import Covariates, Incidence
from interlace_core.contract.problem import Problem
from interlace_core.records import Array, IntArray


@dataclass(frozen=True)
class Recipe:
    """How any piece is coded.

    Attributes
    ----------
    reading : Reading
    family : Family
        Not bound.
    model : Problem
        The model of the witness: its family, parameters and structures.
    encoder : Encoder
    response_levels : Index, or None
        Of the response, where its codes depend on all rows.
    across : mapping from tuple of str to FactorEncoder
        Grouping factors that run across parts, with all of their levels.
    """

    reading: Reading
    family: Family
    model: Problem
    encoder: Encoder
    response_levels: pd.Index[Any] | None
    across: Mapping[tuple[str, ...], FactorEncoder] = field(default_factory=dict)

    def part(self, name: str, table: Any) -> tuple[Problem, dict[tuple[str, ...], Factor], Rows]:
        """Return a piece as a problem, with its grouping factors and the rows in use.

        Raises
        ------
        DataError
            Naming the piece.
        """
        with naming(name):
            given, rows = rows_of(table, self.reading)
            assert rows is not None  # a piece without rows is left out
            used = rows.select(given)
            weights = None
            if self.reading.weights is not None:
                weights = vector_values(self.reading.weights, "weights", used, rows)
            raw = response_of(used, rows, self.reading, self.family, self.response_levels)
            response = self.family.check_response(raw.y, weights)
            predictors, designs = encode_frame(self.encoder, used)
        grouping = drop_unused_levels(Frame({n: used[n] for n in self._groups()}, used.n))[0]
        factors = {each: self._factor(each, grouping) for each in self.reading.factors}
        own = [factors[each.factor.columns] for each in self.encoder.terms]
        y = frozen(response.y)
        problem = replace(
            self.model,
            y=y,
            weights=None if response.weights is None else frozen(response.weights),
            family=self.model.family.bind_part(y),
            predictors=tuple(
                replace(each, X=new.X, offset=new.offset)
                for each, new in zip(self.model.predictors, predictors, strict=True)
            ),
            terms=tuple(
                replace(term, codes=factor.codes, levels=factor.encoder.levels, Z=Z)
                for term, factor, Z in zip(self.model.terms, own, designs, strict=True)
            ),
        )
        return problem, factors, rows

    def _factor(self, columns: tuple[str, ...], grouping: Frame) -> Factor:
        if columns not in self.across:
            return build_factor(columns, grouping)
        encoder = self.across[columns]
        codes = np.array(codes_of_groups(encoder, grouping), dtype=np.intp)
        codes.flags.writeable = False
        return Factor(codes, encoder)

    def _groups(self) -> dict[str, None]:
        return {name: None for each in self.reading.factors for name in each}


def with_moments(encoder: Encoder, moments: Mapping[str, Moments]) -> None:
    """Let the transforms of an encoder know the moments of all rows, not those of the witness."""
    for design in _designs(encoder):
        for factor in design.factors.values():
            for text, state in factor.states.items():
                if text not in moments:
                    continue
                found, ddof = moments[text], state.get("ddof", 1)
                if state.get("center") is not None:
                    state["center"] = np.float64(found.mean)
                if state.get("scale") is not None:
                    # of what is centred, or of the numbers as they are
                    about = found.mean if state.get("center") is None else 0.0
                    squares = found.squares + found.n * about * about
                    state["scale"] = np.sqrt(squares / (found.n - ddof))


def _designs(encoder: Encoder) -> list[DesignEncoder]:
    found = [each.design for each in encoder.predictors if each.design is not None]
    found += [each.known for each in encoder.predictors if each.known is not None]
    return [*found, *(each for term in encoder.terms for each in term.designs)]


def recipe_of(
    model: Model,
    reading: Reading,
    family: Family,
    levels: Mapping[str, Any],
    frame: pd.DataFrame,
    across: Mapping[tuple[str, ...], FactorEncoder],
) -> Recipe:
    """Return the recipe of a model of the witness.

    Parameters
    ----------
    frame : DataFrame
        The witness.
    across : mapping from tuple of str to FactorEncoder
        Grouping factors that run across parts.
    """
    own: pd.Index[Any] | None = None
    if model.response_levels and len(reading.response) == 1:
        name = reading.response[0].column
        if name is not None and (name in levels or frame[name].dtype != bool):
            own = levels[name] if name in levels else pd.Index(np.unique(frame[name]))
    return Recipe(reading, family, model.problem, model.encoder, own, across)


def _arrays_of(Z: Covariates) -> tuple[Array | IntArray, ...]:
    return (Z.at, Z.z) if isinstance(Z, Incidence) else (Z,)


def bytes_of(problem: Problem) -> int:
    """Return about the bytes of a part's arrays."""
    arrays: list[Array | None] = [problem.y, problem.weights]
    arrays += [each.X for each in problem.predictors]
    arrays += [each.offset for each in problem.predictors]
    for term in problem.terms:
        arrays += [term.codes, *_arrays_of(term.Z)]  # type: ignore[list-item]
    return sum(each.nbytes for each in arrays if each is not None and 0 not in each.strides)
