"""Families for counts: more or less variation than Poisson, too many zeros, or none."""

from interlace_core.contract import Composition, Family, hookimpl


@hookimpl
def interlace_families() -> list[type[Family]]:
    """Return the family classes of this distribution."""
    from interlace_counts import hurdle, truncated, zero_inflated
    from interlace_counts.conway_maxwell import ConwayMaxwellPoissonFamily
    from interlace_counts.generalized_poisson import GeneralizedPoissonFamily
    from interlace_counts.negative_binomial import NegativeBinomial2Family
    from interlace_counts.negative_binomial1 import NegativeBinomial1Family
    from interlace_counts.negative_binomial12 import NegativeBinomial12Family

    return [
        NegativeBinomial1Family,
        NegativeBinomial2Family,
        NegativeBinomial12Family,
        truncated.TruncatedPoissonFamily,
        truncated.TruncatedNegativeBinomial1Family,
        truncated.TruncatedNegativeBinomial2Family,
        truncated.TruncatedGeneralizedPoissonFamily,
        truncated.TruncatedConwayMaxwellPoissonFamily,
        zero_inflated.ZeroInflatedPoissonFamily,
        zero_inflated.ZeroInflatedNB1Family,
        zero_inflated.ZeroInflatedNB2Family,
        zero_inflated.ZeroInflatedGeneralizedPoissonFamily,
        zero_inflated.ZeroInflatedConwayMaxwellPoissonFamily,
        hurdle.HurdlePoissonFamily,
        hurdle.HurdleNB1Family,
        hurdle.HurdleNB2Family,
        hurdle.HurdleGeneralizedPoissonFamily,
        hurdle.HurdleConwayMaxwellPoissonFamily,
        GeneralizedPoissonFamily,
        ConwayMaxwellPoissonFamily,
    ]


@hookimpl
def interlace_compositions() -> list[type[Composition]]:
    """Return what makes a family with a zero part, or without zeros, of another one."""
    from interlace_counts.zeros.compositions import Hurdle, OneInflated, ZeroInflated
    from interlace_counts.zeros.truncated import ZeroTruncated

    return [ZeroInflated, Hurdle, OneInflated, ZeroTruncated]
