"""Classes and ordered classes in scikit-learn: probabilities, measures, pipelines, routing."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages.errors import DataError, OptionError

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.metrics import log_loss, roc_auc_score  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    GroupKFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from interlace.sklearn import (  # noqa: E402
    MixedModelClassifier,
    OrdinalMixedModelClassifier,
)

ORDER = ["none", "mild", "bad"]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    herd = np.repeat(np.arange(24), 8)
    x, z = rng.normal(size=192), rng.normal(100.0, 30.0, size=192)
    eta = x + 1.2 * rng.normal(size=24)[herd]
    sick = rng.random(192) < 1.0 / (1.0 + np.exp(-eta))
    stage = np.digitize(eta + rng.logistic(size=192), [-0.5, 1.0])
    return pd.DataFrame({
        "x": x, "z": z, "herd": [f"h{i}" for i in herd],
        "state": np.where(sick, "sick", "healthy"), "sick": sick.astype(int),
        "stage": pd.Categorical.from_codes(stage, ORDER, ordered=True),
    })  # fmt: skip


@pytest.fixture(scope="module")
def binary(data: pd.DataFrame) -> MixedModelClassifier:
    return MixedModelClassifier(formula="~ x + (1 | herd)", nAGQ=3).fit(
        data[["x", "herd"]], data["state"]
    )


def test_probabilities_are_those_of_glmer_for_the_second_class(data, binary) -> None:
    direct = interlace.glmer("sick ~ x + (1 | herd)", data, "binomial", nAGQ=3)
    assert binary.classes_.tolist() == ["healthy", "sick"]
    assert binary.result_.llf == pytest.approx(direct.llf, abs=1e-9)
    found = binary.predict_proba(data[["x", "herd"]])
    np.testing.assert_allclose(found[:, 1], direct.fittedvalues, rtol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    np.testing.assert_allclose(binary.predict_log_proba(data[["x", "herd"]]), np.log(found))
    labels = binary.predict(data[["x", "herd"]])
    assert (labels == np.where(found[:, 1] > 0.5, "sick", "healthy")).all()
    assert binary.score(data[["x", "herd"]], data["state"]) == np.mean(labels == data["state"])


def test_a_restricted_fit_and_another_link_can_be_had(data) -> None:
    model = MixedModelClassifier(formula="~ x + (1 | herd)", link="probit", REML=True)
    direct = interlace.glmer("sick ~ x + (1 | herd)", data, "binomial", link="probit", REML=True)
    fitted = model.fit(data[["x", "herd"]], data["state"]).result_
    assert fitted.llf == pytest.approx(direct.llf, abs=1e-9)


def test_measures_in_new_groups_are_those_by_hand(data) -> None:
    X, y, cv = data[["x", "herd"]], data["state"], GroupKFold(3)
    model = MixedModelClassifier(formula="~ x + (1 | herd)", new_levels="marginal")
    found = cross_validate(
        model, X, y, groups=data["herd"], cv=cv, scoring=["neg_log_loss", "roc_auc"]
    )
    for i, (train, test) in enumerate(cv.split(X, y, data["herd"])):
        direct = interlace.glmer("sick ~ x + (1 | herd)", data.iloc[train], "binomial")
        p = direct.predict(data.iloc[test], type="population")
        sick = data["sick"].iloc[test]
        assert -found["test_neg_log_loss"][i] == pytest.approx(log_loss(sick, p), rel=1e-8)
        assert found["test_roc_auc"][i] == pytest.approx(roc_auc_score(sick, p), rel=1e-12)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_pipeline_hands_names_on(data, library) -> None:
    scale = ColumnTransformer(
        [("scale", StandardScaler(), ["x", "z"])],
        remainder="passthrough", verbose_feature_names_out=False,
    )  # fmt: skip
    pipe = make_pipeline(scale.set_output(transform=library), MixedModelClassifier(groups="herd"))
    X = data[["x", "z", "herd"]]
    if library == "polars":
        X = pytest.importorskip("polars").from_pandas(X)
    pipe.fit(X, data["state"])
    assert list(pipe[-1].feature_names_in_) == ["x", "z", "herd"]
    direct = interlace.glmer("sick ~ scale(x) + scale(z) + (1 | herd)", data, "binomial")
    np.testing.assert_allclose(pipe.predict_proba(X)[:, 1], direct.fittedvalues, rtol=1e-6)
    again = pickle.loads(pickle.dumps(pipe))
    np.testing.assert_array_equal(again.predict_proba(X), pipe.predict_proba(X))


def test_formulas_and_links_are_tuned(data) -> None:
    search = GridSearchCV(
        MixedModelClassifier(),
        {"formula": ["~ 1 + (1 | herd)", "~ x + (1 | herd)"], "link": ["logit", "probit"]},
        cv=GroupKFold(2), scoring="neg_log_loss",
    )  # fmt: skip
    search.fit(data[["x", "herd"]], data["state"], groups=data["herd"])
    assert search.best_params_["formula"] == "~ x + (1 | herd)"
    assert search.best_estimator_.result_.converged


def test_groups_are_routed_where_asked_for(data) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        model = MixedModelClassifier().set_fit_request(groups=True).set_score_request(groups=True)
        cv = StratifiedKFold(2)
        found = cross_val_score(
            model, data[["x"]], data["state"], params={"groups": data["herd"]}, cv=cv
        )
    for i, (train, test) in enumerate(cv.split(data, data["state"])):
        direct = interlace.glmer("sick ~ x + (1 | herd)", data.iloc[train], "binomial")
        right = (_known(direct, data.iloc[test]) > 0.5) == (data["sick"].iloc[test] == 1)
        assert found[i] == pytest.approx(right.mean())


def _known(direct, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", interlace.errors.DataWarning)
        return direct.predict(rows)


def test_classes_that_cannot_be_told_apart_are_refused(data) -> None:
    X = data[["x", "herd"]]
    with pytest.raises(DataError, match="Only binary .* OrdinalMixedModelClassifier"):
        MixedModelClassifier().fit(X, data["stage"])
    with pytest.raises(DataError, match="got one class, .*sick"):
        MixedModelClassifier().fit(X, ["sick"] * len(X))
    with pytest.raises(DataError, match="missing"):
        MixedModelClassifier().fit(X, data["state"].where(data["x"] < 1.0))
    each = OneVsRestClassifier(MixedModelClassifier(groups="herd")).fit(X, data["stage"])
    assert each.predict_proba(X).shape == (len(X), 3)


def test_no_label_is_made_of_a_missing_value(data, binary) -> None:
    X = data[["x", "herd"]].head(4).assign(x=[0.0, 1.0, np.nan, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", interlace.errors.DataWarning)
        assert np.isnan(binary.predict_proba(X)).any(axis=1).tolist() == [False, False, True, False]
        with pytest.raises(DataError, match="first is row 2"):
            binary.predict(X)


def test_ordered_classes_are_those_of_clmm_in_sorted_columns(data) -> None:
    X = data[["x", "herd"]]
    model = OrdinalMixedModelClassifier(formula="~ x + (1 | herd)").fit(X, data["stage"])
    direct = interlace.clmm("stage ~ x + (1 | herd)", data)
    assert model.categories_.tolist() == ORDER
    assert model.classes_.tolist() == sorted(ORDER)
    table = direct.predict()[sorted(ORDER)]
    found = model.predict_proba(X)
    np.testing.assert_allclose(found, table, rtol=1e-9)
    # scikit-learn's measures take the columns as sorted
    own = np.array(
        [row[label] for (_, row), label in zip(table.iterrows(), data["stage"], strict=True)]
    )
    assert log_loss(data["stage"], found) == pytest.approx(-np.log(own).mean(), rel=1e-9)
    assert (model.predict(X) == direct.predict(type="class").astype(str)).all()


def test_text_needs_an_order_and_is_then_the_same_fit(data) -> None:
    X, text = data[["x", "herd"]], data["stage"].astype(str)
    with pytest.raises(OptionError, match="text, which has no order"):
        OrdinalMixedModelClassifier(groups="herd").fit(X, text)
    by_text = OrdinalMixedModelClassifier(groups="herd", categories=ORDER).fit(X, text)
    by_kind = OrdinalMixedModelClassifier(groups="herd").fit(X, data["stage"])
    by_number = OrdinalMixedModelClassifier(groups="herd").fit(X, data["stage"].cat.codes)
    assert by_text.result_.llf == by_kind.result_.llf == by_number.result_.llf
    with pytest.raises(OptionError, match="from the lowest to the highest"):
        clone(by_text).set_params(categories="low").fit(X, text)
    with pytest.raises(DataError, match="got 'bad' too"):
        clone(by_text).set_params(categories=["none", "mild"]).fit(X, text)


def test_labels_numbered_by_their_alphabet_are_found_out(data) -> None:
    X, model = data[["x"]], OrdinalMixedModelClassifier(categories=ORDER)
    with pytest.raises(Exception, match="numbers labels by their alphabet"):
        cross_val_predict(model, X, data["stage"], cv=StratifiedKFold(2), method="predict_proba")
    numbers = cross_val_predict(
        OrdinalMixedModelClassifier(), X, data["stage"].cat.codes, cv=StratifiedKFold(2),
        method="predict_proba",
    )  # fmt: skip
    assert numbers.shape == (len(X), 3)


def test_ordered_classes_in_new_groups_are_averages_where_asked(data) -> None:
    X = data[["x", "herd"]]
    model = OrdinalMixedModelClassifier(groups="herd", new_levels="marginal").fit(X, data["stage"])
    new = X.head(5).assign(herd="another")
    expected = model.result_.predict(new, type="population")[sorted(ORDER)]
    np.testing.assert_allclose(model.predict_proba(new), expected, rtol=1e-9)
    assert cross_val_score(model, X, data["stage"], groups=data["herd"], cv=GroupKFold(2),
                           scoring="roc_auc_ovr").min() > 0.5  # fmt: skip
