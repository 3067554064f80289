"""What is asked of a fit: the model by formula and data, and the options in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.family import Family
from interlace_core.contract.optimizer import Optimizer
from interlace_core.messages.errors import OptionError


@dataclass(frozen=True, eq=False)
class ModelRequest:
    """A model as a call asks for it; formula and data are not read yet.

    Attributes
    ----------
    formula : str
        Such as `y ~ x + offset(log(e)) + (1 + x | g)`. The left-hand side is a column,
        arithmetic (`/` is division), or `cbind(successes, failures)`.
    data : data frame or mapping from str to array-like
        pandas, polars, pyarrow, or columns by name.
    family : str, Family or class
        The name of an installed family, an instance, or its class.
    groups : str or sequence of str, optional
        Grouping columns with a random intercept each: `"herd"` equals `(1 | herd)`.
    random : str or sequence of str, optional
        Further terms such as `"(1 + x | g)"`.
    weights : str or array-like, shape (n_given,), optional
        A column, an expression, or numbers of 0 or more.
    offset : str or array-like, shape (n_given,), optional
        A column, an expression such as `"log(e)"`, or numbers, on the scale of eta.
    parameters : mapping from str to str
        Formulas such as `"~ x + (1 | g)"` by the name or role of the family's parameters other
        than the first, those of `dispformula` and `ziformula` among them; `~ 1` by default.
    theta0 : array-like, shape (n_theta,), optional
        Start for the covariance parameters.
    priors : mapping from str to Prior, optional
        By coefficient, or "fixed" for all of the mean's but the intercept; see
        `interlace_core.fitting.priors`. The fit is then a penalised one.
    known : mapping from str to DataFrame, optional
        Covariance of the levels of grouping factors, labelled by them.
    covariance : mapping from str to str, optional
        Covariance structures of terms without one, by grouping factor.
    correlation : str, optional
        Correlation of the rows' errors, such as "ar1(time | subject)".
    who : str
        The function that the user called, for messages.

    Raises
    ------
    OptionError
        If `parameters` is no mapping.
    """

    formula: str
    data: Any
    family: str | Family | type[Family]
    groups: str | Sequence[str] | None = None
    random: str | Sequence[str] | None = None
    weights: Any = None
    offset: Any = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    theta0: Any = None
    priors: Mapping[str, Any] | None = None
    known: Mapping[str, Any] | None = None
    covariance: Mapping[str, Any] | None = None
    correlation: str | None = None
    who: str = "glmer"

    def __post_init__(self) -> None:
        if not isinstance(self.parameters, Mapping):
            raise OptionError(
                "parameters: expected a dict such as {'phi': '~ x'}, got a "
                f"{type(self.parameters).__name__}. Name the parameter of each formula."
            )


@dataclass(frozen=True)
class ConfiguredOption:
    """An option that neither the call gave nor is built in, and where it comes from.

    Attributes
    ----------
    name : str
        With a dot before the entry of a table.
    value : str
        As shown.
    origin : str
        Such as a file's path, the name of an environment variable, or "options()".
    """

    name: str
    value: str
    origin: str

    def __str__(self) -> str:
        """Return it as the summary shows it."""
        return f"{self.name}={self.value} ({self.origin})"


@dataclass(frozen=True, eq=False)
class FitOptions:
    """Every option that can be configured, as it holds for one fit.

    Attributes
    ----------
    optimizer : str or Optimizer
    optimizer_options : mapping
        With which a named optimizer is built.
    approximation : str, Approximation or None
        None leaves the choice to `nAGQ`.
    nAGQ : int
        Quadrature points.
    new_levels : str
        What prediction does with a level that the fit has not seen.
    tol_decrement : float
        Log-likelihood that an optimum may leave to gain.
    starts : int
        Searches from random starts beside the usual ones.
    verbose : bool
        Whether a long fit shows its progress.
    prefer : mapping from "kind:name" to distribution
        Which of several plugins of one name is meant.
    given : frozenset of str
        Names of the options that the call itself gives.
    configured : tuple of ConfiguredOption
        Those that come from elsewhere and act on the fit or its predictions.
    """

    optimizer: str | Optimizer
    nAGQ: int
    new_levels: str
    tol_decrement: float
    starts: int
    approximation: str | Approximation | None = None
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    verbose: bool = False
    prefer: Mapping[str, str] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    configured: tuple[ConfiguredOption, ...] = ()
