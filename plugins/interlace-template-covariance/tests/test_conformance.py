"""The structure, held against the contract."""

import pytest

from interlace_core.testing import covariance_checks
from interlace_template_covariance.structure import CauchyCovariance


@pytest.mark.parametrize(("name", "check"), covariance_checks(CauchyCovariance, coordinates=2))
def test_conformance(name, check):
    check()
