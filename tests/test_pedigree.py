"""Relationship matrices of pedigrees."""

import numpy as np
import pandas as pd
import pytest

from interlace.pedigrees import pedigree
from interlace_core.messages.errors import DataError

# Mrode (2005), Linear Models for the Prediction of Animal Breeding Values, example 2.1
MRODE = np.array(
    [
        [1.0, 0.0, 0.5, 0.5, 0.5, 0.25],
        [0.0, 1.0, 0.5, 0.0, 0.25, 0.625],
        [0.5, 0.5, 1.0, 0.25, 0.625, 0.5625],
        [0.5, 0.0, 0.25, 1.0, 0.625, 0.3125],
        [0.5, 0.25, 0.625, 0.625, 1.125, 0.6875],
        [0.25, 0.625, 0.5625, 0.3125, 0.6875, 1.125],
    ]
)


def test_a_published_pedigree_has_its_published_matrix():
    A = pedigree([3, 4, 5, 6], [1, 1, 4, 5], [2, None, 3, 2])
    order = [str(i) for i in range(1, 7)]
    np.testing.assert_allclose(A.loc[order, order], MRODE, atol=1e-12)


def test_rows_may_come_in_any_order():
    A = pedigree([6, 5, 4, 3], [5, 4, 1, 1], [2, 3, 0, 2])
    assert A.index.tolist() == ["2", "1", "6", "5", "4", "3"]
    order = [str(i) for i in range(1, 7)]
    np.testing.assert_allclose(A.loc[order, order], MRODE, atol=1e-12)


def test_missing_parents_of_every_kind_are_unknown():
    A = pedigree(list("abcde"), [None, np.nan, "0", "", pd.NA], [None] * 5)
    np.testing.assert_array_equal(A, np.eye(5))


@pytest.mark.parametrize(
    ("animal", "sire", "dam", "nouns"),
    [
        (["a", "a"], [None, None], [None, None], ["once", "a"]),
        (["a", "b"], ["b", "a"], [None, None], ["circle", "a, b"]),
        (["a"], [None, None], [None], ["1, 2, 1"]),
        (["a", None], [None, None], [None, None], ["without a label"]),
    ],
)
def test_faulty_pedigrees_are_refused_in_words(animal, sire, dam, nouns):
    with pytest.raises(DataError) as caught:
        pedigree(animal, sire, dam)
    for noun in nouns:
        assert noun in str(caught.value)
