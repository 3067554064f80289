"""Mixed models as a scikit-learn estimator, with cross-validation by group.

    from interlace.sklearn import MixedModelRegressor
    from sklearn.model_selection import GroupKFold, cross_val_score

    model = MixedModelRegressor("poisson", formula="~ x + (1 | herd)")
    cross_val_score(model, data, data["y"], groups=data["herd"], cv=GroupKFold(5))

Predictions for groups that were not in the fit have random effects of 0, so that `GroupKFold`
measures how well the model does in new groups, and `KFold` how well in known ones. Install it
with `pip install 'interlace[sklearn]'`.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd

from interlace_core.messages.errors import (
    DataError,
    DataWarning,
    ExactResponseError,
    NotAvailableError,
    OptionError,
)

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise NotAvailableError(
        "interlace.sklearn: scikit-learn is not installed. Run pip install 'interlace[sklearn]'."
    ) from error

__all__ = ["MixedModelRegressor"]

RESPONSE = "y_"
"""Name of the response within the formula; lengthened if a column has it."""

GROUP = "group_"
"""Name of the column of groups given to `fit`; lengthened likewise."""


class MixedModelRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A generalised linear mixed model that scikit-learn can tune and cross-validate.

    Parameters
    ----------
    family : str or Family
        As for `interlace.glmer`.
    link : str, optional
        Of the mean, as for `interlace.glmer`.
    formula : str, optional
        The right-hand side, such as "~ x + (1 | herd)", over the columns of X. Without it all
        columns of X enter linearly.
    random : str or list of str, optional
        Further random-effects terms.
    nAGQ : int
        Quadrature points, as for `interlace.glmer`.
    include_re : bool
        Whether predictions include the random effects of groups that were in the fit.

    Attributes
    ----------
    result_ : GLMMResult
        The fit, with everything that `interlace` offers.
    n_features_in_ : int
        Columns of X.

    Notes
    -----
    X may be a data frame, whose columns the formula names (0 is `x0`), or an array, whose columns
    are `x0`, `x1`, ... `groups` given to `fit` adds a random intercept for each group.
    """

    def __init__(
        self,
        family: Any = "gaussian",
        *,
        link: Any = None,
        formula: str | None = None,
        random: Any = None,
        nAGQ: int = 1,
        include_re: bool = True,
    ) -> None:
        self.family = family
        self.link = link
        self.formula = formula
        self.random = random
        self.nAGQ = nAGQ
        self.include_re = include_re

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model by maximum likelihood and return the estimator.

        Parameters
        ----------
        X : data frame or array, shape (n, m)
        y : array, shape (n,)
            The response.
        groups : array, shape (n,), optional
            A random intercept is added for each group.
        sample_weight : array, shape (n,), optional
            Weights as for `interlace.glmer`: numbers of trials where y are proportions.

        Raises
        ------
        OptionError
            If a name in the formula is also the response's.
        """
        import interlace

        if y is None:
            raise OptionError(
                "MixedModelRegressor requires y to be passed, but the target y is None. Give one "
                "value per row."
            )
        frame, y = self._validated(X, y)
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight, dtype=float)
        _check_rows(len(frame), sample_weight)
        _check_lengths(len(frame), y=y, groups=groups)
        if sample_weight is not None:
            counted = sample_weight != 0  # a row of weight 0 says nothing, like a row left out
            frame, y, sample_weight = frame[counted], np.asarray(y)[counted], sample_weight[counted]
            groups = None if groups is None else np.asarray(groups)[counted]
        response = _free_name(RESPONSE, frame.columns)
        right = self.formula or "~ " + (" + ".join(map(_quoted, frame.columns)) or "1")
        if not right.lstrip().startswith("~"):
            raise OptionError(
                f"MixedModelRegressor: formula must be a right-hand side such as '~ x + (1 | g)', "
                f"got {self.formula!r}. The response is the y given to fit."
            )
        data = frame.assign(**{response: np.asarray(y)})
        self._group_name = None
        if groups is not None:
            self._group_name = _free_name(GROUP, data.columns)
            data = data.assign(**{self._group_name: np.asarray(groups)})
        options = {
            "link": self.link,
            "groups": self._group_name,
            "random": self.random,
            "weights": sample_weight,
            "nAGQ": self.nAGQ,
        }
        try:
            self.result_ = interlace.glmer(f"{response} {right}", data, self.family, **options)
        except ExactResponseError:
            family = _with_small_residual(self.family, self.link, data[response])
            if family is None:
                raise
            self.result_ = interlace.glmer(f"{response} {right}", data, family, **options)
        return self

    def predict(self, X: Any, groups: Any = None) -> Any:
        """Return the mean of each row, shape (n,).

        Parameters
        ----------
        X : data frame or array, shape (n, m)
            As in `fit`.
        groups : array, shape (n,), optional
            If `fit` was given groups: those of these rows. Without them, and for groups that
            were not in the fit, the random effect is 0.
        """
        check_is_fitted(self)
        frame = self._validated(X)
        include_re = self.include_re
        if self._group_name is not None:
            include_re = include_re and groups is not None
            if include_re:
                frame = frame.assign(**{self._group_name: np.asarray(groups)})
        with warnings.catch_warnings():
            # New groups are the ordinary case here, not a mistake.
            warnings.filterwarnings("ignore", "predict: .* were not in the fit", DataWarning)
            return self.result_.predict(frame, include_re=include_re).to_numpy()

    def _validated(self, X: Any, y: Any = None) -> Any:
        """Return X as a frame with names, and y; records or compares the columns of the fit."""
        fitting = y is not None
        checks = {"reset": fitting, "skip_check_array": hasattr(X, "columns")}
        if hasattr(X, "columns"):
            checked = validate_data(self, X, **({"y": y} if fitting else {}), **checks)
        else:
            options = {"dtype": "numeric", "ensure_all_finite": True, "reset": fitting}
            targets = {"y": y, "y_numeric": True} if fitting else {}
            checked = validate_data(self, X, **targets, **options)
        X, y = checked if fitting else (checked, None)
        frame = _as_frame(X)
        return (frame, y) if fitting else frame

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know of the estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        tags.input_tags.categorical = True
        return tags


def _with_small_residual(family: Any, link: Any, y: Any) -> Any:
    """Return a normal family with a residual of next to nothing, or None for other families.

    A response that is predicted exactly, as in a fold of few rows, has no best residual: the
    predictions are wanted all the same, and are those of least squares.
    """
    from interlace.components import as_family
    from interlace_core.registry.registry import default_registry

    chosen: Any = as_family(family, default_registry(), {}, "MixedModelRegressor", link)
    dispersion = chosen.parameters[-1]
    if not chosen.linear_normal or dispersion.fixed is not None:
        return None
    spread = float(np.ptp(y)) or float(np.max(np.abs(y))) or 1.0
    return replace(chosen, **{dispersion.name: 1e-6 * spread})


def _check_rows(n: int, sample_weight: Any) -> None:
    """Refuse, in the words that scikit-learn's checks look for, what cannot be fitted."""
    if n < 2:
        raise DataError(
            f"MixedModelRegressor: expected two rows or more, got n_samples = {n}. There is "
            "nothing to estimate from one row."
        )
    if sample_weight is not None and np.shape(sample_weight) != (n,):
        raise DataError(
            f"MixedModelRegressor: expected one weight per row, shape ({n},), got shape "
            f"{np.shape(sample_weight)}."
        )
    if sample_weight is not None and not np.any(np.asarray(sample_weight)):
        raise DataError(
            "MixedModelRegressor: expected a positive weight in some row, got sample weights that "
            "are all zero. Leave sample_weight out, or correct it."
        )


def _check_lengths(n: int, **given: Any) -> None:
    for name, values in given.items():
        if values is not None and len(values) != n:
            raise DataError(
                f"MixedModelRegressor: expected one entry of {name} for each of the {n} rows of X, "
                f"got {len(values)}."
            )


def _as_frame(X: Any) -> pd.DataFrame:
    """Return a pandas frame whose columns have names that a formula can use."""
    if isinstance(X, pd.DataFrame):
        return X.rename(columns=_spelt)
    if hasattr(X, "to_pandas"):
        frame: pd.DataFrame = X.to_pandas()
        return frame
    array = np.asarray(X)
    return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])


def _spelt(label: Any) -> str:
    """Return a column's name; a number would be a constant in a formula, so that 0 is `x0`."""
    return f"x{label}" if str(label).isdecimal() else str(label)


def _free_name(name: str, taken: Any) -> str:
    while name in set(taken):
        name += "_"
    return name


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
