"""Linear models by their own likelihood beside Laplace's, which is exact for a normal response.

Every structure with every other kind of term: two ways that share no algebra have one maximum.
"""

import numpy as np
import pandas as pd
import pytest

import interlace

GROUPS, TIMES = 10, 6

STRUCTURES = (
    "ar1(0 + k | g)",
    "ou(0 + t | g)",
    "exp(0 + a + b | g)",
    "cs(0 + f | g)",
    "homcs(0 + f | g)",
    "(1 + x | g)",
)
OTHERS = ("(1 | h)", "(1 | g)", "(0 + x | h)", "(1 | g:h)", "ar1(0 + k | h)", "(1 | g) + (1 | h)")


def rows():
    rng = np.random.default_rng(1)
    n = GROUPS * TIMES * 2
    g = np.repeat(np.arange(GROUPS), TIMES * 2)
    k = np.tile(np.repeat(np.arange(TIMES), 2), GROUPS)
    h, x = rng.integers(0, 7, n), rng.normal(size=n)
    decay = np.linalg.cholesky(0.6 ** np.abs(np.subtract.outer(np.arange(TIMES), np.arange(TIMES))))
    y = 1.0 + 0.5 * x + 0.9 * (rng.normal(size=(GROUPS, TIMES)) @ decay.T)[g, k]
    y += 0.6 * rng.normal(size=7)[h] + 0.3 * rng.normal(size=GROUPS)[g] * x
    return pd.DataFrame(
        {
            "y": y + 0.5 * rng.normal(size=n),
            "x": x,
            "g": g.astype(str),
            "h": h.astype(str),
            "k": k,
            "t": 1.3 * k + 0.4 * (k == 3),
            "f": pd.Categorical(k),
            "a": k + np.cos(k),
            "b": np.sin(1.7 * k),
            "w": rng.uniform(0.5, 2.0, n),
        }
    )


# terms that share an intercept, or a limit, are not determined one by one: their sum is
@pytest.mark.filterwarnings("ignore::interlace.errors.ConvergenceWarning")
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_linear_model_has_the_likelihood_that_laplace_finds(structure, other):
    formula = f"y ~ x + {structure} + {other}"
    linear = interlace.fit(formula, rows(), method="ML")
    laplace = interlace.glmer(formula, rows(), "gaussian")
    assert linear.llf == pytest.approx(laplace.llf, abs=1e-5)
    # where a variance is 0 or two terms share one, effects are known less than their sum is
    np.testing.assert_allclose(linear.fe_params, laplace.fe_params, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_restricted_likelihood_is_that_of_laplace(structure):
    formula = f"y ~ x + {structure} + (1 | h)"
    linear = interlace.fit(formula, rows())
    laplace = interlace.glmer(formula, rows(), "gaussian", REML=True)
    assert linear.converged and laplace.converged
    assert linear.llf == pytest.approx(laplace.llf, abs=1e-5)
