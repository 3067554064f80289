"""Every structure of this distribution, held against the contract."""

import pytest

from interlace_core.testing import covariance_checks
from interlace_covariances import interlace_covariances

COORDINATES = {"ar1": (0, 1), "hetar1": (0, 1), "ou": (1,), "exp": (1, 2), "gau": (2,), "mat": (2,)}
"""Numbers of coordinates that structures of times and places are tried with."""

CASES = [
    pytest.param(check, id=f"{structure.name}, {coordinates}: {name}")
    for structure in interlace_covariances()
    for coordinates in COORDINATES.get(structure.name, (0,))
    for name, check in covariance_checks(structure, coordinates=coordinates)
]


@pytest.mark.parametrize("check", CASES)
def test_conformance(check):
    check()
