"""Families for proportions and counts of one parameter, and for continuous responses."""

from interlace_core.contract import Family, hookimpl


@hookimpl
def interlace_families() -> list[type[Family]]:
    """Return the family classes of this distribution."""
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

    return [
        GaussianFamily,
        BinomialFamily,
        PoissonFamily,
        GammaFamily,
        InverseGaussianFamily,
        LognormalFamily,
        LognormalSDFamily,
        SkewNormalFamily,
        StudentTFamily,
        TweedieFamily,
    ]
