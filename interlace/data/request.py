"""What is asked of a fit: the model by formula and data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from interlace.formulas.limits import DEFAULT_LIMITS, Limits
from interlace_core.calculus.links import Link
from interlace_core.contract.family import Family
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
    hold : mapping, optional
        Parameters held at values, by the names that results print.
    start : mapping, optional
        Where the search begins, by the same names.
    known : mapping from str to DataFrame, optional
        Covariance of the levels of grouping factors, labelled by them.
    covariance : mapping from str to str, optional
        Covariance structures of terms without one, by grouping factor.
    link : str or Link, optional
        Link of the mean, for a family given by name or class.
    correlation : str, optional
        Correlation of the rows' errors, such as "ar1(time | subject)".
    known_variance : str, array-like of shape (n_given,) or (n_given, n_given), optional
        Known variances, or the covariance, of the rows' errors.
    functions : mapping from str to callable, optional
        Functions of the user's that formulas may call, by name.
    arguments : mapping from str to str
        By which argument of the call formulas of `parameters` were given, for messages.
    limits : Limits
        Of the formulas' size.
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
    hold: Any = None
    start: Any = None
    known: Mapping[str, Any] | None = None
    known_variance: Any = None
    covariance: Mapping[str, Any] | None = None
    correlation: str | None = None
    functions: Mapping[str, Callable[..., Any]] | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = DEFAULT_LIMITS
    link: str | Link | None = None
    who: str = "glmer"

    def __post_init__(self) -> None:
        if not isinstance(self.parameters, Mapping):
            raise OptionError(
                "parameters: expected a dict such as {'phi': '~ x'}, got a "
                f"{type(self.parameters).__name__}. Name the parameter of each formula."
            )

    def argument_of(self, key: str) -> str:
        """Return how messages call the formula of a further parameter."""
        return self.arguments.get(key, f"parameters[{key!r}]")
