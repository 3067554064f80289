"""The engine, and the approximations built on it."""

from mutants.mutant import Mutant

ENGINE = "interlace_core/src/interlace_core/engine"
APPROXIMATIONS = "plugins/interlace-approximations/src/interlace_approximations"

PARITY = "tests/test_parity.py::test_laplace_agrees_with_the_reference"
ONE = (f"{PARITY}[cbpp_logit_tmb]",)
NESTED = (f"{PARITY}[grouseticks_nested_tmb]",)
CROSSED = (f"{PARITY}[verbagg_logit_tmb]",)
SLOPES = (f"{PARITY}[epil_slope_tmb]",)
GRADIENTS = ("plugins/interlace-approximations/tests/test_gradients.py",)
DIFFERENCES = ("interlace_core/tests/test_joint_density.py",)
FACTORS = ("interlace_core/tests/test_factorisation.py",)
COLUMNS = ("interlace_core/tests/test_standard.py",)
KNOWN = ("tests/test_known.py",)
COLLAPSED = ("tests/test_collapse.py::test_constants_of_rows_taken_together_are_added",)
QUADRATURE = (
    "tests/test_parity.py::test_quadrature_agrees_with_the_reference[cbpp_logit_agq9_lme4]",
)
DENSE = ("tests/test_linear.py::test_likelihood_and_gradient_agree_with_dense_arithmetic",)
BY_HAND = ("tests/test_by_hand.py::test_weights_and_an_offset_of_the_dispersion_are_one_precision",)

JOINT, MODE = f"{ENGINE}/joint_density.py", f"{ENGINE}/mode.py"
ELIMINATION, SMALL = (
    f"{ENGINE}/elimination/factorisation.py",
    f"{ENGINE}/elimination/smallblocks.py",
)
LAPLACE = f"{APPROXIMATIONS}/laplace_slopes.py"

MUTANTS = (
    # the joint density
    Mutant(JOINT, "Conditional.evaluate", "0.5 * float(u @ u)", "0.6 * float(u @ u)", ONE),
    Mutant(JOINT, "Conditional.gradient", "point.u - self", "0.9 * point.u - self", ONE),
    Mutant(JOINT, "Conditional.hessian_times", "[-d * moved[m]", "[d * moved[m]", DIFFERENCES),
    Mutant(JOINT, "Conditional._weight", "    return -second\n", "    return -1.1 * second\n", ONE),
    Mutant(
        JOINT,
        "effects_covariance",
        "return covariance_by_term(conditional.layout, factorisation)",
        "return [0.9 * x for x in covariance_by_term(conditional.layout, factorisation)]",
        (
            "tests/test_variance_and_influence.py::test_random_effects_table_has_lme4_s_modes_and_standard_deviations",
        ),
    ),
    Mutant(
        MODE,
        "ModeSettings",
        "tol_sq_decrement: float = 1e-16",
        "tol_sq_decrement: float = 1e-1",
        GRADIENTS,
    ),
    # factorisations
    Mutant(ELIMINATION, "_Nested.__init__", "H[r, s] - step.links", "H[r, s] + step.links", NESTED),
    Mutant(
        ELIMINATION, "_Nested.__init__", "logdet + self._rest.logdet", "self._rest.logdet", NESTED
    ),
    Mutant(ELIMINATION, "_Nested.solve", "x = x - apply_each(Y", "x = x + apply_each(Y", NESTED),
    Mutant(ELIMINATION, "_Nested.selected_inverse", "own - multiply", "own + multiply", NESTED),
    Mutant(ELIMINATION, "Crossed.__init__", "logdet + rest.logdet", "logdet", CROSSED),
    Mutant(ELIMINATION, "Crossed.solve", "rest - self._Y.T", "rest + self._Y.T", CROSSED),
    Mutant(SMALL, "invert_stack", "2.0 * float", "1.9 * float", SLOPES + FACTORS),
    Mutant(
        f"{ENGINE}/elimination/dense.py",
        "DenseFactor.__init__",
        "2.0 * float",
        "1.0 * float",
        CROSSED,
    ),
    Mutant(
        f"{ENGINE}/elimination/correlated_levels.py",
        "_Bordered.__init__",
        "self._corner(H) - C.T",
        "self._corner(H) + C.T",
        KNOWN,
    ),
    Mutant(
        f"{ENGINE}/elimination/multifrontal.py",
        "_eliminate_large",
        "rest -= V.T @ V",
        "rest += V.T @ V",
        ("interlace_core/tests/test_sparse_complement.py",),
    ),
    # rows
    Mutant(
        f"{ENGINE}/collapse.py",
        "collapse_response",
        "constants + np.bincount",
        "constants - np.bincount",
        COLLAPSED,
    ),
    Mutant(
        f"{ENGINE}/parts.py",
        "subset",
        "problem.weights[rows]",
        "problem.weights[rows][::-1]",
        ("tests/test_parts.py", "tests/test_variance_and_influence.py", "tests/test_far_units.py"),
    ),
    # columns in units of their own
    Mutant(f"{ENGINE}/columns.py", "", "R[:, j] += units[j]", "R[:, j] -= units[j]", COLUMNS),
    Mutant(f"{ENGINE}/columns.py", "_mixed", "shares < LEAST_SHARE", "shares < 1e-30", COLUMNS),
    # approximations
    Mutant(
        LAPLACE,
        "laplace_value_gradient",
        "0.5 * at.factorisation",
        "0.4 * at.factorisation",
        ONE,
    ),
    Mutant(
        LAPLACE, "laplace_value_gradient", "+ Zl[f] @ v_part.T", "- Zl[f] @ v_part.T", GRADIENTS
    ),
    Mutant(
        LAPLACE, "effective_score", "score += cross * shift", "score -= cross * shift", GRADIENTS
    ),
    Mutant(LAPLACE, "predictor_pullback", "= -0.5 * share", "= -0.25 * share", GRADIENTS),
    Mutant(
        f"{APPROXIMATIONS}/agq.py",
        "gauss_hermite",
        "np.log(w) + x**2",
        "np.log(w) + 0.9 * x**2",
        QUADRATURE,
    ),
    Mutant(
        f"{APPROXIMATIONS}/cross_products.py", "precisions", "w * problem.weights", "w", BY_HAND
    ),
    Mutant(
        f"{APPROXIMATIONS}/cross_products.py",
        "precisions",
        "np.exp(-2.0 * offset)",
        "np.exp(-offset)",
        BY_HAND + DENSE,
    ),
    Mutant(
        f"{APPROXIMATIONS}/linear.py",
        "_without_weights",
        "- 0.5 * np.log(w)",
        "- np.log(w)",
        (
            "tests/test_linear.py",
            "tests/test_inference.py::test_robust_covariance_of_a_linear_mixed_model_is_the_generalised_one",
            "tests/test_linear_clusters.py",
        ),
    ),
)
