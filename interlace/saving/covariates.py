"""The covariates of random effects in a file: a matrix, or the column and number of each row."""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace.saving.codecs import Codec, Store, array, integer, record
from interlace_core.contract.incidence import Covariates, Incidence

_points = record(Incidence, at=array(1, "i"), z=array(1), size=integer)


def _write(given: Covariates, store: Store) -> Any:
    return (_points if isinstance(given, Incidence) else array(2)).write(given, store)


def _read(given: Any, store: Store, where: str) -> Any:
    return (_points if isinstance(given, dict) else array(2)).read(given, store, where)


covariates = Codec(_write, _read)


def are_covariates(Z: Covariates) -> bool:
    """Return whether all numbers of a file are, and stand in columns that there are."""
    if not isinstance(Z, Incidence):
        return bool(np.all(np.isfinite(Z)))
    inside = Z.at.shape == Z.z.shape and bool(np.all((Z.at >= 0) & (Z.at < Z.size)))
    return inside and bool(np.all(np.isfinite(Z.z)))
