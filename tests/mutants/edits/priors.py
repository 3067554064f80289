"""Priors, profiles near 0, moments over parts, rare successes."""

from mutants.mutant import Mutant

CONFLICT = "tests/test_priors_in_conflict.py::test_"
NEAR_0 = "tests/test_profile_near_0.py::test_"
EXTREME = "tests/test_extreme_predictors.py::test_"

MUTANTS = (
    Mutant(
        "interlace/inference/constrained.py",
        "ByScaling.point",
        "self.follow @ moved",
        "0.0 * self.follow @ moved",
        (f"{NEAR_0}limits_near_0_are_the_same_in_other_units",),
    ),
    Mutant(
        "interlace/inference/constrained.py",
        "ByScaling.slopes",
        "/ length) * (pulled",
        "/ length) * (1.5 * pulled",
        (f"{NEAR_0}limits_near_0_are_the_same_in_other_units",),
    ),
    Mutant(
        "interlace/data/moments.py",
        "Moments.__add__",
        "apart * (other.n / n)",
        "apart * (self.n / n)",
        ("tests/test_moments.py",),
    ),
    Mutant(
        "interlace/priors/rivals.py",
        "_second_minimum",
        "< total[-1] + ALLOWANCE",
        "< total[-1] - 1e9",
        (f"{CONFLICT}of_the_two_modes_of_a_heavy_tailed_prior_the_higher_one_is_kept",),
    ),
    Mutant(
        "interlace_core/src/interlace_core/fitting/precondition.py",
        "precondition",
        "information + penalty",
        "information + 0.0 * penalty",
        (f"{CONFLICT}a_narrow_prior_holds_a_coefficient",),
    ),
    Mutant(
        "interlace/priors/penalised.py",
        "_holds",
        ">= LEAST_PULL",
        ">= 0.0",
        (f"{CONFLICT}a_prior_too_wide_to_hold_a_separated_coefficient_does_not_hide_it",),
    ),
    Mutant(
        "plugins/interlace-proportions/src/interlace_proportions/log_gamma.py",
        "_slope",
        "12.0 * h",
        "11.0 * h",
        (f"{EXTREME}its_derivatives_are_those_of_differences",),
    ),
    Mutant(
        "plugins/interlace-proportions/src/interlace_proportions/betabinomial.py",
        "BetaBinomialFamily.cloglog_positive",
        "weight * rising",
        "1.1 * weight * rising",
        (f"{EXTREME}a_beta_binomial_success_is_as_likely_as_its_product_says",),
    ),
    Mutant(
        "plugins/interlace-approximations/src/interlace_approximations/reduced.py",
        "Reduced.deviance",
        "not left + NO_MATTER >= LEAST_LEFT * self.whole",
        "left < -np.inf",
        ("tests/test_held.py::test_an_intercept_held_far_out_has_no_likelihood_of_rounding",),
    ),
    Mutant(
        "interlace/inference/quadratic_forms.py",
        "rounding_of",
        "0.5 * lost / least",
        "0.0 * lost / least",
        ("tests/test_hypotheses_by_hand.py",),
    ),
)
