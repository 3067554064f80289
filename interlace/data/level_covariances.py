"""Known covariances of levels as users give them: read, checked and matched with the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from interlace.data.levels import FactorEncoder, level_names
from interlace_core.contract.level_covariance import Relation
from interlace_core.messages.errors import DataError, OptionError
from interlace_core.messages.names import listed
from interlace_core.records import Array

TOL_REL_ASYMMETRY = 1e-8
"""Share of the largest entry by which a matrix may differ from its transpose, as rounding does."""


class KnownCovariances:
    """The argument `known`: a labelled covariance matrix per grouping factor.

    Parameters
    ----------
    given : mapping from str to DataFrame, or None
        As for `interlace.glmer`.

    Raises
    ------
    OptionError
        If it is no mapping of labelled matrices.
    DataError
        If a matrix is not square, symmetric and finite, or its labels are not distinct.
    """

    def __init__(self, given: object) -> None:
        if given is not None and not isinstance(given, Mapping):
            raise OptionError(
                "known: expected a dict from grouping factor to labelled matrix, such as "
                f"{{'animal': A}}, got a {type(given).__name__}."
            )
        self._matrices = {str(name): _labelled(str(name), K) for name, K in (given or {}).items()}

    @property
    def factors(self) -> tuple[str, ...]:
        """The grouping factors that have a matrix."""
        return tuple(self._matrices)

    def relation(self, group: str, encoder: FactorEncoder) -> tuple[Relation, FactorEncoder]:
        """Return the relation among a factor's levels, and an encoder that knows them all.

        Raises
        ------
        DataError
            If a level of the data is not in the matrix, or the matrix is no covariance.
        """
        labels, K = self._matrices[group]
        places = {label: place for place, label in enumerate(labels)}
        missing = [level for level in encoder.levels if level not in places]
        if missing:
            raise DataError(
                f"known[{group!r}]: expected every level of {group!r} among the labels of the "
                f"matrix, got none for {listed(missing)} ({len(missing)} of "
                f"{len(encoder.levels)} levels). Label its rows and columns as the data do, and "
                "add what is missing."
            )
        own = set(encoder.levels)
        others = tuple(label for label in labels if label not in own)
        if len(encoder.columns) > 1:
            others = ()  # a combination of columns is looked up by those seen in the data
        order = [places[level] for level in (*encoder.levels, *others)]
        try:
            relation = Relation.of(K[np.ix_(order, order)], len(encoder.levels), others)
        except DataError as error:
            raise DataError(f"known[{group!r}]: {error}") from None
        if not others:
            return relation, encoder
        levels = (*encoder.levels, *others)
        return relation, replace(encoder, column_levels=(levels,), levels=levels)

    def matrix(self, name: str, levels: Sequence[str]) -> Array:
        """Return the matrix of the columns of a term, in their order.

        Raises
        ------
        DataError
            If a level is not in the matrix, or the matrix is no covariance.
        """
        labels, K = self._matrices[name]
        places = {label: place for place, label in enumerate(labels)}
        missing = [level for level in levels if level not in places]
        if missing:
            raise DataError(
                f"known[{name!r}]: expected every level of {name!r} among the labels of the "
                f"matrix, got none for {listed(missing)}. Label its rows and columns as the data "
                "do, and add what is missing."
            )
        order = [places[level] for level in levels]
        K = K[np.ix_(order, order)]
        try:
            Relation.of(K, len(order))
        except DataError as error:
            raise DataError(f"known[{name!r}]: {error}") from None
        return K


def _labelled(name: str, given: Any) -> tuple[tuple[str, ...], Array]:
    """Return the labels of a matrix, and the matrix with rows and columns in one order."""
    if not isinstance(given, pd.DataFrame):
        raise OptionError(
            f"known[{name!r}]: expected a pandas DataFrame whose index and columns are levels of "
            f"{name!r}, got a {type(given).__name__}. Write pd.DataFrame(K, index=levels, "
            "columns=levels), levels in the order of K's rows."
        )
    rows, columns = level_names(given.index), level_names(given.columns)
    twice = _repeated(rows) or _repeated(columns)
    if twice:
        raise DataError(
            f"known[{name!r}]: expected each label once, got {listed(twice)} more than once."
        )
    if set(rows) != set(columns):
        odd = sorted(set(rows) ^ set(columns))
        raise DataError(
            f"known[{name!r}]: expected the same labels for rows and columns, got {listed(odd)} "
            f"on one side only (shape {given.shape}). Label both by the levels of {name!r}."
        )
    place = {label: i for i, label in enumerate(columns)}
    try:
        K = np.asarray(given, dtype=np.float64)[:, [place[label] for label in rows]]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"known[{name!r}]: expected finite numbers, got others: {error}."
        ) from error
    if not np.all(np.isfinite(K)):
        i, j = np.argwhere(~np.isfinite(K))[0]
        raise DataError(
            f"known[{name!r}]: expected finite numbers, got {K[i, j]} between {rows[i]!r} and "
            f"{rows[j]!r}."
        )
    apart = np.abs(K - K.T)
    if K.size and np.max(apart) > TOL_REL_ASYMMETRY * np.max(np.abs(K)):
        i, j = np.unravel_index(int(np.argmax(apart)), K.shape)
        raise DataError(
            f"known[{name!r}]: expected a symmetric matrix, got {K[i, j]:.6g} between {rows[i]!r} "
            f"and {rows[j]!r} but {K[j, i]:.6g} the other way round."
        )
    return tuple(rows), 0.5 * (K + K.T)


def _repeated(labels: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return [label for label in labels if label in seen or seen.add(label)]  # type: ignore[func-returns-value]
