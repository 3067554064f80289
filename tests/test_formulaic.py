"""What is asked of formulaic beyond its documented entrance, so that its next version is noticed.

Formulas are read and evaluated here; formulaic computes transforms that remember their training
data, and contrasts. Both are reached by names that no page of formulaic's promises.
"""

import inspect

import numpy as np
import pytest
from formulaic.transforms import TRANSFORMS as theirs
from formulaic.transforms import contrasts

from interlace.formulas.functions import CONTRASTS, HASHED, TRANSFORMS

COMPUTED = sorted(set(TRANSFORMS) - {HASHED})
X = np.linspace(-1.0, 3.0, 40) ** 2
OPTIONS = {
    "bs": {"df": 5},
    "cr": {"df": 4},
    "cs": {"df": 4},
    "cc": {"df": 4},
    "poly": {"degree": 3},
}


@pytest.mark.parametrize("name", COMPUTED)
def test_transform_takes_what_a_formula_may_give_it(name):
    parameters = list(inspect.signature(theirs[name]).parameters)
    assert set(TRANSFORMS[name]) <= set(parameters[1:]), parameters
    assert "_state" in parameters


@pytest.mark.parametrize("name", COMPUTED)
def test_transform_keeps_the_training_data_in_its_state(name):
    state: dict = {}
    whole = theirs[name](X, **OPTIONS.get(name, {}), _state=state)
    assert state, "nothing was remembered"
    kept = dict(state)
    part = theirs[name](X[10:20], **OPTIONS.get(name, {}), _state=state)
    assert state.keys() == kept.keys()
    assert np.allclose(columns(part), columns(whole)[:, 10:20], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted(CONTRASTS))
def test_contrasts_are_found_by_the_name_and_take_the_arguments(name):
    registry = contrasts.ContrastsRegistry
    kind = getattr(registry, name.removeprefix("contr.").lower().replace("sas", "SAS"))
    assert set(CONTRASTS[name]) <= {*inspect.signature(kind).parameters, "reference"}


def test_contrasts_code_levels_by_rows():
    levels = ["a", "b", "c"]
    made = contrasts.ContrastsRegistry.helmert(reverse=True)
    matrix = made.get_coding_matrix(levels, sparse=False)
    assert np.array_equal(np.asarray(matrix), [[-1, -1], [1, -1], [0, 2]])


def columns(result):
    """Return what a transform gives as an array with a row for each column."""
    if isinstance(result, np.ndarray) and result.ndim == 1:
        return result[None]
    if isinstance(result, np.ndarray):
        return result.T
    values = getattr(result, "__wrapped__", result)
    return np.array([values[key] for key in values])
