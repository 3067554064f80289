"""Every optimizer of this distribution, held against the contract."""

import pytest

from interlace_bobyqa.bobyqa import BOBYQA
from interlace_core.testing import optimizer_checks


@pytest.mark.parametrize(("name", "check"), optimizer_checks(BOBYQA))
def test_conformance(name, check):
    check()
