"""Means by `interlace.glmer` and `interlace.fit` as regressors of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from interlace.sklearn.base import MixedModel
from interlace_core.messages.errors import ExactResponseError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.choices import DegreesOfFreedom, LinearMethod
    from interlace_core.calculus.links import Link
    from interlace_core.contract.approximation import Approximation
    from interlace_core.contract.family import Family

SMALL = 1e-6
"""Residual, as a share of the response's spread, of one that is predicted exactly: any number far
below the data's and far above rounding gives the predictions of least squares."""


@dataclass(eq=False, repr=False)
class _Regressor(RegressorMixin, MixedModel):  # type: ignore[misc]
    """A fit that predicts a number for each row."""

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model and return the estimator.

        Parameters
        ----------
        X : data frame or array, shape (n, m)
        y : array, shape (n,)
            The response.
        groups : array, shape (n,), optional
            A random intercept is added for each group.
        sample_weight : array, shape (n,), optional
            Weights as for the fit: numbers of trials where y are proportions.

        Raises
        ------
        OptionError
            If an argument cannot be used.
        DataError
            If X, y, groups and weights are not of the same rows.
        """
        name = getattr(y, "name", None)
        frame, y, sample_weight = self._checked(X, y, groups, sample_weight, numeric=True)
        self.result_ = self._fitted(frame, y, name, groups, sample_weight)
        return self

    def predict(self, X: Any, groups: Any = None) -> Any:
        """Return the mean of each row, shape (n,); NaN where a covariate is missing.

        Parameters
        ----------
        X : data frame or array, shape (n, m)
            As in `fit`.
        groups : array, shape (n,), optional
            If `fit` was given groups: those of these rows. Without them all are new ones.
        """
        return np.asarray(self._predicted(X, groups), dtype=np.float64)

    def score(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> float:
        """Return R squared of the predictions.

        Parameters
        ----------
        X, y, groups
            As in `fit`.
        sample_weight : array, shape (n,), optional
            Weights of the rows.
        """
        return float(r2_score(y, self.predict(X, groups), sample_weight=sample_weight))

    def _fit(self, formula: str, data: pd.DataFrame, arguments: dict[str, Any]) -> Any:
        """Return the fit; of a response without residual one with next to none.

        Such a response, as in a fold of few rows, has no best residual: the predictions are wanted
        all the same, and are those of least squares.
        """
        try:
            return super()._fit(formula, data, arguments)
        except ExactResponseError:
            y = data[formula.partition("~")[0].strip()]
            spread = float(np.ptp(y)) or float(np.max(np.abs(y))) or 1.0
            again = self._with_small_residual(arguments, np.full(len(data), SMALL * spread))
            if again is None:
                raise
            return super()._fit(formula, data, again)

    def _with_small_residual(self, arguments: dict[str, Any], sd: Array) -> dict[str, Any] | None:
        """Return the arguments of a fit with such residuals; None if it has none to know.

        Parameters
        ----------
        arguments : mapping
            Of the fit that failed.
        sd : ndarray, shape (n,)
            Standard deviation of each row, the same in all.
        """
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class MixedModelRegressor(_Regressor):
    """A generalised linear mixed model (`interlace.glmer`) that scikit-learn can tune.

    Parameters
    ----------
    family : str or Family
        As for `interlace.glmer`.
    formula : str, optional
        The right-hand side, such as "~ x + (1 | herd)", over the columns of X. Without it all
        columns of X enter linearly, but for those of `groups`, `random`'s groups, `weights` and
        `offset`.
    groups, random, link, REML, nAGQ, approximation, dispformula, ziformula, parameters, hold,
    start, starts, optimizer, optimizer_options, priors, known, covariance, functions, threads,
    kernels, max_seconds, callback, verbose
        As for `interlace.glmer`.
    weights, offset, known_variance : str, optional
        As for `interlace.glmer`, by the name of a column of X (or an expression): arrays would
        not be split with the rows.
    include_re : bool or names
        Whether predictions include the random effects of groups that were in the fit, or which,
        as for `GLMMResult.predict`.
    new_levels : str, optional
        What predictions for groups that were not in the fit are, as for `GLMMResult.predict`:
        "population" (random effects of 0; the default), "marginal" (averages over them), ...

    Attributes
    ----------
    result_ : GLMMResult
        The fit, with everything that `interlace` offers.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, of a frame.

    Notes
    -----
    X may be a data frame of pandas or polars, whose columns the formula names (0 is `x0`), or an
    array, whose columns are `x0`, `x1`, ... `groups` given to `fit` adds a random intercept for
    each group.
    """

    family: str | Family | type[Family] = "gaussian"
    _: KW_ONLY
    link: str | Link | None = None
    nAGQ: int | None = None
    REML: bool = False
    approximation: str | Approximation | None = None
    dispformula: str | None = None
    ziformula: str | None = None
    parameters: Mapping[str, str] | None = None
    known_variance: str | None = None

    fitted_by: ClassVar[str] = "glmer"

    def _with_small_residual(self, arguments: dict[str, Any], sd: Array) -> dict[str, Any] | None:
        from interlace.components import as_family
        from interlace_core.registry.registry import default_registry

        chosen: Any = as_family(
            self.family, default_registry(), {}, "MixedModelRegressor", self.link
        )
        dispersion = chosen.parameters[-1]
        if not chosen.linear_normal or dispersion.fixed is not None:
            return None
        return arguments | {
            "family": replace(chosen, **{dispersion.name: float(sd[0])}),
            "link": None,
        }


@dataclass(eq=False, repr=False)
class LinearMixedModelRegressor(_Regressor):
    """A linear mixed model by REML or ML (`interlace.fit`) that scikit-learn can tune.

    Parameters
    ----------
    formula : str, optional
        As for `MixedModelRegressor`.
    method : str
        "REML" (default) or "ML".
    groups, random, dispformula, df_method, correlation, hold, start, starts, optimizer,
    optimizer_options, priors, known, covariance, functions, threads, kernels, max_seconds,
    callback, verbose
        As for `interlace.fit`.
    weights, offset, known_variance : str, optional
        As for `interlace.fit`, by the name of a column of X (or an expression).
    include_re, new_levels
        As for `MixedModelRegressor`.

    Attributes
    ----------
    result_ : LMMResult
        The fit, with everything that `interlace` offers.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, of a frame.
    """

    _: KW_ONLY
    method: LinearMethod = "REML"
    dispformula: str | None = None
    df_method: DegreesOfFreedom = "satterthwaite"
    known_variance: str | None = None
    correlation: str | None = None

    fitted_by: ClassVar[str] = "fit"

    def _with_small_residual(self, arguments: dict[str, Any], sd: Array) -> dict[str, Any] | None:
        more = (self.dispformula, self.correlation, self.known_variance, self.weights)
        if any(each is not None for each in more):
            return None
        weights = arguments.get("weights")
        known = sd**2 if weights is None else sd**2 / weights
        return arguments | {"known_variance": known, "weights": None}
