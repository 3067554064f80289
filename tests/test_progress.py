"""Progress is shown late, in place, on terminals only, and leaves nothing behind."""

from __future__ import annotations

import io

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
