"""The conformance kit: what every plugin is held against, without a test framework.

Each function returns pairs of a name and a callable that raises ConformanceError. The whole
test file of a plugin::

    import pytest
    from interlace_core.testing import family_checks
    from my_package import MyFamily

    @pytest.mark.parametrize("name, check", family_checks(MyFamily, support="counts"))
    def test_conformance(name, check):
        check()

A check that cannot be met is listed with its reason, and the list cannot go stale:
`expected_failures={"values at extremes of eta": "the series needs a moderate rate"}`.
"""

from interlace_core.testing.approximation import approximation_checks
from interlace_core.testing.covariance import covariance_checks
from interlace_core.testing.family import family_checks
from interlace_core.testing.frames import frames_checks
from interlace_core.testing.kernel import kernel_checks
from interlace_core.testing.kernel_objective import kernel_objective_checks
from interlace_core.testing.optimizer import optimizer_checks
from interlace_core.testing.supports import Support
from interlace_core.testing.verdicts import ConformanceError

__all__ = [
    "ConformanceError",
    "Support",
    "approximation_checks",
    "covariance_checks",
    "family_checks",
    "frames_checks",
    "kernel_checks",
    "kernel_objective_checks",
    "optimizer_checks",
]
