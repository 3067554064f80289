"""The log-gamma distribution against SciPy's gamma functions, its slopes against differences."""

import numpy as np
import pytest
from scipy.special import gammainc, gammaincc, log_ndtr

from interlace_core.families import differentiate
from interlace_ordinal.log_gamma import LogGamma, log_tail

X = np.array([-6.0, -3.0, -1.0, -0.1, 0.0, 0.1, 0.7, 2.0, 3.5, 6.0])
SHAPES = [-8.0, -2.0, -1.0, -0.5, -0.24, 0.26, 0.5, 1.0, 1.7, 8.0]


@pytest.mark.parametrize("shape", SHAPES)
def test_probabilities_are_those_of_the_gamma_distribution(shape):
    k = shape**-2.0
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        lower, upper = gammainc(k, k * np.exp(shape * X)), gammaincc(k, k * np.exp(shape * X))
        below, above = (lower, upper) if shape > 0 else (upper, lower)
        law = LogGamma(np.full(X.shape, shape))
        for found, wanted in ((law.log_cdf(X), below), (law.log_sf(X), above)):
            seen = wanted > 1e-290
            assert found[seen] == pytest.approx(np.log(wanted[seen]), rel=1e-12, abs=1e-13)
    inside = (below > 1e-10) & (above > 1e-6)
    assert law.quantile(below)[inside] == pytest.approx(X[inside], abs=1e-9)


def test_a_shape_of_0_is_normal_and_nothing_jumps_there():
    assert LogGamma(np.zeros(X.size)).log_cdf(X) == pytest.approx(log_ndtr(X), rel=1e-13)
    near = [LogGamma(np.full(X.size, shape)).log_cdf(X) for shape in (-1e-9, 1e-9)]
    assert near[0] == pytest.approx(near[1], abs=1e-7)


@pytest.mark.parametrize("x", [0.0, 0.3, 2.0, 4.0])
@pytest.mark.parametrize("shape", [-5.0, -0.6, -0.1, 0.0, 0.2, 0.7, 1.3])
def test_slopes_are_those_of_differences(x, shape):
    """Each partial of order 1 to 3 is the central difference of the one below it."""
    h = 1e-4

    def partials(x, shape, order):
        return differentiate(
            lambda eta: log_tail(eta[0], eta[1]), [np.array([x]), np.array([shape])], order, (0, 1)
        )

    found = partials(x, shape, 3)
    # beyond the mode alone: x - h would be a tail from before it
    steps = {0: ((x + 2 * h, shape), (x, shape)), 1: ((x, shape + h), (x, shape - h))}
    middle = {0: partials(x + h, shape, 3), 1: found}
    for key in sorted(found.partials):
        variable = key[0]
        ahead, behind = (partials(*at, 2) for at in steps[variable])
        inside = key[1:]

        def value(derivatives, inside=inside):
            return derivatives.value if not inside else derivatives.partials[inside]

        difference = (value(ahead) - value(behind)) / (2 * h)
        exact = middle[variable].partials[key]
        assert exact == pytest.approx(difference, rel=2e-5, abs=2e-6), key
