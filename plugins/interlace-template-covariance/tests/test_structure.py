"""The covariance in closed form."""

import numpy as np

from interlace_template_covariance.structure import CauchyCovariance


def test_correlations_fall_with_the_distance():
    places = {"x": np.array([0.0, 3.0, 0.0]), "y": np.array([0.0, 4.0, 2.0])}
    structure = CauchyCovariance.from_columns(["a", "b", "c"], ["a", "b", "c"], places)
    T = structure.template(structure.from_natural(np.array([1.5, 5.0])))
    covariance = T @ T.T
    np.testing.assert_allclose(covariance[0], 2.25 / np.array([1.0, 2.0, 1.16]), rtol=1e-9)
