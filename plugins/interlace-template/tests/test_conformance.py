"""The family, held against the contract."""

import pytest

from interlace_core.testing import family_checks
from interlace_template.family import GumbelFamily


@pytest.mark.parametrize(("name", "check"), family_checks(GumbelFamily, support="real"))
def test_conformance(name, check):
    check()
