"""The list of mutants fits the code: each text is there once, and so are the tests named."""

import ast
from collections import Counter

import pytest

from mutants.edits import MUTANTS
from mutants.mutant import ROOT, Mutant, NotFoundError


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name[:70])
def test_the_text_of_an_edit_is_there_once(mutant):
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert mutant.edited(source) != source


def test_the_tests_of_all_mutants_exist():
    for named in sorted({test for mutant in MUTANTS for test in mutant.tests}):
        path, *function = named.split("::")
        place = ROOT / path
        assert place.exists(), named
        if function:
            name = function[0].partition("[")[0]
            tree = ast.parse(place.read_text(encoding="utf-8"))
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_there_are_many_mutants_and_no_two_are_the_same():
    counts = Counter((each.file, each.function, each.before, each.after) for each in MUTANTS)
    assert max(counts.values()) == 1
    assert len(MUTANTS) >= 150


SOURCE = """
def one():
    return 1 + x


class Two:
    def one(self):
        return 1 + x
"""


def test_an_edit_is_made_in_its_function_alone():
    edit = {"file": "some.py", "before": "1 + x", "after": "1 - x", "tests": ()}
    edited = Mutant(function="Two.one", **edit).edited(SOURCE)
    assert edited == SOURCE[::-1].replace("x + 1", "x - 1", 1)[::-1]
    for function in ("", "three", "Two.two"):
        with pytest.raises(NotFoundError):
            Mutant(function=function, **edit).edited(SOURCE)
