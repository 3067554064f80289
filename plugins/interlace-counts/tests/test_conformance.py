"""Every family of this distribution, held against the contract."""

import numpy as np
import pytest

from interlace_core.testing import family_checks
from interlace_counts.conway_maxwell import ConwayMaxwellPoissonFamily
from interlace_counts.generalized_poisson import GeneralizedPoissonFamily
from interlace_counts.hurdle import (
    HurdleConwayMaxwellPoissonFamily,
    HurdleGeneralizedPoissonFamily,
    HurdleNB1Family,
    HurdleNB2Family,
    HurdlePoissonFamily,
)
from interlace_counts.negative_binomial import NegativeBinomial2Family
from interlace_counts.negative_binomial1 import NegativeBinomial1Family
from interlace_counts.negative_binomial12 import NegativeBinomial12Family
from interlace_counts.truncated import (
    TruncatedConwayMaxwellPoissonFamily,
    TruncatedGeneralizedPoissonFamily,
    TruncatedNegativeBinomial1Family,
    TruncatedNegativeBinomial2Family,
    TruncatedPoissonFamily,
)
from interlace_counts.zero_inflated import (
    ZeroInflatedConwayMaxwellPoissonFamily,
    ZeroInflatedGeneralizedPoissonFamily,
    ZeroInflatedNB1Family,
    ZeroInflatedNB2Family,
    ZeroInflatedPoissonFamily,
)

# The density is defined where an identity link gives a positive mean.
POSITIVE_MEAN = {"mu": (0.0, np.inf)}

# With phi < 1 counts end where the density is singular, too steep for differences.
OVERDISPERSED = {"phi": (0.1, 1.2)}

CHECKS = [
    *family_checks(NegativeBinomial2Family, support="counts"),
    *family_checks(NegativeBinomial2Family(link="sqrt"), support="counts"),
    *family_checks(
        NegativeBinomial2Family(link="identity"), support="counts", domains=POSITIVE_MEAN
    ),
    *family_checks(NegativeBinomial1Family, support="counts"),
    *family_checks(NegativeBinomial12Family, support="counts"),
    *family_checks(GeneralizedPoissonFamily, support="counts", ranges=OVERDISPERSED),
    *family_checks(
        TruncatedGeneralizedPoissonFamily, support="positive counts", ranges=OVERDISPERSED
    ),
    *family_checks(ZeroInflatedGeneralizedPoissonFamily, support="counts", ranges=OVERDISPERSED),
    *family_checks(HurdleGeneralizedPoissonFamily, support="counts", ranges=OVERDISPERSED),
    *family_checks(TruncatedConwayMaxwellPoissonFamily, support="positive counts"),
    *family_checks(ZeroInflatedConwayMaxwellPoissonFamily, support="counts"),
    *family_checks(HurdleConwayMaxwellPoissonFamily, support="counts"),
    *family_checks(ConwayMaxwellPoissonFamily, support="counts"),
    *family_checks(TruncatedPoissonFamily, support="positive counts"),
    *family_checks(TruncatedNegativeBinomial1Family, support="positive counts"),
    *family_checks(TruncatedNegativeBinomial2Family, support="positive counts"),
    *family_checks(ZeroInflatedPoissonFamily, support="counts"),
    *family_checks(ZeroInflatedNB1Family, support="counts"),
    *family_checks(ZeroInflatedNB2Family, support="counts"),
    *family_checks(HurdlePoissonFamily, support="counts"),
    *family_checks(HurdleNB1Family, support="counts"),
    *family_checks(HurdleNB2Family, support="counts"),
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_conformance(name, check):
    check()
