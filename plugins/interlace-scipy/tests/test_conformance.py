"""Every optimizer of this distribution, held against the contract."""

import pytest

from interlace_core.testing import optimizer_checks
from interlace_scipy.lbfgsb import LBFGSB


@pytest.mark.parametrize(("name", "check"), optimizer_checks(LBFGSB))
def test_conformance(name, check):
    check()
