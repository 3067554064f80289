"""Every family of this distribution, held against the contract."""

import pytest

from interlace_core.testing import family_checks
from interlace_proportions.beta import BetaFamily
from interlace_proportions.betabinomial import BetaBinomialFamily
from interlace_proportions.ordered_beta import OrderedBetaFamily
from interlace_proportions.zero_one_inflated import ZeroOneInflatedBetaFamily

TOGETHER = {"fixed parameters": "p0 and p1 are fixed together, the check fixes one at a time"}

CHECKS = [
    *family_checks(BetaFamily),
    *family_checks(BetaFamily(link="probit")),
    *family_checks(BetaFamily(link="cloglog")),
    *family_checks(BetaBinomialFamily),
    *family_checks(BetaBinomialFamily(link="cloglog")),
    *family_checks(OrderedBetaFamily),
    *family_checks(ZeroOneInflatedBetaFamily, expected_failures=TOGETHER),
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_conformance(name, check):
    check()
