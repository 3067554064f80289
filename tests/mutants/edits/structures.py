"""Structures of covariances, and ordinal models."""

from mutants.mutant import Mutant

COVARIANCES = "plugins/interlace-covariances/src/interlace_covariances"
ORDINAL = "plugins/interlace-ordinal/src/interlace_ordinal"
KIT = (
    "plugins/interlace-covariances/tests/test_conformance.py",
    "plugins/interlace-covariances/tests/test_structures.py",
)
LEVELS = ("plugins/interlace-ordinal/tests/test_conformance.py",)
CLMM = ("tests/test_clmm.py", "tests/test_ordinal_effects.py")

MUTANTS = (
    Mutant(
        f"{COVARIANCES}/structures.py",
        "CompoundSymmetry._projections",
        "np.sqrt(c / (c - 1))",
        "np.sqrt(c)",
        KIT,
    ),
    Mutant(
        f"{COVARIANCES}/structures.py",
        "CompoundSymmetry.root_pullback",
        "* between - float",
        "* between + float",
        KIT,
    ),
    Mutant(
        f"{COVARIANCES}/structures.py",
        "CompoundSymmetry.nearest_angles",
        "(c - 1) * average",
        "c * average",
        KIT,
    ),
    Mutant(
        f"{COVARIANCES}/structures.py",
        "Toeplitz.nearest_angles",
        "np.mean(np.diagonal(correlation, k))",
        "np.mean(correlation)",
        KIT,
    ),
    Mutant(
        f"{COVARIANCES}/scaled.py",
        "ScaledCorrelation.nearest",
        "np.sqrt([np.mean(variances)])",
        "np.array([np.mean(scales)])",
        KIT,
    ),
    Mutant(
        f"{COVARIANCES}/reduced.py",
        "ReducedRank.rescaled",
        "L[j:, j:]",
        "L[j:, j:].T",
        KIT + ("interlace_core/tests/test_standard.py",),
    ),
    Mutant(
        f"{COVARIANCES}/reduced.py",
        "ReducedRank.canonical",
        "< 0.0, -1.0, 1.0",
        "< 0.0, 1.0, 1.0",
        KIT,
    ),
    Mutant(
        f"{ORDINAL}/cumulative.py",
        "CumulativeFamily.log_density",
        "np.log(-np.expm1(far - near))",
        "np.log1p(np.exp(far - near))",
        LEVELS,
    ),
    Mutant(
        f"{ORDINAL}/cumulative.py",
        "CumulativeFamily.intercept_stand_in",
        "np.linalg.pinv(T) @ np.ones(len(T))",
        "2.0 * np.linalg.pinv(T) @ np.ones(len(T))",
        ("tests/test_standard_units.py", *LEVELS),
    ),
    Mutant(
        f"{ORDINAL}/cumulative.py",
        "CumulativeFamily.recession_forms",
        "upper[codes[below]]",
        "-upper[codes[below]]",
        LEVELS + ("tests/test_recession.py",),
    ),
    Mutant(
        f"{ORDINAL}/latent.py",
        "Logistic",
        "variance = np.pi**2 / 3.0",
        "variance = np.pi**2 / 6.0",
        ("tests/test_variance_and_influence.py",),
    ),
    Mutant(
        f"{ORDINAL}/latent.py",
        "GumbelMinimum",
        "variance = np.pi**2 / 6.0",
        "variance = np.pi**2 / 3.0",
        ("tests/test_variance_and_influence.py",),
    ),
    Mutant(f"{ORDINAL}/latent.py", "Logistic.slopes", "-0.5 * (1.0", "-0.4 * (1.0", LEVELS),
    Mutant(
        f"{ORDINAL}/latent.py",
        "Cauchy.slopes",
        "2.0 * (square - 1.0)",
        "2.0 * (square + 1.0)",
        LEVELS,
    ),
    Mutant(
        f"{ORDINAL}/latent.py",
        "GumbelMaximum.slopes",
        "return -first, second",
        "return first, second",
        LEVELS,
    ),
    Mutant(
        f"{ORDINAL}/thresholds.py",
        "_symmetric",
        "central + distance] = -1.0",
        "central + distance] = -0.5",
        CLMM,
    ),
    Mutant(
        f"{ORDINAL}/thresholds.py",
        "_about_zero",
        "distance] = -1.0",
        "distance] = 1.0",
        CLMM + LEVELS,
    ),
    Mutant("interlace/ordinal.py", "CLMMResult._most_probable", "np.argmax", "np.argmin", CLMM),
)
