"""Tests, intervals, comparisons, influence, shares of variance."""

from mutants.mutant import Mutant

INFERENCE = "interlace/inference"
SMALL, COMPARE = f"{INFERENCE}/small_samples.py", f"{INFERENCE}/compare.py"
BOOTSTRAP, POWER = f"{INFERENCE}/bootstrap.py", f"{INFERENCE}/power.py"
FORMS, R2 = f"{INFERENCE}/quadratic_forms.py", f"{INFERENCE}/r2.py"

HAND = "tests/test_by_hand.py::test_"
DRAWS = (f"{HAND}bootstrap_intervals_are_what_their_formulas_say",)
FAR = "tests/test_far_units.py::test_"
WALD = (f"{FAR}wald_statistic_is_that_of_uncorrelated_combinations",)
TERMS = (f"{FAR}tests_of_terms_do_not_depend_on_units_and_zero_point",)
RANK = (f"{FAR}rank_of_hypotheses_is_counted_in_standard_errors",)
UNLIKE = (f"{FAR}f_of_unlike_units_is_the_mean_of_squares_of_uncorrelated_t",)
TESTS = "tests/test_inference.py::test_"
ANOVA = (f"{TESTS}anova_agrees_with_lme4_where_no_boundary_is_crossed",)
REFUSED = (f"{TESTS}anova_refuses_other_rows_responses_and_approximations",)
NESTED = (f"{HAND}fits_of_other_links_or_offsets_are_not_nested",)
LINEAR = ("tests/test_fit.py", "tests/test_linear_clusters.py")
SHARES = "tests/test_variance_and_influence.py::test_"
POISSON = (f"{SHARES}r2_of_a_poisson_has_closed_forms_on_both_scales",)
KENWARD = (f"{HAND}kenward_and_roger_s_test_of_a_balanced_design_is_the_exact_one",)
LRT = (f"{HAND}likelihood_ratio_tests_of_no_effect_have_uniform_p_values",)
CLOPPER = (f"{HAND}interval_of_a_power_is_clopper_and_pearson_s",)
COMPARED = (f"{HAND}restricted_likelihoods_of_other_contrasts_or_weights_are_not_compared",)
SIMULATED = ("tests/test_residuals.py::test_power_is_the_normal_approximation_where_that_is_exact",)

BY_HAND = ("tests/test_hypotheses_by_hand.py",)

