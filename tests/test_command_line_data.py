"""What the command line takes for missing, and what for a level."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.cli import main


def written(folder, column):
    rng = np.random.default_rng(3)
    path = folder / "data.csv"
    lines = ["y,c,g"]
    lines += [
        f"{k % 4 + k % 3 + rng.integers(0, 2)},{c},{'abcd'[k % 4]}" for k, c in enumerate(column)
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def run(path, formula, capsys, *more):
    code = main(["fit", path, formula, "--family", "poisson", *more])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return shown


@pytest.mark.parametrize("word", ["NA", "None", "null"])
def test_levels_called_na_or_none_are_levels_with_a_word(word, tmp_path, capsys):
    path = written(tmp_path, [word, "DE", "FR"] * 12)
    shown = run(path, "y ~ c + (1 | g)", capsys)
    assert "c[T.FR]" in shown.out
    assert f"c[T.{word}]" in shown.out
    assert f"column 'c': {word} taken as a level" in shown.err


@pytest.mark.parametrize("word", ["NA", "", "NaN", "None", "."])
def test_among_numbers_such_words_are_missing(word, tmp_path, capsys):
    path = written(tmp_path, [word, *range(1, 36)])
    shown = run(path, "y ~ c + (1 | g)", capsys)
    assert "35" in shown.out
    assert "c[T." not in shown.out
    assert shown.err == ""


def test_among_booleans_such_words_are_missing(tmp_path, capsys):
    path = written(tmp_path, ["NA", "TRUE", "FALSE"] * 12)
    shown = run(path, "y ~ c + (1 | g)", capsys)
    assert "c[T.True]" in shown.out


def test_a_column_read_as_text_keeps_every_word(tmp_path, capsys):
    path = written(tmp_path, ["NA", "1", "2"] * 12)
    shown = run(path, "y ~ c + (1 | g)", capsys, "--text", "c")
    assert "c[T.NA]" in shown.out
