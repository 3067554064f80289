"""What the user holds after a fit."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

from interlace.entrances import entrances
from interlace.results.after_fit import AfterFit
from interlace.results.estimates import Estimates
from interlace.results.reports import Reports
from interlace_core.messages.checks import require_choice
from interlace_core.messages.errors import OptionError

if TYPE_CHECKING:
    from typing import Unpack

    import pandas as pd
    import polars as pl

    from interlace.choices import (
        IntervalOf,
        NewLevels,
        PandasRows,
        PlotKind,
        PredictOptions,
        SummaryPart,
    )
    from interlace.reporting.summary import Summary


@entrances
class GLMMResult(Reports, AfterFit, Estimates):
    """A fitted generalised linear mixed model, with all that can be asked of it.

    Everything shown is derived from the fields of `FittedModel`. Prediction needs no training
    data; what fits again does, and finds it in `training`.
    """

    @overload
    def predict(
        self,
        newdata: PandasRows = None,
        *,
        se: Literal[False] = False,
        interval: None = None,
        **options: Unpack[PredictOptions],
    ) -> pd.Series: ...

    @overload
    def predict(
        self,
        newdata: PandasRows = None,
        *,
        se: Literal[True],
        interval: IntervalOf | None = None,
        **options: Unpack[PredictOptions],
    ) -> pd.DataFrame: ...

    @overload
    def predict(
        self,
        newdata: PandasRows = None,
        *,
        se: bool = False,
        interval: IntervalOf,
        **options: Unpack[PredictOptions],
    ) -> pd.DataFrame: ...

    @overload
    def predict(
        self,
        newdata: pl.DataFrame,
        *,
        se: Literal[False] = False,
        interval: None = None,
        **options: Unpack[PredictOptions],
    ) -> pl.Series: ...

    @overload
    def predict(
        self,
        newdata: pl.DataFrame,
        *,
        se: bool = False,
        interval: IntervalOf | None = None,
        **options: Unpack[PredictOptions],
    ) -> pl.DataFrame: ...

    @overload
    def predict(
        self,
        newdata: Any,
        *,
        se: bool = False,
        interval: IntervalOf | None = None,
        **options: Unpack[PredictOptions],
    ) -> Any: ...

    def predict(
        self,
        newdata: Any = None,
        *,
        type: str = "response",
        include_re: bool | str | Sequence[str] = True,
        new_levels: NewLevels | None = None,
        offset: Any = None,
        se: bool = False,
        interval: IntervalOf | None = None,
        level: float = 0.95,
        weights: Any = None,
        n_sim: int = 1000,
        seed: int | None = None,
    ) -> Any:
        """Return predictions, in sample or for new data coded as the training data was.

        Parameters
        ----------
        newdata : data frame, optional
            Rows to predict; the rows of the fit if None. The response is not needed.
        type : str
            "response" (the mean of the whole), "population" (that mean averaged over all random
            effects: over groups like those sampled), "mean" (of the conditional part, beside a
            zero part), "link" (the mean's linear predictor), or the name or role of a
            distributional parameter, such as "zero" or "dispersion", on its natural scale.
        include_re : bool or names
            Whether to add the conditional modes of the random effects; or which, by term
            ("1 | g") or grouping factor. Without them the prediction is for a group whose random
            effects are 0, which for a non-linear link is not the average over groups: that is
            type="population".
        new_levels : str
            What to do with levels of a grouping factor that were not in the fit: "population"
            (they contribute 0, with one warning; the default), "error", "marginal" (the mean over
            the distribution of their effects) or "sample" (effects drawn from it, one for each
            new level, by `seed`).
        offset : array, optional
            Offset of the new rows; needed if the fit was given an array as its offset.
        se : bool
            Whether to return standard errors, on the scale of the prediction.
        interval : str, optional
            "confidence": for what is predicted, with the uncertainty of all parameters and of the
            random effects, made on the link's scale and taken back. "prediction": for an
            observation in the row; random effects that are left out, or of a new level, count as
            unknown. Quantiles of `n_sim` draws, on the scale of "response".
        level : float
            Of the interval.
        weights : array or number, optional
            Numbers of trials of the new rows, for prediction intervals of proportions; 1 if None.
        n_sim, seed : int
            For prediction intervals.

        Returns
        -------
        Series or DataFrame
            Indexed as the data; NaN where a covariate is missing. With `se` or `interval` a
            DataFrame with columns `fit`, `se`, and `lower` and `upper`. For data of polars or
            pyarrow, a column or a frame of the same library; for the rows of the fit (those used,
            in their order: `rows.index` has their places) by the data it was fitted to.

        Raises
        ------
        DataError
            If newdata lacks a column, has unknown levels of a fixed effect, or (with
            new_levels="error") of a grouping factor.
        OptionError
            If an argument is not one of those listed.
        """
        from interlace.prediction.kinds import as_asked
        from interlace.prediction.predict import predict

        found = predict(
            self,
            newdata,
            type,
            include_re,
            new_levels,
            offset,
            se=se,
            interval=interval,
            level=level,
            weights=weights,
            n_sim=n_sim,
            seed=seed,
        )
        return as_asked(newdata, found, self.settings.frames)

    if not TYPE_CHECKING:  # a type checker is to complain of names that are not there

        def __getattr__(self, name: str) -> Any:
            """Say what is called so elsewhere, or what was meant."""
            missing = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name.startswith("_"):
                raise AttributeError(missing)
            if name in dir(type(self)):  # a property that failed: with its own error again
                return object.__getattribute__(self, name)
            from interlace.elsewhere import FUNCTIONS, OF_A_FIT, answer

            known = [each for each in dir(type(self)) if not each.startswith("_")]
            raise AttributeError(f"{missing}.{answer(name, FUNCTIONS | OF_A_FIT, known)}")

    def plot(self, kind: PlotKind = "coefficients", *what: Any, **options: Any) -> Any:
        """Draw a picture of the fit: the function of `interlace.plots` of that name.

        Parameters
        ----------
        kind : str
            "coefficients" (default), "effects" (with a covariate and the data:
            `m.plot("effects", "x", data)`), "residuals", "scaled_residuals", "caterpillar",
            "fitted", "path", or "profile" (of parameters as for `profile`, by refits).
        *what, **options
            What the function takes after the fit.

        Returns
        -------
        Axes, or array of them
        """
        from interlace.choices import PlotKind

        require_choice(kind, get_args(PlotKind), "plot: kind")
        plots: Any = import_module("interlace.plots")  # it knows results, not they it
        function = getattr(plots, kind)
        first, rest = (self, what) if kind != "profile" else (None, ())
        try:
            signature(function).bind(first, *rest, **options)
        except TypeError as error:
            raise OptionError(
                f"plot: expected the arguments of plots.{kind}(fit, ...): {error}. See "
                f"help(interlace.plots.{kind})."
            ) from error
        if kind == "profile":
            return function(self.profile(*what), **options)
        return function(self, *what, **options)

    def summary(
        self,
        *,
        digits: int = 5,
        level: float | None = None,
        exponentiate: bool = False,
        show: SummaryPart | Sequence[SummaryPart] | None = None,
    ) -> Summary:
        """Return the summary, which prints as text and shows as HTML in notebooks.

        Parameters
        ----------
        digits : int
            Places behind the point of estimates and errors below 100; above it fewer, but 2.
        level : float, optional
            Adds intervals of this level to coefficients, of t where tests are.
        exponentiate : bool
            Whether coefficients whose exponential has a meaning (odds ratio, rate ratio, ...) are
            shown as that, with standard errors by the delta method; tests stay as they are.
        show : str or sequence of str, optional
            Parts: "head", "random", "fixed", "thresholds", "parameters" (coefficients of other
            parameters than the mean), "family" (constant ones), "notes"; all by default.

        Returns
        -------
        Summary
            With `to_latex` and `to_html`, which take the same arguments and a caption.
        """
        from interlace.reporting.summary import Shown, Summary, shown_as

        shown = shown_as(Shown(), digits=digits, level=level, exponentiate=exponentiate, show=show)
        return Summary(self, shown)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
