"""The search, its verdict, and the standard problem with its maps back."""

from mutants.mutant import Mutant

FITTING = "interlace_core/src/interlace_core/fitting"
APPROXIMATIONS = "plugins/interlace-approximations/src/interlace_approximations"
COVARIANCES = "interlace_core/src/interlace_core/covariances.py"
STANDARD, SPREAD = f"{FITTING}/standard.py", f"{FITTING}/psi_covariance.py"
POLISH, OPTIMUM = f"{FITTING}/polish.py", f"{FITTING}/optimum.py"
VERDICT, FIT = f"{FITTING}/verdict.py", f"{FITTING}/fit.py"

OVER_PARTS = ("tests/test_linear_curvature.py::test_those_of_parts_add_up_to_those_of_all_rows",)
CORE = ("interlace_core/tests/test_standard.py",)
AFTER = "tests/test_standard_units.py::test_"
LIKELIHOOD = (f"{AFTER}likelihood_slopes_and_verdict",)
PREDICTED = (f"{AFTER}fitted_values_and_predictions[poisson]",)
PROFILE = (f"{AFTER}profile_intervals[poisson]",)
EFFECTS = (f"{AFTER}random_slopes_and_their_spread[poisson]",)
ROBUST = (f"{AFTER}robust_covariance_and_influence[poisson]",)
START = (f"{AFTER}a_start_of_the_users_is_in_the_users_units",)
PRIORS = (f"{AFTER}priors_are_on_the_coefficients_as_written",)
VOLUME = (f"{AFTER}restricted_likelihood_has_the_volume_of_the_columns_as_written",)
REFITS = (f"{AFTER}refits_and_comparisons[poisson]",)
SAVED = (f"{AFTER}saved_and_loaded",)
FAR = "tests/test_far_units.py::test_"
MAPS = (f"{FAR}gradients_go_back_so_that_derivatives_along_a_line_stay",)
SPEAKS = (f"{FAR}objective_in_standard_units_speaks_of_the_columns_as_written",)
JOINT = (f"{FAR}tests_of_terms_do_not_depend_on_units_and_zero_point",)
GIVEN = ("interlace_core/tests/test_standard.py::test_covariances_go_back_and_forth",)
INTERCEPT = (f"{AFTER}intercept_is_that_at_the_zero_point_as_written[poisson]",)
INTERVALS = (f"{FAR}intervals_of_predictions_do_not_depend_on_the_zero_point",)
ERRORS = ("tests/test_standard_errors.py",)
CBPP = ("tests/test_parity.py::test_laplace_agrees_with_the_reference[cbpp_logit_tmb]",)
STARTS = ("tests/test_searches.py", "tests/test_starts.py")

