"""Errors and warnings: one root, children that also inherit the builtin a user expects."""

MOST_SHOWN = 2000
"""Characters of a message; what a user gave may be of any length."""


class InterlaceError(Exception):
    """Root of every error that interlace raises on purpose."""

    def __str__(self) -> str:
        """Return the message, its middle left out if it is long, as it can be written."""
        text = super().__str__()
        if len(text) > MOST_SHOWN:
            text = f"{text[: MOST_SHOWN // 2]} [...] {text[-MOST_SHOWN // 2 :]}"
        return text.encode("utf-8", "backslashreplace").decode()


class FormulaError(InterlaceError, ValueError):
    """A formula cannot be read; the message points at the span in the user's text."""


class DataError(InterlaceError, ValueError):
    """The data, the weights, the offset or the groups cannot be used as given."""


class ResponseError(DataError):
    """The response lies outside the family's domain or has a form it cannot take.

    Parameters
    ----------
    message : str
        With `{row}` in the place of the offending row, if there is one.
    row : int, optional
        Its position among the rows given to the family.
    """

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message if row is None else message.replace("{row}", f"row {row}"))
        self.template, self.row = message, row

    def at(self, where: str) -> "ResponseError":
        """Return the same error with the row named in other words."""
        return ResponseError(self.template.replace("{row}", where))


class OptionError(InterlaceError, ValueError):
    """An argument, an option or a configuration value is not acceptable."""


class UnknownNameError(InterlaceError, LookupError):
    """A name was looked up that nothing installed provides."""


class AmbiguousNameError(InterlaceError, LookupError):
    """Two distributions provide the same name; it must be written `distribution:name`."""


class UnsupportedModelError(InterlaceError, NotImplementedError):
    """The model is well defined, but the chosen component cannot fit it."""


class ExactResponseError(UnsupportedModelError):
    """The model predicts the response exactly, and its likelihood has no maximum."""


class NotAvailableError(InterlaceError, NotImplementedError):
    """A component does not offer an optional ability that was asked for."""


class PluginError(InterlaceError, RuntimeError):
    """A plugin failed; the message names plugin, distribution, version and stage."""


class NumericalError(InterlaceError, ArithmeticError):
    """A computation has no finite answer at the point where it was asked."""


class StartError(NumericalError):
    """The log-likelihood cannot be evaluated where a search is to begin."""


class SavedFileError(InterlaceError, ValueError):
    """A result cannot be saved as it is, or a saved file is damaged, unsafe or too new."""


class FileAccessError(SavedFileError, OSError):
    """A file cannot be read or written: there is none, no permission, no space."""


class MissingFileError(FileAccessError, FileNotFoundError):
    """There is no such file."""


class OutOfMemoryError(InterlaceError, MemoryError):
    """What is asked for does not fit into the memory of the machine."""


class InterlaceWarning(UserWarning):
    """Root of every warning that interlace issues."""


class DataWarning(InterlaceWarning):
    """Something in the data was dropped, recoded or looks like a mistake."""


class ConvergenceWarning(InterlaceWarning):
    """The fit did not reach an optimum, or its optimum is not to be trusted."""


class ConfigurationWarning(InterlaceWarning):
    """A configuration file was left aside, since it belongs to somebody else."""


class PluginWarning(InterlaceWarning):
    """An installed plugin could not be used; everything else goes on."""
