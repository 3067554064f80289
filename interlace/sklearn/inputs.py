"""What scikit-learn hands over, as the formulas of a mixed model take it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import validate_data

from interlace.data.frames import as_pandas
from interlace.data.levels import level_names
from interlace.formulas.formula import parse_group, parse_random
from interlace.formulas.tokens import Source, tokenise
from interlace_core.messages.checks import shown
from interlace_core.messages.errors import DataError, OptionError

RESPONSE = "y_"
"""Name of a response that has none; lengthened if a column has it."""

GROUP = "group_"
"""Name of the column of groups given to `fit`; lengthened likewise."""

NEW = "new"
"""Level of rows whose group is not told; lengthened if a group is called so."""


def validated(estimator: Any, X: Any, y: Any = None, *, y_numeric: bool = False) -> Any:
    """Return X as a frame with names, and y if it is given.

    The columns of the fit are recorded with y, compared without. Frames keep their types; arrays
    must be of finite numbers.
    """
    fitting = y is not None
    checks: dict[str, Any] = {"reset": fitting, "skip_check_array": hasattr(X, "columns")}
    if not hasattr(X, "columns"):
        checks |= {"dtype": "numeric", "ensure_all_finite": True}
    if fitting:
        checks["y"] = y
        if y_numeric and not hasattr(X, "columns"):
            checks["y_numeric"] = True
    checked = validate_data(estimator, X, **checks)
    X, y = checked if fitting else (checked, None)
    frame = as_frame(X)
    return (frame, y) if fitting else frame


def as_frame(X: Any) -> pd.DataFrame:
    """Return a pandas frame whose columns have names that a formula can use: 0 is `x0`."""
    if hasattr(X, "columns"):
        return as_pandas(X, argument="X").rename(columns=_spelt)
    array = np.asarray(X)
    return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])


def check_rows(who: str, n: int, sample_weight: Any) -> None:
    """Refuse, in the words that scikit-learn's checks look for, what cannot be fitted."""
    if n < 2:
        raise DataError(
            f"{who}: expected two rows or more, got n_samples = {n}. There is nothing to estimate "
            "from one row."
        )
    if sample_weight is None:
        return
    if np.shape(sample_weight) != (n,):
        raise DataError(
            f"{who}: expected one weight per row, shape ({n},), got shape "
            f"{np.shape(sample_weight)}."
        )
    if not np.any(np.asarray(sample_weight)):
        raise DataError(
            f"{who}: expected a positive weight in some row, got sample weights that are all "
            "zero. Leave sample_weight out, or correct it."
        )


def check_lengths(who: str, n: int, **given: Any) -> None:
    """Raise a DataError unless each of the arrays given has an entry for each row."""
    for name, values in given.items():
        if values is None:
            continue
        try:
            number = len(values)
        except Exception as error:  # whatever an object raises that was passed by mistake
            raise DataError(
                f"{who}: expected one entry of {name} for each of the {n} rows of X, got "
                f"{shown(values)}. Give an array or a column."
            ) from error
        if number != n:
            raise DataError(
                f"{who}: expected one entry of {name} for each of the {n} rows of X, got {number}."
            )


def as_weights(who: str, sample_weight: Any) -> Any:
    """Return weights as an array of numbers; None of none.

    Raises
    ------
    DataError
        If they are no numbers.
    """
    if sample_weight is None:
        return None
    try:
        return np.asarray(sample_weight, dtype=float)
    except Exception as error:  # whatever an object raises that was passed by mistake
        raise DataError(
            f"{who}: sample_weight must be one number for each row, got {shown(sample_weight)}."
        ) from error


def group_levels(who: str, groups: Any) -> list[str]:
    """Return the group of each row as text, the same for 1 and 1.0.

    Raises
    ------
    DataError
        If a row has none.
    """
    given = pd.Series(np.asarray(groups, dtype=object))
    if given.isna().any():
        raise DataError(
            f"{who}: expected a group for each row, got missing ones. Leave these rows out, or "
            "give them a group of their own."
        )
    return list(level_names(given.tolist()))


def response_name(y: Any, taken: Collection[str], texts: Iterable[str]) -> str:
    """Return what the response is called: as y is, unless a column or a formula has that name."""
    own = getattr(y, "name", None)
    if isinstance(own, str) and own.isidentifier() and own not in taken:
        if not any(re.search(rf"\b{own}\b", text) for text in texts):
            return own
    return free_name(RESPONSE, taken)


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that nothing has: with as many underscores as it needs."""
    while name in set(taken):
        name += "_"
    return name


def right_side(who: str, formula: Any, columns: Sequence[str], elsewhere: Collection[str]) -> str:
    """Return the right-hand side of the formula; without one all columns that have no other part.

    Raises
    ------
    OptionError
        If the formula has a left-hand side.
    """
    if formula is None:
        linear = [_quoted(name) for name in columns if name not in elsewhere]
        return "~ " + (" + ".join(linear) or "1")
    if not isinstance(formula, str) or not formula.lstrip().startswith("~"):
        raise OptionError(
            f"{who}: formula must be a right-hand side such as '~ x + (1 | g)', got "
            f"{shown(formula)}. "
            "The response is the y given to fit."
        )
    return formula


def named_elsewhere(groups: Any, random: Any, expressions: Iterable[Any]) -> set[str]:
    """Return the columns that are grouping factors, or in expressions such as `offset`'s."""
    bars = [bar for each in texts_in(groups) for bar in parse_group(each)]
    bars += [bar for each in texts_in(random) for bar in parse_random(each)]
    texts = [each for each in expressions if isinstance(each, str)]
    tokens = [token for text in texts for token in tokenise(Source(text))]
    return {name for bar in bars for name in bar.columns} | {
        token.name for token in tokens if token.is_name
    }


def texts_in(given: Any) -> list[str]:
    """Return the texts of an argument, itself or in a collection; what else there is is skipped."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, Mapping):
        return [text for pair in given.items() for each in pair for text in texts_in(each)]
    if isinstance(given, (list, tuple, set, frozenset)):
        return [text for each in given for text in texts_in(each)]
    return []


def _spelt(label: Any) -> str:
    """Return a column's name; a number would be a constant in a formula, so that 0 is `x0`."""
    return f"x{label}" if str(label).isdecimal() else str(label)


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
