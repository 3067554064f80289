"""The density, held against an implementation that shares no code with it."""

import numpy as np
from scipy.stats import gumbel_r

from interlace_template.family import GumbelFamily


def test_log_density_is_that_of_scipy():
    y = np.linspace(-3.0, 9.0, 25)
    mu, sigma = 1.3, 0.8
    eta = [np.full(25, mu), np.full(25, np.log(sigma))]
    expected = gumbel_r.logpdf(y, mu - np.euler_gamma * sigma, sigma)
    np.testing.assert_allclose(GumbelFamily().log_density(y, eta), expected, rtol=1e-12)
