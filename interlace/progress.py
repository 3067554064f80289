"""Progress of long work: a bar or a line that is rewritten in place, and nothing in scripts.

Nothing is shown in the first two seconds, and nothing at all unless standard error is a terminal
or the program is a notebook (or `show=True`, which prints plain lines where nothing can be
rewritten). In a notebook the bar is that of the package tqdm, where it is installed.
"""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field
from typing import Any, Self, TextIO, TypeVar

Item = TypeVar("Item")

DELAY = 2.0
"""Seconds of work before anything is shown."""

INTERVAL = 0.2
"""Seconds between two updates: often enough to look alive, too seldom to cost anything."""

WIDTH = 24
"""Characters of the bar."""


@dataclass
class Progress:
    """A line about work in progress, removed when the work is done.

    Parameters
    ----------
    label : str
        What is being done.
    total : int, optional
        Number of steps; without it there is no bar and no remaining time.
    show : bool, optional
        Whether to show anything; by default if the stream is a terminal, or standard error of a
        notebook.
    stream : text stream, optional
        Standard error by default; programs without one (windowed ones) have None there, and are
        shown nothing. What a stream cannot take is lost: it ends no work.
    delay : float
        Seconds before the first update.
    """

    label: str
    total: int | None = None
    show: bool | None = None
    stream: TextIO | None = field(default_factory=lambda: sys.stderr)
    delay: float = DELAY

    def __post_init__(self) -> None:
        """Find out whether anything is shown: the attribute `shown`."""
        self._notebook = self.stream is sys.stderr and in_notebook()
        self._terminal = self._notebook or _is_terminal(self.stream)
        self._bar: Any = None
        self.shown = self._terminal if self.show is None else self.show
        self._started = self._last = time.perf_counter()
        self._done, self._width, self._note = 0, 0, ""

    def __enter__(self) -> Self:
        """Return the progress itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Take the line away."""
        self.close()

    def step(self, note: str = "", *, count: int = 1) -> None:
        """Count some steps as done, and show it if the time has come.

        Parameters
        ----------
        note : str
            Words behind the bar, such as the current value.
        count : int
        """
        self._done += count
        self._note = note or self._note
        now = time.perf_counter()
        late = now - self._started >= self.delay and now - self._last >= INTERVAL
        if self.shown and late:
            self._last = now
            if self._notebook and self._bar is None:
                self._bar = _bar_of_tqdm(self.label, self.total)
            if self._bar is None:
                self._write(self._text(now - self._started))
            else:
                self._bar.set_postfix_str(self._note, refresh=False)
                self._bar.update(self._done - self._bar.n)

    def close(self) -> None:
        """Take the line away, so that what is printed next starts on a clean line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._width and self._terminal:
            self._print("\r" + " " * self._width + "\r")
        self._width = 0

    def _text(self, elapsed: float) -> str:
        if self.total is None:
            return f"{self.label}  {elapsed:.0f} s  {self._note}".rstrip()
        share = min(self._done / max(self.total, 1), 1.0)
        bar = "#" * int(WIDTH * share)
        left = elapsed * (1.0 - share) / share if share else float("nan")
        remaining = f"{left:.0f} s left" if share else "-"
        counted = f"[{bar:<{WIDTH}}] {self._done}/{self.total}"
        return f"{self.label}  {counted}  {elapsed:.0f} s, {remaining}  {self._note}".rstrip()

    def _write(self, text: str) -> None:
        self._print("\r" + text.ljust(self._width) if self._terminal else text + "\n")
        self._width = max(self._width, len(text))

    def _print(self, text: str) -> None:
        if self.stream is None:
            return
        with contextlib.suppress(OSError, ValueError):  # closed, full, or of another encoding
            self.stream.write(text)
            self.stream.flush()


def in_notebook() -> bool:
    """Return whether the program is a notebook's: an IPython shell with a kernel."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def _bar_of_tqdm(label: str, total: int | None) -> Any:
    """Return a bar of tqdm as a notebook shows it; None where tqdm is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no widgets: it draws with characters
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return None
        return tqdm(total=total, desc=label, leave=False, mininterval=INTERVAL)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and bool(stream.isatty())
    except (AttributeError, OSError, ValueError):  # an object of the user's, or a closed stream
        return False


def tracked(
    items: Iterable[Item], label: str, total: int | None = None, *, show: bool | None = None
) -> Iterator[Item]:
    """Yield the items, and show how many were taken.

    Parameters
    ----------
    items : iterable
    label : str
        What is being done.
    total : int, optional
        How many items there are, where `len` does not tell.
    show : bool, optional
        As for `Progress`.
    """
    count = len(items) if total is None and isinstance(items, Sized) else total
    with Progress(label, count, show) as progress:
        for item in items:
            yield item
            progress.step()
