"""What holds inside every call of a user, whatever the caller has set.

Overflow, underflow and divisions by 0 are met on purpose: what a computation ended with is looked
at afterwards, and told as a status, a note or an error. So NumPy is silent inside the library's
calls, also where a program asks it to raise (`np.errstate(all="raise")`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

import numpy as np

from interlace_core.messages.errors import OutOfMemoryError

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
Class = TypeVar("Class", bound=type)

SHOWN = ("__str__", "__repr__", "_repr_html_", "_repr_markdown_", "_repr_latex_")
"""Methods that a notebook or `print` calls: entrances too, though their names are not public."""


def entrance(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Return a function that runs with NumPy's floating-point messages off.

    The caller's own setting is back when it returns. Memory that is not there is said in words.
    """

    @wraps(function)
    def entered(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        with np.errstate(all="ignore"):
            try:
                return function(*args, **kwargs)
            except OutOfMemoryError:
                raise
            except MemoryError as error:
                raise OutOfMemoryError(
                    f"{function.__name__}: the memory of the machine does not suffice"
                    f"{f' ({error})' if str(error) else ''}. Ask for less (rows, draws, points, "
                    "levels of crossed factors), or use a larger machine."
                ) from error

    return entered


def entrances(cls: Class) -> Class:
    """Make an entrance of each public method and property that a class defines itself."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_") and name not in SHOWN:
            continue
        if isinstance(member, FunctionType):
            setattr(cls, name, entrance(member))
        elif isinstance(member, property) and member.fget is not None:
            setattr(cls, name, _property(member))
        elif isinstance(member, cached_property):
            made: Any = cached_property(entrance(member.func))
            made.__set_name__(cls, name)
            setattr(cls, name, made)
    return cls


def _property(member: property) -> Any:
    assert member.fget is not None
    return property(entrance(member.fget), member.fset, member.fdel, member.__doc__)
