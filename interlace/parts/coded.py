"""A part as it is coded: its rows as arrays, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from interlace.data.levels import FactorEncoder
from interlace.parts.recipe import Recipe
from interlace_core.contract.kernels import Compiled
from interlace_core.contract.problem import Problem


@dataclass(frozen=True, eq=False)
class CodedRows(Problem):
    """Some rows of a model as arrays, with their names.

    Attributes
    ----------
    name : str
        Of the pieces that they are of.
    labels : Index, length n_part
        Of the rows, in these.
    factors : mapping from tuple of str to FactorEncoder
        Grouping factors, with the levels that are here.
    """

    name: str = ""
    labels: pd.Index[Any] = field(default_factory=lambda: pd.RangeIndex(0))
    factors: Mapping[tuple[str, ...], FactorEncoder] = field(default_factory=dict)


def coded_rows(
    names: Sequence[str], tables: Sequence[Any], recipe: Recipe, compiled: Compiled | None
) -> CodedRows:
    """Return a part of some pieces.

    Parameters
    ----------
    names : sequence of str
    tables : sequence of data frames
    recipe : Recipe
    compiled : Compiled, optional
        Compiled code that may serve the part.
    """
    name = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    problem, factors, rows = recipe.part(name, joined(tables))
    known = {
        each: getattr(problem, each)
        for each in Problem.__dataclass_fields__
        if Problem.__dataclass_fields__[each].init
    }
    return CodedRows(
        **known | {"compiled": compiled},
        name=name,
        labels=rows.index if rows.kept is None else rows.index[rows.kept],
        factors={columns: each.encoder for columns, each in factors.items()},
    )


def joined(tables: Sequence[Any]) -> Any:
    """Return several tables of one library as one."""
    if len(tables) == 1:
        return tables[0]
    if all(isinstance(each, pd.DataFrame) for each in tables):
        return _joined_pandas([each for each in tables if len(each)] or list(tables[:1]))
    import pyarrow as pa

    return (
        pa.concat_tables(tables, promote_options="permissive").unify_dictionaries().combine_chunks()
    )


def _joined_pandas(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return frames as one; categories that differ are united, in the order of the first ones."""
    found = pd.concat(tables)
    for name in found.columns[[str(each) == "object" for each in found.dtypes]]:
        kinds = [each[name].dtype for each in tables]
        if all(isinstance(kind, pd.CategoricalDtype) for kind in kinds):
            united = pd.api.types.union_categoricals([each[name] for each in tables])
            found[name] = pd.Series(united, index=found.index)
    return found
