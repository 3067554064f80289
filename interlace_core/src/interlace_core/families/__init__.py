"""Building blocks of families: checks, responses, derivatives, special functions."""

from interlace_core.calculus.jets.density import differentiate, differentiate_density, expand
from interlace_core.calculus.jets.numbers import Jet, compose, value_of
from interlace_core.calculus.special import (
    by_count,
    exp_excess,
    log1p_lag,
    log_factorial,
    log_rising,
)
from interlace_core.calculus.stirling import (
    HALF_LOG_2PI,
    LARGEST_LOG,
    STIRLING,
    STIRLING_FROM,
    odd_series,
    stirling_remainder,
)
from interlace_core.families.poisson_density import (
    MAX_LOG_MEAN,
    binomial_around,
    poisson_log_density,
    poisson_log_link_terms,
)
from interlace_core.families.responses import (
    as_probability_link,
    check_options,
    check_trials,
    draw_counts,
    draw_successes,
    has_large_counts,
    log_choose,
    observed_proportion,
    overall_proportion,
    positive_or_none,
    require,
    require_counts,
)

# fmt: off
__all__ = [
    "HALF_LOG_2PI", "Jet", "LARGEST_LOG", "MAX_LOG_MEAN", "STIRLING", "STIRLING_FROM",
    "as_probability_link", "binomial_around", "by_count", "check_options", "check_trials",
    "compose", "differentiate", "differentiate_density", "draw_counts", "draw_successes",
    "exp_excess", "expand",
    "has_large_counts", "log1p_lag", "log_choose", "log_factorial", "log_rising",
    "observed_proportion", "odd_series", "overall_proportion", "poisson_log_density",
    "poisson_log_link_terms", "positive_or_none", "require", "require_counts", "stirling_remainder",
    "value_of",
]
# fmt: on
