"""Grouping factors: codes and levels of single columns and of combinations of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from interlace_core.data.columns import Frame
from interlace_core.data.levels import unique_level_names
from interlace_core.formulas.bars import Bar
from interlace_core.formulas.tokens import formula_error
from interlace_core.messages.errors import DataError
from interlace_core.records import IntArray


@dataclass(frozen=True)
class FactorEncoder:
    """Codes the groups of new data by the levels of the training data.

    Attributes
    ----------
    columns : tuple of str
        The columns whose combinations are the groups.
    column_levels : tuple of tuple of str
        Level names of each column.
    combinations : tuple of ndarray of int64
        For the second and each later column, the sorted keys `code * n_levels + code_of_column`
        of the combinations seen in training.
    levels : tuple of str
        Names of the groups, such as `a1:b1`.
    """

    columns: tuple[str, ...]
    column_levels: tuple[tuple[str, ...], ...]
    combinations: tuple[IntArray, ...]
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Factor:
    """A grouping factor over the rows in use.

    Attributes
    ----------
    codes : ndarray of intp, shape (n,)
        Group of each row, read-only; every group occurs.
    encoder : FactorEncoder
        Group names, and codes for new data.
    """

    codes: IntArray
    encoder: FactorEncoder


def build_factor(columns: Sequence[str], frame: Frame) -> Factor:
    """Return the grouping factor of one column, or of the combinations of several that occur.

    Parameters
    ----------
    columns : sequence of str
        The columns.
    frame : Frame, n rows
        Rows in use, no missing values, no unused categories.

    Returns
    -------
    Factor
        Levels in the columns' own order (categories as given, other values sorted), the first
        column's slowest.

    Raises
    ------
    DataError
        If two levels of a column have the same name.
    """
    coded = [frame[name].factorise() for name in columns]
    names = tuple(
        unique_level_names(name, levels) for name, (_, levels) in zip(columns, coded, strict=True)
    )
    codes, groups = coded[0][0], list(names[0])
    combinations = []
    for (other, _), own in zip(coded[1:], names[1:], strict=True):
        keys = codes.astype(np.int64) * len(own) + other
        codes, known = pd.factorize(keys, sort=True)
        combinations.append(known)
        groups = [f"{groups[key // len(own)]}:{own[key % len(own)]}" for key in known.tolist()]
    codes = np.array(codes, dtype=np.intp)
    codes.flags.writeable = False
    encoder = FactorEncoder(tuple(columns), names, tuple(combinations), tuple(groups))
    return Factor(codes, encoder)


def check_levels(bar: Bar, factor: Factor) -> None:
    """Raise a DataError if there is one group only, and so no variance between groups.

    Parameters
    ----------
    bar : Bar
        The term.
    factor : Factor
        Its groups.
    """
    if len(factor.encoder.levels) < 2:
        raise DataError(
            f"grouping factor {bar.group!r}: expected two levels or more, got the single level "
            f"{factor.encoder.levels[0]!r}. There is no variance between groups to estimate; "
            "leave the term out."
        )


def check_distinct(bars: Sequence[Bar]) -> None:
    """Raise a FormulaError if two random-effects terms of one predictor are the same."""
    seen = set()
    for bar in bars:
        covariates = frozenset((term.sign, term.span.text) for term in bar.left.covariates)
        key = (bar.group, bar.structure, bar.left.has_intercept, covariates)
        if key in seen:
            raise formula_error(
                bar.span,
                f"expected each random-effects term once, got ({bar.label}) twice. Terms in the "
                "formula, in groups= and in random= add up; write it in one place.",
            )
        seen.add(key)
