"""Weights that are precisions: a row of weight w is one draw with the residual variance over w.

Other weights multiply the log-density of their row, which is then no draw from a distribution.
"""

from __future__ import annotations

import numpy as np

from interlace.results.fitted_model import FittedModel
from interlace_core.records import Array
from interlace_core.registry.registry import default_registry


def are_precisions(result: FittedModel) -> bool:
    """Return whether the weights of a fit are precisions, as its approximation says."""
    if result.weights is None:
        return False
    if result.training is not None:
        return result.training.approximation.precision_weights
    # without its data a fit tells the name alone; a class says True, or has a property
    said: object = default_registry().approximation(result.fitted_by.name).precision_weights
    return said is True


def row_predictors(result: FittedModel, eta: Array) -> Array:
    """Return linear predictors by which each row is one draw of the family, shape (K, n).

    Parameters
    ----------
    result : FittedModel
    eta : ndarray, shape (K, n)
        Of the rows of the fit.
    """
    if not are_precisions(result):
        return eta
    assert result.weights is not None
    return with_precisions(eta, result.weights)


def with_precisions(eta: Array, weights: Array) -> Array:
    """Return predictors with the residual standard deviation over the root of the weights.

    Parameters
    ----------
    eta : ndarray, shape (K, n)
        Of a linear normal family: row 1 is the logarithm of the standard deviation.
    weights : ndarray, shape (n,)
        A row of weight 0, which the fit does not see, keeps its standard deviation.
    """
    found = np.array(eta, dtype=np.float64)
    found[1] -= 0.5 * np.log(np.where(weights > 0.0, weights, 1.0))
    return found
