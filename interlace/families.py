"""The class of every installed family, those of third parties too.

    from interlace.families import NegativeBinomial2Family

They are looked up by their own names where plugins are, so that what is there depends on what is
installed; `dir(interlace.families)` lists it, and `interlace.plugins()` says what it comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlace_counts.conway_maxwell import (
        ConwayMaxwellPoissonFamily as ConwayMaxwellPoissonFamily,
    )
    from interlace_counts.generalized_poisson import (
        GeneralizedPoissonFamily as GeneralizedPoissonFamily,
    )
    from interlace_counts.hurdle import (
        HurdleConwayMaxwellPoissonFamily as HurdleConwayMaxwellPoissonFamily,
    )
    from interlace_counts.hurdle import (
        HurdleGeneralizedPoissonFamily as HurdleGeneralizedPoissonFamily,
    )
    from interlace_counts.hurdle import HurdleNB1Family as HurdleNB1Family
    from interlace_counts.hurdle import HurdleNB2Family as HurdleNB2Family
    from interlace_counts.hurdle import HurdlePoissonFamily as HurdlePoissonFamily
    from interlace_counts.negative_binomial import (
        NegativeBinomial2Family as NegativeBinomial2Family,
    )
    from interlace_counts.negative_binomial1 import (
        NegativeBinomial1Family as NegativeBinomial1Family,
    )
    from interlace_counts.negative_binomial12 import (
        NegativeBinomial12Family as NegativeBinomial12Family,
    )
    from interlace_counts.truncated import (
        TruncatedConwayMaxwellPoissonFamily as TruncatedConwayMaxwellPoissonFamily,
    )
    from interlace_counts.truncated import (
        TruncatedGeneralizedPoissonFamily as TruncatedGeneralizedPoissonFamily,
    )
    from interlace_counts.truncated import (
        TruncatedNegativeBinomial1Family as TruncatedNegativeBinomial1Family,
    )
    from interlace_counts.truncated import (
        TruncatedNegativeBinomial2Family as TruncatedNegativeBinomial2Family,
    )
    from interlace_counts.truncated import TruncatedPoissonFamily as TruncatedPoissonFamily
    from interlace_counts.zero_inflated import (
        ZeroInflatedConwayMaxwellPoissonFamily as ZeroInflatedConwayMaxwellPoissonFamily,
    )
    from interlace_counts.zero_inflated import (
        ZeroInflatedGeneralizedPoissonFamily as ZeroInflatedGeneralizedPoissonFamily,
    )
    from interlace_counts.zero_inflated import ZeroInflatedNB1Family as ZeroInflatedNB1Family
    from interlace_counts.zero_inflated import ZeroInflatedNB2Family as ZeroInflatedNB2Family
    from interlace_counts.zero_inflated import (
        ZeroInflatedPoissonFamily as ZeroInflatedPoissonFamily,
    )
    from interlace_families.binomial import BinomialFamily as BinomialFamily
    from interlace_families.gamma import GammaFamily as GammaFamily
    from interlace_families.gaussian import GaussianFamily as GaussianFamily
    from interlace_families.inverse_gaussian import InverseGaussianFamily as InverseGaussianFamily
    from interlace_families.lognormal import LognormalFamily as LognormalFamily
    from interlace_families.lognormal_sd import LognormalSDFamily as LognormalSDFamily
    from interlace_families.poisson import PoissonFamily as PoissonFamily
    from interlace_families.skew_normal import SkewNormalFamily as SkewNormalFamily
    from interlace_families.student_t import StudentTFamily as StudentTFamily
    from interlace_families.tweedie import TweedieFamily as TweedieFamily
    from interlace_ordinal.cumulative import CumulativeFamily as CumulativeFamily
    from interlace_proportions.beta import BetaFamily as BetaFamily
    from interlace_proportions.betabinomial import BetaBinomialFamily as BetaBinomialFamily
    from interlace_proportions.ordered_beta import OrderedBetaFamily as OrderedBetaFamily
    from interlace_proportions.zero_one_inflated import (
        ZeroOneInflatedBetaFamily as ZeroOneInflatedBetaFamily,
    )


def __getattr__(name: str) -> Any:
    """Return the family class of that name.

    Raises
    ------
    AttributeError
        If no family class, or several different ones, are called so.
    """
    if name == "__all__":
        return __dir__()
    if name.startswith("_"):
        raise AttributeError(f"module 'interlace.families' has no attribute {name!r}")
    from interlace_core.registry.registry import default_registry

    offers = default_registry().classes("family")
    found = {each.cls: each for each in offers if each.cls.__name__ == name}
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise AttributeError(_nothing_called(name, offers))
    ways = " or ".join(f"{cls.__module__}" for cls in found)
    raise AttributeError(
        f"interlace.families: {name!r} is the class of several distributions, "
        f"{', '.join(each.distribution for each in found.values())}. Import it from {ways}."
    )


def __dir__() -> list[str]:
    """Return the names of all classes that one distribution alone offers."""
    from interlace_core.registry.registry import default_registry

    classes = {each.cls for each in default_registry().classes("family")}
    names = [cls.__name__ for cls in classes]
    return sorted(name for name in names if names.count(name) == 1)


def _nothing_called(name: str, offers: Any) -> str:
    """Return what to say of a name that no class has; a family's own name tells its class."""
    from interlace_core.messages.names import did_you_mean, listed
    from interlace_core.registry.lookup import answering

    asked = [each.cls.__name__ for each in answering(offers, name.removesuffix("Family"))]
    known = [each.cls.__name__ for each in offers]
    meant = did_you_mean(asked[0] if asked else name, known)
    return (
        f"interlace.families: no installed family has a class {name!r}.{meant} There are "
        f"{listed(sorted(set(known)))}."
    )