MUTANTS = (
    # those that a review found no test for
    Mutant(
        SMALL,
        "_pooled",
        "expected / (expected - q)",
        "expected / expected",
        (f"{HAND}denominator_of_several_is_that_of_an_f_with_the_mean_of_squared_ts",),
    ),
    Mutant(f"{INFERENCE}/nested.py", "", "one.link != other.link", "False", NESTED),
    Mutant(
        f"{INFERENCE}/nested.py",
        "",
        "small.family.latent_link != large.family.latent_link",
        "False",
        NESTED,
    ),
    Mutant(
        f"{INFERENCE}/nested.py",
        "",
        "near = np.allclose(one.offset, other.offset)",
        "near = True",
        NESTED,
    ),
    Mutant(COMPARE, "aicc", "(k + 1.0)", "k", (f"{HAND}aicc_is_hurvich_and_tsai_s",)),
    Mutant(BOOTSTRAP, "_normal", "std(ddof=1)", "std(ddof=0)", DRAWS),
    Mutant(
        f"{INFERENCE}/confint.py",
        "wald_limits",
        "return min(ends), max(ends)",
        "return max(ends), min(ends)",
        (f"{HAND}lower_ends_are_below_the_estimates_and_upper_ends_above",),
    ),
    Mutant(
        f"{INFERENCE}/influence.py",
        "_cook",
        "/ V.shape[0]",
        "/ len(moved)",
        (f"{HAND}cook_s_distance_of_a_linear_model_is_that_of_the_books",),
    ),
    Mutant(
        "interlace/results/thresholds.py",
        "Thresholds.errors",
        "fit.variance(row)",
        "fit.variance(np.abs(row))",
        (f"{HAND}errors_of_thresholds_in_a_structure_are_by_the_delta_method",),
    ),
    Mutant(
        "interlace/prediction/target.py",
        "_draw_new",
        "[:, place.columns]",
        "[:, : len(place.names)]",
        (f"{HAND}sampled_effects_of_two_terms_of_a_group_have_variances_of_their_own",),
    ),
    # others
    Mutant(BOOTSTRAP, "_normal", "2.0 * estimate - values.mean()", "values.mean()", DRAWS),
    Mutant(BOOTSTRAP, "_basic", "[::-1]", "", DRAWS),
    Mutant(BOOTSTRAP, "_bias_corrected", "2.0 * ndtri(inside)", "ndtri(inside)", DRAWS),
    Mutant(BOOTSTRAP, "_bias_corrected", "0.5 * np.mean(values == estimate)", "0.0", DRAWS),
    Mutant(BOOTSTRAP, "_percentile", 'method="weibull"', 'method="linear"', DRAWS),
    Mutant(FORMS, "Uncorrelated.of", "sizes[kept, None] / length", "sizes[kept, None]", WALD),
    Mutant(
        FORMS,
        "Uncorrelated.of",
        "kept[len(kept) if rank is None else rank :]",
        "kept[:0]",
        BY_HAND,
    ),
    Mutant(FORMS, "rank_of", "L * errors_of(variances)", "L", RANK),
    Mutant(SMALL, "_degrees_of_freedom", "2.0 * v**2", "v**2", UNLIKE),
    Mutant(SMALL, "_kenward_roger", "A1 + 6.0 * A2", "A1 + 5.0 * A2", KENWARD),
    Mutant(SMALL, "_kenward_roger", "m / (mean * (m - 2.0))", "m / (m - 2.0)", KENWARD),
    Mutant(SMALL, "_fai_cornelius", "L * errors", "L", BY_HAND),
    Mutant(SMALL, "Spread.rows", "L @ self.back", "L", TERMS),
    Mutant(
        f"{INFERENCE}/wald.py",
        "_type_two",
        "own - W @ others",
        "own",
        (f"{TESTS}type_two_tests_are_the_sums_of_squares_of_a_linear_model",),
    ),
    Mutant(
        f"{INFERENCE}/sandwich.py",
        "sandwich",
        "(G / (G - 1.0))",
        "1.0",
        (f"{TESTS}robust_covariance_of_a_linear_model_is_whites_formula",),
    ),
    Mutant(
        COMPARE,
        "reference_distribution",
        "(low, total), words",
        "(total, total), words",
        (f"{TESTS}anova_mixes_chi_squares_for_a_variance_at_its_boundary",),
    ),
    Mutant(COMPARE, "statistic_of", "2.0 * (large", "(large", ANOVA),
    Mutant(
        COMPARE,
        "_difference",
        "if a.nobs != b.nobs or not a.rows.index.equals(b.rows.index)",
        "if False",
        REFUSED,
    ),
    Mutant(
        COMPARE,
        "_difference",
        "if not np.array_equal(a.family.observed(a.y), b.family.observed(b.y)):",
        "if False:",
        REFUSED,
    ),
    Mutant(
        COMPARE,
        "_difference",
        "    if not _same(a.weights, b.weights):",
        "    if False:",
        COMPARED,
    ),
    Mutant(
        COMPARE,
        "_same_fixed_effects",
        "np.array_equal(first.offset, second.offset)",
        "True",
        COMPARED,
    ),
    Mutant(
        R2, "variance_shares", "marginal=fixed / total", "marginal=fixed / (total + fixed)", POISSON
    ),
    Mutant(R2, "_residual_on_link", "own / mu**2", "own / mu", POISSON),
    Mutant(R2, "_on_response", "square - np.square(mean)", "square - mean", POISSON),
    Mutant(
        POWER,
        "_Work._pvalue",
        "2.0 * (null.value - fit.value)",
        "null.value - fit.value",
        LRT,
    ),
    Mutant(
        POWER,
        "_assumed_theta",
        "np.diag(np.square(values))",
        "np.diag(values)",
        (f"{FAR}power_simulates_the_standard_deviations_assumed_in_any_units", *SIMULATED),
    ),
    Mutant(POWER, "_summary", "hits + 1, count - hits", "hits, count - hits + 1", CLOPPER),
    Mutant(
        f"{INFERENCE}/singularity.py",
        "_change",
        "2.0 * result.df",
        "result.df",
        ("tests/test_priors_and_singularity.py",),
    ),
)
