"""Logarithms of probabilities and their derivatives, against 40 digits, where digits cancel."""

import mpmath
import numpy as np
import pytest

from interlace_core.calculus.links import LINKS

AT = (-12.0, -6.0, -3.2, -3.0, -2.9, -1.0, 0.5, 1.5)
LOG_MU = {
    "cloglog": lambda x: mpmath.log(-mpmath.expm1(-mpmath.exp(x))),
    "logit": lambda x: -mpmath.log1p(mpmath.exp(-x)),
}
LOG1M_MU = {"cloglog": lambda x: -mpmath.exp(x), "logit": lambda x: -mpmath.log1p(mpmath.exp(x))}


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("name", LOG_MU)
def test_logarithms_of_probabilities_are_exact_in_their_tails(name, order):
    found = LINKS[name].log_derivatives(np.array(AT))
    for values, function in zip(found, (LOG_MU[name], LOG1M_MU[name]), strict=True):
        with mpmath.workdps(40):
            expected = [float(mpmath.diff(function, x, order)) for x in AT]
        np.testing.assert_allclose(values[order], expected, rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_of_a_logit_probability_are_exact(order):
    with mpmath.workdps(40):
        expected = [float(mpmath.diff(lambda x: 1 / (1 + mpmath.exp(-x)), x, order)) for x in AT]
    np.testing.assert_allclose(LINKS["logit"].derivatives(np.array(AT))[order], expected, rtol=1e-9)
