"""A result is looked at, never changed: its arrays are read-only, its tables are the user's own."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import interlace
from reference_fits import load_data

FITS = {
    "glmer": lambda: interlace.glmer(
        "incidence / size ~ period + (1 | herd)", load_data("cbpp"), "binomial", weights="size"
    ),
    "fit": lambda: interlace.fit("Reaction ~ Days + (Days | Subject)", load_data("sleepstudy")),
    "clmm": lambda: interlace.clmm("rating ~ temp + (1 | judge)", load_data("wine")),
}
ARRAYS = {
    "psi": lambda m: m.fit.psi,
    "vcov": lambda m: m.fit.vcov,
    "gradient": lambda m: m.fit.gradient,
    "mode": lambda m: m.fit.mode,
    "estimates": lambda m: m.coefficients[0].estimates,
    "effects": lambda m: next(iter(m.effects.values())).values,
    "covariance": lambda m: next(iter(m.effects.values())).covariance,
    "y": lambda m: m.y,
    "eta": lambda m: m.eta,
    "data": lambda m: m.training.problem.predictors[0].X,
}
TABLES = {
    "fe_params": lambda m: m.fe_params,
    "fe_bse": lambda m: m.fe_bse,
    "vcov": lambda m: m.vcov(),
    "fittedvalues": lambda m: m.fittedvalues,
    "predict": lambda m: m.predict(type="link"),
    "theta": lambda m: m.theta,
    "random_effects": lambda m: next(iter(m.random_effects.values())),
    "random_effects_se": lambda m: next(iter(m.random_effects_se.values())),
    "conf_int": lambda m: m.conf_int(),
    "simulate": lambda m: m.simulate(seed=1),
}


@pytest.fixture(scope="module", params=FITS)
def model(request):
    return FITS[request.param]()


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_cannot_be_written_to(model, name):
    for each in (model, pickle.loads(pickle.dumps(model))):
        if name == "data" and each is not model:
            continue
        with pytest.raises(ValueError, match="read-only"):
            ARRAYS[name](each)[...] = 99


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_copies(model, name):
    before = np.array(TABLES[name](model), copy=True)
    mine = TABLES[name](model)
    if isinstance(mine, np.ndarray):
        mine[...] = 99
    else:
        mine.iloc[:] = 99.0
    np.testing.assert_array_equal(np.asarray(TABLES[name](model)), before)


def test_fields_cannot_be_set(model):
    for name in ("fit", "formula", "y"):
        with pytest.raises(FrozenInstanceError):
            setattr(model, name, None)


def test_a_loaded_result_is_read_only_too(model, tmp_path):
    model.save(tmp_path / "m")
    again = interlace.load(tmp_path / "m")
    for name in ("psi", "vcov", "estimates", "effects", "eta"):
        with pytest.raises(ValueError, match="read-only"):
            ARRAYS[name](again)[...] = 99
