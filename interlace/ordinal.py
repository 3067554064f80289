"""Cumulative mixed models for ordered categories: `clmm` and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.entrances import entrance, entrances
from interlace.results.result import GLMMResult
from interlace.results.thresholds import Thresholds, as_series, thresholds_of
from interlace_core.messages.checks import require_type
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace_core.contract.approximation import Approximation
    from interlace_core.contract.optimizer import Optimizer
    from interlace_core.fitting.stopping import Step

PREDICTIONS = ("prob", "cum.prob", "class", "population", "linear.predictor")
OF_ANY_FIT = ("link", "response", "mean")


@entrances
class CLMMResult(GLMMResult):
    """A fitted cumulative mixed model; beside what every fit has, its thresholds."""

    @property
    def heading(self) -> tuple[str, str]:
        """What kind of model this is, and by what it was fitted."""
        return "Cumulative mixed model", super().heading[1]

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the categories, lowest first."""
        return self.settings.response_levels

    @property
    def thresholds(self) -> pd.Series:
        """Thresholds alpha_k between neighbouring categories, on the latent scale."""
        found = self._thresholds()
        return as_series(found, found.estimates(self.fit.psi))

    @property
    def threshold_bse(self) -> pd.Series:
        """Standard errors of the thresholds, from the joint Hessian with theta."""
        found = self._thresholds()
        return as_series(found, found.errors(self.fit.covariance()))

    @property
    def family_words(self) -> str:
        """The family with its link and what its thresholds are."""
        family: Any = self.family
        return f"{family.name} (link {family.latent_link}, {family.threshold} thresholds)"

    def predict(
        self,
        newdata: Any = None,
        *,
        type: str = "prob",
        include_re: bool | str | Sequence[str] = True,
        new_levels: str | None = None,
        offset: Any = None,
        **uncertainty: Any,
    ) -> Any:
        """Return predictions, in sample or for new data.

        Parameters
        ----------
        newdata : data frame, optional
            Rows to predict; the rows of the fit if None. The response is not needed.
        type : str
            "prob" (the probability of each category; a DataFrame with one column each),
            "cum.prob" (P(Y <= k) for each), "class" (the most probable category; a Series of
            an ordered Categorical), "population" (the probability of each category averaged over
            all random effects, a DataFrame), "linear.predictor", or "link", "response" and "mean"
            of `GLMMResult.predict`, the last two of the numbers of the categories.
        include_re, new_levels, offset
            As for `GLMMResult.predict`.
        **uncertainty
            `se`, `interval`, `level`, `seed` and others, for the types of `GLMMResult.predict`.

        Returns
        -------
        DataFrame or Series
            Indexed as the data; missing where a covariate is.
        """
        if uncertainty and isinstance(type, str) and type in PREDICTIONS[:4]:
            raise OptionError(
                f"predict: {', '.join(uncertainty)} go with the types of any fit, such as 'link', "
                f"not with {type!r}. Leave them out, or bootstrap the probabilities."
            )
        require_type(type, str, "predict: type", "a text")
        if type not in (*PREDICTIONS, *OF_ANY_FIT):
            raise OptionError(
                f"predict: type must be one of {', '.join(map(repr, PREDICTIONS))}, or of "
                f"{', '.join(map(repr, OF_ANY_FIT))}, which use the numbers of the categories; "
                f"got {type!r}."
            )
        from interlace.prediction.kinds import as_asked
        from interlace.prediction.predict import predict

        if type == "population":
            return as_asked(newdata, self._population(newdata, offset))
        asked = "link" if type in PREDICTIONS else type
        found = predict(self, newdata, asked, include_re, new_levels, offset, **uncertainty)
        if type in PREDICTIONS[:3]:
            found = self._of_categories(type, found)
        return as_asked(newdata, found)

    def _of_categories(self, type: str, eta: pd.Series | pd.DataFrame) -> Any:
        """Return what is predicted of the categories from the mean's linear predictor."""
        probabilities = self._probabilities(eta.to_numpy())
        if type == "class":
            return self._most_probable(probabilities, eta.index)
        table = probabilities if type == "prob" else np.cumsum(probabilities, axis=1)
        if type == "cum.prob":
            table[:, -1] = np.where(np.isnan(table[:, -1]), np.nan, 1.0)
        return pd.DataFrame(table, index=eta.index, columns=list(self.levels))

    def _population(self, newdata: Any, offset: Any) -> pd.DataFrame:
        """Return the probability of each category, averaged over all random effects."""
        from interlace.prediction.predict import population_averages

        def probability(j: int) -> Any:
            return lambda eta: self.family.probabilities(eta)[j]  # type: ignore[attr-defined]

        transforms = [probability(j) for j in range(len(self.levels))]
        values, index = population_averages(self, newdata, offset, transforms)
        return pd.DataFrame(np.stack(values, axis=1), index=index, columns=list(self.levels))

    def _probabilities(self, eta: Array) -> Array:
        """Return the probability of each category, shape (n, J)."""
        gamma = self.fit.psi[self._thresholds().places]
        rows = [eta, *(np.full(eta.size, value) for value in gamma)]
        return np.asarray(self.family.probabilities(rows).T)  # type: ignore[attr-defined]

    def _most_probable(self, probabilities: Array, index: Any) -> pd.Series:
        missing = np.any(np.isnan(probabilities), axis=1)
        codes = np.argmax(np.where(missing[:, None], 0.0, probabilities), axis=1)
        codes[missing] = -1
        return pd.Series(
            pd.Categorical.from_codes(codes, categories=pd.Index(self.levels), ordered=True),
            index=index,
        )

    def _thresholds(self) -> Thresholds:
        found = thresholds_of(self)
        assert found is not None
        return found


