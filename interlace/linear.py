"""Linear mixed models: `fit` and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, get_args

import numpy as np
import pandas as pd

from interlace.choices import DegreesOfFreedom, LinearMethod
from interlace.entrances import entrance, entrances
from interlace.inference.small_samples import Spread, degrees_of_freedom, f_test
from interlace.results.fitted_model import changed
from interlace.results.result import GLMMResult
from interlace_core.fitting.fitted import Fit
from interlace_core.messages.checks import check_level, numbers_of, require_choice, require_mapping
from interlace_core.messages.errors import NotAvailableError, OptionError, UnsupportedModelError
from interlace_core.records import Array

if TYPE_CHECKING:
    from interlace.fits import Priors
    from interlace_core.contract.optimizer import Optimizer
    from interlace_core.fitting.stopping import Step

METHODS = get_args(LinearMethod)
DF_METHODS = get_args(DegreesOfFreedom)

DDF = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward-Roger", "none": "lme4"}
"""lmerTest's names of the methods for degrees of freedom."""


@entrances
class LMMResult(GLMMResult):
    """A fitted linear mixed model.

    Standard errors of the coefficients are those given the variances, as in lme4 (with
    `df_method="kenward-roger"` the adjusted ones); their tests are t tests with `fe_df` degrees
    of freedom. `theta` is on the scale of the response: the
    template T with `T T'` the covariance of the random effects.
    """

    @property
    def method(self) -> str:
        """REML or ML."""
        return "REML" if self.restricted else "ML"

    @property
    def df_method(self) -> str:
        """How degrees of freedom are found; those of Kenward and Roger belong to REML."""
        asked = self.settings.df_method
        return "satterthwaite" if asked == "kenward-roger" and not self.restricted else asked

    @property
    def heading(self) -> tuple[str, str]:
        """What kind of model this is, and by what it was fitted."""
        return "Linear mixed model", self.fitted_by.words

    def with_derived(self) -> Self:
        """Return the result with the coefficients' covariance given the variances."""
        covariance = self.fit.profiled_covariance
        if self.df_method == "kenward-roger":
            covariance = self.settings.extras["kenward_roger"]["adjusted"]
        if covariance is None:
            return self
        fit = _with_covariance(self.fit, self.coefficients[0].place, covariance)
        return changed(self, fit=fit)

    def r_code(self, data: str = "data") -> str:
        """Return R code that should reproduce the fit, with lmer() or else glmmTMB.

        Parameters
        ----------
        data : str
            Name of the data frame in R.

        Raises
        ------
        NotAvailableError
            If the model has no counterpart in R; weights have none in glmmTMB, where they multiply
            log-densities and are no precisions.
        """
        from interlace.reporting.rcode import is_lmer, lmer_code

        if is_lmer(self):
            return lmer_code(self, data, DDF[self.df_method])
        if self.weights is not None:
            raise NotAvailableError(
                "r_code: the fit has weights, which are precisions here and in lme4's lmer(), but "
                "not in glmmTMB, and is none that lmer() fits. Write the call by hand: without "
                "random effects that of lm() or nlme's gls()."
            )
        return super().r_code(data)

    @property
    def is_singular(self) -> bool:
        """Whether a variance is 0 or a covariance matrix singular."""
        return bool(self.fit.verdict.boundary)

    @property
    def fe_tvalues(self) -> pd.Series:
        """Coefficients over standard errors."""
        return self.fe_zvalues

    @property
    def fe_df(self) -> pd.Series:
        """Degrees of freedom of each coefficient's t test; infinite for a normal test."""
        names = self.coefficients[0].names
        df = [self.contrast_df(row) for row in np.eye(len(names))]
        return self._with_held(pd.Series(df, index=pd.Index(names), dtype=float), np.nan)

    def contrast_df(self, contrast: Any) -> float:
        """Return the degrees of freedom of a linear combination of the mean's coefficients.

        `2 v^2 / (g' A g)`, with v the variance of the combination, g its slope in the variance
        parameters and A their covariance: by the observed information (Satterthwaite; parameters
        at a bound count as known), or by the expected one (Kenward and Roger).

        Parameters
        ----------
        contrast : array-like, shape (p,)

        Raises
        ------
        OptionError
            If it has not one number for each coefficient.
        """
        names = self.coefficients[0].names
        what = f"one finite number for each coefficient ({', '.join(names)})"
        L = numbers_of(contrast, "contrast_df: contrast", what, (len(names),))
        spread = self._spread()
        return float("inf") if spread is None else degrees_of_freedom(L, spread)

    def joint_test(self, k: int, L: Array, value: Array) -> Mapping[str, float]:
        """Return an F test of the mean's coefficients; see `GLMMResult.joint_test`."""
        spread = self._spread() if k == 0 else None
        if spread is None:
            return super().joint_test(k, L, value)
        found = f_test(L, L @ self.coefficients[0].estimates - value, spread)
        return {"F": found.F, "df": found.df, "den_df": found.den_df, "pvalue": found.pvalue}

    @property
    def fe_pvalues(self) -> pd.Series:
        """Two-sided p-values of the t tests."""
        from scipy.special import stdtr

        p = 2.0 * stdtr(self.fe_df.to_numpy(), -np.abs(self.fe_tvalues.to_numpy()))
        return pd.Series(p, index=self.fe_params.index)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Return t intervals of the mean's coefficients.

        Parameters
        ----------
        level : float
            Between 0 and 1.

        Raises
        ------
        OptionError
            If the level is not between 0 and 1.
        """
        half = _quantile(level, self.fe_df.to_numpy()) * self.fe_bse
        return pd.DataFrame({"lower": self.fe_params - half, "upper": self.fe_params + half})

    def wald_tests(self, parameter: int | str) -> tuple[str, pd.DataFrame]:
        """Return t tests of the mean's coefficients, z tests of others'."""
        names = list(self.coefficients[0].names)
        if self.parameter_index(parameter) or not np.all(np.isfinite(self.fe_df[names])):
            return super().wald_tests(parameter)
        table = pd.DataFrame({"t": self.fe_tvalues, "df": self.fe_df, "P>|t|": self.fe_pvalues})
        table = table.loc[names]
        whose = {"satterthwaite": "Satterthwaite's", "kenward-roger": "Kenward and Roger's"}
        return f"t tests with {whose[self.df_method]} degrees of freedom", table

    @property
    def random_effects_ci(self) -> dict[str, pd.DataFrame]:
        """95% intervals of the random effects, conditional on the estimates.

        Columns: (effect, "lower") and (effect, "upper").
        """
        half = _quantile(0.95, np.inf)
        intervals = {}
        for group, effects in self.effects.items():
            sd = np.sqrt(np.diagonal(effects.covariance, axis1=1, axis2=2))
            columns = {}
            for i, name in enumerate(effects.names):
                columns[name, "lower"] = effects.values[:, i] - half * sd[:, i]
                columns[name, "upper"] = effects.values[:, i] + half * sd[:, i]
            intervals[group] = pd.DataFrame(columns, index=pd.Index(effects.levels))
        return intervals

    def _spread(self) -> Spread | None:
        """Return what degrees of freedom need; None where tests are normal."""
        extras, back = self.settings.extras, self.fit.uncertainty.back
        if self.df_method == "none" or "covariance_slopes" not in extras:
            return None
        if back is not None:
            place = self.coefficients[0].place
            back = back[place, place]
        if "kenward_roger" in extras:
            small = extras["kenward_roger"]
            return Spread(small["covariance"], small["slopes"], small["W"], small["adjusted"], back)
        A = self._variance_parameter_covariance()
        free = ~np.isnan(np.diagonal(A))
        slopes = extras["covariance_slopes"][free]
        A = A[np.ix_(free, free)]
        return Spread(extras["coefficient_covariance"], slopes, A, back=back)

    def require_whole(self) -> None:
        """Raise an OptionError unless what tests need of the fit has the sizes that it must have.

        Asked of a result that was read from a file.
        """
        extras, p = self.settings.extras, len(self.coefficients[0].names)
        r = self._variance_parameter_covariance().shape[0]
        shapes: dict[str, tuple[int, ...]] = {
            "coefficient_covariance": (p, p),
            "covariance_slopes": (r, p, p),
        }
        given: dict[str, Any] = {name: extras[name] for name in shapes if name in extras}
        if "kenward_roger" in extras:
            small = require_mapping(extras["kenward_roger"], "kenward_roger", "a table")
            given |= small
            m = np.asarray(small.get("W")).shape[:1]
            shapes |= {"covariance": (p, p), "adjusted": (p, p), "W": m * 2, "slopes": (*m, p, p)}
        if ("coefficient_covariance" in extras) != ("covariance_slopes" in extras):
            raise OptionError("extras must have both coefficient_covariance and covariance_slopes.")
        for name, shape in shapes.items():
            if name in given or "kenward_roger" in extras:
                numbers_of(given.get(name), f"extras.{name}", "numbers", shape, finite=False)

    def _variance_parameter_covariance(self) -> Array:
        """Return the covariance of theta and the residuals' parameters, NaN at a bound.

        In the units of the fit's own, as the approximation's extras.
        """
        others = [i for each in self.coefficients[1:] for i in range(*each.place.indices(10**9))]
        places = [*range(self.theta.size), *others]
        return self.fit.uncertainty.inner[np.ix_(places, places)]


@entrance
def fit(
    formula: str,
    data: Any,
    groups: str | Sequence[str] | None = None,
    *,
    random: str | Sequence[str] | None = None,
    method: LinearMethod = "REML",
    weights: Any = None,
    offset: Any = None,
    dispformula: str | None = None,
    df_method: DegreesOfFreedom = "satterthwaite",
    optimizer: str | Optimizer | None = None,
    optimizer_options: Mapping[str, Any] | None = None,
    known_variance: Any = None,
    hold: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
    known: Mapping[str, pd.DataFrame] | None = None,
    covariance: Mapping[str, str] | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    correlation: str | None = None,
    priors: Priors | None = None,
    starts: int | None = None,
    threads: int | None = None,
    kernels: str | bool | None = None,
    max_seconds: float | None = None,
    callback: Callable[[Step], object] | None = None,
    verbose: bool | None = None,
) -> LMMResult:
    """Fit a linear mixed model by (restricted) maximum likelihood.

    Parameters
    ----------
    formula : str
        `response ~ fixed effects`, with random effects as bars, `(1 + x | g)`, if they are not
        given by `groups` or `random`.
    data : data frame
        pandas, polars or pyarrow; or a dict of columns. Also what is read part by part: a folder,
        file or pattern of Parquet files, a pyarrow Dataset, a polars LazyFrame, a DuckDB relation,
        what a plugin opens (a Dask DataFrame), or `interlace.in_parts(...)` of one of these.
    groups : str or list of str, optional
        Grouping columns with a random intercept each.
    random : str or list of str, optional
        Random-effects terms, such as `["(1 + x | g)"]`.
    method : str
        "REML" (default) or "ML".
    weights : str or array, optional
        Precision weights: the residual variance of a row is `scale / weight`.
    offset : str or array, optional
        Added to the mean.
    dispformula : str, optional
        One-sided formula for the logarithm of the residual standard deviation.
    correlation : str, optional
        Correlation of the residuals within groups: "ar1(time | subject)", `rho^|t - s|` between
        times t and s (whole numbers, gaps allowed), or "cs(1 | subject)", one correlation; with
        1 as time, rows are taken in their order. Its groups must be nested in those of the
        random effects.
    known_variance : str or array, optional
        Known variances of the rows' errors in place of one to estimate, such as squared standard
        errors of studies: a column, a number for each row, or their covariance, a
        matrix with a row for each row of the data.
    df_method : str
        "satterthwaite" (default), "kenward-roger" (with REML; small-sample standard errors
        too, by dense matrices of the number of rows), or "none" for normal tests.
    priors : mapping or "weak", optional
        As for `glmer`; on coefficients with method="ML" only.
    optimizer, optimizer_options, hold, start, known, covariance, starts, threads, kernels,
    max_seconds, callback, verbose
        As for `glmer`.

    Returns
    -------
    LMMResult

    Raises
    ------
    OptionError
        If method or df_method is none of those listed.
    UnsupportedModelError
        If df_method="kenward-roger" is combined with ML, a dispformula or a correlation.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load("sleepstudy")
    >>> model = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    >>> round(model.llf, 3)
    -871.814
    """
    from interlace.data.request import ModelRequest
    from interlace.fits import fitted, options_in_force
    from interlace_core.registry.registry import default_registry

    require_choice(method, METHODS, "fit: method")
    require_choice(df_method, DF_METHODS, "fit: df_method")
    if df_method == "kenward-roger" and method != "REML":
        raise UnsupportedModelError(
            f'fit: df_method="kenward-roger" goes with method="REML", got method={method!r}. '
            'Use df_method="satterthwaite", or REML.'
        )
    if df_method == "kenward-roger" and (dispformula is not None or correlation is not None):
        raise UnsupportedModelError(
            'fit: df_method="kenward-roger" is for independent residuals of one variance. Use '
            'df_method="satterthwaite".'
        )
    approximation: Any = method.lower()
    if df_method == "kenward-roger":
        restricted: Any = default_registry().approximation("reml")
        approximation = restricted(kenward_roger=True)
    request = ModelRequest(
        formula=formula,
        data=data,
        family="gaussian",
        groups=groups,
        random=random,
        weights=weights,
        offset=offset,
        parameters={} if dispformula is None else {"dispersion": dispformula},
        arguments={"dispersion": "dispformula"},
        known_variance=known_variance,
        hold=hold,
        start=start,
        known=known,
        covariance=covariance,
        functions=functions,
        correlation=correlation,
        who="fit",
    )
    options = options_in_force(
        "fit",
        approximation=approximation,
        optimizer=optimizer,
        optimizer_options=optimizer_options,
        starts=starts,
        threads=threads,
        kernels=kernels,
        max_seconds=max_seconds,
        verbose=verbose,
    )
    result = fitted(request, options, returns=LMMResult, priors=priors, callback=callback)
    settings = replace(result.settings, df_method=df_method, returned="fit")
    return changed(result, settings=settings).with_derived()


def _with_covariance(fit: Fit, place: slice, covariance: Array) -> Fit:
    """Return a fit whose coefficients have this covariance and none with other parameters.

    All in the units of the fit's own (`Fit.uncertainty`).
    """
    inner = fit.uncertainty.inner.copy()
    bound = np.isnan(np.diagonal(inner))
    inner[place, :] = inner[:, place] = 0.0
    inner[place, place] = covariance
    inner[bound, :] = inner[:, bound] = np.nan
    return replace(fit, uncertainty=replace(fit.uncertainty, inner=inner))


def _quantile(level: float, df: Any) -> Any:
    """Return how many standard errors an interval extends to each side."""
    from scipy.special import ndtri, stdtrit

    level = check_level(level, "conf_int")
    p = 0.5 + 0.5 * level
    finite = np.isfinite(df)
    return np.where(finite, stdtrit(np.where(finite, df, 1.0), p), ndtri(p))
