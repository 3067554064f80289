"""What all estimators share: their arguments, the fit, and rows to predict."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, column_or_1d

from interlace.sklearn.inputs import (
    GROUP,
    NEW,
    as_weights,
    check_lengths,
    check_rows,
    free_name,
    group_levels,
    named_elsewhere,
    response_name,
    right_side,
    texts_in,
    validated,
)
from interlace_core.messages.checks import shown
from interlace_core.messages.errors import DataError, DataWarning, OptionError

if TYPE_CHECKING:
    from interlace.choices import NewLevels
    from interlace.fits import Priors
    from interlace_core.contract.optimizer import Optimizer
    from interlace_core.fitting.stopping import Step

ROWWISE = ("offset", "weights", "known_variance")
"""Arguments of a fit with a number for each row: columns of X here, so that they are split too."""

OF_PREDICTIONS = ("include_re", "new_levels")
"""Arguments that no fit has."""

OWN = ("formula", *OF_PREDICTIONS, "categories")
"""Arguments that are no fit's, or not as they are."""


@dataclass(eq=False, repr=False)
class MixedModel(BaseEstimator):  # type: ignore[misc]
    """Arguments that every fit has, and what is done with them."""

    _: KW_ONLY
    formula: str | None = None
    groups: str | Sequence[str] | None = None
    random: str | Sequence[str] | None = None
    weights: str | None = None
    offset: str | None = None
    optimizer: str | Optimizer | None = None
    optimizer_options: Mapping[str, Any] | None = None
    hold: Mapping[str, Any] | None = None
    start: Mapping[str, Any] | None = None
    starts: int | None = None
    threads: int | None = None
    kernels: str | bool | None = None
    priors: Priors | None = None
    known: Mapping[str, pd.DataFrame] | None = None
    covariance: Mapping[str, str] | None = None
    functions: Mapping[str, Callable[..., Any]] | None = None
    max_seconds: float | None = None
    callback: Callable[[Step], object] | None = None
    verbose: bool | None = None
    include_re: bool | str | Sequence[str] = True
    new_levels: NewLevels | None = None

    fitted_by: ClassVar[str]
    """The function of interlace that fits."""

    def _fitted(
        self, frame: pd.DataFrame, y: Any, name: str | None, groups: Any, sample_weight: Any
    ) -> Any:
        """Return the fit to checked rows; records which column has the groups given.

        Parameters
        ----------
        frame : DataFrame
            The columns of X.
        y : array-like
            The response as the fit takes it.
        name : str, or None
            What to call it.
        groups, sample_weight : array-like, optional
            As given to `fit`.
        """
        who = type(self).__name__
        if sample_weight is not None and self.weights is not None:
            raise OptionError(
                f"{who}: weights={shown(self.weights)} names a column, and fit was given "
                "sample_weight beside it. Leave one of them out."
            )
        self._group_name, self._new_group = None, None
        data = frame
        if groups is not None:
            names = group_levels(who, groups)
            self._group_name = free_name(GROUP, data.columns)
            self._new_group = free_name(NEW, names)
            data = data.assign(**{self._group_name: names})
        if sample_weight is not None:
            counted = sample_weight != 0  # a row of weight 0 says nothing, like a row left out
            data, y, sample_weight = data[counted], y[counted], sample_weight[counted]
        formula, data = self._with_response(data, y, name)
        arguments = self._arguments()
        if sample_weight is not None:
            arguments["weights"] = sample_weight
        if self._group_name is not None:
            given = self.groups
            if given is None or isinstance(given, (str, list, tuple)):
                more = [given] if isinstance(given, str) else list(given or [])
                arguments["groups"] = [*more, self._group_name]
        return self._fit(formula, data, arguments)

    def _with_response(
        self, data: pd.DataFrame, y: Any, name: str | None
    ) -> tuple[str, pd.DataFrame]:
        """Return the whole formula, and the data with the response that it names."""
        who, given = type(self).__name__, self._arguments()
        own = [each for each in data.columns if each != self._group_name]
        elsewhere = named_elsewhere(
            self.groups, self.random, [given.get(each) for each in (*ROWWISE, "nominal")]
        )
        right = right_side(who, self.formula, own, elsewhere)
        texts = [right, *texts_in(list(given.values()))]
        response = response_name(pd.Series([], name=name, dtype=float), data.columns, texts)
        return f"{response} {right}", data.assign(**{response: y})

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments of the fit.

        Raises
        ------
        OptionError
            If one has numbers by row.
        """
        found = {each.name: getattr(self, each.name) for each in fields(self)
                 if each.name not in OWN}  # fmt: skip
        for name in ROWWISE:
            if found.get(name) is not None and not isinstance(found[name], str):
                raise OptionError(
                    f"{type(self).__name__}: {name} must be the name of a column of X, or an "
                    f"expression of columns such as 'log(e)', got {shown(found[name])}. Numbers by "
                    "row would not be split with the rows: make them a column of X."
                )
        return found

    def _fit(self, formula: str, data: pd.DataFrame, arguments: dict[str, Any]) -> Any:
        """Return the fit of a formula."""
        import interlace

        return getattr(interlace, self.fitted_by)(formula, data, **arguments)

    def _predicted(self, X: Any, groups: Any, **asked: Any) -> Any:
        """Return the fit's predictions for rows of X, as `predict` of the result gives them.

        Where the fit was given groups and these rows have none, theirs are new ones.
        """
        check_is_fitted(self)
        who = type(self).__name__
        frame = validated(self, X)
        check_lengths(who, len(frame), groups=groups)
        if self._group_name is None and groups is not None:
            raise OptionError(
                f"{who}: groups are given to predict, but fit had none. Give fit the groups of its "
                "rows as well, or leave them out."
            )
        if self._group_name is not None:
            told = groups is not None
            names = group_levels(who, groups) if told else [self._new_group] * len(frame)
            frame = frame.assign(**{self._group_name: names})
        options = {name: getattr(self, name) for name in OF_PREDICTIONS}
        with warnings.catch_warnings():
            # New groups are the ordinary case here, not a mistake.
            warnings.filterwarnings("ignore", "predict: .* were not in the fit", DataWarning)
            return self.result_.predict(frame, **options, **asked)

    def _checked(self, X: Any, y: Any, groups: Any, sample_weight: Any, *, numeric: bool) -> Any:
        """Return what `fit` is given, as frame and arrays of the same rows.

        Parameters
        ----------
        X, y, groups, sample_weight
            As given to `fit`.
        numeric : bool
            Whether y must be numbers.

        Returns
        -------
        tuple of DataFrame, ndarray, ndarray or None
            Of X, y and the weights.
        """
        who = type(self).__name__
        if y is None:
            raise OptionError(
                f"{who} requires y to be passed, but the target y is None. Give one value per row."
            )
        frame, y = validated(self, X, y, y_numeric=numeric)
        y = column_or_1d(np.asarray(y), warn=True)
        sample_weight = as_weights(who, sample_weight)
        check_rows(who, len(frame), sample_weight)
        check_lengths(who, len(frame), y=y, groups=groups)
        return frame, y, sample_weight

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know of the estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        tags.input_tags.categorical = True
        return tags


def require_complete(who: str, values: Any) -> None:
    """Raise a DataError if a row has no prediction, so that no label is made of nothing."""
    missing = np.isnan(np.asarray(values, dtype=float)).reshape(len(values), -1).any(axis=1)
    if missing.any():
        raise DataError(
            f"{who}: expected rows with probabilities, got {int(missing.sum())} without (the first "
            f"is row {int(np.argmax(missing))}): a value is missing there, which a SimpleImputer "
            "before this step would fill, or the fit dropped collinear columns and its data say "
            "nothing of such rows (a warning names the columns)."
        )
