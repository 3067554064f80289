"""How a result is reported and saved: methods of GLMMResult, each one line to its module."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

from interlace.entrances import entrances
from interlace_core.messages.checks import check_level, require_flag

if TYPE_CHECKING:
    import pandas as pd

    from interlace.choices import ResidualKind, Scale, TidyEffects
    from interlace.reporting.explain import Explanation
    from interlace.reporting.tabled import Tabled
    from interlace.results.estimates import Estimates


@entrances
class Reports:
    """Tables, words, R code and files of a fitted model."""

    def tidy(
        self,
        *,
        effects: TidyEffects | Sequence[TidyEffects] = ("fixed", "ran_pars"),
        conf_int: bool = False,
        level: float = 0.95,
        exponentiate: bool = False,
    ) -> pd.DataFrame:
        """Return one row per estimate, with the terms and columns of R's broom.mixed.

        Parameters
        ----------
        effects : str or sequence of str
            "fixed" (coefficients, by component `cond`, `zi`, `disp` or the parameter's name;
            thresholds of ordered categories as `1|2`), "ran_pars" (standard deviations and
            correlations, `sd__(Intercept)` and `cor__(Intercept).Days`, and the residual standard
            deviation as `sd__Observation` of the group "Residual"), "ran_vals" (conditional modes
            by level), and "family" (further parameters that are constant, such as `theta`, on
            their natural scale, which broom.mixed leaves out).
        conf_int : bool
            Whether to add `conf.low` and `conf.high`, by Wald's method.
        level : float
            Of the intervals.
        exponentiate : bool
            Whether to give exp(estimate) of fixed effects: odds ratios for a logit link, ratios
            of means for a log link. Standard errors follow by the delta method; statistics and
            p-values stay those of the coefficient itself.

        Returns
        -------
        DataFrame
            For standard deviations and correlations `std.error` is by the delta method and the
            limits are those of `confint()`: made on the log scale, or Fisher's z. NaN at a
            boundary, and in a saved result whose covariance structures are not installed. Where
            tests are t tests there is a column `df`, of ordered categories `coef.type`.
        """
        from interlace.reporting.tidy import tidy

        return tidy(
            _whole(self), effects=effects, conf_int=conf_int, level=level, exponentiate=exponentiate
        )

    def glance(self) -> pd.DataFrame:
        """Return one row about the whole fit: nobs, sigma, logLik, AIC, BIC, df.residual, df.

        `sigma` is the residual standard deviation, 1 for families without one. A fit by REML has
        `REMLcrit`, -2 times its restricted log-likelihood; a linear one by maximum likelihood, and
        one of a family with a mean alone, `deviance` as lme4 has it.
        """
        from interlace.reporting.tables import glance

        return glance(_whole(self))

    def augment(
        self,
        data: Any = None,
        *,
        newdata: Any = None,
        type: Scale = "link",
        residuals: ResidualKind = "response",
        se_fit: bool = False,
    ) -> Any:
        """Return the data with `.fitted`, `.fixed` (without random effects), `.resid` and more.

        Parameters
        ----------
        data : data frame, optional
            That of the fit; rows that were left out for missing values are left out here.
            Without it, `.observed` stands for the data.
        newdata : data frame, optional
            Other rows instead, which get `.fitted`, `.fixed` and `.se.fit` alone.
        type : str
            Scale of `.fitted`, `.fixed` and `.se.fit`: "link", as broom.mixed has them, or
            "response".
        residuals : str
            Kind of `.resid`, as for `residuals()`: "response" (observed minus fitted on the
            response's scale), "pearson", "deviance" (what broom.mixed has for glmer), ...
        se_fit : bool
            Whether to add `.se.fit`, the standard error of `.fitted` with the uncertainty of all
            parameters and random effects.

        Returns
        -------
        DataFrame
            Of the rows of the fit also `.mu` (mean) and `.eta` (its linear predictor), `.offset`
            (the known part of it; not of a result without its data) and, where there are any,
            `.weights` that multiply log-densities. Ordered categories have no `.mu` and `.resid`.
            A frame of polars or pyarrow, if the data are.
        """
        from interlace.reporting.tables import augment

        return augment(
            _whole(self), data, newdata=newdata, type=type, residuals=residuals, se_fit=se_fit
        )

    def tabled(
        self, *, exponentiate: bool = False, random: bool = True, level: float = 0.95
    ) -> Tabled:
        """Return the result as a column of a table of several models, for the package maketables.

        Its `ETable` takes results as they are as well: `maketables.ETable([m1, m2])`.

        Parameters
        ----------
        exponentiate : bool
            Whether coefficients whose exponential has a meaning (odds ratio, rate ratio, ...) are
            shown as that.
        random : bool
            Whether standard deviations, correlations and constant parameters of the family have
            rows below the coefficients.
        level : float
            Of intervals.
        """
        from interlace.reporting.tabled import Tabled

        require_flag(exponentiate, "tabled: exponentiate")
        require_flag(random, "tabled: random")
        level = check_level(level, "tabled")
        return Tabled(
            _whole(self), exponentiate=bool(exponentiate), random=bool(random), level=level
        )

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        return self.tabled().__maketables_coef_table__

    @property
    def __maketables_depvar__(self) -> str:
        return self.tabled().__maketables_depvar__

    @property
    def __maketables_vcov_info__(self) -> dict[str, str]:
        return self.tabled().__maketables_vcov_info__

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return self.tabled().__maketables_default_stat_keys__

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        return self.tabled().__maketables_stat_labels__

    def __maketables_stat__(self, key: str) -> int | float | str | None:
        return self.tabled().__maketables_stat__(key)

    def save(self, path: str | PathLike[str], *, data: bool = True) -> None:
        """Write the result to a file that holds no code; `interlace.load` reads it.

        The file is a zip of JSON and arrays. It holds the response and the names of all levels, and
        with its data the covariates too: do not share it where these are secret.

        Parameters
        ----------
        path : str or path
            Such as "model.interlace"; what was there is replaced.
        data : bool
            Whether the arrays that were fitted to are saved, so that the result that is loaded
            can do all that this one can. Without them it predicts and reports, but does not fit
            again (profiles, bootstrap, influence, ...), and the file is smaller.

        Raises
        ------
        SavedFileError
            If the family, or with data an approximation or optimizer, comes from no installed
            plugin, or the formula computes something that a file without code cannot hold.
        """
        from interlace.saving import save

        save(_whole(self), path, data=data)

    def explain(self) -> Explanation:
        """Return the fitted model in words, which prints as text and has `to_latex()`.

        It says what was modelled, what each coefficient means (odds ratio, ratio of rates, ...),
        how much groups differ, what was fixed or dropped, and how the fit ended.
        """
        from interlace.reporting.explain import explain

        return explain(_whole(self))

    def r_code(self, data: str = "data") -> str:
        """Return R code that should reproduce the fit, with glmmTMB, or lme4 for quadrature.

        Linear mixed models have a call of lmer(), ordinal ones of ordinal's clmm().

        Parameters
        ----------
        data : str
            Name of the data frame in R.

        Raises
        ------
        NotAvailableError
            If the family, or part of the formula, has no counterpart in R.
        """
        from interlace.reporting.rcode import r_code

        return r_code(_whole(self), data)


def _whole(reports: Reports) -> Estimates:
    """Return the result that these methods belong to."""
    return cast("Estimates", reports)
