"""Cumulative mixed models for ordered categories: `clmm` and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd

from interlace.entrances import entrance, entrances
from interlace.results.result import GLMMResult
from interlace.results.thresholds import Thresholds, thresholds_of
from interlace_core.messages.checks import require_text, require_type
from interlace_core.messages.errors import OptionError
from interlace_core.messages.names import listed
from interlace_core.records import Array

if TYPE_CHECKING:
    from typing import Unpack

    import polars as pl

    from interlace.choices import (
        CategoryColumn,
        CategoryTable,
        IntervalOf,
        NewLevels,
        OrdinalLink,
        PandasRows,
        RowOptions,
        ThresholdStructure,
    )
    from interlace.fits import Priors
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
        """Thresholds alpha_k between neighbouring categories, on the latent scale.

        With effects on them (`nominal`), those where the covariates of these are 0.
        """
        found = self._thresholds()
        return found.table(found.estimates(self.fit.psi))["Intercept"].rename(None)

    @property
    def threshold_bse(self) -> pd.Series:
        """Standard errors of the thresholds, from the joint Hessian with theta."""
        found = self._thresholds()
        return found.table(found.errors(self.fit))["Intercept"].rename(None)

    @property
    def nominal_effects(self) -> pd.DataFrame:
        """Effects on the thresholds: a row for each of these, a column for each of `nominal`'s."""
        found = self._thresholds()
        return found.table(found.estimates(self.fit.psi)).drop(columns="Intercept")

    @property
    def nominal_bse(self) -> pd.DataFrame:
        """Standard errors of the effects on the thresholds."""
        found = self._thresholds()
        return found.table(found.errors(self.fit)).drop(columns="Intercept")

    def nominal_test(self, terms: str | list[str] | None = None) -> pd.DataFrame:
        """Return the test of each fixed term whether its effect differs between thresholds.

        Parameters
        ----------
        terms : str or list of str, optional
            As written in the formula; all by default.

        Returns
        -------
        DataFrame
            A row for the fit and one for each term: `npar` parameters more, `loglik`, `aic`, `lrt`
            and `pvalue` of the likelihood-ratio test; NaN where the model cannot have such effects.
            A small p-value speaks against proportional odds (of the link logit) in that term.
        """
        from interlace.inference.proportional_odds import nominal_test

        return nominal_test(self, terms)

    def scale_test(self, terms: str | list[str] | None = None) -> pd.DataFrame:
        """Return the test of each fixed term whether the latent scale depends on it.

        Parameters
        ----------
        terms : str or list of str, optional
            As written in the formula; all by default.

        Returns
        -------
        DataFrame
            As for `nominal_test`.
        """
        from interlace.inference.proportional_odds import scale_test

        return scale_test(self, terms)

    @property
    def family_words(self) -> str:
        """The family with its link and what its thresholds are."""
        family: Any = self.family
        return super().family_words.removesuffix(")") + f", {family.threshold} thresholds)"

    def r_code(self, data: str = "data") -> str:
        """Return R code that should reproduce the fit, with ordinal's clmm() or clm().

        Parameters
        ----------
        data : str
            Name of the data frame in R.

        Raises
        ------
        NotAvailableError
            If the model has no counterpart there.
        """
        from interlace.reporting.rcode import clmm_code

        require_text(data, "r_code: data", "the name of a data frame in R")
        family: Any = self.family
        return clmm_code(self, data, family.threshold)

    @overload  # type: ignore[override]
    def predict(
        self,
        newdata: PandasRows = None,
        *,
        type: CategoryTable = "prob",
        include_re: bool | str | Sequence[str] = True,
        new_levels: NewLevels | None = None,
        offset: Any = None,
    ) -> pd.DataFrame: ...

    @overload
    def predict(
        self,
        newdata: PandasRows = None,
        *,
        type: CategoryColumn,
        se: Literal[False] = False,
        interval: None = None,
        **options: Unpack[RowOptions],
    ) -> pd.Series: ...

    @overload
    def predict(
        self,
        newdata: pl.DataFrame,
        *,
        type: CategoryTable = "prob",
        se: bool = False,
        interval: IntervalOf | None = None,
        **options: Unpack[RowOptions],
    ) -> pl.DataFrame: ...

    @overload
    def predict(
        self,
        newdata: pl.DataFrame,
        *,
        type: CategoryColumn,
        se: Literal[False] = False,
        interval: None = None,
        **options: Unpack[RowOptions],
    ) -> pl.Series: ...

    @overload
    def predict(
        self,
        newdata: Any = None,
        *,
        type: str = "prob",
        se: bool = False,
        interval: IntervalOf | None = None,
        **options: Unpack[RowOptions],
    ) -> Any: ...

    def predict(
        self,
        newdata: Any = None,
        *,
        type: str = "prob",
        include_re: bool | str | Sequence[str] = True,
        new_levels: NewLevels | None = None,
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
            `se`, `interval`, `level`, `seed` and others, as for `GLMMResult.predict`. With `se` or
            `interval="confidence"` (made on the logit scale) probabilities have columns
            (category, fit), (category, se) and so on.

        Returns
        -------
        DataFrame or Series
            Indexed as the data; missing where a covariate is.
        """
        require_type(type, str, "predict: type", "a text")
        if type not in (*PREDICTIONS, *OF_ANY_FIT):
            raise OptionError(
                f"predict: type must be one of {', '.join(map(repr, PREDICTIONS))}, or of "
                f"{', '.join(map(repr, OF_ANY_FIT))}, which use the numbers of the categories; "
                f"got {type!r}."
            )
        from interlace.prediction.elsewhere import frames_for, predict_elsewhere
        from interlace.prediction.kinds import as_asked
        from interlace.prediction.predict import predict, predict_each, require_interval
        from interlace.prediction.target import category_targets

        require_interval(uncertainty.get("interval"))

        if type not in PREDICTIONS[:4]:
            asked = "link" if type == "linear.predictor" else type
            found = predict(self, newdata, asked, include_re, new_levels, offset, **uncertainty)
            return as_asked(newdata, found, self.settings.frames)
        if uncertainty.get("interval") == "prediction" or (uncertainty and type == "class"):
            raise OptionError(
                f"predict: type={type!r} is no observation, and has no "
                f"{listed(uncertainty)} of that kind. Ask for interval='confidence' of 'prob'."
            )
        frames = None if newdata is None else frames_for(newdata)
        if frames is not None:
            options = {"type": type, "include_re": include_re, "new_levels": new_levels}
            return predict_elsewhere(self, frames, {**options, **uncertainty}, {"offset": offset})
        each = predict_each(
            self,
            newdata,
            category_targets(self, type),
            include_re,
            new_levels,
            offset,
            **uncertainty,
        )
        table: pd.Series | pd.DataFrame = pd.concat(each, axis=1, keys=self.levels)
        if type == "class":
            table = self._most_probable(np.stack(each, axis=1), each[0].index)
        return as_asked(newdata, table, self.settings.frames)

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
    link: OrdinalLink = "logit",
    threshold: ThresholdStructure = "flexible",
    nominal: str | None = None,
    scale: str | None = None,
    nAGQ: int | None = None,
    weights: Any = None,
    offset: Any = None,
    approximation: str | Approximation | None = None,
    optimizer: str | Optimizer | None = None,
    optimizer_options: Mapping[str, Any] | None = None,
    hold: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
    known: Mapping[str, pd.DataFrame] | None = None,
    covariance: Mapping[str, str] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    priors: Priors | None = None,
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
        pandas, polars or pyarrow; or a dict of columns. Also what is read part by part: a folder,
        file or pattern of Parquet files, a pyarrow Dataset, a polars LazyFrame, a DuckDB relation,
        what a plugin opens (a Dask DataFrame), or `interlace.in_parts(...)` of one of these.
    groups : str or list of str, optional
        Grouping columns with a random intercept each.
    random : str or list of str, optional
        Random-effects terms, such as `["(1 + x | g)"]`.
    link : str
        "logit" (default), "probit", "cloglog", "loglog" or "cauchit".
    threshold : str
        "flexible" (default), "symmetric", "symmetric2" (about 0) or "equidistant".
    nominal : str, optional
        One-sided formula of effects that differ between the thresholds, such as `"~ contact"`:
        partial proportional odds, `alpha_k(x) = alpha_k + x' gamma_k`. With thresholds in a
        structure, each of its parameters has these effects. What is here has no place among the
        fixed effects, which it contains.
    scale : str, optional
        One-sided formula of the logarithm of the latent distribution's scale, without intercept:
        `P(Y <= k) = F((alpha_k - eta) / exp(z' zeta))`. Both formulas may have random effects.
    nAGQ : int, optional
        As for `glmer`.
    priors : mapping or "weak", optional
        As for `glmer`; thresholds by name, `"1|2"`, or all by the key "thresholds".
    weights, offset, approximation, optimizer, optimizer_options, hold, start, known,
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
    from interlace.data.request import ModelRequest
    from interlace.fits import fitted, options_in_force
    from interlace_core.registry.registry import default_registry

    build: Any = default_registry().family("cumulative")
    request = ModelRequest(
        formula=formula,
        data=data,
        family=build(link=link, threshold=threshold, scaled=scale is not None),
        groups=groups,
        random=random,
        weights=weights,
        offset=offset,
        parameters=_formulas(nominal, scale),
        arguments={"threshold": "nominal", "dispersion": "scale"},
        hold=hold,
        start=start,
        known=known,
        covariance=covariance,
        functions=functions,
        who="clmm",
    )
    options = options_in_force(
        "clmm",
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
    result = fitted(request, options, returns=CLMMResult, priors=priors, callback=callback)
    return replace(result, settings=replace(result.settings, returned="clmm"))


def _formulas(nominal: str | None, scale: str | None) -> dict[str, str]:
    """Return the formulas of thresholds and scale, by the role of what they are of."""
    named = {"threshold": nominal, "dispersion": scale}
    return {role: formula for role, formula in named.items() if formula is not None}
