"""Every structure of this distribution, held against the contract."""

import pytest

from interlace_core.testing import covariance_checks
from interlace_covariances.structures import (
    Autoregressive,
    CompoundSymmetry,
    EqualVariances,
    Toeplitz,
)

STRUCTURES = [EqualVariances, CompoundSymmetry, Autoregressive, Toeplitz]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_conformance(structure):
    for _, check in covariance_checks(structure):
        check()
