"""Linear predictors of the rows are made when they are first read; a result has them from then."""

import copy
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import interlace
from interlace.results.predictors import LaterPredictors, Predictors


@pytest.fixture
def model():
    data = interlace.datasets.load("sleepstudy")
    return interlace.fit("Reaction ~ Days + (1 + Days | Subject)", data)


def by_hand(model):
    """Return X beta and X beta + Z b from the tables that users see."""
    problem = model.training.problem
    fixed = problem.predictors[0].X @ model.coefficients[0].estimates
    term, b = problem.terms[0], model.effects["Subject"].values
    return fixed, fixed + np.sum(term.Z * b[term.codes], axis=1)


def is_made(model):
    return "eta" in model.predictors.__dict__


def test_a_fit_makes_none_and_its_numbers_need_none(model):
    assert isinstance(model.predictors, LaterPredictors)
    assert np.isfinite(model.llf) and np.isfinite(model.fe_bse).all()
    assert model.notes == () and not is_made(model)


def test_they_are_those_of_columns_and_effects_and_read_only(model):
    fixed, whole = by_hand(model)
    assert model.eta_fixed[0] == pytest.approx(fixed, rel=1e-12)
    assert model.eta[0] == pytest.approx(whole, rel=1e-12)
    assert is_made(model) and "_make" not in model.predictors.__dict__
    assert model.eta is model.eta and not model.eta.flags.writeable
    with pytest.raises(AttributeError, match="of_none"):
        model.predictors.of_none  # noqa: B018


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_them_whether_or_not_they_were_read(model, again):
    made = again(model)
    assert type(made.predictors) is Predictors
    assert np.array_equal(made.eta, model.eta) and np.array_equal(made.eta_fixed, model.eta_fixed)


def test_a_result_without_its_data_has_them(model):
    small = model.without_training()
    assert type(small.predictors) is Predictors
    assert np.array_equal(small.fittedvalues, model.fittedvalues)


def test_threads_that_ask_at_the_same_time_all_get_them():
    both = threading.Barrier(4)

    def make():
        time.sleep(0.05)  # so that all have begun before one has ended
        return Predictors(np.ones((1, 3)), np.zeros((1, 3)))

    later = LaterPredictors(make)

    def read(_):
        both.wait()
        return later.eta, later.eta_fixed

    with ThreadPoolExecutor(4) as pool:
        for eta, fixed in pool.map(read, range(4)):
            assert np.all(eta == 1.0) and np.all(fixed == 0.0)
