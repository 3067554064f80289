"""Marginal effects and means through the Python package `marginaleffects`.

    from marginaleffects import avg_comparisons, predictions
    from interlace.marginaleffects import adapt

    predictions(adapt(model, data), by="treatment")

All functions of that package then work: `predictions`, `comparisons`, `slopes`, `hypotheses` and
their averages. Standard errors come from the joint covariance of all coefficients, which includes
the uncertainty of the covariance parameters. Install it with
`pip install 'interlace[marginaleffects]'`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interlace.data.frames import open_table
from interlace.data.levels import level_names
from interlace.formulas.formula import parse_formula
from interlace.formulas.limits import NO_LIMITS
from interlace.formulas.tokens import Source, tokenise
from interlace.prediction.new_data import encode
from interlace.prediction.target import target_of
from interlace_core.messages.errors import DataError, NotAvailableError, OptionError
from interlace_core.records import Array

try:
    import polars as pl
    from marginaleffects.classes import ModelAbstract, ModelVault
except ModuleNotFoundError as error:
    raise NotAvailableError(
        "interlace.marginaleffects: the package marginaleffects is not installed. Run "
        "pip install 'interlace[marginaleffects]'."
    ) from error

if TYPE_CHECKING:
    from interlace.results.result import GLMMResult

__all__ = ["MixedModel", "adapt"]


def adapt(
    result: GLMMResult, data: Any, *, type: str = "response", include_re: bool = False
) -> MixedModel:
    """Return a result in the form that the functions of `marginaleffects` take.

    Parameters
    ----------
    result : GLMMResult
        The fitted model.
    data : data frame
        Over which effects are averaged and from which grids are made: usually that of the fit.
    type : str
        The scale of predictions, as in `GLMMResult.predict`: "response", "link", "mean", or the
        name or role of a distributional parameter.
    include_re : bool
        Whether predictions include the random effects of each row's group. Without them (the
        default) they are for a group whose random effects are 0, which for a link that is not
        linear is not the average over groups. With them, standard errors take the random effects
        as known.

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


class MixedModel(ModelAbstract):  # type: ignore[misc]
    """A fitted mixed model as `marginaleffects` sees it; made by `adapt`."""

    def __init__(self, result: GLMMResult, data: Any, type: str, include_re: bool) -> None:
        if type == "population":
            raise OptionError(
                "adapt: averages over the random effects are not offered through marginaleffects. "
                'Use "response", or predict(type="population").'
            )
        self._transform = target_of(result, type).transform
        self._include_re = include_re
        columns = _columns(result, include_re)
        groups = _group_columns(result) if include_re else []
        frame = _modeldata(result, data, [*columns, *groups])
        response = _response_column(result, frame.columns)
        first = result.coefficients[0].place.start
        vault = ModelVault(
            coef=result.fit.psi[first:].copy(),
            coefnames=np.array(result.psi_names()[first:]),
            formula=f"{response} ~ {' + '.join(columns) or '1'}",
            modeldata=frame,
            package="interlace",
            vcov=result.fit.vcov[first:, first:].copy(),
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
        """Return each row's designs, then offset and random effect of each predictor."""
        result = self.model
        frame = newdata.to_pandas() if hasattr(newdata, "to_pandas") else newdata
        effects = self._include_re
        design = encode(result.encoder, frame, need_random=effects)
        known = np.stack([predictor.offset for predictor in design.predictors])
        for term, coded in zip(result.terms, design.terms, strict=True) if effects else ():
            b = result.effects[term.group].values[:, term.columns]
            b = np.vstack([b, np.zeros(b.shape[1])])  # code -1, a new group, finds zeros
            for k, own in term.by_predictor:
                known[k] += np.sum(coded.Z[:, own] * b[coded.codes][:, own], axis=1)
        return np.hstack([*(predictor.X for predictor in design.predictors), known.T])

    def get_predict(self, params: Array, newdata: Any) -> Any:
        """Return predictions at given coefficients: a pure function of its arguments."""
        exog = newdata if isinstance(newdata, np.ndarray) else self.get_exog(newdata)
        K, first = len(self.model.coefficients), self.model.coefficients[0].place.start
        params = np.asarray(params, dtype=np.float64)
        eta = []
        for k, found in enumerate(self.model.coefficients):
            where = slice(found.place.start - first, found.place.stop - first)
            eta.append(exog[:, where] @ params[where] + exog[:, exog.shape[1] - K + k])
        with np.errstate(over="ignore"):
            estimate = np.asarray(self._transform(eta), dtype=np.float64)
        rows = pl.Series("rowid", range(len(estimate)), dtype=pl.Int32)
        return pl.DataFrame([rows, pl.Series("estimate", estimate)])


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
    native = open_table(data).native
    frame: pd.DataFrame = native if isinstance(native, pd.DataFrame) else native.to_pandas()
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
        return pl.Series([str(value) for value in column])
    return pl.Series(column.to_numpy())


def _response_column(result: GLMMResult, columns: list[str]) -> str:
    response = parse_formula(result.formula, limits=NO_LIMITS).response
    assert response is not None
    named = [each.name for each in tokenise(Source(response.text), NO_LIMITS) if each.is_name]
    found = [name for name in named if name in columns]
    if not found:
        raise DataError(f"adapt: data lack the response {response.text!r}. Add its column(s).")
    return found[0]
