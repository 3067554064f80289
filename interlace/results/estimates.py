"""What follows from a fitted model at once: estimates, tests and criteria, labelled."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd

from interlace.data.factors import INTERCEPT
from interlace.data.named import number_label, prefix_of
from interlace.entrances import entrances
from interlace.inference.quadratic_forms import wald_chi_square
from interlace.results.elsewhere import RowsElsewhere, refuse_rows
from interlace.results.fitted_model import FittedModel
from interlace.results.random_effects import GroupEffects
from interlace.results.thresholds import threshold_predictors, thresholds_of
from interlace_core.calculus.jets.density import differentiate
from interlace_core.fitting.psi_covariance import embedded
from interlace_core.messages.checks import check_level, is_whole, shown
from interlace_core.messages.errors import OptionError
from interlace_core.records import Array


def index_of(names: tuple[str, ...]) -> pd.Index[Any]:
    """Return names as an index, whose name may be changed; pandas takes long to make a first one.

    Parameters
    ----------
    names : tuple of str
    """
    return _index(names).view()


@lru_cache(maxsize=256)
def _index(names: tuple[str, ...]) -> pd.Index[Any]:
    return pd.Index(names)


@entrances
class Estimates(FittedModel):
    """A fitted mixed model with what follows from its fields at once.

    Everything that is asked of a fit later takes this.
    """

    @property
    def heading(self) -> tuple[str, str]:
        """What kind of model this is, and by what it was fitted."""
        return "Generalised linear mixed model", self.fitted_by.words

    @property
    def family_words(self) -> str:
        """The family with its links; of ordered categories with the latent one."""
        if thresholds_of(self) is not None:
            own = (0, *threshold_predictors(self))
            more = (each for k, each in enumerate(self.coefficients) if k not in own)
            links = (f", {each.parameter.name}: {each.parameter.link.name}" for each in more)
            return f"{self.family.name} (link {self.family.latent_link}{''.join(links)})"
        links = (f"{each.parameter.name}: {each.parameter.link.name}" for each in self.coefficients)
        return f"{self.family.name} ({', '.join(links)})"

    @property
    def restricted(self) -> bool:
        """Whether `llf` is a restricted log-likelihood, which depends on the fixed effects."""
        return self.fitted_by.restricted

    def joint_test(self, k: int, L: Array, value: Array) -> Mapping[str, float]:
        """Return the Wald test of `L beta = value`, by the model's own covariance.

        Parameters
        ----------
        k : int
            Index of the predictor whose coefficients are meant.
        L : ndarray, shape (r, p)
        value : ndarray, shape (r,)

        Returns
        -------
        mapping
            `chisq`, `df` and `pvalue`; of a linear mixed model `F`, `df`, `den_df`, `pvalue`.
        """
        rows = embedded(L, self.coefficients[k].place, self.fit.psi.size)
        return wald_chi_square(rows, self.fit.psi, self.fit.uncertainty, value)

    def require_whole(self) -> None:
        """Raise an OptionError unless the approximation's extras have the sizes that are needed.

        Asked of a result that was read from a file; here nothing needs them.
        """

    def with_derived(self) -> Self:
        """Return the result with all that its kind derives from a fit; here nothing more.

        Called after every fit of the model: the first, and each refit.
        """
        return self

    def wald_tests(self, parameter: int | str) -> tuple[str, pd.DataFrame]:
        """Return the name and the table of the tests of one parameter's coefficients.

        Columns: the statistic, what its law needs beside, and the two-sided p-value, last.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            z = self.params_of(parameter) / self.bse_of(parameter)
        p = pd.Series(normal_pvalues(z.to_numpy()), index=z.index)
        return "Wald z tests", pd.DataFrame({"z": z, "P>|z|": p})

    @property
    def held(self) -> pd.Series:
        """What is held and not estimated, by name: it does not count in `df`.

        Coefficients and further parameters of the family, held by the call or by the family's
        constructor, and numbers of the random effects' structures.
        """
        values: dict[str, float] = {}
        for k, found in enumerate(self.coefficients):
            prefix = "" if k == 0 else f"{found.parameter.name}: "
            values |= {prefix + name: each for name, each in self.held_coefficients(k).items()}
            if found.parameter.fixed is not None:
                values[found.parameter.name] = float(found.parameter.fixed)
        for term in self.terms:
            k = term.predictor
            prefix = prefix_of(k, term.along, self.coefficients[k].parameter.name)
            for name, value in term.held.items():
                values[number_label(name, term.group, prefix)] = float(value)
        return pd.Series(values, dtype=float)

    def held_coefficients(self, k: int) -> dict[str, float]:
        """Return one parameter's held coefficients by name, on the scale of its predictor."""
        coder = self.encoder.predictors[k]
        known = () if coder.known is None else coder.known.names
        return dict(zip(known, coder.known_values.tolist(), strict=True))

    def _held_constant(self, k: int) -> float | None:
        """Return parameter k's held intercept on the scale of eta, if that is all of it."""
        held = self.held_coefficients(k)
        whole = not self.coefficients[k].names and set(held) == {INTERCEPT}
        return held[INTERCEPT] if whole and not self._has_effects(k) else None

    def equal_coefficients(self, k: int) -> dict[str, str]:
        """Return one parameter's coefficients that are held equal to another, with its name."""
        design = self.encoder.predictors[k].design
        return {} if design is None else dict(design.shared)

    def _with_held(self, values: pd.Series, of_held: float | None = None) -> pd.Series:
        """Return numbers of the mean's coefficients with those of the held and the equal ones.

        Parameters
        ----------
        values : Series
        of_held : float, optional
            The number of each held one; by default its value.
        """
        known, shared = self.held_coefficients(0), self.equal_coefficients(0)
        if not known and not shared:
            return values
        held = pd.Series(known, dtype=float)
        if of_held is not None:
            held[:] = of_held
        equal = pd.Series({name: values[other] for name, other in shared.items()}, dtype=float)
        found: pd.Series = pd.concat([values, equal, held])
        return found

    @property
    def fe_params(self) -> pd.Series:
        """Coefficients of the mean's linear predictor; held ones, which have no tests, last."""
        return self._with_held(self.params_of(0))

    @property
    def fe_bse(self) -> pd.Series:
        """Standard errors of the mean's coefficients, from the joint Hessian with theta.

        0 for those that are held.
        """
        return self._with_held(self.bse_of(0), 0.0)

    @property
    def fe_zvalues(self) -> pd.Series:
        """Coefficients over standard errors."""
        return self.fe_params / self.fe_bse.where(self.fe_bse > 0.0)

    @property
    def fe_pvalues(self) -> pd.Series:
        """Two-sided p-values of Wald z tests."""
        return pd.Series(normal_pvalues(self.fe_zvalues.to_numpy()), index=self.fe_params.index)

    @property
    def fe_conf_int(self) -> pd.DataFrame:
        """95% Wald confidence intervals of the mean's coefficients."""
        return self.conf_int(0.95)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Return Wald confidence intervals of the mean's coefficients.

        Parameters
        ----------
        level : float
            Between 0 and 1.

        Raises
        ------
        OptionError
            If the level is not between 0 and 1.
        """
        from scipy.special import ndtri

        level = check_level(level, "conf_int")
        half = float(ndtri(0.5 + 0.5 * level)) * self.fe_bse
        return pd.DataFrame({"lower": self.fe_params - half, "upper": self.fe_params + half})

    def params_of(self, parameter: int | str) -> pd.Series:
        """Return the coefficients of one distributional parameter (index, name or role)."""
        found = self.coefficients[self.parameter_index(parameter)]
        return pd.Series(found.estimates.copy(), index=index_of(found.names))

    def bse_of(self, parameter: int | str) -> pd.Series:
        """Return the standard errors of one distributional parameter's coefficients."""
        found = self.coefficients[self.parameter_index(parameter)]
        errors = self.fit.standard_errors()[found.place]
        return pd.Series(errors, index=index_of(found.names))

    def parameter_index(self, parameter: int | str) -> int:
        """Return the index of a distributional parameter given by index, name or role."""
        plain = isinstance(parameter, str) or is_whole(parameter)
        for k, found in enumerate(self.coefficients):
            if plain and parameter in (k, found.parameter.name, found.parameter.role):
                return k
        known = ", ".join(repr(found.parameter.name) for found in self.coefficients)
        raise OptionError(
            f"family {self.family.name!r} has no distributional parameter {shown(parameter)}. "
            f"It has {known}."
        )

    @property
    def family_params(self) -> pd.DataFrame:
        """Further parameters with a constant predictor, on their natural scale.

        Columns: `value`, `se` (delta method; NaN when fixed), `fixed`. Not those that make the
        thresholds between ordered categories.
        """
        rows = {}
        own = threshold_predictors(self)
        for k, found in enumerate(self.coefficients[1:], start=1):
            if k in own:
                continue
            if found.parameter.fixed is not None:
                rows[found.parameter.name] = (
                    float(found.parameter.fixed),
                    np.nan,
                    True,
                )
                continue
            value, se = self._natural(k)
            if not np.isnan(value):
                held = self._held_constant(k) is not None
                rows[found.parameter.name] = (value, np.nan if held else se, held)
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "se", "fixed"])

    def _natural(self, k: int) -> tuple[float, float]:
        """Return parameter k on its natural scale and its standard error.

        NaN if it depends on a predictor that is not a constant.
        """
        constant = {
            j: found.place.start
            for j, found in enumerate(self.coefficients)
            if found.names == ("Intercept",) and not self._has_effects(j)
        }
        eta = [
            np.array([self.fit.psi[constant[j]] if j in constant else np.nan])
            for j in range(len(self.coefficients))
        ]
        for j, found in enumerate(self.coefficients):
            if found.parameter.fixed is not None:
                eta[j] = np.array([found.parameter.fixed_eta()])
            held = self._held_constant(j)
            if held is not None:
                eta[j] = np.array([held])
        found_at = differentiate(lambda jets: self.family.natural(jets)[k], eta, 1, tuple(constant))
        keys = [j for j in constant if found_at.get(j) is not None]
        slope = np.array([float(found_at.partials[j,][0]) for j in keys])
        of_psi = np.zeros(self.fit.psi.size)
        of_psi[[constant[j] for j in keys]] = slope
        return float(found_at.value[0]), float(np.sqrt(self.fit.variance(of_psi)))

    @property
    def random_effects(self) -> dict[str, pd.Series | pd.DataFrame]:
        """Conditional modes per grouping factor: a Series for one column, else a DataFrame."""
        return {
            group: _by_level(effects, effects.values) for group, effects in self.effects.items()
        }

    @property
    def random_effects_se(self) -> dict[str, pd.Series | pd.DataFrame]:
        """Conditional standard deviations of the random effects, at the estimates of psi."""
        return {
            group: _by_level(effects, np.sqrt(np.diagonal(effects.covariance, axis1=1, axis2=2)))
            for group, effects in self.effects.items()
        }

    @property
    def variance_components(self) -> dict[str, float | pd.DataFrame]:
        """Covariance per grouping factor: a number for one column, else a DataFrame."""
        components: dict[str, float | pd.DataFrame] = {}
        for group, effects in self.effects.items():
            if len(effects.names) == 1:
                components[group] = float(effects.prior[0, 0])
            else:
                names = list(effects.names)
                components[group] = pd.DataFrame(effects.prior.copy(), index=names, columns=names)
        return components

    @property
    def theta(self) -> Array:
        """Covariance parameters: the templates' entries, term by term."""
        return self.fit.psi[: self.coefficients[0].place.start].copy()

    @property
    def converged(self) -> bool:
        """Whether the fit ended at an optimum, inside or at a boundary."""
        return self.fit.verdict.converged

    @property
    def status(self) -> str:
        """The verdict in a sentence, with the number behind it."""
        return self.fit.verdict.message

    @property
    def nobs(self) -> int:
        """Rows used that say anything: those of weight 0, or without trials, do not count."""
        return self.rows.n_used - self.rows.uninformative

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels per grouping factor, those that have data in rows that say anything."""
        return {
            group: len(effects.levels) - effects.without_data - effects.uninformed
            for group, effects in self.effects.items()
        }

    @property
    def llf(self) -> float:
        """Log-likelihood, with all constants; of a penalised fit without its penalty."""
        return -self.fit.value + self.settings.penalty

    @property
    def penalised(self) -> bool:
        """Whether priors were used: the optimum is then no maximum of the likelihood."""
        return self.fitted_by.penalised

    @property
    def df(self) -> int:
        """Number of estimated parameters."""
        return int(self.fit.psi.size)

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 df - 2 llf; NaN for a penalised fit."""
        if self.penalised:
            return float("nan")
        return 2.0 * self.df - 2.0 * self.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion, log(nobs) df - 2 llf; NaN for a penalised fit."""
        if self.penalised:
            return float("nan")
        return float(np.log(self.nobs)) * self.df - 2.0 * self.llf

    def eta_of_a_row(self) -> list[float]:
        """Return the linear predictors of a row; where rows are not here, of what all rows share.

        NaN then for parameters that differ between rows, the mean's 0.
        """
        if not isinstance(self.eta, RowsElsewhere):
            return [float(row[-1]) for row in self.eta]
        found = []
        for k, each in enumerate(self.coefficients):
            if each.parameter.fixed is not None:
                found.append(float(each.parameter.fixed_eta()))
            elif each.names == ("Intercept",) and not self._has_effects(k):
                found.append(float(each.estimates[0]))
            else:
                found.append(np.nan if k else 0.0)
        return found

    @property
    def scale(self) -> float:
        """Residual variance where the family has one, else 1; NaN where it varies by row."""
        if isinstance(self.eta, RowsElsewhere):
            return float(self.family.scale(self.eta_of_a_row()))
        first = [float(row[0]) for row in self.eta]
        values = {self.family.scale(first)}
        if any(np.ptp(row) > 0.0 for row in self.eta[1:]):
            last = [first[0], *(float(np.max(row)) for row in self.eta[1:])]
            least = [first[0], *(float(np.min(row)) for row in self.eta[1:])]
            values |= {self.family.scale(last), self.family.scale(least)}
        return values.pop() if len(values) == 1 else float("nan")

    @property
    def fittedvalues(self) -> pd.Series:
        """Fitted means, random effects included, indexed as the data.

        Of data whose library computes later (Dask), a column that is not computed yet.
        """
        if isinstance(self.eta, RowsElsewhere):
            fitted: pd.Series = self._in_parts("fitted", "fittedvalues")
            return fitted
        return self._of_rows(np.array(self.family.mean(list(self.eta))))

    @property
    def resid(self) -> pd.Series:
        """Response residuals: observed minus fitted, on the scale of the mean."""
        if isinstance(self.eta, RowsElsewhere):
            left: pd.Series = self._in_parts("residuals", "resid")
            return left
        means = np.array(self.family.mean(list(self.eta)))
        return self._of_rows(self.family.observed(self.y) - means)

    def _in_parts(self, what: str, who: str) -> Any:
        """Return what belongs to rows that lie in parts, by the library of the data.

        Raises
        ------
        NotAvailableError
            If it has no frames that are computed later.
        """
        from interlace.parts.of_fit import PartsOfFit

        problem = None if self.training is None else self.training.problem
        if problem is None or problem.parts is None:
            refuse_rows(who)
        found = PartsOfFit(problem, self.fit).lazy(what)
        return refuse_rows(who) if found is None else found

    def _of_rows(self, values: Array) -> pd.Series:
        """Return one value for each row of the fit, in the library of its data."""
        from interlace.prediction.kinds import of_library

        found: pd.Series = of_library(
            self.settings.frames, pd.Series(values, index=self.rows.index)
        )
        return found

    def vcov(self) -> pd.DataFrame:
        """Return the covariance matrix of all parameters, theta first.

        NaN in the rows of covariance parameters at a boundary, infinite for a parameter that the
        data do not determine (`status` names it).
        """
        labels = self.psi_names()
        return pd.DataFrame(self.fit.covariance().copy(), index=labels, columns=labels)

    def psi_names(self) -> list[str]:
        """Return a label for each entry of psi."""
        labels = [f"theta_{i + 1}" for i in range(self.theta.size)]
        for k, found in enumerate(self.coefficients):
            prefix = "" if k == 0 else f"{found.parameter.name}: "
            labels += [prefix + name for name in found.names]
        cut = thresholds_of(self)
        if cut is None:
            return labels
        if cut.by_themselves:
            for name, place in zip(cut.free_names, cut.places, strict=True):
                labels[place] = name
        elif cut.columns == ("Intercept",):
            own = (self.coefficients[k] for k in threshold_predictors(self))
            free = [each.parameter.name for each in own if each.names]
            for name, place in zip(free, cut.places, strict=True):
                labels[place] = name
        return labels

    def _has_effects(self, k: int) -> bool:
        return any(k in dict(term.by_predictor) for term in self.terms)

    def __repr__(self) -> str:
        """Return one line."""
        return (
            f"<{type(self).__name__} {self.formula!r}, family {self.family.name!r}, n={self.nobs}, "
            f"llf={self.llf:.4f}, {self.fit.verdict.status}>"
        )


AnyEstimates = TypeVar("AnyEstimates", bound=Estimates)
"""The class of a result, which what fits again returns too."""


def normal_pvalues(z: Array) -> Array:
    """Return two-sided normal p-values."""
    from scipy.special import ndtr

    return np.asarray(2.0 * ndtr(-np.abs(z)))


def _by_level(effects: GroupEffects, values: Array) -> pd.Series | pd.DataFrame:
    index, values = pd.Index(effects.levels), values.copy()
    if values.shape[1] == 1:
        return pd.Series(values[:, 0], index=index, name=effects.names[0])
    return pd.DataFrame(values, index=index, columns=list(effects.names))
