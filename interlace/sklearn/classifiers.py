"""Two classes by `interlace.glmer`, ordered ones by `interlace.clmm`, as scikit-learn has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from interlace.sklearn.base import MixedModel, require_complete
from interlace_core.messages.errors import DataError, OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.choices import OrdinalLink, ThresholdStructure
    from interlace_core.calculus.links import Link
    from interlace_core.contract.approximation import Approximation
    from interlace_core.contract.family import Family


@dataclass(eq=False, repr=False)
class _Classifier(ClassifierMixin, MixedModel):  # type: ignore[misc]
    """A fit that predicts the probability of each class."""

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model by maximum likelihood and return the estimator.

        Parameters
        ----------
        X : data frame or array, shape (n, m)
        y : array, shape (n,)
            The class of each row: numbers, text or a Categorical.
        groups : array, shape (n,), optional
            A random intercept is added for each group.
        sample_weight : array, shape (n,), optional
            How often each row counts.

        Raises
        ------
        OptionError
            If an argument cannot be used.
        DataError
            If the classes are not such as the model takes, or X, y, groups and weights are not
            of the same rows.
        """
        who = type(self).__name__
        name, categories = getattr(y, "name", None), _categories(y)
        frame, y, sample_weight = self._checked(X, y, groups, sample_weight, numeric=False)
        if pd.isna(y).any():
            raise DataError(
                f"{who}: expected a class for each row, got missing ones. Drop these rows."
            )
        check_classification_targets(y)
        self.classes_ = np.unique(y if sample_weight is None else y[sample_weight != 0])
        if len(self.classes_) < 2:
            raise DataError(
                f"{who}: expected two classes or more, got one class, "
                f"{self.classes_.tolist()}. There is nothing to tell apart."
            )
        response = self._response(y, categories)
        self.result_ = self._fitted(frame, response, name, groups, sample_weight)
        return self

    def predict_proba(self, X: Any, groups: Any = None) -> Array:
        """Return the probability of each class, shape (n, classes), in the order of `classes_`.

        Parameters
        ----------
        X : data frame or array, shape (n, m)
            As in `fit`.
        groups : array, shape (n,), optional
            If `fit` was given groups: those of these rows. Without them all are new ones.

        Returns
        -------
        ndarray
            NaN where a covariate is missing.
        """
        return self._probabilities(X, groups)

    def predict_log_proba(self, X: Any, groups: Any = None) -> Array:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X, groups
            As for `predict_proba`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, groups))

    def predict(self, X: Any, groups: Any = None) -> Any:
        """Return the most probable class of each row, shape (n,).

        Parameters
        ----------
        X, groups
            As for `predict_proba`.

        Raises
        ------
        DataError
            If a covariate is missing.
        """
        probabilities = self.predict_proba(X, groups)
        require_complete(type(self).__name__, probabilities)
        return self.classes_[np.argmax(probabilities, axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> float:
        """Return the share of rows whose class is predicted.

        Parameters
        ----------
        X, y, groups
            As in `fit`.
        sample_weight : array, shape (n,), optional
            Weights of the rows.
        """
        return float(accuracy_score(y, self.predict(X, groups), sample_weight=sample_weight))

    def _response(self, y: Any, categories: Sequence[Any] | None) -> Any:
        """Return the classes as the fit takes them."""
        raise NotImplementedError

    def _probabilities(self, X: Any, groups: Any) -> Array:
        """Return the probability of each class in the order of `classes_`."""
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class MixedModelClassifier(_Classifier):
    """A mixed model of two classes (binomial `interlace.glmer`) that scikit-learn can tune.

    Parameters
    ----------
    formula : str, optional
        The right-hand side, such as "~ x + (1 | herd)", over the columns of X; see
        `MixedModelRegressor`.
    link : str or Link, optional
        "logit" (default), "probit", "cloglog", ...
    family : str or Family
        Of a 0/1 response; binomial by default.
    groups, random, REML, nAGQ, approximation, parameters, hold, start, starts, optimizer,
    optimizer_options, priors, known, covariance, functions, threads, kernels, max_seconds,
    callback, verbose
        As for `interlace.glmer`.
    weights, offset : str, optional
        As for `interlace.glmer`, by the name of a column of X (or an expression).
    include_re, new_levels
        As for `MixedModelRegressor`. For probabilities in new groups, as grouped
        cross-validation asks for, `new_levels="marginal"` averages over their random effects;
        those of a group whose random effect is 0 ("population") are too near 0 and 1 for them.

    Attributes
    ----------
    classes_ : ndarray, shape (2,)
        Sorted; coefficients are those of the second.
    result_ : GLMMResult
        The fit of the second class, with everything that `interlace` offers.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, of a frame.
    """

    _: KW_ONLY
    family: str | Family | type[Family] = "binomial"
    link: str | Link | None = None
    nAGQ: int | None = None
    REML: bool = False
    approximation: str | Approximation | None = None
    parameters: dict[str, str] | None = None

    fitted_by: ClassVar[str] = "glmer"

    def _probabilities(self, X: Any, groups: Any) -> Array:
        second = np.asarray(self._predicted(X, groups), dtype=np.float64)
        return np.column_stack([1.0 - second, second])

    def _response(self, y: Any, categories: Sequence[Any] | None) -> Any:
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary" or len(self.classes_) != 2:
            raise DataError(
                "MixedModelClassifier: Only binary classification is supported. The type of the "
                f"target is {kind}, with {len(self.classes_)} classes. Use "
                "OrdinalMixedModelClassifier for ordered classes, or scikit-learn's "
                "OneVsRestClassifier around this one."
            )
        return (y == self.classes_[1]).astype(float)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know: two classes only."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


@dataclass(eq=False, repr=False)
class OrdinalMixedModelClassifier(_Classifier):
    """A cumulative mixed model of ordered classes (`interlace.clmm`) that scikit-learn can tune.

    Parameters
    ----------
    formula : str, optional
        The right-hand side, such as "~ x + (1 | judge)", over the columns of X; see
        `MixedModelRegressor`.
    link : str
        "logit" (default), "probit", "cloglog", "loglog" or "cauchit".
    categories : sequence, optional
        All classes from the lowest to the highest. Needed for text, which has no order; numbers
        are in their own, those of an ordered Categorical in its.
    threshold, nominal, scale, groups, random, nAGQ, approximation, hold, start, starts,
    optimizer, optimizer_options, priors, known, covariance, functions, threads, kernels,
    max_seconds, callback, verbose
        As for `interlace.clmm`.
    weights, offset : str, optional
        As for `interlace.clmm`, by the name of a column of X (or an expression).
    include_re, new_levels
        As for `MixedModelClassifier`.

    Attributes
    ----------
    categories_ : ndarray
        The classes that the fit has seen, from the lowest to the highest.
    classes_ : ndarray
        The same sorted, as scikit-learn's measures take the columns of `predict_proba`.
    result_ : CLMMResult
        The fit, with everything that `interlace` offers.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, of a frame.

    Notes
    -----
    `cross_val_predict` with a method other than "predict" numbers the classes by their alphabet
    before the estimator sees them. Text and Categoricals then lose their order: with `categories`
    this is refused, and numbers in the order of the classes are right.
    """

    _: KW_ONLY
    link: OrdinalLink = "logit"
    categories: Sequence[Any] | None = None
    threshold: ThresholdStructure = "flexible"
    nominal: str | None = None
    scale: str | None = None
    nAGQ: int | None = None
    approximation: str | Approximation | None = None

    fitted_by: ClassVar[str] = "clmm"

    def _probabilities(self, X: Any, groups: Any) -> Array:
        found = np.asarray(self._predicted(X, groups, type="prob"), dtype=np.float64)
        return np.asarray(found[:, [list(self.categories_).index(c) for c in self.classes_]])

    def _response(self, y: Any, categories: Sequence[Any] | None) -> Any:
        order = self._order(y, categories)
        known = set(self.classes_.tolist())
        self.categories_ = np.array([each for each in order if each in known])
        if set(self.categories_.tolist()) != known:
            strange = sorted(known - set(order), key=str)
            raise DataError(
                f"OrdinalMixedModelClassifier: expected the categories {', '.join(map(str, order))}"
                f" in y, got {', '.join(map(repr, strange))} too. Add them to categories at their "
                "place. (cross_val_predict numbers labels by their alphabet: give it numbers in "
                "the order of the classes.)"
            )
        codes = {each: code for code, each in enumerate(self.categories_.tolist())}
        numbers = [codes.get(each, -1) for each in y.tolist()]
        return pd.Categorical.from_codes(
            numbers, categories=pd.Index([str(each) for each in codes]), ordered=True
        )

    def _order(self, y: Any, categories: Sequence[Any] | None) -> list[Any]:
        """Return all classes, the lowest first.

        Raises
        ------
        OptionError
            If nothing says their order.
        """
        if self.categories is not None:
            given = list(self.categories)
            if isinstance(self.categories, str) or len(set(given)) < max(len(given), 2):
                raise OptionError(
                    "OrdinalMixedModelClassifier: categories must be all classes from the lowest "
                    f"to the highest, each once, such as ['low', 'high'], got {self.categories!r}."
                )
            return given
        if categories is not None:
            return list(categories)
        if self.classes_.dtype.kind not in "iufb":
            raise OptionError(
                "OrdinalMixedModelClassifier: the classes are text, which has no order. Give "
                "categories=[...] from the lowest to the highest, or y as an ordered Categorical "
                f"or as numbers. They are: {', '.join(map(repr, self.classes_.tolist()[:10]))}."
            )
        return list(self.classes_.tolist())


def _categories(y: Any) -> list[Any] | None:
    """Return the categories of an ordered column, lowest first; None of others."""
    kind: Any = getattr(y, "dtype", None)
    if isinstance(kind, pd.CategoricalDtype):
        return list(kind.categories) if kind.ordered else None
    if type(kind).__name__ == "Enum" and hasattr(kind, "categories"):  # polars: always in order
        return list(kind.categories)
    return None
