"""The cumulative family with every link and structure of thresholds, held against the contract."""

import pytest

from interlace_core.testing import family_checks
from interlace_ordinal.cumulative import WITH_SHAPE, CumulativeFamily
from interlace_ordinal.latent import LATENT

# in order, as a fit keeps them: at others the density is 0
ORDERED = {"threshold_1": (-1.5, -0.8), "threshold_2": (-0.4, 0.3), "threshold_3": (0.7, 1.6)}
SPACED = {
    "threshold_1": (-1.5, -0.8),
    "spacing": (0.5, 1.2),
    "central": (-0.3, 0.3),
    "spacing_1": (0.5, 1.5),
}

CHECKS = [
    *(
        check
        for link in (*LATENT, *WITH_SHAPE)
        for check in family_checks(CumulativeFamily(link=link), ranges=ORDERED)
    ),
    *family_checks(CumulativeFamily(threshold="symmetric"), ranges=SPACED),
    *family_checks(CumulativeFamily(threshold="equidistant"), ranges=SPACED),
    *family_checks(CumulativeFamily(threshold="symmetric2", scaled=True), ranges=SPACED),
    *(
        check
        for link in (*LATENT, *WITH_SHAPE)
        for check in family_checks(CumulativeFamily(link=link, scaled=True), ranges=ORDERED)
    ),
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_conformance(name, check):
    check()
