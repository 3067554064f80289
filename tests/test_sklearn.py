"""The scikit-learn estimators: the checks of scikit-learn, and that they fit what functions do."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import datasets
from interlace_core.messages.errors import DataError, InterlaceError, OptionError

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.utils.estimator_checks import (  # noqa: E402
    _get_check_estimator_ids,
    estimator_checks_generator,
)

from interlace.sklearn import (  # noqa: E402
    LinearMixedModelRegressor,
    MixedModelClassifier,
    MixedModelRegressor,
    OrdinalMixedModelClassifier,
)

ORDER = "text has no order: it is refused without categories=[...]"
CANNOT = {
    "MixedModelClassifier": {
        "check_sample_weight_equivalence_on_dense_data": "more columns than rows: rows that the "
        "fit says nothing of have no class, and predict refuses them",
    },
    "OrdinalMixedModelClassifier": {
        "check_sample_weight_equivalence_on_dense_data": "its classes are separated: coefficients "
        "are infinite, and probabilities of 1e-8 depend on where the search ends",
        "check_classifiers_classes": ORDER,
        "check_classifiers_train": "its three classes are no steps along a line",
    },
}
"""Checks of scikit-learn that cannot hold for these models; docs/sklearn.md has them too."""

ESTIMATORS = [
    MixedModelRegressor(),
    LinearMixedModelRegressor(),
    MixedModelClassifier(),
    OrdinalMixedModelClassifier(),
]


# As parametrize_with_checks has them, but for a generator that newer pytest refuses of older ones.
# Before 1.8 one check subtracts a fraction from the integers that it makes itself.
BROKEN = {"check_positive_only_tag_during_fit"} if sklearn.__version__ < "1.8" else set()
CHECKS = [
    each
    for estimator in ESTIMATORS
    for each in estimator_checks_generator(
        estimator, expected_failed_checks=CANNOT.get(type(estimator).__name__, {}), mark="xfail"
    )
    if not any(name in str(each) for name in BROKEN)
]


# The checks fit degenerate data (two points per coefficient, exact fits), which interlace warns of.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=_get_check_estimator_ids)
def test_estimators_pass_the_checks_of_scikit_learn(estimator, check) -> None:
    check(estimator)


def test_the_page_tells_the_checks_that_cannot_hold() -> None:
    page = (Path(__file__).parents[1] / "docs" / "sklearn.md").read_text()
    for checks in CANNOT.values():
        assert all(f"`{name}`" in page for name in checks)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_estimators_have_all_arguments_of_their_function(estimator) -> None:
    function = getattr(interlace, estimator.fitted_by)
    theirs = inspect.signature(function).parameters
    ours = set(estimator.get_params())
    own = {"include_re", "new_levels", "categories"}
    at_odds = {"MixedModelClassifier": {"dispformula", "ziformula", "known_variance"}}
    lacking = set(theirs) - {"data"} - ours
    assert lacking == at_odds.get(type(estimator).__name__, set())  # a 0/1 response has none
    assert ours - set(theirs) <= own
    for name in ours & set(theirs) - {"formula", "family"}:
        default = theirs[name].default
        assert estimator.get_params()[name] == default, name


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


def test_linear_estimator_is_fitted_by_reml(sleep: pd.DataFrame) -> None:
    X, y = sleep[["Days", "Subject"]], sleep["Reaction"]
    formula = "~ Days + (Days | Subject)"
    model = LinearMixedModelRegressor(formula=formula, df_method="kenward-roger").fit(X, y)
    direct = interlace.fit(f"Reaction {formula}", sleep, df_method="kenward-roger")
    assert model.result_.method == "REML"
    assert model.result_.formula == f"Reaction {formula}"
    assert model.result_.llf == pytest.approx(direct.llf, abs=1e-9)
    pd.testing.assert_series_equal(model.result_.fe_df, direct.fe_df)
    ml = clone(model).set_params(method="ML", df_method="none").fit(X, y)
    assert ml.result_.llf == pytest.approx(interlace.fit(f"Reaction {formula}", sleep,
                                                         method="ML").llf, abs=1e-9)  # fmt: skip


def test_columns_with_another_part_do_not_enter_linearly() -> None:
    data = datasets.load("cbpp").assign(logit=0.0)
    X, y = data.drop(columns="incidence"), data["incidence"] / data["size"]
    model = MixedModelRegressor("binomial", groups="herd", weights="size", offset="logit")
    direct = interlace.glmer(
        "incidence / size ~ period + (1 | herd)", data, "binomial", weights="size"
    )
    assert model.fit(X, y).result_.llf == pytest.approx(direct.llf, abs=1e-9)
    assert list(model.result_.fe_params.index) == list(direct.fe_params.index)


def test_groups_not_told_are_new_ones_and_other_groups_stay(sleep: pd.DataFrame) -> None:
    data = sleep.assign(batch=[str(i % 3) for i in range(len(sleep))])
    X, groups = data[["Days", "batch"]], data["Subject"]
    shift = data["batch"].map({"0": -60.0, "1": 0.0, "2": 60.0})
    model = MixedModelRegressor(formula="~ Days + (1 | batch)").fit(
        X, data["Reaction"] + shift, groups=groups
    )
    found, population = model.predict(X), model.result_.predict(include_re=False).to_numpy()
    batch = model.result_.predict(include_re="batch").to_numpy()
    np.testing.assert_allclose(found, batch, rtol=1e-9)
    assert np.max(np.abs(batch - population)) > 10.0
    with pytest.raises(OptionError, match="fit had none"):
        clone(model).fit(X, data["Reaction"]).predict(X, groups=groups)
    with pytest.raises(DataError, match="missing"):
        model.predict(X, groups=[np.nan, *groups[1:]])


def test_numbers_by_row_are_refused_where_they_would_not_be_split(sleep: pd.DataFrame) -> None:
    X, y = sleep[["Days", "Subject"]], sleep["Reaction"]
    with pytest.raises(OptionError, match="offset must be the name of a column"):
        MixedModelRegressor(offset=np.zeros(len(y))).fit(X, y)
    with pytest.raises(OptionError, match="sample_weight beside it"):
        MixedModelRegressor(weights="Days").fit(X, y, sample_weight=np.ones(len(y)))
