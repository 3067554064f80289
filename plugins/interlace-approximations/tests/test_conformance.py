"""Every approximation of this distribution, held against the contract."""

import pytest

from interlace_approximations.agq import AdaptiveGaussHermite, VectorGaussHermite
from interlace_approximations.joint_mode import JointMode
from interlace_approximations.laplace import Laplace
from interlace_approximations.linear import (
    JointLikelihood,
    MaximumLikelihood,
    RestrictedLikelihood,
)
from interlace_core.testing import approximation_checks

PRECISIONS = {
    "exact for normal responses: weighted rows": "weights are precisions here, and multiply no "
    "log-density"
}
CHECKS = [
    *approximation_checks(Laplace, tol_abs_group=0.01),
    *approximation_checks(JointMode, tol_abs_group=0.01),
    *approximation_checks(AdaptiveGaussHermite(points=1), tol_abs_group=0.01),
    *approximation_checks(AdaptiveGaussHermite, tol_abs_group=1e-5),
    *approximation_checks(AdaptiveGaussHermite(points=40), exact=True),
    *approximation_checks(VectorGaussHermite, tol_abs_group=1e-5),
    *approximation_checks(VectorGaussHermite(points=40), exact=True),
    *approximation_checks(MaximumLikelihood, exact=True, expected_failures=PRECISIONS),
    *approximation_checks(RestrictedLikelihood, exact=True, expected_failures=PRECISIONS),
    *approximation_checks(JointLikelihood, tol_abs_group=0.01, expected_failures=PRECISIONS),
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_conformance(name, check):
    check()
