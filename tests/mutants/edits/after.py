"""Predictions, residuals, simulation, priors, what is saved."""

from mutants.mutant import Mutant

PREDICTION, INFERENCE = "interlace/prediction", "interlace/inference"
INTERVALS, UNCERTAINTY = f"{PREDICTION}/intervals.py", f"{PREDICTION}/uncertainty.py"
RESIDUALS, SCALED = f"{INFERENCE}/residuals.py", f"{INFERENCE}/scaled_residuals.py"

PREDICT = ("tests/test_prediction_uncertainty.py",)
OF = "tests/test_residuals.py::test_"
HAND = "tests/test_by_hand.py::test_"
BINOMIAL, POISSON = (
    (f"{OF}residuals_of_a_binomial_agree_with_lme4",),
    (f"{OF}residuals_of_a_poisson_agree_with_r",),
)
KNOWN = ("tests/test_known.py", "tests/test_pedigree.py")
TEMPLATE = (f"{HAND}effects_are_drawn_with_the_covariance_of_their_template",)
TAILS = (f"{HAND}p_values_of_scaled_residuals_count_both_tails",)
MOMENTS = ("tests/test_inference.py::test_simulated_responses_have_the_model_s_moments",)

MUTANTS = (
    Mutant(
        INTERVALS,
        "response_variance",
        "variance += np.einsum",
        "variance += 0.0 * np.einsum",
        PREDICT,
    ),
    Mutant(INTERVALS, "with_uncertainty", "0.5 + 0.5 * level", "level", PREDICT),
    Mutant(
        INTERVALS,
        "confidence_ends",
        "half / slope, eta + half / slope",
        "half * slope, eta + half * slope",
        PREDICT,
    ),
    Mutant(INTERVALS, "_Draws.__init__", "covariance += rows", "covariance += 0.0 * rows", PREDICT),
    Mutant(
        INTERVALS,
        "_through_variance",
        "np.asarray(predicted(rows.eta, variance))",
        "np.asarray(predicted(rows.eta, 0.0 * variance))",
        PREDICT,
    ),
    Mutant(
        f"{PREDICTION}/average.py",
        "average",
        "at @ root[place]",
        "at @ np.square(root[place])",
        PREDICT,
    ),
    Mutant(
        f"{PREDICTION}/average.py",
        "prior_covariance",
        "product if scale is None else product * scale",
        "product",
        KNOWN,
    ),
    Mutant(
        UNCERTAINTY, "Spread.covariance", "+ self.conditional", "+ 0.0 * self.conditional", PREDICT
    ),
    Mutant(
        UNCERTAINTY,
        "_many_factors",
        "* (loading @ loading.T)",
        "* 0.0 * (loading @ loading.T)",
        (
            "tests/test_known.py::test_errors_of_relatives_without_data_do_not_depend_on_a_factor_beside_them",
        ),
    ),
    Mutant(
        f"{PREDICTION}/design.py",
        "new_rows",
        "known[0] + _external_offset",
        "known[0] - _external_offset",
        ("tests/test_predict.py",),
        "offset",
    ),
    Mutant(
        f"{PREDICTION}/design.py",
        "",
        "np.where(term.missing, np.nan, effect)",
        "effect",
        ("tests/test_predict.py",),
        "missing",
    ),
    Mutant(
        RESIDUALS, "residuals", "np.sqrt(family.variance(eta))", "family.variance(eta)", BINOMIAL
    ),
    Mutant(
        RESIDUALS,
        "residuals",
        "link.derivatives(eta[0])[1]",
        "link.derivatives(eta[0])[0]",
        BINOMIAL,
    ),
    Mutant(RESIDUALS, "_deviance", "np.sqrt(2.0 *", "np.sqrt(1.0 *", POISSON),
    Mutant(
        RESIDUALS,
        "quantiles",
        "below + rng",
        "0.0 * below + rng",
        (
            f"{OF}quantile_residuals_of_a_true_model_are_uniform_over_simulations",
            f"{OF}quantile_residuals_tell_a_wrong_family_from_the_right_one",
        ),
    ),
    Mutant(
        SCALED,
        "_two_sided",
        "2.0 * min",
        "1.0 * min",
        (f"{HAND}p_values_of_scaled_residuals_count_both_tails",),
    ),
    Mutant(
        SCALED,
        "scaled_residuals",
        "(tied + 1.0)",
        "tied",
        (f"{HAND}scaled_residuals_are_spread_within_their_ranks",),
    ),
    Mutant(
        f"{INFERENCE}/draws.py",
        "Predictors.drawn",
        "u @ term.relation.root.T",
        "u @ term.relation.root",
        KNOWN + MOMENTS,
    ),
    Mutant(
        "interlace_core/src/interlace_core/contract/covariance.py",
        "multiplier",
        "lambda u: T @ u",
        "lambda u: T.T @ u",
        (f"{HAND}effects_are_drawn_with_the_covariance_of_their_template",),
    ),
    Mutant(
        f"{INFERENCE}/simulation.py",
        "draw",
        "row_deviations(problem, result.fit.psi) * errors",
        "errors",
        ("tests/test_residual_correlation.py",),
    ),
    Mutant(
        "interlace/priors/densities.py",
        "Normal.log_density",
        "0.5 * z * z",
        "0.4 * z * z",
        ("tests/test_priors_and_singularity.py",),
    ),
    Mutant(
        "interlace/saving/codecs.py",
        "",
        "np.ascontiguousarray(array, dtype=kind)",
        "np.ascontiguousarray(0.5 * array, dtype=kind)",
        ("tests/test_standard_units.py::test_saved_and_loaded",),
    ),
)
