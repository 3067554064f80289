"""Errors and warnings that interlace raises, to be caught by name.

Every error is an `InterlaceError`, and the builtin that one expects beside (`ValueError`,
`LookupError`, ...); every warning is an `InterlaceWarning`.
"""

from interlace_core.messages.errors import (
    AmbiguousNameError,
    ConfigurationWarning,
    ConvergenceWarning,
    DataError,
    DataWarning,
    ExactResponseError,
    FileAccessError,
    FormulaError,
    InterlaceError,
    InterlaceWarning,
    NotAvailableError,
    NumericalError,
    OptionError,
    OutOfMemoryError,
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
    "ConfigurationWarning",
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "ExactResponseError",
    "FileAccessError",
    "FormulaError",
    "InterlaceError",
    "InterlaceWarning",
    "NotAvailableError",
    "NumericalError",
    "OptionError",
    "OutOfMemoryError",
    "PluginError",
    "PluginWarning",
    "ResponseError",
    "SavedFileError",
    "StartError",
    "UnknownNameError",
    "UnsupportedModelError",
]
