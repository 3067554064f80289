"""Progress is shown late, in place, on terminals only, and leaves nothing behind."""

from __future__ import annotations

import io
from types import ModuleType, SimpleNamespace

import pytest

from interlace import progress
from interlace.progress import Progress, tracked


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Return True."""
        return True


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only entry is the time."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def run(clock, work, seconds, steps=10, note=""):
    for _ in range(steps):
        clock[0] += seconds / steps
        work.step(note)


def test_progress_says_nothing_in_the_first_two_seconds(clock):
    stream = Terminal()
    run(clock, Progress("fit", 10, stream=stream), 1.9)
    assert stream.getvalue() == ""


def test_progress_shows_a_bar_with_time_left_and_removes_it(clock):
    stream = Terminal()
    with Progress("bootstrap", 20, stream=stream) as work:
        run(clock, work, 10.0)
        lines = stream.getvalue().split("\r")[1:]
        assert lines[-1].startswith("bootstrap  [############            ] 10/20  10 s, 10 s left")
    assert stream.getvalue().endswith("\r" + " " * len(lines[-1]) + "\r")


def test_progress_without_a_total_shows_the_note(clock):
    stream = Terminal()
    work = Progress("fit", stream=stream)
    run(clock, work, 5.0, note="logLik -1.5")
    assert stream.getvalue().endswith("fit  5 s  logLik -1.5")


def test_progress_is_quiet_where_there_is_no_terminal(clock):
    stream = io.StringIO()
    run(clock, Progress("fit", 10, stream=stream), 60.0)
    assert stream.getvalue() == ""


def test_progress_asked_for_prints_lines_where_there_is_no_terminal(clock):
    stream = io.StringIO()
    with Progress("fit", 10, show=True, stream=stream) as work:
        run(clock, work, 10.0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 9 and not any("\r" in line for line in lines)  # all but the first second


def test_progress_can_be_silenced_on_a_terminal(clock):
    stream = Terminal()
    run(clock, Progress("fit", 10, show=False, stream=stream), 60.0)
    assert stream.getvalue() == ""


def test_tracked_yields_the_items_and_counts_them(clock, monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", stream)
    seen = []
    for item in tracked("abcd", "profile"):
        clock[0] += 3.0
        seen.append(item)
    assert seen == list("abcd")
    assert "3/4  9 s, 3 s left" in stream.getvalue()


class Bar:
    """What tqdm's bar is asked for."""

    made = []

    def __init__(self, total, desc, leave, mininterval):
        self.total, self.desc, self.leave = total, desc, leave
        self.n, self.open, self.note = 0, True, ""
        Bar.made.append(self)

    def update(self, count):
        """Count."""
        self.n += count

    def set_postfix_str(self, note, refresh):
        """Keep a note."""
        self.note = note

    def close(self):
        """Close."""
        self.open = False


@pytest.fixture
def notebook(monkeypatch):
    """Make the program a notebook's, which has tqdm."""
    kernel = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: kernel)
    monkeypatch.setitem(progress.sys.modules, "IPython", ipython)
    monkeypatch.setitem(progress.sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(progress.sys.modules, "tqdm.auto", SimpleNamespace(tqdm=Bar))
    monkeypatch.setattr(Bar, "made", [])


def test_a_notebook_has_the_bar_of_tqdm(notebook, clock, capsys):
    with Progress("bootstrap", 20) as work:
        run(clock, work, 1.9, steps=4)
        assert Bar.made == []  # nothing in the first two seconds
        run(clock, work, 8.0, steps=6, note="almost")
        (bar,) = Bar.made
        assert (bar.total, bar.desc, bar.n, bar.note) == (20, "bootstrap", 10, "almost")
        assert bar.open and not bar.leave
    assert not bar.open and capsys.readouterr().err == ""


def test_a_notebook_without_tqdm_has_a_line(notebook, clock, capsys, monkeypatch):
    monkeypatch.setitem(progress.sys.modules, "tqdm.auto", None)
    with Progress("bootstrap", 20) as work:
        run(clock, work, 10.0)
        assert "10/20" in capsys.readouterr().err and Bar.made == []


def test_a_notebook_can_be_silenced_and_a_script_has_no_bar(notebook, clock, capsys, monkeypatch):
    run(clock, Progress("fit", 10, show=False), 60.0)
    monkeypatch.setitem(progress.sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    run(clock, Progress("fit", 10), 60.0)
    assert Bar.made == [] and capsys.readouterr().err == ""
