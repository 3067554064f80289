"""Name the plugin when its code fails in the middle of a fit."""

from __future__ import annotations

from types import FrameType, TracebackType

from interlace_core.contract.approximation import Approximation
from interlace_core.contract.covariance import Covariance
from interlace_core.contract.family import Family
from interlace_core.contract.optimizer import Optimizer
from interlace_core.messages.errors import InterlaceError, InterlaceWarning, PluginError
from interlace_core.registry.meets_contract import one_line
from interlace_core.registry.registry import Registry, default_registry

Component = Family | Approximation | Optimizer | Covariance


def guard(component: object | None, stage: str, *, registry: Registry | None = None) -> Guard:
    """Return a context in which an unexpected exception becomes a PluginError.

    The plugin named is that of the innermost family, approximation, optimizer or covariance
    structure on the way to the error, for a family that fails is called by an approximation;
    if there is none, that of `component`. Errors that interlace raises on purpose,
    KeyboardInterrupt and SystemExit pass unchanged. The context can be entered again and
    pickled; entering costs less than a microsecond.

    Parameters
    ----------
    component : object or None
        The component called in this context, or its class. With None only a component on the way
        to the error is named, and other errors pass unchanged.
    stage : str
        What is being done, in a word or two, such as "objective".
    registry : Registry, optional
        Knows where components come from; that of the process by default.

    Examples
    --------
    >>> with guard(object(), "sum"):
    ...     1 + 1
    2
    """
    return Guard(component, stage, registry)


class Guard:
    """The context that `guard` returns."""

    def __init__(
        self, component: object | None, stage: str, registry: Registry | None = None
    ) -> None:
        self._component = component
        self._stage = stage
        self._registry = registry

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise a PluginError from an unexpected exception.

        Raises
        ------
        PluginError
            If the exception is not one that interlace raises on purpose.
        """
        on_purpose = isinstance(error, (InterlaceError, InterlaceWarning))
        if on_purpose or not isinstance(error, Exception):
            return
        culprit = _innermost_component(traceback) or self._component
        if culprit is None:
            return
        registry = self._registry or default_registry()
        raise PluginError(
            f"{_title(culprit)} of {registry.provenance(culprit)} failed at stage {self._stage}: "
            f"{one_line(error)}. The cause is chained; report it to the plugin's authors, or "
            "choose another component."
        ) from error


def _innermost_component(traceback: TracebackType | None) -> object | None:
    found = None
    while traceback is not None:
        caller = _owner(traceback.tb_frame)
        found = caller if isinstance(caller, Component) else found
        traceback = traceback.tb_next
    return found


def _owner(frame: FrameType) -> object | None:
    """Return the first argument of a frame's function: `self` in a method."""
    code = frame.f_code
    return frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None


def _title(component: object) -> str:
    """Return kind and name: `family 'NAME'`, or the class name of anything else."""
    cls = component if isinstance(component, type) else type(component)
    for contract in Component.__args__:
        if issubclass(cls, contract):
            name = getattr(cls, "name", cls.__name__)
            return f"{contract.__name__.lower()} {name!r}"
    return cls.__name__
