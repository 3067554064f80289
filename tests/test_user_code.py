"""The code that type checkers read (`tests/typing/`) runs, and means what it says."""

import runpy
from pathlib import Path

CODE = Path(__file__).parent / "typing"


def test_what_type_checkers_read_runs(capsys):
    found = runpy.run_path(str(CODE / "user_code.py"))
    printed = capsys.readouterr().out
    assert "Did you mean 'mined'" in printed and "optimum" in printed
    assert found["model"].converged and found["linear"].converged
    assert len(found["of_polars"](found["cbpp"])) == len(found["cbpp"])


def test_words_of_options_are_those_that_are_checked():
    """What a type checker takes is what the code takes."""
    from typing import get_args

    from interlace import choices, families, ordinal, plots
    from interlace.reporting.summary import PARTS
    from interlace_ordinal.thresholds import STRUCTURES

    assert get_args(choices.OrdinalLink) == families.CumulativeFamily.links
    assert get_args(choices.ThresholdStructure) == STRUCTURES
    taken = {*get_args(choices.CategoryTable), *get_args(choices.CategoryColumn)}
    assert taken == {*ordinal.PREDICTIONS, *ordinal.OF_ANY_FIT}
    assert get_args(choices.SummaryPart) == PARTS
    assert set(get_args(choices.PlotKind)) == set(plots.__all__)
