"""Building blocks of families: checks, responses, derivatives, special functions."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlace_core.calculus.jets.density import differentiate as differentiate
    from interlace_core.calculus.jets.density import differentiate_density as differentiate_density
    from interlace_core.calculus.jets.density import expand as expand
    from interlace_core.calculus.jets.numbers import Jet as Jet
    from interlace_core.calculus.jets.numbers import compose as compose
    from interlace_core.calculus.jets.numbers import value_of as value_of
    from interlace_core.calculus.special import by_count as by_count
    from interlace_core.calculus.special import exp_excess as exp_excess
    from interlace_core.calculus.special import log1p_lag as log1p_lag
    from interlace_core.calculus.special import log_factorial as log_factorial
    from interlace_core.calculus.special import log_rising as log_rising
    from interlace_core.calculus.stirling import HALF_LOG_2PI as HALF_LOG_2PI
    from interlace_core.calculus.stirling import LARGEST_LOG as LARGEST_LOG
    from interlace_core.calculus.stirling import STIRLING as STIRLING
    from interlace_core.calculus.stirling import STIRLING_FROM as STIRLING_FROM
    from interlace_core.calculus.stirling import odd_series as odd_series
    from interlace_core.calculus.stirling import stirling_remainder as stirling_remainder
    from interlace_core.families.binomial_response import as_probability_link as as_probability_link
    from interlace_core.families.binomial_response import check_trials as check_trials
    from interlace_core.families.binomial_response import draw_successes as draw_successes
    from interlace_core.families.binomial_response import log_choose as log_choose
    from interlace_core.families.binomial_response import observed_proportion as observed_proportion
    from interlace_core.families.binomial_response import overall_proportion as overall_proportion
    from interlace_core.families.checks import check_options as check_options
    from interlace_core.families.checks import positive_or_none as positive_or_none
    from interlace_core.families.checks import require as require
    from interlace_core.families.checks import require_counts as require_counts
    from interlace_core.families.poisson_density import MAX_LOG_MEAN as MAX_LOG_MEAN
    from interlace_core.families.poisson_density import binomial_around as binomial_around
    from interlace_core.families.poisson_density import has_large_counts as has_large_counts
    from interlace_core.families.poisson_density import poisson_log_density as poisson_log_density
    from interlace_core.families.poisson_density import (
        poisson_log_link_terms as poisson_log_link_terms,
    )

_HOMES = {
    "HALF_LOG_2PI": "interlace_core.calculus.stirling",
    "Jet": "interlace_core.calculus.jets.numbers",
    "LARGEST_LOG": "interlace_core.calculus.stirling",
    "MAX_LOG_MEAN": "interlace_core.families.poisson_density",
    "STIRLING": "interlace_core.calculus.stirling",
    "STIRLING_FROM": "interlace_core.calculus.stirling",
    "as_probability_link": "interlace_core.families.binomial_response",
    "binomial_around": "interlace_core.families.poisson_density",
    "by_count": "interlace_core.calculus.special",
    "check_options": "interlace_core.families.checks",
    "check_trials": "interlace_core.families.binomial_response",
    "compose": "interlace_core.calculus.jets.numbers",
    "differentiate": "interlace_core.calculus.jets.density",
    "differentiate_density": "interlace_core.calculus.jets.density",
    "draw_successes": "interlace_core.families.binomial_response",
    "exp_excess": "interlace_core.calculus.special",
    "expand": "interlace_core.calculus.jets.density",
    "has_large_counts": "interlace_core.families.poisson_density",
    "log1p_lag": "interlace_core.calculus.special",
    "log_choose": "interlace_core.families.binomial_response",
    "log_factorial": "interlace_core.calculus.special",
    "log_rising": "interlace_core.calculus.special",
    "observed_proportion": "interlace_core.families.binomial_response",
    "odd_series": "interlace_core.calculus.stirling",
    "overall_proportion": "interlace_core.families.binomial_response",
    "poisson_log_density": "interlace_core.families.poisson_density",
    "poisson_log_link_terms": "interlace_core.families.poisson_density",
    "positive_or_none": "interlace_core.families.checks",
    "require": "interlace_core.families.checks",
    "require_counts": "interlace_core.families.checks",
    "stirling_remainder": "interlace_core.calculus.stirling",
    "value_of": "interlace_core.calculus.jets.numbers",
}

__all__ = list(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'interlace_core.families' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found
