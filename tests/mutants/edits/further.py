"""Priors, chains, shared effects, restricted and penalised fits, data in parts, new places."""

from mutants.mutant import Mutant

CHAIN = "interlace_core/src/interlace_core/engine/elimination/chain.py"
RESTRICTED = "plugins/interlace-approximations/src/interlace_approximations/restricted_laplace.py"
FURTHER = "plugins/interlace-approximations/src/interlace_approximations/further.py"
PENALISED, WEAK, TARGETS = (f"interlace/priors/{n}.py" for n in ("penalised", "weak", "targets"))
LOOK, GATHERING, DISTINCT = (f"interlace/parts/{n}.py" for n in ("look", "gathering", "distinct"))
PLACES = "interlace/prediction/places.py"
PARTIALS = "plugins/interlace-ordinal/src/interlace_ordinal/partials.py"
CUMULATIVE = "plugins/interlace-ordinal/src/interlace_ordinal/cumulative.py"
SEPARATION = "interlace/diagnostics/separation.py"

PRIORS = ("tests/test_priors.py",)
WEAKLY = "weak_priors"
BY_DIFFERENCES = (
    "tests/test_priors.py::test_gradients_are_those_of_differences_in_standard_and_in_given_units",
)
DENSE = ("tests/test_restricted_glmm.py",)
SEQUENCE = "interlace_core/src/interlace_core/contract/sequence.py"
INCIDENCE = "interlace_core/src/interlace_core/contract/incidence.py"
MARGINAL = "interlace/diagnostics/marginal.py"
LONG = "tests/test_long_chains.py::test_"
ANSWERS, MATRIX = (f"{LONG}a_chain_answers_as_its_matrix",), (f"{LONG}an_incidence_is_its_matrix",)
SLOPES = (f"{LONG}slopes_of_the_marginal_covariance_are_those_of_matrices",)
CHAINS = ("interlace_core/tests/test_chain.py",)
COVERED = ("tests/test_chains.py::test_the_covariance_of_the_effects_is_that_of_dense_matrices",)
IN_PARTS = ("tests/test_data_in_parts.py",)
NEW = ("tests/test_new_places.py",)
ORDINAL = ("plugins/interlace-ordinal/tests/test_conformance.py",)
JETS = "jets and scaled"
STOPPED = ("tests/test_stopping.py::test_after_a_fit_without_a_covariance_no_uncertainty_is_said",)
NOMINAL = "nominal"

