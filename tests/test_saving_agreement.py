"""Entries of a saved file that do not agree are refused when it is loaded, not when it is used."""

import io
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import interlace
from interlace_core.messages.errors import InterlaceWarning, SavedFileError
from odd.calls import data
from odd.files import joined, parts_of


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the parts of a saved fit with slopes, held coefficients and a nested factor."""
    path = tmp_path_factory.mktemp("saved") / "fit"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InterlaceWarning)
        fit = interlace.glmer(
            "y ~ x + f + (x | g) + (1 | g:f)", data(), "negativebinomial", hold={"x": 0.3}
        )
    fit.save(path)
    return parts_of(path.read_bytes())


def put(*steps):
    """Return a change of a document: the last of the steps is the value at the others."""
    *above, last, value = steps

    def change(document, arrays):
        node = document
        for step in above:
            node = node[step]
        node[last] = value(node[last]) if callable(value) else value

    return change


def array(*steps, to):
    """Return a change of an array that a document names."""

    def change(document, arrays):
        node = document
        for step in steps:
            node = node[step]
        name = f"arrays/{node}.npy"
        found = np.lib.format.read_array(io.BytesIO(arrays[name]))
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(to(found)))
        arrays[name] = buffer.getvalue()

    return change


def nan_first(values):
    """Return an array whose first number is none."""
    changed = values.copy()
    changed.flat[0] = np.nan
    return changed


def infinite_above(values):
    values = values.copy()
    values[-2, -1] = np.inf
    return values


def correlated_too_much(values):
    """Return a covariance that no variances allow."""
    values = values.copy()
    values[0, 1] = values[1, 0] = 1e300
    return values


def twice(values):
    """Return an array with itself behind it."""
    return np.tile(values, 2)


CHANGES = {
    "more numbers of a structure": put("terms", 0, "theta", [0, 4]),
    "numbers of structures that overlap": put("terms", 1, "theta", [2, 3]),
    "held values without names": array("encoder", "predictors", 0, "known_values", to=twice),
    "coefficients equal to none": put("encoder", "predictors", 0, "design", "shared", {"a": "b"}),
    "columns of another term": put("terms", 0, "columns", [1, 3]),
    "names of effects": put("effects", "g", "names", 1, "z"),
    "another group": put("terms", 1, "group", "g"),
    "levels that are no combination": put("effects", "g:f", "levels", 0, "zz:u"),
    "a level twice": put("effects", "g", "levels", 0, "b"),
    "a mode of another size": array("fit", "mode", to=lambda u: u[1:]),
    "estimates that are no numbers": array("fit", "psi", to=nan_first),
    "a variance below 0": array("fit", "uncertainty", "inner", to=lambda V: -np.abs(V)),
    "more rows than were given": put("rows", "n_given", 3),
    "missing rows below 0": put("rows", "missing", {"x": -1}),
    "a count below 0": put("fit", "n_inner", -1),
    "endless quadrature": put("fitted_by", "points", 10**9),
    "an empty formula": put("formula", ""),
    "weights without a name": put("settings", "weights", ""),
    "an offset that cannot be read": put("settings", "offset", "((("),
    "a value of a parameter that is estimated": put("family", "options", "theta", 2.0),
    "estimates that are not those of psi": array(
        "coefficients", 0, "estimates", to=lambda b: b + 1
    ),
    "a covariance that is not that of theta": array("effects", "g", "root", to=lambda T: 2.0 * T),
    "predictors of other data": array("predictors", "eta_fixed", to=lambda eta: eta + 1.0),
    "a way to degrees of freedom that is none": put("settings", "df_method", "nan"),
    "a policy for levels that is none": put("settings", "new_levels", "whatever"),
    "a column of another name": put("encoder", "columns", "x", "name", "y"),
    "options that the structure does not take": put("terms", 0, "options", {"array": 1}),
    "a covariance that is known one way": array("fit", "uncertainty", "inner", to=infinite_above),
    "a covariance beyond its variances": array(
        "fit", "uncertainty", "inner", to=correlated_too_much
    ),
    "a term without a name": put("terms", 0, "label", ""),
    "a response that is no number": array("y", to=nan_first),
}


@pytest.mark.parametrize("what", CHANGES)
def test_entries_that_contradict_others_are_refused(saved, what, tmp_path):
    parts = dict(saved)
    document = json.loads(parts["result.json"])
    CHANGES[what](document, parts)
    path = tmp_path / "changed"
    path.write_bytes(joined({**parts, "result.json": json.dumps(document).encode()}))
    with pytest.raises(SavedFileError, match="load: result"):
        interlace.load(path)


def test_the_file_itself_loads(saved, tmp_path):
    path = Path(tmp_path / "same")
    path.write_bytes(joined(saved))
    assert interlace.load(path).held["x"] == 0.3
