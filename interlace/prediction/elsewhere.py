"""Predictions for new data that lie elsewhere, piece by piece and when they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from interlace.parts.opening import asked_of, frames_of
from interlace.results.fitted_model import require_training
from interlace_core.contract.frames import Frames
from interlace_core.messages.errors import DataError, NotAvailableError, OptionError

if TYPE_CHECKING:
    from interlace.results.estimates import Estimates


def frames_for(newdata: Any) -> Frames | None:
    """Return new data that a plugin opens; None for all that this process holds."""
    asked = asked_of(newdata)
    return None if asked is None else frames_of(asked)


def predict_elsewhere(
    result: Estimates, frames: Frames, options: Mapping[str, Any], arrays: Mapping[str, Any]
) -> Any:
    """Return predictions as a frame of the library of the new data, of which nothing is computed.

    Parameters
    ----------
    result : Estimates
    frames : Frames
        The new data.
    options : mapping from str to object
        Other arguments of `GLMMResult.predict`.
    arrays : mapping from str to object
        Arguments that may be arrays of rows, which are refused.

    Raises
    ------
    OptionError
        If there are arrays of rows, or nothing to predict for.
    """
    for name, given in arrays.items():
        if given is not None and not isinstance(given, str):
            raise OptionError(
                f"predict: {name}: expected the name of a column of the new data, which lie in "
                f"pieces, got an array. Add it to them as a column."
            )
    told = {**options, **arrays}
    light = _as_told(result, told)
    for place in range(len(frames.pieces)):
        (few,) = frames.ask(_few_rows, frames.columns, pieces=[place])
        if few is not None:
            like = light.predict(few, **told).iloc[:0]
            return frames.mapped(_predicted, like, light, told, like)
    raise DataError("newdata: expected at least one row, got pieces without any.")


def _as_told(result: Estimates, options: Mapping[str, Any]) -> Any:
    """Return the result as it is sent to the pieces: with the rows of the fit if they are needed.

    Raises
    ------
    NotAvailableError
        If they are, and lie in parts.
    """
    uncertain = options.get("se") or options.get("interval") is not None
    if uncertain and options.get("include_re") is not False:
        training = require_training(result, "predict", by_parts=True)
        if training.problem.parts is None:
            return result
        raise NotAvailableError(
            "predict: standard errors and intervals that include random effects need all rows of "
            "the fit, which lie in parts. Predict without them, or with include_re=False."
        )
    return result.without_training()  # type: ignore[attr-defined]


def _few_rows(_: str, table: Any) -> Any:
    return table.head(2) if len(table) else None


def _predicted(_: str, table: Any, result: Any, options: Mapping[str, Any], like: Any) -> Any:
    return result.predict(table, **options) if len(table) else like
