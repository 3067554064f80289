"""No formula runs code, whichever door it comes by, and none uses up the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("hostile_formulas.py")
MOST_SECONDS, MOST_MEGABYTES = 1.0, 200.0
"""Processor time of any one formula, and memory of all: far above what refusing them takes."""


def tried(folder, step):
    run = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(step)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return json.loads(run.stdout)


def assert_harmless(report):
    assert report["trouble"] == []  # each was refused, in words of this library
    assert report["heard"] > 0  # the ear works: an evaluation of our own was heard
    assert report["audit"] == []  # no code was compiled or run, no socket or process made
    assert report["modules"] == []
    assert report["files"] == ["data.csv"]
    assert report["threads"] == 1
    assert report["worst"][1] < MOST_SECONDS, report["worst"]
    assert report["megabytes"] < MOST_MEGABYTES


def test_some_hostile_formulas_through_every_door_are_refused_and_not_run(tmp_path):
    report = tried(tmp_path, 19)
    assert report["tried"] >= 100
    assert_harmless(report)


@pytest.mark.slow
def test_all_hostile_formulas_through_every_door_are_refused_and_not_run(tmp_path):
    report = tried(tmp_path, 1)
    assert report["tried"] >= 1_500
    assert report["kinds"] >= 10
    assert_harmless(report)
