"""The scikit-learn estimator: its own checks, and that it fits what glmer fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import datasets
from interlace_core.messages.errors import InterlaceError, OptionError

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from interlace.sklearn import MixedModelRegressor  # noqa: E402


# The checks fit degenerate data (two points per coefficient, exact fits), which interlace warns of.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([MixedModelRegressor()])
def test_estimator_passes_the_checks_of_scikit_learn(estimator, check) -> None:
    check(estimator)


@pytest.fixture
def sleep() -> pd.DataFrame:
    return datasets.load("sleepstudy")


def test_estimator_fits_and_predicts_as_glmer_does(sleep: pd.DataFrame) -> None:
    X, y = sleep[["Days", "Subject"]], sleep["Reaction"]
    model = MixedModelRegressor("gaussian", formula="~ Days + (Days | Subject)").fit(X, y)
    direct = interlace.glmer("Reaction ~ Days + (Days | Subject)", sleep, "gaussian")
    assert model.result_.llf == pytest.approx(direct.llf, abs=1e-9)
    np.testing.assert_allclose(model.predict(X), direct.fittedvalues, rtol=1e-9)
    population = clone(model).set_params(include_re=False).fit(X, y)
    np.testing.assert_allclose(population.predict(X), direct.predict(include_re=False), rtol=1e-9)


def test_groups_given_to_fit_are_random_intercepts(sleep: pd.DataFrame) -> None:
    X, y, groups = sleep[["Days"]].to_numpy(), sleep["Reaction"], sleep["Subject"]
    model = MixedModelRegressor().fit(X, y, groups=groups)
    direct = interlace.glmer("Reaction ~ Days + (1 | Subject)", sleep, "gaussian")
    assert model.result_.llf == pytest.approx(direct.llf, abs=1e-9)
    np.testing.assert_allclose(model.predict(X, groups=groups), direct.fittedvalues, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X), direct.predict(include_re=False), rtol=1e-9)


def test_proportions_take_trials_as_sample_weights() -> None:
    cbpp = datasets.load("cbpp")
    model = MixedModelRegressor("binomial", formula="~ period + (1 | herd)", nAGQ=5)
    model.fit(
        cbpp[["period", "herd"]], cbpp["incidence"] / cbpp["size"], sample_weight=cbpp["size"]
    )
    direct = interlace.glmer(
        "incidence / size ~ period + (1 | herd)", cbpp, "binomial", weights="size", nAGQ=5
    )
    assert model.result_.llf == pytest.approx(direct.llf, abs=1e-9)


def test_cross_validation_by_group_predicts_new_groups(sleep: pd.DataFrame) -> None:
    X, y, groups = sleep[["Days", "Subject"]], sleep["Reaction"], sleep["Subject"]
    model = MixedModelRegressor(formula="~ Days + (1 | Subject)")
    by_group = cross_val_predict(model, X, y, groups=groups, cv=GroupKFold(3))
    for train, test in GroupKFold(3).split(X, y, groups):
        direct = interlace.glmer("Reaction ~ Days + (1 | Subject)", sleep.iloc[train], "gaussian")
        expected = direct.predict(sleep.iloc[test], include_re=False)
        np.testing.assert_allclose(by_group[test], expected, rtol=1e-9)
    known = cross_val_score(model, X, y, cv=KFold(3, shuffle=True, random_state=1))
    new = cross_val_score(model, X, y, groups=groups, cv=GroupKFold(3))
    assert known.mean() > new.mean()


def test_random_effects_can_be_tuned(sleep: pd.DataFrame) -> None:
    X, y = sleep[["Days", "Subject"]], sleep["Reaction"]
    grid = {"formula": ["~ Days", "~ Days + (1 | Subject)", "~ Days + (Days | Subject)"]}
    search = GridSearchCV(MixedModelRegressor(), grid, cv=KFold(5, shuffle=True, random_state=1))
    assert "Subject" in search.fit(X, y).best_params_["formula"]


def test_estimator_refuses_a_formula_with_a_response(sleep: pd.DataFrame) -> None:
    with pytest.raises(OptionError, match="right-hand side"):
        MixedModelRegressor(formula="Reaction ~ Days").fit(sleep[["Days"]], sleep["Reaction"])
    with pytest.raises(InterlaceError, match="all zero"):
        MixedModelRegressor().fit(
            sleep[["Days"]], sleep["Reaction"], sample_weight=np.zeros(len(sleep))
        )


def test_estimator_says_whose_length_is_wrong(sleep: pd.DataFrame) -> None:
    X, y = sleep[["Days"]], sleep["Reaction"]
    model = MixedModelRegressor("gaussian", formula="~ Days")
    with pytest.raises(InterlaceError, match="one entry of y for each of the 180 rows.*got 10"):
        model.fit(X, y[:10])
    with pytest.raises(InterlaceError, match="one entry of groups .*got 2"):
        model.fit(X, y, groups=[1, 2])


def test_estimator_keeps_columns_with_the_name_of_the_response(sleep: pd.DataFrame) -> None:
    X, y = sleep[["Days"]].assign(y_=np.tile([0.0, 1.0], 90)), sleep["Reaction"]
    fitted = MixedModelRegressor("gaussian", formula="~ Days + y_").fit(X, y)
    assert abs(fitted.result_.fe_params["y_"]) < 50.0
