"""Every family of this distribution, with each of its links, held against the contract."""

import numpy as np
import pytest

from interlace_core.testing import family_checks
from interlace_families.binomial import BinomialFamily
from interlace_families.gamma import GammaFamily
from interlace_families.gaussian import GaussianFamily
from interlace_families.inverse_gaussian import InverseGaussianFamily
from interlace_families.lognormal import LognormalFamily
from interlace_families.lognormal_sd import LognormalSDFamily
from interlace_families.poisson import PoissonFamily
from interlace_families.skew_normal import SkewNormalFamily
from interlace_families.student_t import StudentTFamily
from interlace_families.tweedie import TweedieFamily

# The density is defined where an identity link gives a positive mean.
POSITIVE_MEAN = {"mu": (0.0, np.inf)}

CHECKS = [
    *family_checks(GaussianFamily, support="real"),
    *family_checks(GaussianFamily(link="log"), support="real"),
    *family_checks(GaussianFamily(link="inverse"), support="real"),
    *family_checks(BinomialFamily, support="trials"),
    *family_checks(BinomialFamily(link="probit"), support="trials"),
    *family_checks(BinomialFamily(link="cloglog"), support="trials"),
    *family_checks(BinomialFamily(link="cauchit"), support="trials"),
    *family_checks(BinomialFamily(link="log"), support="trials"),
    *family_checks(PoissonFamily, support="counts"),
    *family_checks(PoissonFamily(link="sqrt"), support="counts"),
    *family_checks(PoissonFamily(link="identity"), support="counts", domains=POSITIVE_MEAN),
    *family_checks(GammaFamily, support="positive"),
    *family_checks(GammaFamily(link="inverse"), support="positive"),
    *family_checks(GammaFamily(link="identity"), support="positive", domains=POSITIVE_MEAN),
    *family_checks(InverseGaussianFamily, support="positive"),
    *family_checks(InverseGaussianFamily(link="1/mu^2"), support="positive"),
    *family_checks(InverseGaussianFamily(link="inverse"), support="positive"),
    *family_checks(LognormalFamily, support="positive"),
    *family_checks(LognormalSDFamily, support="positive"),
    *family_checks(SkewNormalFamily, support="real"),
    # with few degrees of freedom there is no variance
    *family_checks(StudentTFamily, support="real", ranges={"nu": (1.8, 3.0)}),
    *family_checks(TweedieFamily, support="non-negative"),
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_conformance(name, check):
    check()