@entrance
def clmm(
    formula: str,
    data: Any,
    groups: str | Sequence[str] | None = None,
    *,
    random: str | Sequence[str] | None = None,
    link: str = "logit",
    threshold: str = "flexible",
    nAGQ: int | None = None,
    weights: Any = None,
    offset: Any = None,
    approximation: str | Approximation | None = None,
    optimizer: str | Optimizer | None = None,
    optimizer_options: Mapping[str, Any] | None = None,
    theta0: Any = None,
    known: Mapping[str, pd.DataFrame] | None = None,
    covariance: Mapping[str, str] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    starts: int | None = None,
    threads: int | None = None,
    kernels: str | bool | None = None,
    max_seconds: float | None = None,
    callback: Callable[[Step], object] | None = None,
    verbose: bool | None = None,
) -> CLMMResult:
    """Fit a cumulative mixed model for ordered categories by maximum likelihood.

    `P(Y <= k) = F(alpha_k - eta)`: a positive coefficient moves the response towards the higher
    categories. The thresholds alpha_k take the place of the intercept.

    Parameters
    ----------
    formula : str
        `response ~ fixed effects`, with random effects as bars if they are not given by
        `groups` or `random`. The response is an ordered Categorical, or numbers in their order
        if they have few distinct values; text has no order and is refused.
    data : data frame
        pandas, polars or pyarrow; or a dict of columns.
    groups : str or list of str, optional
        Grouping columns with a random intercept each.
    random : str or list of str, optional
        Random-effects terms, such as `["(1 + x | g)"]`.
    link : str
        "logit" (default), "probit", "cloglog", "loglog" or "cauchit".
    threshold : str
        "flexible" (default), "symmetric" or "equidistant".
    nAGQ : int, optional
        As for `glmer`.
    weights, offset, approximation, optimizer, optimizer_options, theta0, known,
    covariance, starts, threads, kernels, max_seconds, callback, verbose
        As for `glmer`.

    Returns
    -------
    CLMMResult

    Raises
    ------
    ResponseError
        If the response has no order, or is one of measurements.
    OptionError
        If link or threshold is none of those listed.

    Examples
    --------
    >>> import pandas as pd, interlace
    >>> wine = pd.DataFrame({"rating": [1, 2, 3, 2, 3, 1, 2, 3], "judge": list("aabbccdd")})
    >>> interlace.clmm("rating ~ 1", wine, groups="judge").thresholds.index.tolist()
    ['1|2', '2|3']
    """
    from interlace.fits import fitted, options_in_force
    from interlace_core.data.request import ModelRequest
    from interlace_core.registry.registry import default_registry

    build: Any = default_registry().family("cumulative")
    request = ModelRequest(
        formula=formula,
        data=data,
        family=build(link=link, threshold=threshold),
        groups=groups,
        random=random,
        weights=weights,
        offset=offset,
        theta0=theta0,
        known=known,
        covariance=covariance,
        functions=functions,
        who="clmm",
    )
    options = options_in_force(
        optimizer=optimizer,
        optimizer_options=optimizer_options,
        nAGQ=nAGQ,
        approximation=approximation,
        starts=starts,
        threads=threads,
        kernels=kernels,
        max_seconds=max_seconds,
        verbose=verbose,
    )
    result = fitted(request, options, returns=CLMMResult, callback=callback)
    return replace(result, settings=replace(result.settings, returned="clmm"))
