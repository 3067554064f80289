"""Comparison of fits: likelihood-ratio tests and information criteria.

A variance tested against 0 lies on the boundary of its range, where the likelihood ratio is a
mixture of chi-squares (Self & Liang 1987; Stram & Lee 1994): for one further random effect with
c - 1 covariances, half chi2(c - 1) and half chi2(c), fixed effects adding to both. With more
variances at once the weights have no closed form; the chi-square used then is conservative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

from interlace.entrances import entrance
from interlace.inference.nested import not_nested
from interlace.refits.refit import refit_ml
from interlace.results.estimates import Estimates
from interlace.results.fitted_model import require_training
from interlace_core.fitting.standard import standard_of
from interlace_core.messages.checks import names_of as list_of_names
from interlace_core.messages.checks import require_flag, shown
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array

TOL_REL_SAME = 1e-8
"""Difference, relative, of two evaluations of one exact likelihood at one point."""


@dataclass(frozen=True)
class Reference:
    """The null distribution of a likelihood ratio.

    Attributes
    ----------
    df : tuple of int
        Degrees of freedom of the chi-squares mixed, in equal shares.
    words : str
        For the table.
    """

    df: tuple[int, ...]
    words: str

    def pvalue(self, statistic: float) -> float:
        """Return the chance of a larger likelihood ratio."""
        tails = [float(chi2.sf(statistic, df)) if df else float(statistic <= 0) for df in self.df]
        return float(np.mean(tails))


BY_REML, REFITTED = "by REML", "refitted by ML"
"""Headings of tables: restricted likelihoods are compared, or were left for likelihoods."""


@entrance
def anova(
    *results: Estimates, refit: bool | None = None, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return a table of fits by increasing number of parameters, each tested against the last.

    Restricted likelihoods (REML) of models with other fixed effects are of different data. Such
    models are fitted again by maximum likelihood before they are compared, and the table is
    headed "refitted by ML". With the same fixed effects they are compared as they are (Pinheiro &
    Bates 2000, section 2.4.1), and the table is headed "by REML".

    Parameters
    ----------
    *results : Estimates
        Two or more fits to the same rows and response.
    refit : bool, optional
        Whether fits by REML are fitted again by maximum likelihood; where needed if None.
    names : sequence of str, optional
        Of the fits, in the order of the arguments. Without, each row is headed by its formula and
        by what else distinguishes the fits: `ziformula`, family, link, method, ...

    Returns
    -------
    DataFrame
        Columns `df`, `loglik`, `aic`, `bic`, `chisq`, `chi_df`, `pvalue`, `reference`. A pair
        that is not nested has no test, and `reference` says why. In `reference`, "half chi2(0),
        half chi2(1)" is the mixture for a variance tested at its boundary.

    Raises
    ------
    OptionError
        If fits have other rows, another response, other weights or constants, or are penalised;
        or if `refit` is False where restricted likelihoods cannot be compared.
    """
    if len(results) < 2:
        raise OptionError("anova: expected two fits or more to compare.")
    for each in results:
        if not isinstance(each, Estimates):
            raise OptionError(f"anova: expected fits, got {shown(each)}.")
    if refit is not None:
        require_flag(refit, "anova: refit")
    heading = _heading(results, refit)
    if heading == REFITTED:
        results = tuple(refit_ml(each) for each in results)
    for other in results[1:]:
        require_comparable(results[0], other)
    labels = _labels(results, names)
    order = sorted(range(len(results)), key=lambda i: results[i].df)
    ordered = [results[i] for i in order]
    rows = [_criteria(ordered[0]) | _no_test("")]
    for small, large in zip(ordered[:-1], ordered[1:], strict=True):
        rows.append(_criteria(large) | likelihood_ratio(small, large))
    return pd.DataFrame(rows, index=[labels[i] for i in order]).rename_axis(columns=heading)


def _labels(results: Sequence[Estimates], names: Sequence[str] | None) -> list[str]:
    """Return the name of each row, in the order of the arguments."""
    if names is None:
        from interlace.reporting.differences import names_of

        return names_of(results)
    what = f"{len(results)} texts, one for each fit"
    given = list_of_names(names, "anova: names", what)
    if len(given) != len(results):
        raise OptionError(f"anova: names must be {what}, got {len(given)}.")
    return given


def _heading(results: Sequence[Estimates], refit: bool | None) -> str | None:
    """Return what the table is headed by; None where all fits are by maximum likelihood."""
    if not any(each.restricted for each in results):
        return None
    if refit is None:
        refit = not all(_same_fixed_effects(results[0], other) for other in results)
    return REFITTED if refit else BY_REML


def _same_fixed_effects(a: Estimates, b: Estimates) -> bool:
    """Return whether restricted likelihoods of both are of the same contrasts of the response."""
    if a is b or not (a.restricted and b.restricted):
        return a is b
    if list(a.fe_params.index) != list(b.fe_params.index):
        return False
    first, second = (require_training(x, "anova").problem.predictors[0] for x in (a, b))
    return np.array_equal(first.X, second.X) and np.array_equal(first.offset, second.offset)


