"""Errors and warnings that interlace raises, to be caught by name.

Every error is an `InterlaceError`, and the builtin that one expects beside (`ValueError`,
`LookupError`, ...); every warning is an `InterlaceWarning`.
"""

from interlace_core.messages.errors import (
    AmbiguousNameError,
    ConvergenceWarning,
    DataError,
    DataWarning,
    ExactResponseError,
    FormulaError,
    InterlaceError,
    InterlaceWarning,
    NotAvailableError,
    NumericalError,
    OptionError,
    PluginError,
    PluginWarning,
    ResponseError,
    SavedFileError,
    StartError,
    UnknownNameError,
    UnsupportedModelError,
)

__all__ = [
    "AmbiguousNameError",
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "ExactResponseError",
    "FormulaError",
    "InterlaceError",
    "InterlaceWarning",
    "NotAvailableError",
    "NumericalError",
    "OptionError",
    "PluginError",
    "PluginWarning",
    "ResponseError",
    "SavedFileError",
    "StartError",
    "UnknownNameError",
    "UnsupportedModelError",
]
