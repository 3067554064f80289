"""What stands in a result for arrays of rows that are not here."""

from __future__ import annotations

from typing import Any, NoReturn

from interlace_core.messages.errors import NotAvailableError


class RowsElsewhere:
    """Rows of a fit whose data lie in parts: whatever is asked of them is refused in words."""

    def __repr__(self) -> str:
        return "<rows that lie in parts>"

    def __getattr__(self, name: str) -> Any:
        """Refuse any attribute but those by which Python looks at objects."""
        if name.startswith("__") and name not in ("__array__", "__array_interface__"):
            raise AttributeError(name)
        refuse_rows()

    def __reduce__(self) -> Any:
        """Return how it is pickled: it holds nothing."""
        return RowsElsewhere, ()


def _refused(self: RowsElsewhere, *_: Any, **__: Any) -> NoReturn:
    refuse_rows()


# Python looks for these at the class; a type checker is not to take them for what rows can do.
for _name in (
    "__array__", "__array_ufunc__", "__len__", "__iter__", "__getitem__", "__eq__",
    "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__",
):  # fmt: skip
    setattr(RowsElsewhere, _name, _refused)
setattr(RowsElsewhere, "__hash__", None)  # noqa: B010


def refuse_rows(who: str = "") -> NoReturn:
    """Refuse what needs all rows of a fit in parts at once.

    Raises
    ------
    NotAvailableError
    """
    raise NotAvailableError(
        f"{who + ': ' if who else ''}this needs all rows of the fit at once, and its data lie in "
        "parts. `result.in_parts` has fitted values, residuals and random effects part by part; "
        "for all else fit the model to rows that memory holds, such as some of the groups."
    )