MUTANTS = (
    # each map of the standard problem, and its use
    Mutant(STANDARD, "Standard.given_psi", "psi @ self.back.T", "psi @ self.back", LIKELIHOOD),
    Mutant(STANDARD, "Standard.psi", "given @ self.forth.T", "given @ self.forth", CORE),
    Mutant(SPREAD, "PsiCovariance.given", "mapped(self.back, self.inner)", "self.inner", INTERCEPT),
    Mutant(SPREAD, "PsiCovariance.rows", "L @ self.back", "L", JOINT),
    Mutant(SPREAD, "PsiCovariance.roots", "rows @ self._root", "L @ self._root", JOINT),
    Mutant(
        STANDARD, "Standard.covariance", "mapped(self.forth, given.inner)", "given.inner", GIVEN
    ),
    Mutant(STANDARD, "Standard.covariance", "self.forth @ given.back", "given.back", GIVEN),
    Mutant(
        STANDARD,
        "Standard.given_fit",
        "PsiCovariance(fit.uncertainty.inner, self.back)",
        "fit.uncertainty",
        INTERCEPT,
    ),
    Mutant(
        STANDARD,
        "Standard.given_gradient",
        "gradient @ self.forth",
        "gradient @ self.forth.T",
        MAPS,
    ),
    Mutant(
        STANDARD, "Standard.given_fit", "self.given_gradient(fit.gradient)", "fit.gradient", MAPS
    ),
    Mutant(STANDARD, "Standard.objective", "found.value + volume", "found.value", SPEAKS),
    Mutant(
        STANDARD,
        "Standard.objective",
        "values=B @ profiled.values",
        "values=profiled.values",
        SPEAKS,
    ),
    Mutant(STANDARD, "log_volume", "return -float", "return float", VOLUME),
    Mutant(
        STANDARD, "Standard.inside", "self.psi(change(self.given_psi(psi)))", "change(psi)", START
    ),
    Mutant(SPREAD, "mapped", "found[reached, :] = found[:, reached] = np.nan", "pass", CORE),
    Mutant(
        STANDARD,
        "_changed",
        "-np.outer(shift, mean.columns.centre)",
        "np.outer(shift, mean.columns.centre)",
        CORE,
    ),
    Mutant(STANDARD, "Units.of", "given=self.back,", "given=np.eye(len(self.back)),", VOLUME),
    Mutant(
        STANDARD,
        "_in_columns",
        "_Part(columns, maps[0], maps[1])",
        "_Part(columns, maps[0], maps[0])",
        CORE,
    ),
    Mutant(COVARIANCES, "Unstructured.rescaled", "L[j:, j:]", "L[j:, j:].T", CORE),
    Mutant(
        COVARIANCES,
        "Unstructured.nearest",
        "T *= sd[:, None]",
        "T *= sd[None, :]",
        ("interlace_core/tests/test_covariance.py",),
    ),
    Mutant(COVARIANCES, "Diagonal.rescaled", "return L if", "return 2.0 * L if", CORE),
    Mutant(
        "interlace/prediction/uncertainty.py",
        "spread",
        "standard.gradient(D), standard",
        "D, standard",
        PREDICTED,
    ),
    Mutant(
        "interlace/prediction/uncertainty.py",
        "mode_slopes",
        "layout.effects(standard.given_psi(x)",
        "layout.effects(x",
        PREDICTED,
    ),
    Mutant(
        "interlace/prediction/uncertainty.py", "_one_factor", "a @ effects.root", "a", INTERVALS
    ),
    Mutant(
        "interlace/results/random_effects.py",
        "_with_covariances",
        "layout.templates(psi)",
        "layout.templates(inside)",
        EFFECTS,
    ),
    Mutant(
        "interlace/inference/sandwich.py",
        "ClusterScores.moves",
        "self.standard.given_psi(self.scores @ V)",
        "self.scores @ V",
        ROBUST,
    ),
    Mutant(
        "interlace/inference/constrained.py",
        "_root",
        "standard.given_psi(root.T).T",
        "root",
        PROFILE,
    ),
    # curvature and optimum
    Mutant(
        f"{FITTING}/curvature.py",
        "_central",
        "/ (2.0 * steps[free])",
        "/ (2.1 * steps[free])",
        ("tests/test_fit.py",),
    ),
    Mutant(
        f"{FITTING}/curvature.py",
        "_one_sided",
        "(beside - here).T / ONE_SIDED_STEP",
        "(beside - here).T / (1.1 * ONE_SIDED_STEP)",
        CBPP,
    ),
    Mutant(POLISH, "", "GAIN_OF_SHORT_STEPS = 1e-8", "GAIN_OF_SHORT_STEPS = 1e-5", ERRORS),
    Mutant(f"{FITTING}/curvature.py", "", "MOST_ASYMMETRY = 3e-4", "MOST_ASYMMETRY = 3.0", ERRORS),
    Mutant(
        f"{APPROXIMATIONS}/linear_across.py",
        "with_shared",
        "r = r + left.moved",
        "r = r + 0.0 * left.moved",
        OVER_PARTS,
    ),
    Mutant(
        f"{APPROXIMATIONS}/linear_across.py",
        "with_shared",
        "complement_traces(S_inverse, products,",
        "complement_traces(S_inverse, [0.5 * each for each in products],",
        OVER_PARTS,
    ),
    Mutant(
        f"{APPROXIMATIONS}/linear_moments.py",
        "Moments.variances",
        "squares += of_columns",
        "squares += 0.0 * of_columns",
        OVER_PARTS,
    ),
    Mutant(POLISH, "_is_skew", "> 2.0 * TOL_REL_HESSIAN", "> 200.0 * TOL_REL_HESSIAN", ERRORS),
    Mutant(
        OPTIMUM,
        "covariance_of_psi",
        "vcov[bound, :] = vcov[:, bound] = np.nan",
        "pass",
        ("tests/test_by_hand.py::test_a_variance_at_0_has_no_standard_error",),
    ),
)