def require_comparable(a: Estimates, b: Estimates) -> None:
    """Raise an OptionError unless two log-likelihoods are of the same data, on the same scale."""
    complaint = _difference(a, b)
    if complaint:
        raise OptionError(f"anova: the fits cannot be compared: {complaint}")


def _difference(a: Estimates, b: Estimates) -> str:
    for each in (a, b):
        if each.penalised:
            return (
                f"{each.formula!r} was fitted with priors, so that its optimum is no maximum of "
                "the likelihood. Fit both without priors."
            )
    if a.nobs != b.nobs or not a.rows.index.equals(b.rows.index):
        return (
            f"they use different rows ({a.nobs} and {b.nobs}). Rows with missing values are "
            "dropped by each formula for itself: drop them from the data first."
        )
    if not np.array_equal(a.family.observed(a.y), b.family.observed(b.y)):
        return (
            "their responses differ (a transformed response is on another scale). Fit the same "
            "response, with a link or family in place of the transformation."
        )
    if a.y.shape != b.y.shape or not np.array_equal(a.y, b.y):
        return "their numbers of trials differ. Give both the same trials."
    if not _same(a.weights, b.weights):
        return "their weights differ. Give both the same weights."
    if a.restricted != b.restricted:
        return "one was fitted by restricted maximum likelihood. Leave out refit=False."
    if a.restricted and not _same_fixed_effects(a, b):
        return (
            "a restricted likelihood depends on the fixed effects, which differ. Leave out "
            "refit=False, and they are fitted again by maximum likelihood."
        )
    if not _same_likelihood(a, b):
        methods = sorted(str(each.fitted_by) for each in (a, b))
        return (
            f"their log-likelihoods are approximated differently ({'; '.join(methods)}). "
            "Fit both with the same nAGQ."
        )
    return ""


def _same_likelihood(a: Estimates, b: Estimates) -> bool:
    """Return whether two log-likelihoods are the same function, up to what the models differ in.

    Without random effects every approximation is exact: the other fit's, evaluated for such a
    model, has to give its value (weights can be precisions in one and multipliers in the other).
    """
    if a.fitted_by == b.fitted_by:
        return True
    for plain, other in ((a, b), (b, a)):
        if not plain.terms:
            standard = standard_of(require_training(plain, "anova").problem)
            approximation = require_training(other, "anova").approximation
            if not approximation.accepts(standard.problem):
                return False
            value = standard.objective(approximation)(plain.fit.psi).value
            return bool(abs(value - plain.fit.value) <= TOL_REL_SAME * (1.0 + abs(value)))
    return False


def _same(a: Array | None, b: Array | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.array_equal(a, b))


def _criteria(result: Estimates) -> dict[str, object]:
    return {
        "df": result.df,
        "loglik": result.llf,
        "aic": result.aic,
        "bic": result.bic,
    }


def _no_test(why: str) -> dict[str, object]:
    return {"chisq": np.nan, "chi_df": 0, "pvalue": np.nan, "reference": why}


NO_MAXIMUM = 1e-3
"""Twice the log-likelihood by which a larger model may end lower than one within it: a maximum does
not, and what two searches leave is far less."""


def statistic_of(small: float, large: float) -> float:
    """Return twice what a larger model's log-likelihood is above that of one within it.

    NaN where it is below by more than two searches leave: it is no maximum then.
    """
    statistic = 2.0 * (large - small)
    return max(statistic, 0.0) if statistic >= -NO_MAXIMUM else np.nan


def likelihood_ratio(small: Estimates, large: Estimates) -> dict[str, object]:
    """Return chisq, chi_df, pvalue and reference of a test; without p where it is not nested."""
    why = not_nested(small, large)
    if why:
        return _no_test(why)
    statistic = statistic_of(small.llf, large.llf)
    if np.isnan(statistic):
        return _no_test(
            f"the larger model ends {small.llf - large.llf:.3g} lower than the one within it: its "
            "fit is not the maximum. Fit it with starts=10, or from the smaller one's estimates"
        )
    reference = reference_distribution(small, large)
    return {
        "chisq": statistic,
        "chi_df": large.df - small.df,
        "pvalue": reference.pvalue(statistic),
        "reference": reference.words,
    }


def reference_distribution(small: Estimates, large: Estimates) -> Reference:
    """Return what the likelihood ratio of two nested fits is compared with."""
    a, b = require_training(small, "anova").problem, require_training(large, "anova").problem
    total = large.df - small.df
    variances = sum(t.Z.shape[1] for t in b.terms) - sum(t.Z.shape[1] for t in a.terms)
    covariances = b.n_theta - a.n_theta - variances
    if variances <= 0:
        return Reference((total,), f"chi2({total})")
    if variances == 1:
        low = total - 1
        words = f"half chi2({low}), half chi2({total}): a variance at its boundary"
        return Reference((low, total), words)
    words = f"chi2({total}), conservative: {variances} variances at their boundary"
    return Reference((total,), words if covariances >= 0 else f"chi2({total})")


def aicc(result: Estimates) -> float:
    """Return AIC with Hurvich & Tsai's correction for few rows; NaN where rows are too few."""
    k, n = result.df, result.nobs
    return result.aic + 2.0 * k * (k + 1.0) / (n - k - 1.0) if n > k + 1 else float("nan")
