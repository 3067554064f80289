"""Parts on this machine: in memory, or in files that are mapped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from interlace.parts.aside import Folder, Put, is_mapped, put_aside
from interlace.parts.recipe import bytes_of
from interlace.parts.sources import SHARE_OF_MEMORY, DataInParts
from interlace_core.contract.parts import Change, PartsHere, Question
from interlace_core.contract.problem import Problem
from interlace_core.engine.compiled import CompiledRows, KeptRows, forget_slopes
from interlace_core.engine.layout import Layout, layout_of
from interlace_core.engine.shares import LARGE
from interlace_core.messages.memory import usable_memory

LAID_OUT = 4.0
"""Bytes of a part that is laid out, in those of its arrays: rows once more in the order of groups,
and what evaluations keep."""


class LocalParts(PartsHere):
    """Parts on this machine, asked one after the other.

    Attributes
    ----------
    rounds : int
        Questions that all parts were asked.
    aside : int
        Parts whose arrays lie in files.
    report : callable, or None
        Is told in words how far a round is.
    """

    def __init__(self, asked: DataInParts) -> None:
        super().__init__([])
        self.parts: list[Problem] = []
        self.rounds, self.aside, self.seconds = 0, 0, 0.0
        share = SHARE_OF_MEMORY * usable_memory() if asked.memory is None else asked.memory
        self._left, self._folder = share, asked.folder
        self._files: Folder | None = None
        self._in_files: set[int] = set()
        self._written = 0
        self._change: Change | None = None

    def keep(self, held: Any) -> None:
        """Keep something as long as the parts, such as a folder of files that they are read of."""
        self._held = held

    def add(self, problem: Problem) -> None:
        """Take a part; what memory may hold no more goes to a file."""
        place = len(self.parts)
        self._left -= LAID_OUT * bytes_of(problem)
        self.parts.append(problem)
        if self._left < 0.0:
            self.aside += 1
            self._in_files.add(place)
            self.replace(place, problem)

    def replace(self, place: int, problem: Problem) -> None:
        """Put a changed part in the place of one, what is new of it in a file if that one's is."""
        self.parts[place] = self._aside(problem) if place in self._in_files else problem

    def settle(self, change: Change | None) -> None:
        """Lay out all parts in the units in which they are fitted, those in files there too."""
        self._change = change
        for place, part in enumerate(self.parts):
            inside = part if change is None else change(part)
            layout_of(inside)
            if place in self._in_files:
                self.replace(place, part)

    def ask(self, question: Question, *given: Any) -> list[Any]:
        """Return the answer of every part, in order."""
        return list(self.stream(question, *given))

    def words(self) -> str:
        """Return how many of the parts lie in files."""
        return f"{self.aside} of them in files" if self.aside else ""

    def stream(self, question: Question, *given: Any) -> Iterator[Any]:
        """Yield the answer of every part, each of which is asked when its turn comes."""
        began, self.rounds = time.perf_counter(), self.rounds + 1
        for place, part in enumerate(self.parts):
            yield question(part, *given)
            if place in self._in_files:
                self._slim(place)
            if self.report is not None and place + 1 < len(self.parts):
                spent = time.perf_counter() - began
                left = spent * (len(self.parts) / (place + 1) - 1.0)
                self.report(
                    f"round {self.rounds}, part {place + 1} of {len(self.parts)}, "
                    f"{left:.0f} s left of it"
                )
        self.seconds += time.perf_counter() - began

    def _slim(self, place: int) -> None:
        """Let a part in a file forget what is as large as its rows; its mode it keeps.

        The columns of compiled rows, which take as long to make as an evaluation, go to a file too.
        """
        part = self.parts[place]
        inside = part if self._change is None else self._change(part)
        laid_out = inside.cache.get(Layout)
        problems = [part, inside] if laid_out is None else [part, inside, laid_out.problem]
        for each in problems:
            each.cache.pop(LARGE, None)
            kept: KeptRows | None = each.cache.get(CompiledRows)
            if kept is None or kept.rows is None or is_mapped(kept.rows.kernel.columns):
                continue
            forget_slopes(each)  # which have the same columns
            each.cache[CompiledRows] = self._aside(kept)

    def _aside(self, value: Put) -> Put:
        """Return the same, whose arrays lie in a file."""
        if self._files is None:
            self._files = Folder(self._folder)
        self._written += 1
        return put_aside(value, self._files.path / str(self._written))
