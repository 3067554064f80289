"""What users do after the fit, as methods of the result: each one line to the room it lives in.

Kept apart from the result's records and accessors: functions here take the result and give it
to a module that returns frozen records or data frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

from interlace.entrances import entrances
from interlace.results.predictors import Predictors

if TYPE_CHECKING:
    import pandas as pd

    from interlace.choices import ConfintMethod, ResidualKind, Scale, TestType
    from interlace.inference.accuracy import Accuracy
    from interlace.inference.bootstrap import Bootstrap
    from interlace.inference.heterogeneity import Heterogeneity
    from interlace.inference.influence import Influence
    from interlace.inference.profile import Profile
    from interlace.inference.r2 import VarianceShares
    from interlace.inference.scaled_residuals import ScaledResiduals
    from interlace.parts.of_fit import PartsOfFit
    from interlace.results.estimates import Estimates
    from interlace_core.records import Array


@entrances
class AfterFit:
    """Methods that GLMMResult inherits; see each module for the mathematics."""

    def confint(
        self,
        parm: str | list[str] | None = None,
        *,
        method: ConfintMethod = "wald",
        level: float = 0.95,
        n_boot: int = 500,
        seed: int | None = None,
        n_jobs: int = 1,
        vcov: Any = None,
        refit: bool | None = None,
    ) -> pd.DataFrame:
        """Return confidence intervals of all parameters, on natural scales.

        Parameters
        ----------
        parm : str or list of str, optional
            Labels as in the index of the answer, or kinds: "coefficient", "threshold", "sd",
            "correlation", "family". All by default.
        method : str
            "wald": from standard errors, made on the log scale for a standard deviation, Fisher's
            z for a correlation and the link for a family parameter, and taken back. "profile":
            where the profile log-likelihood has fallen by half a chi-square quantile; refits with
            the parameter held. "boot": bias-corrected percentiles of a parametric
            bootstrap; see `Bootstrap.confint` for other kinds.
        level : float
        n_boot, seed, n_jobs
            For the bootstrap.
        vcov : array or DataFrame, shape (n_psi, n_psi), optional
            Covariance for Wald intervals in place of the model's, such as `vcov_robust()`.
        refit : bool, optional
            Whether a fit by REML is fitted again by maximum likelihood before it is profiled. By
            default where coefficients are among what is asked for, since a restricted likelihood
            has no profile of them: the whole table is then of that fit, estimates too, and headed
            "refitted by ML". Variances alone have their profiles "by REML".

        Returns
        -------
        DataFrame
            Columns `kind`, `estimate`, `lower`, `upper`. Standard deviations and correlations are
            those of the random effects, on the scale of the linear predictor. NaN for Wald
            intervals of what is at a boundary: use the profile there.
        """
        from interlace.inference.confint import confint

        return confint(
            _whole(self),
            parm,
            method=method,
            level=level,
            n_boot=n_boot,
            seed=seed,
            n_jobs=n_jobs,
            vcov=vcov,
            refit=refit,
        )

    def profile(
        self,
        parm: str | list[str] | None = None,
        *,
        level: float = 0.99,
        points: int = 8,
        refit: bool | None = None,
    ) -> Profile:
        """Return profile likelihoods on a grid, from refits with each parameter held.

        Parameters
        ----------
        parm : str or list of str, optional
            As for `confint`.
        level : float
            The grid reaches as far as intervals of this level.
        points : int
            Steps to each side.
        refit : bool, optional
            Of a fit by REML, as for `confint`.
        """
        from interlace.inference.profile import profile

        return profile(_whole(self), parm, level=level, points=points, refit=refit)

    def vcov_robust(self, cluster: Any = None) -> pd.DataFrame:
        """Return the cluster-robust (sandwich) covariance of all parameters.

        Parameters
        ----------
        cluster : str or array, optional
            A grouping factor of the model, or one label per row used; by default the factor with
            the fewest levels, and without random effects each row by itself (HC0, White's, times
            n / (n - 1)). Clusters must not share random effects.
        """
        from interlace.inference.sandwich import sandwich

        return sandwich(_whole(self), cluster)

    def bootstrap(
        self,
        n: int = 500,
        *,
        seed: int | None = None,
        statistic: Callable[[Estimates], Mapping[str, float]] | None = None,
        conditional: bool = False,
        n_jobs: int = 1,
    ) -> Bootstrap:
        """Return a parametric bootstrap: refits to responses simulated at the estimates.

        Parameters
        ----------
        n : int
            Draws.
        seed : int, optional
            Makes the draws repeatable, whatever `n_jobs`.
        statistic : callable, optional
            From a result to named numbers; by default the parameters that `confint` lists.
        conditional : bool
            Whether the groups keep their estimated random effects.
        n_jobs : int
            Processes, by way of joblib (`pip install interlace[parallel]`).
        """
        from interlace.inference.bootstrap import bootstrap

        return bootstrap(
            _whole(self),
            n,
            seed=seed,
            statistic=statistic,
            conditional=conditional,
            n_jobs=n_jobs,
        )

    def term_tests(
        self, *, type: TestType = 2, parameter: int | str = 0, vcov: Any = None
    ) -> pd.DataFrame:
        """Return a Wald test of each term of a formula.

        A chi-square test; for the mean's coefficients of a linear mixed model an F test with the
        degrees of freedom of its `df_method`.

        Parameters
        ----------
        type : int
            2: each term after all others that do not contain it. 3: the term's coefficients as
            they are coded, so that with treatment contrasts a main effect under an interaction is
            its effect at the other factor's base level.
        parameter : int or str
            Distributional parameter, by index, name or role; the mean by default.
        vcov : array or DataFrame, optional
            Covariance of all parameters in place of the model's, such as `vcov_robust()`.
        """
        from interlace.inference.wald import term_tests

        return term_tests(_whole(self), type=type, parameter=parameter, vcov=vcov)

    def wald_test(
        self, L: Any, *, value: Any = 0.0, parameter: int | str = 0, vcov: Any = None
    ) -> pd.Series:
        """Return the joint Wald test of `L beta = value` for one predictor's coefficients.

        Parameters
        ----------
        L : array-like, shape (r, p) or (p,)
        value : float or array-like, shape (r,)
        parameter, vcov
            As for `term_tests`.
        """
        from interlace.inference.wald import wald_test

        return wald_test(_whole(self), L, value=value, parameter=parameter, vcov=vcov)

    def drop1(
        self, terms: str | list[str] | None = None, *, parameter: int | str = 0
    ) -> pd.DataFrame:
        """Return the likelihood-ratio test of each term that can be dropped, from refits.

        A fit by REML is fitted by maximum likelihood first, and the table is headed so.

        Parameters
        ----------
        terms : str or list of str, optional
            By default all terms that are not part of an interaction.
        parameter : int or str
            Distributional parameter whose formula is meant.
        """
        from interlace.inference.drop1 import drop1

        return drop1(_whole(self), terms, parameter=parameter)

    @property
    def aicc(self) -> float:
        """AIC with the correction for few rows (Hurvich & Tsai 1989)."""
        from interlace.inference.compare import aicc

        return aicc(_whole(self))

    def refit(self, y: Any) -> Self:
        """Return the same model fitted to another response, started at these estimates.

        Parameters
        ----------
        y : array-like
            In the form that `simulate(raw=True)` returns: shape (n,), or (n, 2) with successes
            and trials; or proportions of the fit's trials, or names of the response's levels,
            shape (n,).
        """
        from interlace.refits.refit import refit

        return cast("Self", refit(_whole(self), y))

    def refit_ml(self) -> Self:
        """Return the same model fitted by maximum likelihood; itself, unless it was by REML."""
        from interlace.refits.refit import refit_ml

        return cast("Self", refit_ml(_whole(self)))

    @overload
    def simulate(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        conditional: bool = False,
        raw: Literal[False] = False,
    ) -> pd.DataFrame: ...

    @overload
    def simulate(
        self, n: int = 1, *, seed: int | None = None, conditional: bool = False, raw: Literal[True]
    ) -> Array: ...

    def simulate(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        conditional: bool = False,
        raw: bool = False,
    ) -> pd.DataFrame | Array:
        """Return draws of the response at the estimates.

        Parameters
        ----------
        n : int
            Number of draws.
        seed : int, optional
            Makes the draws repeatable; draw i does not depend on n.
        conditional : bool
            Whether the groups keep their estimated random effects; by default these are drawn
            anew from their estimated distribution.
        raw : bool
            Return an array, shape (n, rows) or (n, rows, 2), in the form that `refit` takes,
            instead of a data frame with one column per draw on the scale of the mean.
        """
        from interlace.inference.simulation import simulate

        return simulate(_whole(self), n, seed=seed, conditional=conditional, raw=raw)

    def residuals(self, kind: ResidualKind = "pearson", *, seed: int | None = 0) -> pd.Series:
        """Return residuals of each row, at the modes of the random effects.

        Parameters
        ----------
        kind : str
            "response" (observed minus fitted), "pearson" (over the fitted standard deviation),
            "deviance" (signed root of twice what the row's log-density could gain by its mean;
            scaled, where the family has a dispersion), "working" (response over dmu/deta) or
            "quantile" (standard normal if the family is right; randomised where the distribution
            has jumps). With precision weights of `fit` a row's variance is sigma^2 over its weight.
        seed : int, optional
            For the randomisation.
        """
        from interlace.inference.residuals import residuals
        from interlace.prediction.kinds import of_library

        whole = _whole(self)
        values = residuals(whole, kind, seed=seed)
        found: pd.Series = of_library(whole.settings.frames, values)
        return found

    def scaled_residuals(
        self, n: int = 250, *, seed: int | None = 0, conditional: bool = False
    ) -> ScaledResiduals:
        """Return residuals scaled by simulation, with tests of what they should be.

        Parameters
        ----------
        n : int
            Draws from the fitted model.
        seed : int, optional
        conditional : bool
            Whether the draws keep the fit's random effects; by default they have their own.
        """
        from interlace.inference.scaled_residuals import scaled_residuals

        return scaled_residuals(_whole(self), n, seed=seed, conditional=conditional)

    def r2(self, scale: Scale = "link") -> VarianceShares:
        """Return marginal and conditional R2 and the intra-class correlation.

        Parameters
        ----------
        scale : str
            "link": Nakagawa's, with the latent variance of the link for a binary response, the
            log-normal approximation for a log link, the delta method otherwise. "response": shares
            of the variance of the response itself, with the random effects integrated out.
        """
        from interlace.inference.r2 import variance_shares

        return variance_shares(_whole(self), scale)

    def heterogeneity(self) -> Heterogeneity:
        """Return how much studies differ beyond their known sampling variances.

        Of a fit with `known_variance`: I squared of each random-effects term and in total, the
        typical sampling variance, and Cochran's Q.
        """
        from interlace.inference.heterogeneity import heterogeneity

        return heterogeneity(_whole(self))

    def prediction_interval(
        self, newdata: Any = None, *, level: float = 0.95, df: float | None = None
    ) -> pd.DataFrame:
        """Return average effects with intervals for them, and for the effect of a new study.

        Of a fit with `known_variance`. The second interval has the variances of the random effects
        beside that of the estimate, but no sampling error.

        Parameters
        ----------
        newdata : data frame or mapping, optional
            Values of the moderators; by default the average effect, or those of the data.
        level : float
        df : float, optional
            Degrees of freedom of a t distribution; by default normal.

        Returns
        -------
        DataFrame
            Columns `estimate`, `std.error`, `conf.low`, `conf.high`, `pred.low`, `pred.high`.
        """
        from interlace.inference.heterogeneity import effect_intervals

        return effect_intervals(_whole(self), newdata, level, df)

    def influence(self, cluster: Any = None, *, exact: int = 3) -> Influence:
        """Return what each group does to the estimates.

        Parameters
        ----------
        cluster : str or array, optional
            As for `vcov_robust`.
        exact : int
            How many of the most influential are checked by refitting without them.
        """
        from interlace.inference.influence import influence

        return influence(_whole(self), cluster, exact)

    def ranef(self, level: float = 0.95) -> pd.DataFrame:
        """Return the random effects in long form, ready for a caterpillar plot.

        Parameters
        ----------
        level : float
            Of the intervals, which are normal with the conditional standard deviations and do not
            include the uncertainty of the other parameters.

        Returns
        -------
        DataFrame
            Columns `group`, `term`, `level`, `value`, `sd`, `lower`, `upper`.
        """
        from interlace.reporting.tables import ranef

        return ranef(_whole(self), level)

    def singularity(self) -> pd.DataFrame:
        """Return what changes if each variance or correlation at its boundary is dropped.

        Returns
        -------
        DataFrame
            One row per random-effects term at a boundary: `term`, `found` (in words), `without`
            (what the refit leaves out), `df`, `loglik`, `aic`, `aic_change` of the refit (NaN where
            the fit has priors), and `prior`, which keeps an estimate away from there. Empty if none
            is.
        """
        from interlace.inference.singularity import singularity

        return singularity(_whole(self))

    def principal_axes(self) -> pd.DataFrame:
        """Return along which combinations of their columns the random effects vary.

        The eigenvectors of each term's covariance times the standard deviation along them. These
        loadings do not depend on how factors are rotated, as those of `rr` in the summary do.

        Returns
        -------
        DataFrame
            One row for each axis and column: `term`, `axis` (1 has the most variance), `sd` along
            it, its `share` of the variance, `column` and `loading`, of which the largest of
            an axis is positive. Axes without variance are left out.
        """
        from interlace.inference.axes import principal_axes

        return principal_axes(_whole(self))

    def accuracy(self, *, n: int = 500, seed: int | None = 0) -> Accuracy:
        """Return how good the approximation of the likelihood is here, in numbers and words.

        With one scalar random effect the model is fitted again with many quadrature points;
        otherwise the likelihood at the estimates is estimated by importance sampling.

        Parameters
        ----------
        n, seed : int
            Draws of the sampling, per independent group.
        """
        from interlace.inference.accuracy import accuracy

        return accuracy(_whole(self), n=n, seed=seed)

    @property
    def in_parts(self) -> PartsOfFit:
        """Rows and levels of a fit whose data lie in parts, one part after the other.

        Raises
        ------
        NotAvailableError
            If all rows are here.
        """
        from interlace.parts.of_fit import parts_of

        return parts_of(_whole(self))

    def without_training(self) -> Self:
        """Return a small copy without the data: it predicts, but does not fit again."""
        whole = _whole(self)
        # made now, since it is made of the data
        settings = replace(whole.settings, extras=dict(whole.settings.extras))
        made: dict[str, Any] = {"settings": settings, "effects": dict(whole.effects)}
        made["predictors"] = Predictors(whole.eta, whole.eta_fixed)
        return cast("Self", replace(whole, training=None, known_notes=whole.notes, **made))


def _whole(part: AfterFit) -> Estimates:
    """Return the result as what it is; nothing else inherits these methods."""
    return cast("Estimates", part)
