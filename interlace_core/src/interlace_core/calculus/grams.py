"""Products of the columns of a design, which several stages of a fit ask for."""

from __future__ import annotations

import numpy as np

from interlace_core.calculus.kept import Kept
from interlace_core.records import Array

FEW_NUMBERS = 1 << 14
"""Numbers in a design up to which products are made as fast as they are looked up."""


def gram_of(X: Array) -> Array:
    """Return X'X, shape (p, p); of a large design that is read-only, made once while it lives.

    Infinite or 0 where squares are no numbers.
    """
    if X.flags.writeable or X.size < FEW_NUMBERS:
        return _made(X)
    return _kept(X)


def _made(X: Array) -> Array:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        gram = np.asarray(X.T @ X)
    gram.flags.writeable = False
    return gram


_kept: Kept[Array] = Kept(_made)
