"""Marginal effects and means through the Python package `marginaleffects`.

    from marginaleffects import avg_comparisons, predictions
    from interlace.marginaleffects import adapt

    predictions(adapt(model, data), by="treatment")

All functions of that package then work: `predictions`, `comparisons`, `slopes`, `hypotheses` and
their averages. Of an ordinal model they have a row for each category, and `with_t` gives those of a
linear model its t tests. Standard errors come from the joint covariance of all coefficients, which
includes the uncertainty of the covariance parameters. Install it with
`pip install 'interlace[marginaleffects]'`.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from interlace.data.frames import as_pandas
from interlace.data.levels import level_names
from interlace.formulas.formula import parse_formula
from interlace.formulas.limits import NO_LIMITS
from interlace.formulas.tokens import Source, tokenise
from interlace.inference.parameters import term_covariances
from interlace.inference.quadratic_forms import boundary_as_known
from interlace.linear import LMMResult
from interlace.ordinal import CLMMResult
from interlace.prediction.average import average, prior_covariance
from interlace.prediction.design import unrelated_scale
from interlace.prediction.new_data import encode
from interlace.prediction.target import Target, category_targets, target_of
from interlace_core.messages.errors import DataError, NotAvailableError, OptionError
from interlace_core.records import Array

try:
    import polars as pl
    from marginaleffects.classes import MarginaleffectsResult, ModelAbstract, ModelVault
except ModuleNotFoundError as error:
    raise NotAvailableError(
        "interlace.marginaleffects: the package marginaleffects is not installed. Run "
        "pip install 'interlace[marginaleffects]'."
    ) from error

if TYPE_CHECKING:
    from interlace.results.result import GLMMResult

__all__ = ["MixedModel", "adapt", "with_t"]


def adapt(
    result: GLMMResult, data: Any, *, type: str | None = None, include_re: bool = False
) -> MixedModel:
    """Return a result in the form that the functions of `marginaleffects` take.

    Parameters
    ----------
    result : GLMMResult
        The fitted model.
    data : data frame
        Over which effects are averaged and from which grids are made: usually that of the fit.
    type : str, optional
        The scale of predictions, as in `predict` of the result: "response" (the default), "link",
        "mean", "population" (averaged over all random effects), or the name or role of a
        distributional parameter. Of ordered categories "prob" (the default), "cum.prob" or
        "population", which have a row for each category (`group`), or "linear.predictor".
    include_re : bool
        Whether predictions include the random effects of each row's group. Without them (the
        default) they are for a group whose random effects are 0, which for a link that is not
        linear is not the average over groups: that is type="population". With them, standard
        errors take the random effects as known.

    Returns
    -------
    MixedModel

    Raises
    ------
    DataError
        If the data lack a column of the model.
    OptionError
        If the type is unknown.
    """
    return MixedModel(result, data, type, include_re)


def with_t(found: Any, model: MixedModel) -> Any:
    """Return what a function of `marginaleffects` found with t tests and intervals.

    The package takes the normal law. Each row is a contrast of a linear model's coefficients, its
    degrees of freedom those of `LMMResult.contrast_df`: Satterthwaite's, or Kenward and Roger's.

    Parameters
    ----------
    found : MarginaleffectsResult
        Of `predictions`, `comparisons`, `slopes` or their averages, without `hypothesis` values
        other than 0 and without a `transform`.
    model : MixedModel
        That it was made with: of a fit by `interlace.fit`, include_re=False.

    Returns
    -------
    MarginaleffectsResult
        With a column `df`; `statistic` is t.

    Raises
    ------
    OptionError
        If the model is no linear one, or the rows are no combinations of its coefficients.
    """
    result: Any = getattr(model, "model", None)
    if not isinstance(result, LMMResult):
        raise OptionError(
            "with_t: expected the adapted result of interlace.fit, whose tests are t tests, got "
            f"{builtins.type(result).__name__}. Other models have z tests: leave it out."
        )
    J = None if not isinstance(found, MarginaleffectsResult) else found.jacobian
    if J is None or "std_error" not in found.data.columns:
        raise OptionError(
            "with_t: expected what a function of marginaleffects returned, with standard errors, "
            f"got {builtins.type(found).__name__}. Leave vcov=False out."
        )
    place = result.coefficients[0].place
    contrasts = np.asarray(J, dtype=np.float64)[:, : place.stop - place.start]
    table, level = found.data, found.conf_level
    estimate, se = (table[name].to_numpy() for name in ("estimate", "std_error"))
    V = np.asarray(model.vault.vcov)[: contrasts.shape[1], : contrasts.shape[1]]
    own = np.sqrt(np.sum((contrasts @ V) * contrasts, axis=1))
    if not np.allclose(own, se, rtol=1e-6, atol=1e-12):
        raise OptionError(
            "with_t: expected standard errors of combinations of the mean's coefficients, by the "
            "model's own covariance, got others. Leave vcov= and transform= out, or type= of "
            "another parameter."
        )
    df = np.array([result.contrast_df(row) if row.any() else np.inf for row in contrasts])
    with np.errstate(divide="ignore", invalid="ignore"):
        t = estimate / se
    p = 2.0 * student_t.sf(np.abs(t), df)
    half = student_t.ppf(0.5 + 0.5 * level, df) * se
    columns = {"statistic": t, "p_value": p, "s_value": -np.log2(np.maximum(p, 5e-324))}
    columns |= {"conf_low": estimate - half, "conf_high": estimate + half, "df": df}
    kept = {name: each for name, each in columns.items() if name in (*table.columns, "df")}
    table = table.with_columns(*(pl.Series(name, each) for name, each in kept.items()))
    return MarginaleffectsResult(
        table, by=found.by, conf_level=level, jacobian=J, mapping={"statistic": "t", "df": "Df"}
    )


class MixedModel(ModelAbstract):  # type: ignore[misc]
    """A fitted mixed model as `marginaleffects` sees it; made by `adapt`."""

    def __init__(self, result: GLMMResult, data: Any, type: str | None, include_re: bool) -> None:
        self._names, self._targets = _targets(result, type)
        self._over_all = self._targets[0].over_all
        if self._over_all and include_re:
            raise OptionError(
                'adapt: type="population" averages over all random effects. Leave include_re out.'
            )
        self._include_re = include_re
        structures = term_covariances(result) if self._over_all else []
        if structures is None:
            raise NotAvailableError(
                "adapt: the plugin with a covariance structure of this fit is not installed, "
                'without which type="population" has no variances. Install it.'
            )
        self._structures = structures
        columns = _columns(result, include_re or self._over_all)
        groups = _group_columns(result) if include_re else []
        frame = _modeldata(result, data, [*columns, *groups])
        response = _response_column(result, frame.columns)
        self._first = 0 if self._over_all else result.coefficients[0].place.start
        vault = ModelVault(
            coef=result.fit.psi[self._first :].copy(),
            coefnames=np.array(result.psi_names()[self._first :]),
            formula=f"{response} ~ {' + '.join(columns) or '1'}",
            modeldata=frame,
            package="interlace",
            # a variance at 0 counts as known
            vcov=boundary_as_known(result.fit.vcov, [each.place for each in result.coefficients])[
                self._first :, self._first :
            ],
            variable_names=[response, *columns],
        )
        super().__init__(result, vault)

    def get_vcov(self, vcov: Any = True) -> Array | None:
        """Return the covariance of all coefficients, or the one given as an array."""
        if vcov is False:
            return None
        if vcov is True or vcov is None:
            return np.asarray(self.vault.vcov)
        given = np.asarray(vcov, dtype=np.float64) if not isinstance(vcov, str) else np.zeros(0)
        if given.shape != self.vault.vcov.shape:
            raise OptionError(
                f"vcov: expected True, False or an array of shape {self.vault.vcov.shape}, "
                f"got {vcov!r}."
            )
        return given

    def get_exog(self, newdata: Any) -> Array:
        """Return each row's designs, then offset and random effect of each predictor.

        For averages over the random effects their covariates come last.
        """
        result = self.model
        frame = newdata.to_pandas() if hasattr(newdata, "to_pandas") else newdata
        effects = self._include_re
        design = encode(
            result.encoder,
            frame,
            need_random=effects or self._over_all,
            need_groups=[effects] * len(result.terms),
        )
        known = np.stack([predictor.offset for predictor in design.predictors])
        for term, coded in zip(result.terms, design.terms, strict=True) if effects else ():
            b = result.effects[term.group].values[:, term.columns]
            b = np.vstack([b, np.zeros(b.shape[1])])  # code -1, a new group, finds zeros
            for k, own in term.by_predictor:
                known[k] += np.sum(coded.Z[:, own] * b[coded.codes][:, own], axis=1)
        Z = [coded.Z for coded in design.terms] if self._over_all else []
        return np.hstack([*(predictor.X for predictor in design.predictors), known.T, *Z])

    def get_predict(self, params: Array, newdata: Any) -> Any:
        """Return predictions at given coefficients: a pure function of its arguments."""
        exog = newdata if isinstance(newdata, np.ndarray) else self.get_exog(newdata)
        found, K = self.model.coefficients, len(self.model.coefficients)
        params = np.asarray(params, dtype=np.float64)
        start, at = found[0].place.start, sum(len(each.names) for each in found)
        eta = np.empty((K, len(exog)))
        for k, each in enumerate(found):
            where = slice(each.place.start - start, each.place.stop - start)
            own = slice(each.place.start - self._first, each.place.stop - self._first)
            eta[k] = exog[:, where] @ params[own] + exog[:, at + k]
        variance = self._variance(params, exog[:, at + K :]) if self._over_all else None
        with np.errstate(over="ignore"):
            each = [self._predicted(target, eta, variance) for target in self._targets]
        n, names = len(exog), self._names
        columns = [pl.Series("rowid", np.tile(np.arange(n), len(each)), dtype=pl.Int32)]
        if names:
            columns.append(pl.Series("group", np.repeat(names, n).tolist()))
        return pl.DataFrame([*columns, pl.Series("estimate", np.concatenate(each))])

    def _variance(self, psi: Array, Z: Array) -> Array:
        """Return the covariance of the random parts of the predictors, shape (K, K, n)."""
        result, Zs = self.model, []
        for term in result.terms:
            Zs.append(Z[:, : len(term.names)])
            Z = Z[:, len(term.names) :]
        return prior_covariance(
            [structure.template(psi[place]) for structure, place in self._structures],
            [term.by_predictor for term in result.terms],
            Zs,
            [np.ones((len(each), 1), dtype=bool) for each in Zs],
            (len(result.coefficients), len(Z)),
            [np.full(len(Z), unrelated_scale(result.effects[t.group])) for t in result.terms],
        )

    def _predicted(self, target: Target, eta: Array, variance: Array | None) -> Array:
        if variance is None:
            return np.asarray(target.transform(list(eta)), dtype=np.float64)
        return average(target.transform, eta, variance)


def _targets(result: GLMMResult, type: str | None) -> tuple[list[str], list[Target]]:
    """Return what is predicted, with the names of the categories if each has its own."""
    if not isinstance(result, CLMMResult):
        return [], [target_of(result, "response" if type is None else type, None)]
    chosen = "prob" if type is None else type
    if chosen in ("prob", "cum.prob", "population"):
        return [str(each) for each in result.levels], category_targets(result, chosen)
    if chosen == "class":
        raise OptionError(
            'adapt: type="class" is no number, and has no effects. Use type="prob", the '
            "probability of each category."
        )
    return [], [target_of(result, "link" if chosen == "linear.predictor" else chosen, None)]


def _columns(result: GLMMResult, include_re: bool) -> list[str]:
    """Return the columns whose effects can be asked for: all but those of the groups."""
    encoder = result.encoder
    names: list[str] = []
    for predictor in encoder.predictors:
        names += predictor.design.columns if predictor.design else ()
        names += [name for each in predictor.offsets for name in each.columns]
    for term in encoder.terms if include_re else ():
        names += term.design.columns
    return list(dict.fromkeys(names))


def _group_columns(result: GLMMResult) -> list[str]:
    return [name for term in result.encoder.terms for name in term.factor.columns]


def _modeldata(result: GLMMResult, data: Any, columns: list[str]) -> Any:
    """Return the data as polars, factors of the fit as enumerations of its levels."""
    frame = as_pandas(data)
    missing = [name for name in columns if name not in frame]
    if missing:
        raise DataError(f"adapt: data lack the column(s) {', '.join(missing)}. Add them.")
    frame = frame.dropna(subset=columns)
    levels = {
        name: level_names(code.levels)
        for name, code in result.encoder.columns.items()
        if code.levels is not None and not code.is_boolean
    }
    for term in result.encoder.terms:
        known = zip(term.factor.columns, term.factor.column_levels, strict=True)
        levels |= {name: names for name, names in known if name in columns}
    plain = {name: _plain(frame[name], levels.get(name)) for name in frame.columns}
    return pl.DataFrame(plain)


def _plain(column: pd.Series[Any], levels: tuple[str, ...] | None) -> Any:
    if levels is not None:
        return pl.Series(list(level_names(column.tolist())), dtype=pl.Enum(levels), strict=False)
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype.kind not in "iufb":
        # the package refuses a response or covariate of plain text
        texts = [None if pd.isna(value) else str(value) for value in column]
        known = sorted({each for each in texts if each is not None})
        return pl.Series(texts, dtype=pl.Enum(known))
    return pl.Series(column.to_numpy())


def _response_column(result: GLMMResult, columns: list[str]) -> str:
    response = parse_formula(result.formula, limits=NO_LIMITS).response
    assert response is not None
    named = [each.name for each in tokenise(Source(response.text), NO_LIMITS) if each.is_name]
    found = [name for name in named if name in columns]
    if not found:
        raise DataError(f"adapt: data lack the response {response.text!r}. Add its column(s).")
    return found[0]
