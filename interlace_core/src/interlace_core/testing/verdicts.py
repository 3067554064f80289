"""What a check is, how it fails in words, and which failures are expected."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from interlace_core.messages.errors import InterlaceError, OptionError
from interlace_core.records import Array

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

Checks = list[tuple[str, Callable[[], None]]]
"""Pairs of a name and a function without arguments that raises ConformanceError."""


class ConformanceError(InterlaceError, AssertionError):
    """A component does not do what its contract says; the message names component and check."""


class NotMetError(Exception):
    """One expectation of a check was not met; `Check` adds who and which check."""


@dataclass(frozen=True)
class Check:
    """A check of one component, ready to be called.

    Attributes
    ----------
    who : str
        The component, as in `Counts(rate=2.0)`.
    name : str
        What is checked.
    run : callable
        Raises if it is not met.
    reason : str, or None
        Why it is expected to fail.
    """

    who: str
    name: str
    run: Callable[[], None]
    reason: str | None = None

    @property
    def __name__(self) -> str:
        """The component, for the test ids that pytest makes."""
        return self.who

    def __call__(self) -> None:
        """Run the check.

        Raises
        ------
        ConformanceError
            If it fails, or if it is expected to and does not.
        """
        if self.reason is None:
            self._run()
            return
        try:
            self._run()
        except ConformanceError:
            return
        raise ConformanceError(
            f"{self.who}, check {self.name!r}: expected a failure, because {self.reason}; got a "
            "pass. The expectation is stale: take it out of expected_failures."
        )

    def _run(self) -> None:
        try:
            self.run()
        except NotMetError as error:
            raise ConformanceError(f"{self.who}, check {self.name!r}: {error}") from error
        except Exception as error:
            raise ConformanceError(
                f"{self.who}, check {self.name!r}: expected no exception, got "
                f"{type(error).__name__}: {error}. The cause is chained; its traceback shows the "
                "call that raised."
            ) from error


def collect(
    who: str,
    checks: Mapping[str, Callable[[], None]],
    expected_failures: Mapping[str, str] | None,
) -> Checks:
    """Return the checks as pairs of name and callable, the expected failures marked.

    Raises
    ------
    OptionError
        If an expected failure names no check or has no reason.
    """
    reasons = dict(expected_failures or {})
    unknown = [name for name in reasons if name not in checks]
    if unknown:
        raise OptionError(
            f"{who}: expected_failures: there is no check {unknown[0]!r} for it. Checks: "
            f"{'; '.join(checks)}."
        )
    bare = [name for name, reason in reasons.items() if not reason.strip()]
    if bare:
        raise OptionError(
            f"{who}: expected_failures: expected a reason for {bare[0]!r}, got none. Say in words "
            "why the check cannot be met."
        )
    return [(name, Check(who, name, run, reasons.get(name))) for name, run in checks.items()]


def build(component: T | type[T]) -> T:
    """Return an instance from a class or an instance."""
    return component() if isinstance(component, type) else component


def shown(component: Any) -> str:
    """Return class name and those fields that are not at their default."""
    name = type(component).__name__
    if not dataclasses.is_dataclass(component):
        return f"{name}()"
    given = [
        f"{field.name}={value!r}"
        for field in dataclasses.fields(component)
        if field.repr and not _same(value := getattr(component, field.name), field.default)
    ]
    return f"{name}({', '.join(given)})"


def expect(ok: bool, expected: str, got: object, advice: str) -> None:
    """Raise unless `ok`.

    Parameters
    ----------
    ok : bool
        Whether the expectation is met.
    expected : str
        In words.
    got : object
        A text is shown as it is, anything else by its repr.
    advice : str
        What the author can do, in a sentence.
    """
    if not ok:
        raise NotMetError(f"expected {expected}, got {_text(got)}. {advice}")


def expect_close(
    got: Any,
    wanted: Any,
    *,
    what: str,
    tol: float,
    scale: Any = 1.0,
    advice: str,
    describe: Callable[[tuple[int, ...]], str] | None = None,
) -> None:
    """Raise unless `|got - wanted| <= tol * scale` everywhere; equal infinities are close.

    Parameters
    ----------
    got, wanted : array-like
        Broadcast against each other.
    what : str
        The quantity, for the message.
    tol : float
        Relative to `scale`.
    scale : array-like
        Size that the difference is held against.
    advice : str
        What the author can do, in a sentence.
    describe : callable, optional
        From an index to words that say what is there.
    """
    a, b, s = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (got, wanted, scale)))
    error = relative_error(a, b, s)
    if error.size and not np.all(error <= tol):
        found = np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), error.shape)
        worst = tuple(map(int, found))
        where = f" at {describe(worst) if describe else f'index {worst}'}" if error.ndim else ""
        raise NotMetError(
            f"expected {what} {b[worst]:.12g}{where}, got {a[worst]:.12g} (difference "
            f"{a[worst] - b[worst]:.2g}, {error[worst]:.2g} of its scale; tolerance {tol:.1g}). "
            f"{advice}"
        )


def relative_error(got: Array, wanted: Array, scale: Array) -> Array:
    """Return |got - wanted| / scale, 0 where both are the same infinity, NaN where one is NaN."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error = np.abs(got - wanted) / scale
    return np.where(got == wanted, 0.0, error)


def expect_raises(
    action: Callable[[], object], kind: type[E], words: Iterable[str], when: str
) -> E:
    """Return the error of that kind which the action raises with all the words, or raise.

    Parameters
    ----------
    action : callable
        What should be refused.
    kind : type
        Expected class.
    words : iterable of str
        Each must occur in the message.
    when : str
        The situation, for the message.
    """
    try:
        action()
    except kind as error:
        lacking = [word for word in words if word not in str(error)]
        expect(
            not lacking,
            f"the message of the {kind.__name__} {when} to say {', '.join(map(repr, lacking))}",
            str(error),
            "Say who complains, what was expected, what was given and what to do.",
        )
        return error
    except Exception as error:
        raise NotMetError(
            f"expected {kind.__name__} {when}, got {type(error).__name__}: {error}. Raise "
            f"interlace_core.messages.errors.{kind.__name__} with a message for the user."
        ) from error
    raise NotMetError(f"expected {kind.__name__} {when}, got no exception. Refuse it, in words.")


def _text(got: object) -> str:
    text = got if isinstance(got, str) else " ".join(repr(got).split())
    return text if len(text) <= 300 else text[:297] + "..."


def _same(value: object, default: object) -> bool:
    try:
        return bool(value == default)
    except ValueError:  # arrays
        return value is default
