"""What runs on workers: parts are made, kept by the process, and asked.

Parts are no results of Dask's tasks: those may be copied, moved and forgotten, and a part is where
what it remembers of the last evaluation is. A process that does not have a part says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

PARTS: dict[tuple[str, int], Any] = {}
"""Parts of this process, by the engine that asks them and their number."""

MALLOC = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")


class Told:
    """A function and what it is given: one thing that Dask does not look into.

    Parameters
    ----------
    function : callable
    *given
    """

    def __init__(self, function: Any, *given: Any) -> None:
        self.function, self.given = function, given

    def __call__(self, *first: Any) -> Any:
        """Return what the function makes of something, and of what it is given."""
        return self.function(*first, *self.given)

    def __dask_tokenize__(self) -> Any:
        """Return what tells it from others: itself."""
        return id(self)


class Missing:
    """The answer of a process that does not have some parts.

    Parameters
    ----------
    places : list of int
    """

    def __init__(self, places: list[int]) -> None:
        self.places = places


def look(name: str, table: Any, told: Told) -> Any:
    """Return what a piece answers."""
    return told(name, table)


def mapped(table: Any, told: Told) -> Any:
    """Return what a piece answers whose name does not matter."""
    return told("newdata", table)


def build(key: tuple[str, int], told: Told, names: Sequence[str], *tables: Any) -> int:
    """Make a part and keep it; return its number."""
    PARTS[key] = told(names, tables)
    return key[1]


def answer(token: str, places: Sequence[int], told: Told, summed: bool) -> Any:
    """Return what parts answer, in order, or their sum; `Missing` if some are not here."""
    missing = [place for place in places if (token, place) not in PARTS]
    if missing:
        return Missing(missing)
    answers = [told(PARTS[token, place]) for place in places]
    return reduce(add, answers) if summed else answers


def combined(*answers: Any) -> Any:
    """Return the sum of workers' answers, in order; what is missing where some is."""
    missing = [place for each in answers if isinstance(each, Missing) for place in each.places]
    return Missing(missing) if missing else reduce(add, answers)


def answer_of_one(key: tuple[str, int], told: Told, elsewhere: Elsewhere) -> Any:
    """Return what a part answers, whichever process has it; made again if none does."""
    if key in PARTS:
        return told(PARTS[key])
    return elsewhere.answer(key, told)


class Elsewhere:
    """Where a part is that a task does not find in its process, and how it is made.

    Parameters
    ----------
    home : str
        Address of the worker that has it.
    told : Told
        Makes the part.
    names : sequence of str
    tables : list of Delayed
        Not seen by Dask, for which nothing has to be read as long as the part is somewhere.
    """

    def __init__(self, home: str, told: Told, names: Sequence[str], tables: list[Any]) -> None:
        self._home, self._told, self._names, self._tables = home, told, names, tables

    def __dask_tokenize__(self) -> Any:
        """Return what tells it from others: itself."""
        return id(self)

    def answer(self, key: tuple[str, int], told: Told) -> Any:
        """Return what the part answers, at home or made again here."""
        from distributed import get_worker, worker_client

        with worker_client() as client:
            if self._home != get_worker().address and self._home in client.nthreads():
                found = client.submit(
                    answer, key[0], [key[1]], told, False,
                    workers=[self._home], allow_other_workers=False, pure=False,
                ).result()  # fmt: skip
                if not isinstance(found, Missing):
                    return found[0]
            tables = client.gather(client.compute(self._tables))
        build(key, self._told, self._names, *tables)
        return told(PARTS[key])


def forget(token: str) -> None:
    """Let go of an engine's parts."""
    for key in [each for each in PARTS if each[0] == token]:
        PARTS.pop(key, None)


def malloc_settings() -> dict[str, str]:
    """Return the environment's settings of the C library's allocation of memory."""
    return {name: os.environ[name] for name in MALLOC if name in os.environ}
