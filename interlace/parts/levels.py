"""Levels of grouping factors, brought together from several pieces of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interlace.data.columns import Column, Frame
from interlace.data.levels import Factor, FactorEncoder, build_factor


def joined_encoders(encoders: Sequence[FactorEncoder]) -> FactorEncoder:
    """Return the encoder of the levels of several parts, as one of all rows is."""
    columns = encoders[0].columns
    rows: list[list[str]] = [[] for _ in columns]
    for encoder in encoders:
        for place, values in enumerate(_combinations(encoder)):
            rows[place] += values
    frame = {}
    for name, values in zip(columns, rows, strict=True):
        try:  # numbers are in their own order
            numbers = pd.to_numeric(pd.Series(values, dtype=object)).to_numpy()
            frame[name] = Column(name, numbers)
        except (ValueError, TypeError):
            codes, found = pd.factorize(np.array(values, dtype=object), sort=True)
            frame[name] = Column(name, codes, pd.Index(found, dtype=object))
    factor: Factor = build_factor(columns, Frame(frame, len(rows[0])))
    return factor.encoder


def _combinations(encoder: FactorEncoder) -> list[list[str]]:
    """Return the value of each column for each level."""
    names = [np.array(each, dtype=object) for each in encoder.column_levels]
    values: list[Any] = [names[0]]
    for own, keys in zip(names[1:], encoder.combinations, strict=True):
        values = [each[keys // len(own)] for each in values]
        values.append(own[keys % len(own)])
    return [each.tolist() for each in values]
