"""Every approximation of this distribution, held against the contract."""

import pytest

from interlace_approximations.agq import AdaptiveGaussHermite, VectorGaussHermite
from interlace_approximations.joint_mode import JointMode
from interlace_approximations.laplace import Laplace
from interlace_core.testing import approximation_checks

CHECKS = [
    *approximation_checks(Laplace, tol_abs_group=0.01),
    *approximation_checks(JointMode, tol_abs_group=0.01),
    *approximation_checks(AdaptiveGaussHermite(points=1), tol_abs_group=0.01),
    *approximation_checks(AdaptiveGaussHermite, tol_abs_group=1e-5),
    *approximation_checks(AdaptiveGaussHermite(points=40), exact=True),
    *approximation_checks(VectorGaussHermite, tol_abs_group=1e-5),
    *approximation_checks(VectorGaussHermite(points=40), exact=True),
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_conformance(name, check):
    check()
