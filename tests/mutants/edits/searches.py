"""The second search: from elsewhere, away from a boundary, and what is said of the outcome."""

from mutants.mutant import Mutant

FITTING = "interlace_core/src/interlace_core/fitting"
FIT, ELSEWHERE, VERDICT = f"{FITTING}/fit.py", f"{FITTING}/elsewhere.py", f"{FITTING}/verdict.py"

HERE = "tests/test_second_search.py"
AWAY = (f"{HERE}::test_a_search_that_ended_at_a_variance_of_0_is_made_again_from_elsewhere",)
KEPT = (f"{HERE}::test_the_lowest_value_is_kept_with_the_work_of_all",)
BETTER = (f"{HERE}::test_which_of_two_fits_is_kept",)
CROWDED = (HERE,)
DOUBTFUL = (f"{HERE}::test_what_makes_a_fit_doubtful",)
JUDGED = (f"{HERE}::test_verdicts_by_what_is_left_to_gain",)
CEILING = (f"{HERE}::test_no_more_can_be_gained_than_up_to_a_log_likelihood_of_0",)
BOUNDED = "tests/test_bounded.py"
LOST = (f"{HERE}::test_a_search_that_lost_a_mode_is_made_again_from_a_stand_ins_end",)
ALGEBRA = (
    f"{BOUNDED}::test_the_bounded_value_is_that_of_dense_algebra_and_its_gradient_that_of_the_value",
)
APPROXIMATIONS = "plugins/interlace-approximations/src/interlace_approximations"
EXCHANGED = (
    f"{HERE}::test_effects_may_take_up_what_a_dispersion_spreads_where_their_covariance_is_singular",
)
STARTS = (f"{HERE}::test_starts_from_elsewhere_are_where_they_say",)

RUNS = "plugins/interlace-approximations/tests/test_runs_of_levels.py"

