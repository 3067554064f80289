"""What is kept of a fit's designs, by which new data are coded as its data were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from interlace.data.design import DesignEncoder
from interlace.data.levels import ColumnCode, FactorEncoder
from interlace.data.rows import frozen
from interlace.formulas.expressions import Expression
from interlace_core.records import Array


@dataclass(frozen=True)
class PredictorEncoder:
    """Codes one linear predictor of new data.

    Attributes
    ----------
    design : DesignEncoder or None
        Fixed effects; None for a parameter fixed by the user.
    offsets : tuple of Expression
        Parts of the offset that can be computed from columns; they add up. Without a design that of
        a residual standard deviation that is known row by row.
    constant : float
        Known constant on the scale of eta: the value of a fixed parameter.
    known : DesignEncoder or None
        Columns whose coefficients are held; None if none are.
    known_values : ndarray, shape (h,)
        At these values.
    """

    design: DesignEncoder | None
    offsets: tuple[Expression, ...] = ()
    constant: float = 0.0
    known: DesignEncoder | None = None
    known_values: Array = field(default_factory=lambda: np.zeros(0))

    @property
    def is_known_by_row(self) -> bool:
        """Whether it is the residual's, known for the rows of the fit (`known_variance`)."""
        return self.design is None and (bool(self.offsets) or np.isnan(self.constant))


@dataclass(frozen=True)
class TermEncoder:
    """Codes one random-effects term of new data.

    Attributes
    ----------
    design : DesignEncoder
        Columns of Z.
    factor : FactorEncoder
        Groups.
    more : tuple of DesignEncoder
        Further columns after these, of a term that stands in several formulas.
    """

    design: DesignEncoder
    factor: FactorEncoder
    more: tuple[DesignEncoder, ...] = ()

    @property
    def designs(self) -> tuple[DesignEncoder, ...]:
        """Of all its columns, in order."""
        return (self.design, *self.more)

    @property
    def size(self) -> int:
        """Number of its columns."""
        return sum(len(each.names) for each in self.designs)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that it uses, beside those of the groups."""
        return tuple(dict.fromkeys(name for each in self.designs for name in each.columns))


@dataclass(frozen=True)
class Encoder:
    """Everything needed to code new data; it holds no training data and can be pickled.

    Attributes
    ----------
    columns : mapping from str to ColumnCode
        How the columns of designs and offsets were read.
    predictors : tuple of PredictorEncoder
        One per distributional parameter.
    terms : tuple of TermEncoder
        One per random-effects term.
    external_offset : bool
        Whether the fit had an offset given as an array, which cannot be computed for new data.
    """

    columns: Mapping[str, ColumnCode]
    predictors: tuple[PredictorEncoder, ...]
    terms: tuple[TermEncoder, ...]
    external_offset: bool = False


def total_offset(encoder: PredictorEncoder, values: Sequence[Array], n: int) -> Array:
    """Return a predictor's constant and the values of its offsets added up, shape (n,).

    Where there are none, every row is the same number in memory.
    """
    if not values:
        one = np.array([encoder.constant], dtype=np.float64)
        one.flags.writeable = False
        return np.ndarray((n,), np.float64, one, 0, (0,))
    return frozen(np.sum([np.full(n, encoder.constant), *values], axis=0))
