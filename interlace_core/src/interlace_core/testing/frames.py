"""Checks of data that lie elsewhere, and of the engine of the parts that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from interlace_core.contract.frames import Frames
from interlace_core.contract.parts import Sums
from interlace_core.messages.errors import DataError
from interlace_core.testing.verdicts import Checks, NotMetError, collect


def frames_checks(
    frames: type[Frames],
    data: Callable[[], Any],
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Checks:
    """Return the checks of a class of data in pieces.

    Parameters
    ----------
    frames : type
    data : callable
        Makes data that it opens, of two pieces or more.
    expected_failures : mapping from str to str, optional
        Reasons, by the name of a check that cannot be met.
    """
    checks = {
        "takes its own data and no others": _takes,
        "pieces answer in order": _pieces,
        "pieces have the columns asked for": _columns,
        "parts answer in order, and add up": _parts,
        "errors of a question are raised": _errors,
    }
    made = {name: partial(check, frames, data) for name, check in checks.items()}
    return collect(frames.__name__, made, expected_failures)


def _takes(frames: type[Frames], data: Callable[[], Any]) -> None:
    _require(frames.takes(data()), "takes: expected True for its own data")
    for other in (None, {}, [], "text", 3.0, object()):
        _require(not frames.takes(other), f"takes: expected False for {other!r}")


def _pieces(frames: type[Frames], data: Callable[[], Any]) -> None:
    opened = frames.open(data())
    number = len(opened.pieces)
    _require(number >= 2, f"expected data of two pieces or more, got {number}")
    found = list(opened.ask(_name_and_length, opened.columns, 1))
    names = [name for name, _, _ in found]
    _require(names == list(opened.pieces), f"ask: expected {opened.pieces}, in order, got {names}")
    _require(all(given == 1 for *_, given in found), "ask: what is given was not told")
    some = list(opened.ask(_name_and_length, opened.columns, 1, pieces=[number - 1]))
    _require(some == found[-1:], "ask: pieces=[k] has to ask the piece k alone")
    _require(opened.at_once >= 1, f"at_once: expected 1 or more, got {opened.at_once}")


def _columns(frames: type[Frames], data: Callable[[], Any]) -> None:
    opened = frames.open(data())
    for wanted in ([opened.columns[0]], list(opened.columns)):
        for names in opened.ask(_columns_of, wanted):
            _require(set(wanted) <= set(names), f"ask: expected the columns {wanted}, got {names}")


def _parts(frames: type[Frames], data: Callable[[], Any]) -> None:
    opened = frames.open(data())
    number = len(opened.pieces)
    groups = [[number - 1], list(range(number - 1))]
    lengths = [n for _, n, _ in opened.ask(_name_and_length, opened.columns, 0)]
    engine = opened.engine(_made, groups, opened.columns, 10)
    engine.settle(None)
    wanted = [10 + sum(lengths[place] for place in group) for group in groups]
    for _ in range(2):
        for found in (engine.ask(_told, 5), list(engine.stream(_told, 5))):
            numbers = [next(iter(each)) for each in found]
            _require(
                numbers == [each + 5 for each in wanted],
                f"engine: expected the answers {[each + 5 for each in wanted]}, got {numbers}",
            )
        total = next(iter(engine.total(_told, 5)))
        _require(total == sum(wanted) + 10, f"total: expected {sum(wanted) + 10}, got {total}")
    _require(isinstance(engine.words(), str), "words: expected a text")


def _errors(frames: type[Frames], data: Callable[[], Any]) -> None:
    opened = frames.open(data())
    engine = opened.engine(_made, [[0]], opened.columns, 0)
    asks: dict[str, Callable[[], Any]] = {
        "ask of frames": lambda: list(opened.ask(_refused, opened.columns)),
        "ask of the engine": lambda: engine.ask(_refused, 0),
    }
    for what, ask in asks.items():
        try:
            ask()
        except DataError as error:
            _require("refused on purpose" in str(error), f"{what}: the message is lost: {error}")
        else:
            raise NotMetError(f"{what}: expected the question's DataError to be raised")


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise NotMetError(words)


def _name_and_length(name: str, table: Any, given: int) -> tuple[str, int, int]:
    return name, len(table), given


def _columns_of(_: str, table: Any) -> list[str]:
    try:
        return list(map(str, table.column_names))  # pyarrow, where `columns` are the data
    except AttributeError:
        return list(map(str, table.columns))


def _made(names: Sequence[str], tables: Sequence[Any], given: int) -> int:
    return given + sum(map(len, tables))


def _told(part: int, given: int) -> Sums:
    return Sums(part + given)


def _refused(*_: Any) -> None:
    raise DataError("refused on purpose")