MUTANTS = (
    Mutant(FIT, "_best_optimum", "if not np.all(optimum.free):", "if False:", AWAY),
    Mutant(FIT, "_better_from", "return found if better else optimum", "return optimum", AWAY),
    Mutant(
        FIT,
        "_away_from_boundary",
        "np.where(stuck[place], away, 0.0)",
        "np.where(stuck[place], 0.0, away)",
        AWAY,
    ),
    Mutant(
        FIT,
        "fit_problem",
        "is_doubtful(inside, fit) or is_crowded(inside, fit)",
        "is_crowded(inside, fit)",
        (f"{HERE}::test_a_fit_keeps_all_searches_in_its_report",),
    ),
    Mutant(
        FIT,
        "fit_problem",
        " or is_crowded(inside, fit)",
        "",
        (f"{HERE}::test_a_crowded_boundary_is_looked_at_from_random_starts",),
    ),
    Mutant(ELSEWHERE, "may_be_crowded", "problem.n < FEW_ROWS", "problem.n >= FEW_ROWS", CROWDED),
    Mutant(ELSEWHERE, "_is_intricate", "return intricate and not", "return not", CROWDED),
    Mutant(
        ELSEWHERE,
        "may_be_exchanged",
        "return any(",
        "return not any(",
        EXCHANGED,
    ),
    Mutant(
        ELSEWHERE,
        "is_doubtful",
        "or np.any(fit.undetermined)",
        "or np.all(fit.undetermined)",
        DOUBTFUL,
    ),
    Mutant(ELSEWHERE, "_is_weak", "[-1] >= WEAK_SE**2", "[-1] >= WEAK_SE**4", DOUBTFUL),
    Mutant(
        ELSEWHERE,
        "highest",
        "max(MIN_EVALUATIONS, fit.n_evaluations)",
        "min(MIN_EVALUATIONS, fit.n_evaluations)",
        (HERE,),
    ),
    Mutant(
        ELSEWHERE,
        "highest",
        "not best.verdict.converged and not best.unsound",
        "best.unsound",
        (f"{HERE}::test_where_no_search_reached_an_optimum_the_best_point_is_searched_from",),
    ),
    Mutant(
        ELSEWHERE,
        "_higher_of",
        "n_evaluations=best.n_evaluations + found.n_evaluations",
        "n_evaluations=found.n_evaluations",
        KEPT,
    ),
    Mutant(
        ELSEWHERE,
        "_higher_of",
        "found if counts and _is_better(found, best) else best",
        "best",
        KEPT,
    ),
    Mutant(ELSEWHERE, "_is_better", "return not found.unsound", "return found.unsound", BETTER),
    Mutant(
        ELSEWHERE,
        "_is_better",
        "return same and found",
        "return found",
        BETTER,
    ),
    Mutant(
        ELSEWHERE,
        "optima_apart",
        "fit.value + APART",
        "fit.value - APART",
        (f"{HERE}::test_lower_optima_are_counted_and_told",),
    ),
    Mutant(
        ELSEWHERE,
        "with_modes",
        "n_evaluations=fit.n_evaluations + tally.n_evaluations",
        "n_evaluations=fit.n_evaluations",
        LOST,
    ),
    Mutant(
        ELSEWHERE,
        "highest",
        "and not fit.verdict.converged and not fit.unsound",
        "and bool(fit.unsound)",
        LOST,
    ),
    Mutant(ELSEWHERE, "highest", "list(fit.searches) or [_first(fit)]", "[_first(fit)]", LOST),
    Mutant(
        f"{APPROXIMATIONS}/laplace_bounded.py",
        "_without_convex_rows",
        "second < 0.0",
        "second < np.inf",
        ALGEBRA,
    ),
    Mutant(
        f"{APPROXIMATIONS}/laplace_slopes.py",
        "laplace_value_gradient",
        "0.5 * at.factorisation.logdet",
        "0.5 * mode.factorisation.logdet",
        ALGEBRA,
    ),
    Mutant(
        f"{APPROXIMATIONS}/laplace_slopes.py",
        "laplace_value_gradient",
        "template_pullback(conditional, at, inverse)",
        "template_pullback(conditional, mode, inverse)",
        ALGEBRA,
    ),
    Mutant(
        f"{APPROXIMATIONS}/laplace_bounded.py",
        "bounded_value_gradient",
        "v = structure.join(mode.factorisation.solve(",
        "v = 0.9 * structure.join(mode.factorisation.solve(",
        ALGEBRA,
    ),
    Mutant(ELSEWHERE, "_with_opposed_effects", "-1.0, 1.0)", "1.0, 1.0)", STARTS),
    Mutant(
        ELSEWHERE,
        "_near_limits",
        "NEAR_LIMIT if parameter.at_upper else -NEAR_LIMIT",
        "-NEAR_LIMIT if parameter.at_upper else NEAR_LIMIT",
        STARTS,
    ),
    Mutant(ELSEWHERE, "elsewhere", "[(k, NO_ZEROS_ETA)]", "[(k, -NO_ZEROS_ETA)]", STARTS),
    Mutant(
        VERDICT,
        "judge",
        "if not decrement <= tol_decrement",
        "if decrement > tol_decrement",
        JUDGED,
    ),
    Mutant(VERDICT, "with_ceiling", "left = max(value, 0.0)", "left = value", CEILING),
    Mutant(
        VERDICT,
        "with_ceiling",
        "verdict.converged or not left",
        "verdict.converged and not left",
        CEILING,
    ),
    Mutant(
        VERDICT,
        "vanished",
        "_own_sizes(term)",
        "term.sizes",
        (f"{HERE}::test_a_slope_s_variance_is_0_by_what_it_has_of_its_own_beside_the_intercept",),
    ),
    Mutant(
        f"{FITTING}/start.py",
        "_fit_coefficients",
        "first_coefficients(problem, beside_offsets=True)",
        "first_coefficients(problem)",
        ("tests/test_separation.py",),
        only="nominal_effect_without",
    ),
    Mutant(
        f"{FITTING}/curvature.py",
        "_with_directions",
        "(along - jacobian @ directions)",
        "(along + jacobian @ directions)",
        (
            "tests/test_standard_errors.py::test_what_is_known_along_directions_takes_the_place_of_what_was_there",
        ),
    ),
    Mutant(
        "plugins/interlace-approximations/src/interlace_approximations/laplace.py",
        "LaplaceOverRuns.__call__",
        "gradient + found.gradient",
        "found.gradient",
        (RUNS,),
    ),
    Mutant(
        "interlace_core/src/interlace_core/engine/intercepts.py",
        "Intercepts.factorise",
        "self._t * self._t",
        "self._t",
        (RUNS,),
    ),
)