MUTANTS = (
    # priors
    Mutant(PENALISED, "_Penalty.__call__", "self.given @ psi", "psi", BY_DIFFERENCES),
    Mutant(PENALISED, "_Penalty.__call__", "self.given.T @ slope", "slope", BY_DIFFERENCES),
    Mutant(
        PENALISED,
        "Penalised.objective_from",
        "self.inside(problem).objective_from(problem, mode), self._penalty(problem)",
        "self.inside(problem).objective_from(problem, mode), lambda psi: (0.0, 0.0 * psi)",
        ("tests/test_priors.py::test_priors_stay_with_an_objective_from_a_given_mode",),
    ),
    Mutant(
        PENALISED,
        "Penalised.over_parts",
        "self._penalty(problem))",
        "lambda psi: (0.0, 0.0 * psi))",
        IN_PARTS,
        "priors",
    ),
    Mutant(
        WEAK,
        "_of_column",
        "2.0 * float(X.spread[column])",
        "float(X.spread[column])",
        PRIORS,
        WEAKLY,
    ),
    Mutant(WEAK, "weak_priors", "RATE * (reach", "RATE / (reach", PRIORS, WEAKLY),
    # restricted likelihoods of generalised models
    Mutant(RESTRICTED, "RestrictedObjective._further", "p * np.log(2.0 * np.pi)", "0.0", DENSE),
    Mutant(FURTHER, "further_of", "[:, j] -= along", "[:, j] += along", DENSE),
    Mutant(
        FURTHER,
        "further_of",
        "template[f] += Zw @ part.T",
        "template[f] -= Zw @ part.T",
        DENSE,
    ),
    Mutant(
        FURTHER,
        "further_of",
        "(1.0 if k == m else 2.0)",
        "1.0",
        DENSE,
    ),
    # chains
    Mutant(SEQUENCE, "Chain.moments", "r * r * own + d * d", "r * own + d * d", ANSWERS),
    Mutant(
        SEQUENCE, "Chain.times", "v[t] += self.carry[t - 1]", "v[t] -= self.carry[t - 1]", ANSWERS
    ),
    Mutant(INCIDENCE, "times_effects", "Z.z * b[Z.at, codes]", "b[Z.at, codes]", MATRIX),
    Mutant(MARGINAL, "Direction.__rmatmul__", "first + roots.slope", "first - roots.slope", SLOPES),
    Mutant(
        MARGINAL,
        "_root",
        "root.spread(columns) if transposed else root.gather(columns)",
        "root.gather(columns) if transposed else root.spread(columns)",
        SLOPES,
    ),
    Mutant(CHAIN, "ChainSystem.slopes", "(1.0 - r * seen)", "(1.0 + r * seen)", CHAINS),
    Mutant(CHAIN, "ChainSystem.solve", "half[1:] -=", "half[1:] +=", CHAINS),
    Mutant(CHAIN, "ChainSystem.covariance", "found[t, t] -= beta", "found[t, t] += beta", COVERED),
    Mutant(CHAIN, "ChainSystem.variances", "np.square(self._gain)", "self._gain", CHAINS),
    # one theta for several terms
    Mutant(
        TARGETS,
        "_placed",
        "own = target.term if term.theta_of is None else term.theta_of",
        "own = target.term",
        ("tests/test_priors.py::test_a_prior_of_two_terms_with_one_variance_counts_once",),
    ),
    # data in parts
    Mutant(
        "interlace/data/moments.py",
        "Moments.__add__",
        "np.square(apart) * (self.n",
        "0.0 * np.square(apart) * (self.n",
        IN_PARTS,
    ),
    Mutant(
        GATHERING,
        "_connected",
        "label[label == max(one, other)] = min(one, other)",
        "pass",
        IN_PARTS,
    ),
    Mutant(
        DISTINCT,
        "model_of_distinct",
        "counts if problem.weights is None else counts * problem.weights",
        "np.ones_like(counts)",
        IN_PARTS,
        "distinct",
    ),
    # new places
    Mutant(PLACES, "NewPlaces._batch", "variance - np.einsum", "variance + np.einsum", NEW),
    Mutant(PLACES, "NewPlaces.effect_slopes", "/ (2.0 * step)", "/ step", NEW),
    # ordered categories: nominal effects and scales
    Mutant(PARTIALS, "", "(1, 1): (-1, -1)", "(1, 1): (-1, 1)", ORDINAL, JETS),
    Mutant(PARTIALS, "Scaled.moved", "self.rate**own", "self.rate", ORDINAL, JETS),
    Mutant(
        CUMULATIVE,
        "CumulativeFamily.latent_variance",
        "np.exp(2.0 * eta",
        "np.exp(eta",
        ("tests/test_contract_additions.py::test_the_latent_variance_has_the_scale_squared",),
    ),
    Mutant(
        SEPARATION,
        "_may_have_open_end",
        ' or parameter.role == "threshold"',
        "",
        ("tests/test_separation.py",),
        NOMINAL,
    ),
    Mutant(
        SEPARATION,
        "_joint_notes",
        "separating_sets(cone, intercepts, own[k])",
        "separating_sets(cone, [j for j in free if j not in own[k]], own[k])",
        ("tests/test_separation.py",),
        NOMINAL,
    ),
    # what is not known stays unknown
    Mutant(
        "interlace/inference/quadratic_forms.py",
        "boundary_as_known",
        "np.any(unknown & ~bound)",
        "False",
        STOPPED,
    ),
    Mutant(
        "interlace/prediction/intervals.py",
        "_Draws.quantiles",
        "np.where(self.known, high, np.nan)",
        "high",
        STOPPED,
    ),
)
