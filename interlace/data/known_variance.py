"""The argument `known_variance`: variances, or a covariance, of the rows' errors that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from interlace.data.columns import Frame
from interlace.data.encoder import Encoder, PredictorEncoder
from interlace.data.levels import column_code
from interlace.data.rows import LEAST_SIZE, Rows, Vector, frozen, vector_values
from interlace.data.specification import Specification
from interlace.formulas.allowed import Vocabulary, parse_text
from interlace.formulas.expressions import Expression
from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.problem import Predictor
from interlace_core.contract.residual_correlation import ResidualCorrelation
from interlace_core.contract.row_correlation import RowCorrelation
from interlace_core.messages.errors import DataError, OptionError, UnsupportedModelError
from interlace_core.records import Array


@dataclass(frozen=True)
class KnownErrors(ResidualCorrelation):
    """The known correlation of errors; times are the rows' numbers.

    Attributes
    ----------
    correlation : ndarray, shape (n, n)
    """

    correlation: Array

    name = "known"
    stationary = False

    def parameters(self, largest: int) -> tuple[Parameter, ...]:
        """Return none."""
        return ()

    def start(self, largest: int) -> Array:
        """Return nothing."""
        return np.zeros(0)

    def matrix(self, times: Array, values: Sequence[float]) -> Array:
        """Return the blocks of the correlation."""
        rows = times.astype(np.intp)
        return np.asarray(self.correlation[rows[:, :, None], rows[:, None, :]])

    def slopes(self, times: Array, values: Sequence[float]) -> Array:
        """Return nothing."""
        return np.zeros((0, len(times), times.shape[1], times.shape[1]))


def known_errors(
    asked: Specification, family: Family, frame: Frame, rows: Rows, who: str
) -> tuple[Array, RowCorrelation | None] | None:
    """Return the variances of the rows in use, and their correlation if it is known too.

    Raises
    ------
    DataError
        If a variance is not positive, or the matrix is no covariance.
    UnsupportedModelError, OptionError
        If the model takes none.
    """
    given, matrix = asked.known_variance, asked.known_covariance
    if given is None:
        return None
    _require_known(asked, family, who)
    values = vector_values(given, "known_variance", frame, rows)
    wrong = np.flatnonzero(values < LEAST_SIZE)
    if wrong.size:
        raise DataError(
            f"known_variance: expected positive numbers, {LEAST_SIZE:g} or more, got "
            f"{values[wrong[0]]:g} in {rows.describe(int(wrong[0]))}. Give variances, squared "
            "standard errors; leave out rows without one."
        )
    if matrix is None:
        return values, None
    places = rows.pick(np.arange(len(matrix), dtype=np.float64)).astype(np.intp)
    V = matrix[np.ix_(places, places)]
    if not np.all(np.isfinite(V)):
        raise DataError("known_variance: expected finite covariances between rows with a variance.")
    sd = np.sqrt(values)
    C = V / sd / sd[:, None]
    _, codes = connected_components(csr_array(C != 0.0), directed=False)
    if np.max(np.bincount(codes)) < 2:
        return values, None
    if np.linalg.eigvalsh(C)[0] < 1e-10:
        raise DataError(
            "known_variance: expected a covariance that is positive definite, got eigenvalues of "
            f"its correlations from {np.linalg.eigvalsh(C)[0]:.2g}. Two rows with the same error "
            "tell one thing: keep one of them."
        )
    numbers = np.arange(values.size, dtype=np.float64)
    structure = KnownErrors(frozen(C))
    return values, RowCorrelation(structure, "known", codes.astype(np.intp), numbers)


def with_known_variance(
    predictors: tuple[Predictor, ...],
    encoder: Encoder,
    family: Family,
    values: Array,
    written: Expression | None,
    frame: Frame,
) -> tuple[tuple[Predictor, ...], Encoder]:
    """Return predictors and encoder with the residual's standard deviation known row by row.

    Parameters
    ----------
    predictors, encoder, family
    values : ndarray, shape (n,)
        Variances.
    written : Expression, or None
        The logarithm of the standard deviation, by which new rows have one; None of numbers
        without a name.
    frame : Frame
        Of the rows.
    """
    k = _dispersion(family)
    known = replace(
        predictors[k],
        X=frozen(np.zeros((values.size, 0))),
        names=(),
        offset=frozen(0.5 * np.log(values)),
    )
    coder = PredictorEncoder(None, (), float("nan"))
    columns = dict(encoder.columns)
    if written is not None:
        coder = PredictorEncoder(None, (written,))
        columns |= {each: column_code(frame[each]) for each in written.columns}
    return (
        tuple(known if j == k else each for j, each in enumerate(predictors)),
        replace(
            encoder,
            columns=columns,
            predictors=tuple(
                coder if j == k else each for j, each in enumerate(encoder.predictors)
            ),
        ),
    )


def log_deviation(variance: Vector | None, vocabulary: Vocabulary) -> Expression | None:
    """Return the logarithm of a standard deviation from the variance as it was written, if it was.

    Parameters
    ----------
    variance : Expression, ndarray, or None
    vocabulary : Vocabulary
        That it was read by.
    """
    if not isinstance(variance, Expression):
        return None
    return parse_text(f"0.5 * log({variance.node.text})", "known_variance", vocabulary)


def _dispersion(family: Family) -> int:
    roles = [each.role for each in family.parameters]
    return roles.index("dispersion")


def _require_known(asked: Specification, family: Family, who: str) -> None:
    """Refuse known variances where nothing takes them.

    Raises
    ------
    UnsupportedModelError, OptionError
    """
    if not family.linear_normal:
        raise UnsupportedModelError(
            f"{who}: known_variance is for a normal response with identity link, got the family "
            f"{family.name!r}."
        )
    dispersion = _dispersion(family)
    parameter = family.parameters[dispersion]
    if asked.weights is not None or parameter.fixed is not None:
        also = "weights" if asked.weights is not None else f"{parameter.name} = {parameter.fixed:g}"
        raise OptionError(
            f"{who}: known_variance says the residual variance of each row; leave out {also}."
        )
    if parameter.name in asked.parameters or parameter.role in asked.parameters:
        raise OptionError(
            f"{who}: known_variance says the residual variance of each row, for which there is a "
            "formula too. Leave out one of them; for a variance beside the known one write a "
            "random effect for each row."
        )
    if asked.correlated:
        raise OptionError(
            f"{who}: known_variance says all of the rows' errors; leave out correlation."
        )
