"""What a mutant is: one edit of one function, and the tests that should fail on it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


class NotFoundError(Exception):
    """The text of an edit is not where it should be, or not once."""


@dataclass(frozen=True)
class Mutant:
    """An edit, and who notices it.

    Attributes
    ----------
    file : str
        From the root of the repository.
    function : str
        In whose text the edit is, `Class.method` for methods; "" for the whole file.
    before, after : str
        This text, once there, is replaced by that.
    tests : tuple of str
        Paths or node ids of pytest, one of which at least fails.
    only : str
        An expression for pytest's -k, of tests that can tell.
    """

    file: str
    function: str
    before: str
    after: str
    tests: tuple[str, ...]
    only: str = ""

    @property
    def name(self) -> str:
        """File, function and edit in one line."""
        what = " ".join(f"{self.before} -> {self.after}".split())
        return f"{Path(self.file).stem}.{self.function or '*'}: {what}"

    def edited(self, source: str) -> str:
        """Return the source with the edit.

        Raises
        ------
        NotFoundError
            If the function or the text is not there, or the text more than once.
        """
        start, end = self._span(source)
        count = source.count(self.before, start, end)
        if count != 1:
            raise NotFoundError(f"{self.name}: the text is there {count} times, not once")
        edited = source[:start] + source[start:end].replace(self.before, self.after) + source[end:]
        ast.parse(edited)
        return edited

    def _span(self, source: str) -> tuple[int, int]:
        """Return where the text of the function begins and ends."""
        if not self.function:
            return 0, len(source)
        found: ast.AST = ast.parse(source)
        for part in self.function.split("."):
            inside = [
                node
                for node in ast.iter_child_nodes(found)
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == part
            ]
            if not inside:
                raise NotFoundError(f"{self.name}: there is no {self.function} in {self.file}")
            found = inside[-1]
        assert isinstance(found, (ast.FunctionDef, ast.ClassDef)) and found.end_lineno
        lines = source.splitlines(keepends=True)
        start = sum(map(len, lines[: found.lineno - 1]))
        return start, start + sum(map(len, lines[found.lineno - 1 : found.end_lineno]))
