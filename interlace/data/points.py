"""The columns of a random-effects term whose structure is one of levels, times or places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from interlace.data.columns import Frame
from interlace.data.design import Design, DesignEncoder
from interlace.data.levels import build_factor, level_names
from interlace.data.rows import frozen
from interlace.formulas.bars import Bar
from interlace.formulas.tokens import formula_error
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.incidence import Covariates, Incidence
from interlace_core.messages.errors import DataError, DataWarning
from interlace_core.messages.names import listed
from interlace_core.messages.warn import warn
from interlace_core.records import Array, BoolArray


@dataclass(frozen=True)
class TermColumns:
    """The columns of a term, and what its structure is told of them.

    Attributes
    ----------
    Z : ndarray or Incidence, shape (n, c)
        Read-only; an incidence of levels, times or places.
    encoder : DesignEncoder
        For new data.
    levels : tuple of str, length c
        Levels or points that the columns stand for; empty for covariates.
    frame : mapping from str to ndarray, shape (c,)
        Coordinates of the points; empty for the levels of a factor, and for covariates.
    along, joint : tuple, length c
        Predictor and name of each column, where several parameters share the term; else empty.
    gram : ndarray, shape (c, c), or None
        `Z'Z`, where it has been made.
    """

    Z: Covariates
    encoder: DesignEncoder
    levels: tuple[str, ...] = ()
    frame: Mapping[str, Array] = field(default_factory=dict)
    along: tuple[int, ...] = ()
    joint: tuple[str, ...] = ()
    gram: Array | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.joint or self.encoder.names


def term_columns(
    bar: Bar, structure: type[Covariance], design: Design, frame: Frame
) -> TermColumns:
    """Return the columns of a term, as its structure takes them.

    Parameters
    ----------
    bar : Bar
        The term.
    structure : type
        Class of its structure.
    design : Design
        Of what stands left of the bar.
    frame : Frame, n rows
        Rows in use.

    Raises
    ------
    FormulaError
        If the structure is one of levels and the columns are none, or are too many for it.
    """
    if not structure.takes_levels_only:
        return TermColumns(_shared(design), design.encoder, gram=design.gram)
    factors = [each for each in design.encoder.factors.values() if each.levels is not None]
    numeric = not factors and design.X.shape[1] == len(bar.left.covariates)
    if bar.left.has_intercept or (factors and not _are_indicators(design.X)):
        raise _not_levels(bar, structure, design)
    found = _points(bar, design) if numeric else _levels(bar, design, frame)
    c = len(found.levels)
    if structure.largest is not None and c > structure.largest:
        raise formula_error(bar.span, _too_many(structure, c))
    return found


_ONE = frozen([1.0])


def _shared(design: Design) -> Array:
    """Return the columns of a design; ones are the same number in memory."""
    if design.encoder.is_intercept:
        return np.ndarray(design.X.shape, np.float64, _ONE, 0, (0, 0))
    return design.X


def at_points(values: Array, points: Array, text: str) -> Array:
    """Return indicators of the point of each row, shape (n, c), from its coordinates, (n, k).

    Raises
    ------
    DataError
        If a row is at none of the points.
    """
    Z, strange = known_points(values, points)
    if np.any(strange):
        some = sorted({tuple(row) for row in values[strange].tolist()})
        shown = listed([", ".join(level_names(each)) for each in some])
        raise DataError(
            f"{text!r}: expected the {len(points)} points of the training data, got {shown}. "
            "Leave the term out by include_re, or fit with these rows in the data, their weights 0."
        )
    return Z


def known_points(values: Array, points: Array) -> tuple[Array, BoolArray]:
    """Return indicators of the point of each row, shape (n, c), and which are at none of them."""
    known = {tuple(point): place for place, point in enumerate(points.tolist())}
    places = np.array([known.get(tuple(row), -1) for row in (values + 0.0).tolist()], dtype=np.intp)
    Z = np.zeros((len(values), len(points)))
    seen = places >= 0
    Z[np.flatnonzero(seen), places[seen]] = 1.0
    return Z, ~seen


def _points(bar: Bar, design: Design) -> TermColumns:
    """Return a column for each distinct row of numeric covariates."""
    points, places = np.unique(design.X, axis=0, return_inverse=True)
    points = points + 0.0  # no negative zeros
    Z = Incidence.of_points(np.ravel(places).astype(np.intp), len(points))
    variables = design.encoder.names
    texts = [level_names(row) for row in points.tolist()]
    names = tuple(
        ":".join(f"{name}[{value}]" for name, value in zip(variables, row, strict=True))
        for row in texts
    )
    encoder = replace(design.encoder, names=names, points=frozen(points))
    levels = tuple(", ".join(row) for row in texts)
    frame = {name: frozen(points[:, k].copy()) for k, name in enumerate(variables)}
    return TermColumns(Z, encoder, levels, frame)


def _levels(bar: Bar, design: Design, frame: Frame) -> TermColumns:
    """Return the columns of a factor, as they are."""
    names, used = design.encoder.names, design.encoder.columns
    levels = names
    if len(used) == 1 and [term.span.text.strip("`") for term in bar.left.covariates] == [*used]:
        own = build_factor(used, frame).encoder.levels
        levels = own if len(own) == len(names) else names
    Z = Incidence.of_points(np.argmax(design.X, axis=1).astype(np.intp), len(names))
    return TermColumns(Z, design.encoder, levels)


def warn_of_order(structure: Covariance, columns: TermColumns, frame: Frame) -> None:
    """Warn of numbers that stand as text in the order of text, in which 10 goes before 2.

    Only where the structure depends on the order of its levels, and it was not chosen.
    """
    used = columns.encoder.columns
    if not columns.levels or columns.frame or structure.takes_matrix or len(used) != 1:
        return
    try:
        numbers = [float(each) for each in columns.levels]
    except ValueError:
        return
    chosen = frame[used[0]].chosen
    if chosen or numbers == sorted(numbers) or not _depends_on_order(structure):
        return
    some = f"{listed(columns.levels[:4])}{', ...' if len(numbers) > 4 else ''}"
    warn(
        f"column {used[0]!r}: {structure.name} takes its levels in their order, and these are "
        f"numbers as text, in the order of text: {some}. Convert the column to numbers, or to an "
        "ordered categorical.",
        DataWarning,
    )


def _depends_on_order(structure: Covariance) -> bool:
    theta = structure.start()
    if structure.chain(theta) is not None:
        return True
    T = structure.template(theta)
    apart = (T @ T.T)[np.triu_indices(structure.size, 1)]
    return bool(np.ptp(apart) > 1e-9 * np.max(np.abs(apart))) if apart.size else False


def _are_indicators(X: Array) -> bool:
    return bool(np.all((X == 0.0) | (X == 1.0)) and np.all(np.sum(X, axis=1) == 1.0))


def _not_levels(bar: Bar, structure: type[Covariance], design: Design) -> Exception:
    covariates = [term.span.text for term in bar.left.covariates]
    one = _are_indicators(design.X)
    got = [] if one or not covariates else [f"the columns of {listed(covariates)}"]
    got += ["an intercept"] if bar.left.has_intercept else []
    name = covariates[0] if len(covariates) == 1 else "time"
    return formula_error(
        bar.span,
        f"covariance structure {structure.name!r}: expected the levels of one factor, or numbers "
        f"that stand for times or places, got {' and '.join(got)}. Write "
        f"{structure.name}(0 + {name} | {bar.group}), with {name!r} a factor or numbers. For "
        "effects of covariates use us or diag.",
    )


def _too_many(structure: type[Covariance], c: int) -> str:
    seconds, megabytes = 2e-11 * c**3, 8e-6 * c**2
    return (
        f"covariance structure {structure.name!r}: expected at most {structure.largest:,} levels "
        f"or points, got {c:,}. Its work grows with their cube: about {seconds:,.0f} s and "
        f"{6 * megabytes:,.0f} MB for each of some hundred evaluations. Divide the groups, round "
        "the coordinates, or for times use ar1 or ou, whose work grows with their number."
    )
