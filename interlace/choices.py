"""What options that take one of several words take, for type checkers and for checks alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    import pandas as pd

PandasRows: TypeAlias = "pd.DataFrame | Mapping[str, Any] | None"
"""Rows whose predictions are of pandas; those of other libraries are of theirs."""

LinearMethod = Literal["REML", "ML"]
DegreesOfFreedom = Literal["satterthwaite", "kenward-roger", "none"]
OrdinalLink = Literal[
    "logit", "probit", "cloglog", "loglog", "cauchit", "aranda-ordaz", "log-gamma"
]
ThresholdStructure = Literal["flexible", "symmetric", "symmetric2", "equidistant"]
IntervalOf = Literal["confidence", "prediction"]
NewLevels = Literal["population", "error", "marginal", "sample"]
ConfintMethod = Literal["wald", "profile", "boot"]
Scale = Literal["link", "response"]
ResidualKind = Literal["response", "pearson", "deviance", "working", "quantile"]
TidyEffects = Literal["fixed", "ran_pars", "ran_vals", "family"]
TestType = Literal[2, 3, "II", "III"]
EffectType = Literal["response", "link", "mean", "population"]
PlotKind = Literal[
    "coefficients", "effects", "residuals", "scaled_residuals", "caterpillar", "fitted", "path",
    "profile",
]  # fmt: skip
SummaryPart = Literal[
    "head", "random", "fixed", "thresholds", "parameters", "family", "notes"
]  # fmt: skip
CategoryTable = Literal["prob", "cum.prob", "population"]
CategoryColumn = Literal["class", "linear.predictor", "link", "response", "mean"]


class RowOptions(TypedDict, total=False):
    """Options of `predict` on which the type of its answer does not depend."""

    include_re: bool | str | Sequence[str]
    new_levels: NewLevels | None
    offset: Any
    level: float
    weights: Any
    n_sim: int
    seed: int | None


class PredictOptions(RowOptions, total=False):
    """The same, with what is predicted."""

    type: str
