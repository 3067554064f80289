"""What was used for a fit, as its result keeps and shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from interlace.config.fit_options import ConfiguredOption


@dataclass(frozen=True, eq=False)
class FitSettings(Mapping[str, Any]):
    """What was used for a fit; its attributes can be read as entries too: `settings["optimizer"]`.

    Attributes
    ----------
    approximation : str
        In words, such as "agq, 9 points"; as a record, the result's `fitted_by`.
    optimizer : str
        As it would be constructed.
    structure : str
        In which order the random effects were eliminated.
    new_levels : str
        What prediction does with a level that the fit has not seen.
    extras : mapping
        What the approximation keeps of its optimum; see `Approximation.extras`.
    parameters : mapping from str to str
        Formulas of further parameters as they were given, by name or role.
    weights : str, or None
        As they were written; "array" for values without a name.
    offset : str, or None
        Of the mean's predictor, as the argument was written; "array" for values without a name.
    correlation : str, or None
        Of the rows' errors, as it was written.
    response_levels : tuple of str
        Names behind the codes of a response with levels; empty for numbers.
    priors : mapping from str to str
        Priors in words, by coefficient or "fixed"; empty unless the fit is penalised.
    penalty : float
        Minus the log-density of the priors at the optimum; 0 without any.
    df_method : str
        How a linear mixed model finds its degrees of freedom; "none" for other models.
    returned : str
        The function that made the result, which decides on its class.
    kernel : str
        The compiled code that evaluated the model, with its build and what of it: "objective", or
        "rows" alone; "none" where NumPy did all.
    parts : str
        In how many parts the data were, or of how many distinct rows the fit was made; empty where
        all rows were fitted to as they are.
    configured : tuple of ConfiguredOption
        Options that came neither from the call nor are built in.
    frames : str
        The library of the data frame, in which answers for the rows of the fit are given.
    """

    approximation: str
    optimizer: str
    structure: str
    new_levels: str
    extras: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    weights: str | None = None
    offset: str | None = None
    correlation: str | None = None
    response_levels: tuple[str, ...] = ()
    priors: Mapping[str, str] = field(default_factory=dict)
    penalty: float = 0.0
    df_method: str = "none"
    returned: str = "glmer"
    kernel: str = "none"
    parts: str = ""
    configured: tuple[ConfiguredOption, ...] = ()
    frames: str = "pandas"

    def __getitem__(self, name: str) -> Any:
        """Return an attribute by name.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        if name not in NAMES:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the attributes."""
        return iter(NAMES)

    def __len__(self) -> int:
        """Return the number of attributes."""
        return len(NAMES)


NAMES = tuple(each.name for each in fields(FitSettings))
"""Of the attributes, in their order."""
