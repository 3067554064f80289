"""Families for proportions: inside (0, 1), with zeros and ones, or out of a number of trials."""

from interlace_core.contract import Family, hookimpl


@hookimpl
def interlace_families() -> list[type[Family]]:
    """Return the family classes of this distribution."""
    from interlace_proportions.beta import BetaFamily
    from interlace_proportions.betabinomial import BetaBinomialFamily
    from interlace_proportions.ordered_beta import OrderedBetaFamily
    from interlace_proportions.zero_one_inflated import ZeroOneInflatedBetaFamily

    return [BetaFamily, BetaBinomialFamily, ZeroOneInflatedBetaFamily, OrderedBetaFamily]
