"""Design matrices from formulas, with encoders that code new data in the same way."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from formulaic import Formula
from formulaic.errors import DataMismatchWarning
from formulaic.materializers import PandasMaterializer
from formulaic.transforms import TRANSFORMS

from interlace_core.data.rank import independent_columns
from interlace_core.data.rows import Rows, frozen, require_finite
from interlace_core.formulas.expressions import FUNCTIONS
from interlace_core.formulas.terms import LinearFormula
from interlace_core.formulas.tokens import Span, formula_error
from interlace_core.messages.errors import DataError, FormulaError, InterlaceError
from interlace_core.records import Array, IntArray

INTERCEPT = "Intercept"


@dataclass(frozen=True)
class DesignEncoder:
    """What is kept of a design to code new data; it holds no data.

    Attributes
    ----------
    text : str
        The formula in the user's spelling.
    names : tuple of str, length p
        Column names of the design.
    columns : tuple of str
        Columns of the data that it uses.
    spec : object or None
        The formula parser's record of levels, contrasts and the state of transforms; None for
        a design that is the intercept alone.
    kept : ndarray of intp, shape (p,), or None
        Columns left after collinear ones were dropped; None if all are.
    points : ndarray, shape (p, k), or None
        Distinct values of k covariates, one of which each column stands for; None where columns
        are what the formula makes.
    mix : ndarray, shape (len(kept), p), or None
        By which the columns left are multiplied, where coefficients are held equal.
    shared : mapping from str to str
        Coefficients that are held equal to another, by its name.
    """

    text: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    spec: Any = None
    kept: IntArray | None = None
    points: Array | None = None
    mix: Array | None = None
    shared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Design:
    """A design matrix with its encoder.

    Attributes
    ----------
    X : ndarray, shape (n, p)
        Read-only.
    encoder : DesignEncoder
        For new data.
    empty : tuple of str
        Terms without columns: factors with a single level.
    """

    X: Array
    encoder: DesignEncoder
    empty: tuple[str, ...] = ()


class DesignBuilder:
    """Builds designs over one set of rows; equal formulas share their matrix.

    Parameters
    ----------
    frame : DataFrame, n rows
        Rows in use.
    rows : Rows
        To name a row in a message.
    """

    def __init__(self, frame: pd.DataFrame, rows: Rows) -> None:
        self.frame = frame
        self.rows = rows
        self._built: dict[str, Design] = {}

    def build(self, formula: LinearFormula) -> Design:
        """Return the design of a formula.

        Parameters
        ----------
        formula : LinearFormula
            Without bars and offsets.

        Raises
        ------
        FormulaError
            If the formula cannot be read or evaluated.
        DataError
            If a column of it is not finite in some row, or holds dates.
        """
        code = formula.code(self.frame.columns)
        if code not in self._built:
            self._built[code] = self._new(formula, code)
        return self._built[code]

    def _new(self, formula: LinearFormula, code: str) -> Design:
        if code == "1":
            encoder = DesignEncoder(formula.text, (INTERCEPT,), ())
            return Design(frozen(np.ones((len(self.frame), 1))), encoder)
        columns = formula.columns(self.frame.columns, design_functions())
        for name in columns:
            _refuse_dates(self.frame[name])
        try:
            X, spec = materialise(Formula(code), self.frame[list(columns)], formula.text)
        except InterlaceError:
            raise
        # Whatever fails while the user's expressions are evaluated: its own words, and where.
        except Exception as error:
            raise _unreadable(formula.span, error) from error
        names = tuple(str(name) for name in spec.column_names)
        _require_finite_columns(X, names, self.rows)
        empty = tuple(str(part[0]) for part in spec.structure if not part[2])
        return Design(frozen(X), DesignEncoder(formula.text, names, columns, spec), empty)


def drop_collinear(design: Design) -> tuple[Design, tuple[str, ...]]:
    """Return a design of full column rank, and the names of the columns dropped.

    Of columns that depend on each other the later ones go, as in R.
    """
    keep = independent_columns(design.X)
    if keep.all():
        return design, design.empty
    kept = np.flatnonzero(keep)
    names = np.array(design.encoder.names, dtype=object)
    encoder = replace(design.encoder, names=tuple(names[kept]), kept=kept)
    dropped = (*tuple(names[~keep]), *design.empty)
    return Design(frozen(design.X[:, kept]), encoder), dropped


def drop_intercept(design: Design, parameter: str) -> Design:
    """Return a design without its intercept, for a parameter that has none.

    Factors stay coded as differences from their first level.

    Raises
    ------
    FormulaError
        If the formula has no intercept to leave out, so that factors are coded otherwise.
    """
    names = design.encoder.names
    if INTERCEPT not in names:
        raise FormulaError(
            f"formula: expected one with an intercept for {parameter!r}, whose place the "
            f"family's further parameters take, got {design.encoder.text!r}. Leave out the 0 or -1."
        )
    place = names.index(INTERCEPT)
    keep = np.arange(len(names)) != place
    kept = np.arange(len(names)) if design.encoder.kept is None else design.encoder.kept
    encoder = replace(
        design.encoder,
        names=tuple(name for name in names if name != INTERCEPT),
        kept=kept[keep],
    )
    return replace(design, X=frozen(design.X[:, keep]), encoder=encoder)


def design_functions() -> Collection[str]:
    """Return the names of the functions that fixed and random effects may use."""
    return frozenset(TRANSFORMS) | frozenset(FUNCTIONS)


def materialise(spec: Any, frame: pd.DataFrame, text: str) -> tuple[Array, Any]:
    """Return a design and its specification from a formula or an earlier specification."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        # Levels outside those of the training data would silently become rows of zeros.
        warnings.simplefilter("error", DataMismatchWarning)
        try:
            matrix = PandasMaterializer(frame, context=_context()).get_model_matrix(
                spec, output="numpy", na_action="ignore"
            )
        except DataMismatchWarning as error:
            raise DataError(
                f"{text!r}: expected the levels listed or seen in training, got others. {error} "
                "Drop the rows or recode them."
            ) from error
    return np.asarray(matrix, dtype=np.float64), matrix.model_spec


def _context() -> Mapping[str, Any]:
    return {name: call for name, call in FUNCTIONS.items() if name not in TRANSFORMS}


def _refuse_dates(column: pd.Series[Any]) -> None:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return
    kind = pd.api.types.infer_dtype(column.cat.categories, skipna=True)
    if kind.startswith(("date", "time", "period")):
        raise DataError(
            f"column {column.name!r}: expected numbers, text or categories, got {kind} values. "
            "Convert them to numbers (days since a start), or to text for a factor."
        )


def _require_finite_columns(X: Array, names: tuple[str, ...], rows: Rows) -> None:
    if np.isfinite(X).all():
        return
    for place, name in enumerate(names):
        require_finite(X[:, place], f"term {name!r}", rows)


def _unreadable(where: Span, error: Exception) -> FormulaError:
    return formula_error(
        where,
        f"expected terms that can be read and computed. {first_line(error)} Correct this part.",
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
