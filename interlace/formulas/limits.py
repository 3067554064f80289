"""How large a formula may be: each limit is checked before memory or time is spent."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from interlace_core.messages.checks import is_whole
from interlace_core.messages.errors import OptionError


@dataclass(frozen=True)
class Limits:
    """The largest formula that is read; far above any in use, far below what strains a machine.

    Attributes
    ----------
    length : int
        Characters of one text.
    nesting : int
        Brackets within each other, and operations that wait for each other.
    terms : int
        Terms that operators such as `*` and `^` expand to.
    order : int
        Factors of one interaction.
    power : int
        Exponent of a sum of terms, `(a + b)^2`.
    degree : int
        Degree of a polynomial or spline.
    knots : int
        Knots or degrees of freedom of a spline, and entries of a list.
    digits : int
        Characters of a number, and of a text within an expression a thousand times that.
    columns : int
        Columns of one design matrix.
    """

    length: int = 100_000
    nesting: int = 100
    terms: int = 1_000
    order: int = 12
    power: int = 20
    degree: int = 30
    knots: int = 1_000
    digits: int = 30
    columns: int = 5_000

    def __post_init__(self) -> None:
        """Refuse limits that are no whole numbers of 1 or more."""
        for each in fields(self):
            value: Any = getattr(self, each.name)
            if not is_whole(value, 1):
                raise OptionError(
                    f"formula_limits: {each.name}: expected a whole number of 1 or more, got "
                    f"{value!r}."
                )

    def hint(self, name: str) -> str:
        """Return how the limit of that name is raised, to end a message."""
        return f"Raise the limit by options(formula_limits={{{name!r}: ...}})."


DEFAULT_LIMITS = Limits()
NO_LIMITS = Limits(**{each.name: 2**31 - 1 for each in fields(Limits)})
"""For formulas that a fit has accepted."""
